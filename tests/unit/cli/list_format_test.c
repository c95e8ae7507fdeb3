/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "cli/list_format.h"
#include "spec/base/json.h"

static struct arena arena;

static const struct rt_summary two[] = {
	{ .id = "a",
	  .status = "running",
	  .bundle = "/b",
	  .rootfs = "/b/rootfs",
	  .created = "2026-01-02T03:04:05.000000006Z",
	  .pid = 17,
	  .owner = 0 },
	{ .id = "a-longer-name",
	  .status = "stopped",
	  .bundle = "/srv/größe",
	  .rootfs = "/r",
	  .created = "2026-01-02T03:04:05.000000007Z",
	  .pid = 0,
	  .owner = 4000000000u },
};

Test(cli_list_format, a_column_is_its_widest_cell_and_three_blanks_but_at_least_twelve)
{
	auto_buf struct buf out = BUF_INIT;

	cli_list_table(&out, two, 2, &arena);
	cr_expect_str_eq(out.data, "ID              PID         STATUS      BUNDLE       CREATED   "
				   "                       OWNER\n"
				   "a               17          running     /b           "
				   "2026-01-02T03:04:05.000000006Z   root\n"
				   "a-longer-name   0           stopped     /srv/größe   "
				   "2026-01-02T03:04:05.000000007Z   "
				   "#4000000000\n");
}

Test(cli_list_format, an_empty_table_is_its_header)
{
	auto_buf struct buf out = BUF_INIT;

	cli_list_table(&out, NULL, 0, &arena);
	cr_expect_str_eq(out.data,
			 "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
}

Test(cli_list_format, control_characters_do_not_reach_the_terminal)
{
	struct rt_summary v = two[0];
	auto_buf struct buf out = BUF_INIT;

	v.bundle = "/b\n\x1b[2J";
	cli_list_table(&out, &v, 1, &arena);
	cr_expect_not_null(strstr(out.data, "/b??[2J"), "%s", out.data);
}

Test(cli_list_format, json_is_one_line_that_parses)
{
	auto_buf struct buf out = BUF_INIT;
	const struct json *doc = NULL;
	const char *owner = NULL;

	cli_list_json(&out, two, 2, &arena);
	cr_assert_eq(strchr(out.data, '\n'), out.data + out.len - 1, "%s", out.data);
	cr_assert_eq(json_parse(out.data, out.len, "list", &arena, &doc, NULL), 0, "%s", out.data);
	cr_assert_eq(doc->count, 2);
	cr_assert_eq(json_string(json_get(doc->first, "owner"), &owner, NULL), 0);
	cr_expect_str_eq(owner, "root");
	cr_expect_not_null(json_get(doc->first, "ociVersion"));
	cr_expect_not_null(json_get(doc->first, "created"));
}

Test(cli_list_format, no_container_is_null_in_json)
{
	auto_buf struct buf out = BUF_INIT;

	cli_list_json(&out, NULL, 0, &arena);
	cr_expect_str_eq(out.data, "null\n");
}

Test(cli_list_format, quiet_is_an_id_a_line)
{
	auto_buf struct buf out = BUF_INIT;

	cli_list_ids(&out, two, 2);
	cr_expect_str_eq(out.data, "a\na-longer-name\n");
}

Test(cli_list_format, an_owner_is_found_by_its_exact_uid)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
				     "broken\n"
				     "noid:x\n"
				     ":x:5:5::/:\n"
				     "text:x:five:5::/:\n"
				     "alice:x:1000:100:Alice,,:/home/alice:/bin/sh\n"
				     "bob:x:100:100::/:/bin/sh";

	cr_expect_str_eq(cli_list_owner_in(passwd, 1000, &arena), "alice");
	cr_expect_str_eq(cli_list_owner_in(passwd, 100, &arena), "bob");
	cr_expect_null(cli_list_owner_in(passwd, 10, &arena));
	cr_expect_null(cli_list_owner_in(passwd, 5, &arena));
	cr_expect_null(cli_list_owner_in("", 0, &arena));
}
