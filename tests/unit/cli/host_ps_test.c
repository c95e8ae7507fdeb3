/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/host_ps.h"

static struct arena arena;
static const pid_t pids[] = { 12, 300 };

Test(cli_host_ps, it_keeps_the_header_and_the_rows_of_these_processes)
{
	static const char table[] = "UID        PID  PPID CMD\n"
				    "root         1     0 init 12\n"
				    "root        12     1 sleep\n"
				    "root       120    12 sleep\n"
				    "alice      300    12 sh -c '12'";
	auto_buf struct buf out = BUF_INIT;

	cr_assert_eq(cli_ps_filter(table, pids, 2, &out, NULL), 0);
	cr_expect_str_eq(out.data, "UID        PID  PPID CMD\n"
				   "root        12     1 sleep\n"
				   "alice      300    12 sh -c '12'\n");
}

Test(cli_host_ps, the_pid_column_may_be_anywhere)
{
	auto_buf struct buf out = BUF_INIT;

	cr_assert_eq(cli_ps_filter("  PPID CMD   PID\n   12 a  7\n   1 b  300\n", pids, 2, &out,
				   NULL),
		     0);
	cr_expect_str_eq(out.data, "  PPID CMD   PID\n   1 b  300\n");
}

Test(cli_host_ps, a_table_without_pids_is_refused)
{
	auto_buf struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;

	cr_expect_eq(cli_ps_filter("CMD\nsleep\n", pids, 2, &out, &err), -EINVAL);
	cr_expect(strstr(err.text, "PID column"), "%s", err.text);
	cr_expect_eq(cli_ps_filter("", pids, 2, &out, NULL), -EINVAL);
	cr_expect_eq(cli_ps_filter("PPID SPID\n1 2\n", pids, 2, &out, NULL), -EINVAL);
}

Test(cli_host_ps, no_process_leaves_the_header)
{
	auto_buf struct buf out = BUF_INIT;

	cr_assert_eq(cli_ps_filter("PID CMD\n 12 a\n x b\n\n", NULL, 0, &out, NULL), 0);
	cr_expect_str_eq(out.data, "PID CMD\n");
}

Test(cli_host_ps, it_runs_the_hosts_ps)
{
	static char option[] = "-opid,comm";
	char *options[] = { option, NULL };
	auto_buf struct buf table = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	pid_t self = getpid();
	struct error err = ERROR_INIT;

	cr_assert_eq(cli_ps_run(options, &arena, &table, &err), 0, "%s", err.text);
	cr_assert_eq(cli_ps_filter(table.data, &self, 1, &out, NULL), 0);
	cr_expect(strchr(out.data, '\n'), "%s", out.data);
}

Test(cli_host_ps, its_failure_is_reported_with_its_status)
{
	static char option[] = "--no-such-option";
	char *options[] = { option, NULL };
	auto_buf struct buf table = BUF_INIT;
	struct error err = ERROR_INIT;

	cr_expect_eq(cli_ps_run(options, &arena, &table, &err), -EIO);
	cr_expect_str_eq(err.text, "ps ends with status 1");
}

Test(cli_host_ps, a_host_without_ps_is_told_which_package_has_it)
{
	char *options[] = { NULL };
	auto_buf struct buf table = BUF_INIT;
	struct error err = ERROR_INIT;

	setenv("PATH", "/nonexistent", 1);
	cr_expect_eq(cli_ps_run(options, &arena, &table, &err), -ENOENT);
	cr_expect(strstr(err.hint, "procps"), "%s", err.hint);
}
