/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "spec/base/json.h"

static struct error mount_error(void)
{
	struct error err = ERROR_INIT;

	error_set(&err, EPERM, "mount proc on /proc (nosuid,nodev)");
	error_at(&err, "/mounts/0");
	error_hint(&err, "the host masks parts of /proc");
	error_wrap(&err, -EPERM, "cannot set up the root filesystem");
	return err;
}

static const char *text(const char *prefix, const struct error *err)
{
	static struct buf b;

	buf_reset(&b);
	cli_report_text(&b, prefix, err);
	return b.data;
}

static const char *line(const char *prefix, const struct error *err)
{
	static struct buf b;

	buf_reset(&b);
	cli_report_line(&b, prefix, err);
	return b.data;
}

Test(cli_report, a_person_reads_cause_place_and_hint_on_lines_of_their_own)
{
	struct error err = mount_error();

	cr_expect_str_eq(
		text("bulkhead create failed", &err),
		"bulkhead create failed: cannot set up the root filesystem: mount proc on /proc "
		"(nosuid,nodev): operation not permitted (EPERM)\n"
		"  at:   config.json /mounts/0\n"
		"  hint: the host masks parts of /proc\n");
}

Test(cli_report, an_engine_reads_the_same_on_one_line)
{
	struct error err = mount_error();

	cr_expect_str_eq(
		line("bulkhead create failed", &err),
		"bulkhead create failed: cannot set up the root filesystem: mount proc on /proc "
		"(nosuid,nodev): operation not permitted (at config.json /mounts/0); hint: the "
		"host masks parts of /proc");
}

Test(cli_report, a_broken_rule_has_no_errno)
{
	struct error err = ERROR_INIT;

	error_rule(&err, ENOENT, "container does not exist");
	cr_expect_str_eq(text(NULL, &err), "bulkhead: container does not exist\n");
	cr_expect_str_eq(line(NULL, &err), "container does not exist");
}

Test(cli_report, a_prefix_without_our_name_gets_it_for_a_person)
{
	struct error err = ERROR_INIT;

	error_rule(&err, EINVAL, "cannot exec in a stopped container");
	cr_expect_str_eq(text("exec failed", &err),
			 "bulkhead: exec failed: cannot exec in a stopped container\n");
	cr_expect_str_eq(line("exec failed", &err),
			 "exec failed: cannot exec in a stopped container");
}

Test(cli_report, a_place_in_another_file_keeps_its_name)
{
	struct error err = ERROR_INIT;

	error_rule(&err, EINVAL, "must be a string");
	error_at(&err, "resources.json /cpu/cpus");
	cr_expect_str_eq(text(NULL, &err),
			 "bulkhead: must be a string\n  at:   resources.json /cpu/cpus\n");
}

Test(cli_report, control_characters_do_not_reach_the_terminal)
{
	struct error err = ERROR_INIT;

	error_rule(&err, EINVAL, "mount \x1b]0;owned\x07 on a\nb\x7f");
	cr_expect_str_eq(text(NULL, &err), "bulkhead: mount \\x1b]0;owned\\x07 on a\\nb\\x7f\n");
}

Test(cli_report, names_in_utf8_stay_readable)
{
	struct error err = ERROR_INIT;

	error_rule(&err, EINVAL, "mount /größe");
	cr_expect_str_eq(text(NULL, &err), "bulkhead: mount /größe\n");
}

/* Reports into a log file and returns what is in it then. */
static const char *logged(enum log_format format, const struct error *err)
{
	static char out[4096];
	char name[] = "/tmp/bulkhead-report-test-XXXXXX";
	int fd = mkstemp(name);
	const struct log log = { .fd = fd, .level = LOG_WARNING, .format = format };

	cr_assert_geq(fd, 0);
	cli_report_error(&(struct report){ .log = &log, .log_is_file = true }, err);

	ssize_t n = pread(fd, out, sizeof(out) - 1, 0);

	close(fd);
	unlink(name);
	cr_assert_geq(n, 0);
	out[n] = '\0';
	return out;
}

Test(cli_report, a_json_log_is_one_object_and_standard_error_gets_the_text_too)
{
	struct arena arena = ARENA_INIT;
	const struct json *doc = NULL;
	const char *level = NULL, *msg = NULL;
	struct error err = ERROR_INIT;

	cr_redirect_stderr();
	error_rule(&err, EINVAL, "bad name \"a\\b\"\n");

	const char *out = logged(LOG_JSON, &err);

	cr_assert_eq(json_parse(out, strlen(out), "log", &arena, &doc, NULL), 0, "%s", out);
	cr_assert_eq(json_string(json_get(doc, "level"), &level, NULL), 0);
	cr_assert_eq(json_string(json_get(doc, "msg"), &msg, NULL), 0);
	cr_expect_str_eq(level, "error");
	cr_expect_str_eq(msg, "bad name \"a\\b\"\\n");
	cr_expect_not_null(json_get(doc, "time"));
	cr_expect_eq(strchr(out, '\n'), out + strlen(out) - 1, "one line: %s", out);
	fflush(stderr);
	cr_assert_stderr_eq_str("bulkhead: bad name \"a\\b\"\\n\n");
}

Test(cli_report, a_text_log_is_one_record)
{
	struct error err = mount_error();

	cr_redirect_stderr();

	const char *out = logged(LOG_TEXT, &err);

	cr_expect(strstr(out, " level=error msg=\"cannot set up the root filesystem: "), "%s", out);
	cr_expect_eq(strchr(out, '\n'), out + strlen(out) - 1, "one line: %s", out);
}

Test(cli_report, json_on_standard_error_is_not_mixed_with_text)
{
	struct error err = mount_error();
	int ends[2];
	char out[4096];

	cr_assert_eq(pipe(ends), 0);

	const struct log log = { .fd = ends[1], .level = LOG_WARNING, .format = LOG_JSON };

	cr_redirect_stderr();
	cli_report_error(&(struct report){ .log = &log }, &err);

	ssize_t n = read(ends[0], out, sizeof(out));

	cr_assert_gt(n, 0);
	cr_expect_eq(out[0], '{');
	fflush(stderr);
	cr_assert_stderr_eq_str("");
}

Test(cli_report, as_json_it_is_one_object_with_a_kind)
{
	auto_buf struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;

	error_rule(&err, ENOTEMPTY, "it is not \"empty\"");
	error_wrap(&err, -ENOTEMPTY, "cannot delete it");
	cli_report_object(&out, &err);
	cr_expect_str_eq(out.data, "{\"error\":{\"kind\":\"not-empty\",\"message\":\"cannot delete it: "
				   "it is not \\\"empty\\\"\"}}\n");
	buf_reset(&out);
	error_at(&err, "file /groups/0");
	error_hint(&err, "look");
	cli_report_object(&out, &err);
	cr_expect(strstr(out.data, ",\"at\":\"file /groups/0\",\"hint\":\"look\"}}\n"), "%s", out.data);
}
