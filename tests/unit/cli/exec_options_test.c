/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cli/exec_options.h"
#include "spec/base/auto.h"

static struct arena arena;

/* Parses the words of an exec command line, NULL-terminated. */
static int parse(char *const *words, struct rt_exec_options *opt, struct error *err)
{
	const struct cli_verb *verb = cli_verb_find("exec");
	struct cli_args args;
	int r = cli_parse(verb->options, verb->n_options, CLI_STOP_AT_FIRST, (char **)words, &arena,
			  &args, err);

	return r < 0 ? r : cli_exec_options(&args, &arena, opt, err);
}

#define WORDS(...) \
	(char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

Test(cli_exec_options, a_user_is_a_number_or_two)
{
	struct rt_exec_options opt = { 0 };

	cr_assert_eq(cli_exec_user("1000", &opt, NULL), 0);
	cr_expect(opt.has_uid && opt.uid == 1000);
	cr_expect_not(opt.has_gid);
	cr_assert_eq(cli_exec_user("0:4294967294", &opt, NULL), 0);
	cr_expect(opt.has_uid && opt.uid == 0);
	cr_expect(opt.has_gid && opt.gid == 4294967294u);
}

Test(cli_exec_options, anything_else_is_a_bad_user)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "bad uid" },
		{ "root", "bad uid" },
		{ "1000x", "bad uid" },
		{ "+1", "bad uid" },
		{ "-1", "bad uid" },
		{ " 1", "bad uid" },
		{ "4294967295", "bad uid" },
		{ "4294967296", "bad uid" },
		{ "0x10", "bad uid" },
		{ ":5", "bad uid" },
		{ "00000000000000000001", "bad uid" },
		{ "1:", "bad gid" },
		{ "1:x", "bad gid" },
		{ "1:2:3", "bad gid" },
		{ "1:-1", "bad gid" },
		{ "1:4294967295", "bad gid" },
		{ "1: 2", "bad gid" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rt_exec_options opt = { 0 };
		struct error err = ERROR_INIT;

		cr_expect_eq(cli_exec_user(rows[i].text, &opt, &err), -EINVAL, "\"%s\"",
			     rows[i].text);
		cr_expect(strstr(err.text, rows[i].expected), "\"%s\": %s", rows[i].text, err.text);
	}
}

Test(cli_exec_options, each_option_arrives)
{
	struct rt_exec_options opt;
	struct error err = ERROR_INIT;
	int r = parse(WORDS("-t", "-d", "--cwd", "/srv", "-e", "A=1", "--env", "B=x,y", "-u", "5:6",
			    "-g", "7", "--additional-gids", "8", "-c", "CAP_KILL",
			    "--no-new-privs=false", "--process-label", "l", "--apparmor", "p",
			    "--preserve-fds", "2", "--ignore-paused", "--cgroup", "/sub",
			    "--pid-file", "f", "--pidfd-socket", "s", "--console-socket", "c",
			    "--no-subreaper", "web", "ls", "-l"),
		      &opt, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	cr_expect_str_eq(opt.id, "web");
	cr_expect_str_eq(opt.args[0], "ls");
	cr_expect_str_eq(opt.args[1], "-l");
	cr_expect_null(opt.args[2]);
	cr_expect(opt.tty && opt.detach && opt.ignore_paused && opt.no_subreaper);
	cr_expect_str_eq(opt.cwd, "/srv");
	cr_expect_str_eq(opt.env[0], "A=1");
	cr_expect_str_eq(opt.env[1], "B=x,y");
	cr_expect_null(opt.env[2]);
	cr_expect(opt.has_uid && opt.uid == 5 && opt.has_gid && opt.gid == 6);
	cr_assert_eq(opt.n_additional_gids, 2);
	cr_expect_eq(opt.additional_gids[0], 7);
	cr_expect_eq(opt.additional_gids[1], 8);
	cr_expect_str_eq(opt.caps[0], "CAP_KILL");
	cr_expect_null(opt.caps[1]);
	cr_expect(opt.has_no_new_privs && !opt.no_new_privs);
	cr_expect_str_eq(opt.process_label, "l");
	cr_expect_str_eq(opt.apparmor, "p");
	cr_expect_eq(opt.preserve_fds, 2);
	cr_expect_str_eq(opt.cgroup, "/sub");
	cr_expect_str_eq(opt.pid_file, "f");
	cr_expect_str_eq(opt.pidfd_socket, "s");
	cr_expect_str_eq(opt.console_socket, "c");
}

Test(cli_exec_options, nothing_given_is_nothing_set)
{
	struct rt_exec_options opt;

	cr_assert_eq(parse(WORDS("web", "ls"), &opt, NULL), 0);
	cr_expect_not(opt.has_uid || opt.has_gid || opt.has_no_new_privs || opt.tty || opt.detach);
	cr_expect_null(opt.env[0]);
	cr_expect_null(opt.caps[0]);
	cr_expect_eq(opt.n_additional_gids, 0);
	cr_expect_null(opt.process_file);
}

Test(cli_exec_options, what_follows_the_id_belongs_to_the_command)
{
	struct rt_exec_options opt;

	cr_assert_eq(parse(WORDS("web", "sh", "-t", "--", "-d"), &opt, NULL), 0);
	cr_expect_not(opt.tty || opt.detach);
	cr_expect_str_eq(opt.args[1], "-t");
	cr_expect_str_eq(opt.args[2], "--");
	cr_assert_eq(parse(WORDS("web", "--", "sh", "--"), &opt, NULL), 0);
	cr_expect_str_eq(opt.args[0], "sh");
	cr_expect_str_eq(opt.args[1], "--");
}

Test(cli_exec_options, a_process_file_stands_for_the_command)
{
	struct rt_exec_options opt;
	struct error err = ERROR_INIT;

	cr_assert_eq(parse(WORDS("--process", "p.json", "web"), &opt, NULL), 0);
	cr_expect_str_eq(opt.process_file, "p.json");
	cr_expect_null(opt.args);
	cr_expect_eq(parse(WORDS("-p", "p.json", "web", "ls"), &opt, &err), -EINVAL);
	cr_expect(strstr(err.text, "--process"), "%s", err.text);
	cr_expect_eq(parse(WORDS("web"), &opt, &err), -EINVAL);
	cr_expect(strstr(err.text, "process args cannot be empty"), "%s", err.text);
}

Test(cli_exec_options, bad_words_are_named)
{
	static char *const rows[][3] = {
		{ "--cap", "KILL", "unknown capability \"KILL\"" },
		{ "--cap", "CAP_FOO", "unknown capability \"CAP_FOO\"" },
		{ "--env", "A", "\"A\" is not KEY=VALUE" },
		{ "--env", "=x", "\"=x\" is not KEY=VALUE" },
		{ "--additional-gids", "-1", "bad gid" },
		{ "--additional-gids", "wheel", "bad gid" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rt_exec_options opt;
		struct error err = ERROR_INIT;

		cr_expect_eq(parse(WORDS(rows[i][0], rows[i][1], "web", "ls"), &opt, &err),
			     -EINVAL);
		cr_expect(strstr(err.text, rows[i][2]), "%s: %s", rows[i][1], err.text);
	}
}
