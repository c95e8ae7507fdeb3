/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_cpugroup_apply - what is declared rather than done: apply and reserve-host */

#include <errno.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/table.h"
#include "spec/base/auto.h"

static void changes_text(struct buf *out, const struct cpg_change *v, size_t n, struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 3, .gap = 2 };

	for (size_t i = 0; i < n; i++) {
		cli_table_cell(&t, v[i].action);
		cli_table_cell(&t, v[i].name);
		cli_table_cell(&t, v[i].detail);
	}
	cli_table_print(&t, out);
}

static void changes_json(struct buf *out, const struct cpg_change *v, size_t n)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	json_w_open(&w, "changes", '[');
	for (size_t i = 0; i < n; i++) {
		json_w_open(&w, NULL, '{');
		json_w_str(&w, "action", v[i].action);
		json_w_str(&w, "name", v[i].name);
		json_w_str(&w, "detail", v[i].detail);
		json_w_close(&w, '}');
	}
	json_w_close(&w, ']');
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}

/* A pointer without the file's name would be read as one into config.json. */
static int name_file(struct error *err, int r, const char *what)
{
	char at[sizeof(err->at)];

	memcpy(at, err->at, sizeof(at));
	err->at[0] = '\0';
	if (at[0] == '/')
		error_at(err, "%s %s", what, at);
	else
		error_at(err, "%s", what);
	return r;
}

int cmd_cpugroup_apply(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf text = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	const char *file = cli->args.operands[0];
	const char *what = strcmp(file, "-") ? file : "standard input";
	unsigned flags = cli_flag(&cli->args, "check") ? CPG_CHECK : 0;
	const struct json *doc = NULL;
	struct cpg_change *v = NULL;
	size_t n = 0;
	int r = cli_read_file(file, &text, err);

	if (r == 0)
		r = json_parse(text.data ? text.data : "", text.len, what, cli->arena, &doc, err);
	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r < 0)
		return r;
	r = cpg_apply(&groups.cpg, doc, cli_flag(&cli->args, "prune"), flags, cli->arena, &v, &n,
		      err);
	if (r < 0)
		return name_file(err, r, what);
	if (cli_is_json(cli))
		changes_json(&out, v, n);
	else
		changes_text(&out, v, n, cli->arena);
	return cli_print(&out, err);
}

int cmd_cpugroup_reserve_host(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *cpus = cli_text(&cli->args, "cpus");
	unsigned flags = cli_flag(&cli->args, "check") ? CPG_CHECK : 0;

	if (!cpus)
		return error_rule(err, EINVAL,
				  "--cpus LIST is needed: the CPUs that the host keeps for itself");

	int r = cli_groups_open(cli, &groups, err);

	if (r == 0)
		r = cpg_reserve_host(&groups.cpg, cpus, flags, err);
	return r < 0 ? r
		     : cli_done(cli,
				flags	? "admitted"
				: *cpus ? "reserved"
					: "lifted",
				"/", err);
}
