/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "spec/base/auto.h"

struct result {
	int status;
	char out[16384], err[16384];
};

static void drain(int fd, char *to, size_t size)
{
	ssize_t n = pread(fd, to, size - 1, 0);

	cr_assert_geq(n, 0);
	to[n] = '\0';
	close(fd);
}

static int capture(int fd)
{
	char name[] = "/tmp/bulkhead-dispatch-test-XXXXXX";
	int file = mkstemp(name);

	cr_assert_geq(file, 0);
	unlink(name);
	cr_assert_eq(dup2(file, fd), fd);
	return file;
}

/* Runs the command line as main() would. */
static struct result run(char *const *argv)
{
	static struct result r;
	int out = capture(STDOUT_FILENO);
	int err = capture(STDERR_FILENO);

	r.status = cli_main((char **)argv);
	drain(out, r.out, sizeof(r.out));
	drain(err, r.err, sizeof(r.err));
	return r;
}

#define RUN(...) run((char *const[]){ "bulkhead", __VA_ARGS__, NULL })

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

Test(cli_dispatch, no_arguments_show_help)
{
	struct result r = run((char *const[]){ "bulkhead", NULL });

	cr_expect_eq(r.status, 0);
	cr_expect(begins(r.out, "NAME:\n   bulkhead - "), "%s", r.out);
	cr_expect_str_empty(r.err);
	cr_expect_eq(run((char *const[]){ NULL }).status, 0, "not even a name");
}

Test(cli_dispatch, help_can_be_asked_for_in_every_way)
{
	static char *const lines[][4] = {
		{ "bulkhead", "help", "state", NULL },
		{ "bulkhead", "h", "state", NULL },
		{ "bulkhead", "state", "--help", NULL },
		{ "bulkhead", "state", "-h", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct result r = run(lines[i]);

		cr_expect_eq(r.status, 0);
		cr_expect(begins(r.out, "NAME:\n   bulkhead state - "), "%s", r.out);
	}
	cr_expect(begins(RUN("--help").out, "NAME:\n   bulkhead - "));
	cr_expect(begins(RUN("-h").out, "NAME:\n   bulkhead - "));
}

Test(cli_dispatch, an_unknown_command_ends_with_3)
{
	struct result r = RUN("foo");

	cr_expect_eq(r.status, 3);
	cr_expect_str_eq(r.err, "bulkhead: No help topic for 'foo'\n");
	cr_expect_eq(RUN("help", "foo").status, 3);
	r = RUN("strat", "web");
	cr_expect_eq(r.status, 3);
	cr_expect(strstr(r.err, "hint: did you mean \"start\"?"), "%s", r.err);
}

Test(cli_dispatch, the_version_can_be_parsed_by_docker)
{
	struct result r = RUN("--version");

	cr_expect_eq(r.status, 0);
	cr_expect(begins(r.out, "bulkhead version "), "%s", r.out);
	cr_expect(strstr(r.out, "\ncommit: "), "%s", r.out);
	cr_expect(strstr(r.out, "\nspec: 1."), "%s", r.out);
	cr_expect(begins(RUN("-v").out, "bulkhead version "));
}

Test(cli_dispatch, a_wrong_number_of_arguments_shows_how_it_is_done)
{
	struct result r = RUN("state");

	cr_expect_eq(r.status, 1);
	cr_expect(begins(r.out, "Incorrect Usage.\n\nNAME:\n   bulkhead state - "), "%s", r.out);
	cr_expect_str_eq(r.err, "bulkhead: \"state\" requires exactly 1 argument(s)\n");
	cr_expect_str_eq(RUN("state", "a", "b").err,
			 "bulkhead: \"state\" requires exactly 1 argument(s)\n");
	cr_expect_str_eq(RUN("list", "a").err,
			 "bulkhead: \"list\" requires exactly 0 argument(s)\n");
	cr_expect_str_eq(RUN("kill").err,
			 "bulkhead: \"kill\" requires a minimum of 1 argument(s)\n");
	cr_expect_str_eq(RUN("kill", "a", "9", "x").err,
			 "bulkhead: \"kill\" requires a maximum of 2 argument(s)\n");
	cr_expect_eq(RUN("exec").status, 1);
}

Test(cli_dispatch, an_unknown_option_shows_how_it_is_done)
{
	struct result r = RUN("create", "--foo", "web");

	cr_expect_eq(r.status, 1);
	cr_expect(begins(r.out, "Incorrect Usage.\n\nNAME:\n   bulkhead create - "), "%s", r.out);
	cr_expect_str_eq(r.err, "bulkhead: unknown option --foo\n");
	r = RUN("--foo", "create", "web");
	cr_expect(begins(r.out, "Incorrect Usage.\n\nNAME:\n   bulkhead - "), "%s", r.out);
}

Test(cli_dispatch, bad_values_of_global_options_are_refused)
{
	static const struct {
		char *option, *expected;
	} rows[] = {
		{ "--root=/", "option --root must not be the root directory" },
		{ "--root=", "option --root is empty" },
		{ "--log-format=xml", "invalid log-format option \"xml\"" },
		{ "--log-level=loud", "invalid log-level option \"loud\"" },
		{ "--isolation=hyperv", "invalid isolation option \"hyperv\"" },
		{ "--cgroup-manager=disabled", "not supported yet" },
		{ "--log=/nonexistent/log",
		  "open the log /nonexistent/log: no such file or directory" },
		{ "--criu=/usr/sbin/criu", "unknown option --criu" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result r = RUN(rows[i].option, "state", "web");

		cr_expect_eq(r.status, 1, "%s", rows[i].option);
		cr_expect(strstr(r.err, rows[i].expected), "%s: %s", rows[i].option, r.err);
	}
}

Test(cli_dispatch, checkpoint_and_restore_say_what_they_are)
{
	struct result r = RUN("checkpoint", "--image-path", "/x", "web");

	cr_expect_eq(r.status, 1);
	cr_expect_str_eq(r.err, "bulkhead: checkpoint and restore are not supported yet\n");
	r = RUN("restore", "-no-subreaper", "web");
	cr_expect_eq(r.status, 1);
	cr_expect_str_eq(r.err,
			 "bulkhead restore failed: checkpoint and restore are not supported yet\n");
}

Test(cli_dispatch, a_failed_exec_ends_with_255)
{
	struct result r = RUN("exec", "--user", "root", "web", "ls");

	cr_expect_eq(r.status, 255);
	cr_expect(begins(r.err, "bulkhead: exec failed: bad uid in --user \"root\""), "%s", r.err);
}

Test(cli_dispatch, an_unknown_signal_is_named)
{
	struct result r = RUN("kill", "web", "SIGFOO");

	cr_expect_eq(r.status, 1);
	cr_expect_str_eq(r.err, "bulkhead: unknown signal \"SIGFOO\"\n");
}

Test(cli_dispatch, a_bad_interval_is_named)
{
	cr_expect(
		strstr(RUN("events", "--interval", "soon", "web").err, "\"soon\" is no duration"));
	cr_expect(strstr(RUN("events", "--interval", "0s", "web").err, "greater than 0"));
}

Test(cli_dispatch, spec_does_not_overwrite)
{
	char dir[] = "/tmp/bulkhead-spec-test-XXXXXX";
	char file[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/config.json", dir);

	struct result r = RUN("spec", "-b", dir);

	cr_expect_eq(r.status, 0, "%s", r.err);
	cr_expect_eq(access(file, F_OK), 0);
	r = RUN("spec", "--bundle", dir);
	cr_expect_eq(r.status, 1);
	cr_expect_str_eq(r.err, "bulkhead: File config.json exists. Remove it first\n");
	cr_expect_eq(RUN("spec", "-b", dir, "--file", "other.json").status, 0);
	snprintf(file, sizeof(file), "%s/other.json", dir);
	cr_expect_eq(unlink(file), 0);
	snprintf(file, sizeof(file), "%s/config.json", dir);
	unlink(file);
	rmdir(dir);
}

Test(cli_dispatch, a_log_file_gets_one_record_and_a_person_the_text)
{
	char name[] = "/tmp/bulkhead-log-test-XXXXXX";
	int fd = mkstemp(name);
	char log[4096];

	cr_assert_geq(fd, 0);

	struct result r = RUN("--log", name, "--log-format", "json", "kill", "web", "x");

	drain(fd, log, sizeof(log));
	unlink(name);
	cr_expect_eq(r.status, 1);
	cr_expect(strstr(log, "\"msg\":\"unknown signal \\\"x\\\"\""), "%s", log);
	cr_expect_eq(strchr(log, '\n'), log + strlen(log) - 1, "%s", log);
	cr_expect_str_eq(r.err, "bulkhead: unknown signal \"x\"\n");
}

Test(cli_dispatch, a_command_below_another_is_found_by_both_names)
{
	struct result r = RUN("cpugroup", "create", "--help");

	cr_expect_eq(r.status, 0);
	cr_expect(begins(r.out, "NAME:\n   bulkhead cpugroup create - "), "%s", r.out);
}

Test(cli_dispatch, what_is_no_command_below_another_ends_with_3)
{
	struct result r = RUN("cpugroup", "creat");

	cr_expect_eq(r.status, 3);
	cr_expect_str_eq(r.err, "bulkhead: \"cpugroup\" has no command \"creat\"\n"
				"  hint: did you mean \"create\"?\n");
}

Test(cli_dispatch, an_error_is_json_for_who_asks_for_json)
{
	struct result r = RUN("cpugroup", "create", "--nonsense", "--format", "json");

	cr_expect_eq(r.status, 1);
	cr_expect_str_eq(r.err, "");
	cr_expect_str_eq(r.out, "{\"error\":{\"kind\":\"invalid-value\",\"message\":\"unknown option "
				"--nonsense\"}}\n");
}

Test(cli_dispatch, a_command_that_engines_know_keeps_its_errors_as_they_are)
{
	struct result r = RUN("list", "--nonsense", "--format", "json");

	cr_expect_eq(r.status, 1);
	cr_expect(begins(r.out, "Incorrect Usage."), "%s", r.out);
	cr_expect(strstr(r.err, "--nonsense"), "%s", r.err);
}
