/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group_record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/state.h"

static struct arena a = ARENA_INIT;
static char root[] = "/tmp/group-record-XXXXXX";
static struct rt_context ctx = { .root = root };
static int dir_fd;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(root));
	dir_fd = state_reserve(&ctx, "web", NULL);
	cr_assert_geq(dir_fd, 0);
}

static void teardown(void)
{
	char command[128];

	close(dir_fd);
	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(group_record, .init = setup, .fini = teardown, .timeout = 20);

static const struct group_record sample = {
	.from = "cpugroups/gold/web", .to = "cpugroups/silver/web", .step = "begun",
	.was_frozen = true, .residual_limit = UINT64_MAX,
};

Test(group_record, comes_back_as_it_was_written)
{
	struct group_record got;
	struct error err = ERROR_INIT;

	cr_assert_eq(group_record_write(dir_fd, &sample, &err), 0);
	cr_assert_eq(group_record_read(dir_fd, "web", &a, &got, &err), 0);
	cr_expect_str_eq(got.from, sample.from);
	cr_expect_str_eq(got.to, sample.to);
	cr_expect_str_eq(got.step, "begun");
	cr_expect(got.was_frozen);
	cr_expect_eq(got.residual_limit, UINT64_MAX);
}

Test(group_record, is_there_until_it_is_removed)
{
	struct group_record got;

	cr_expect_not(group_record_is_there(&ctx, "web"));
	cr_expect_eq(group_record_read(dir_fd, "web", &a, &got, NULL), -ENOENT);
	cr_assert_eq(group_record_write(dir_fd, &sample, NULL), 0);
	cr_expect(group_record_is_there(&ctx, "web"));
	cr_assert_eq(group_record_remove(dir_fd, NULL), 0);
	cr_expect_not(group_record_is_there(&ctx, "web"));
	cr_expect_eq(group_record_remove(dir_fd, NULL), 0, "once more is no error");
}

Test(group_record, of_a_later_version_or_damaged_is_refused)
{
	static const char *const bad[] = {
		"{\"version\": 2, \"from\": \"a\", \"to\": \"b\", \"step\": \"begun\", \"wasFrozen\": false, \"residualLimit\": 0}",
		"{\"version\": 1, \"from\": \"a\"}", "{}", "", "[]",
		"{\"version\": 1, \"from\": 7, \"to\": \"b\", \"step\": \"begun\", \"wasFrozen\": false, \"residualLimit\": 0}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct group_record got;
		struct error err = ERROR_INIT;
		int fd = openat(dir_fd, GROUP_RECORD, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		cr_assert_geq(fd, 0);
		cr_assert_eq(write(fd, bad[i], strlen(bad[i])), (ssize_t)strlen(bad[i]));
		close(fd);
		cr_expect_eq(group_record_read(dir_fd, "web", &a, &got, &err), -EINVAL, "%s", bad[i]);
		cr_expect_neq(err.text[0], '\0', "%s", bad[i]);
	}
}

Test(group_record, each_step_has_a_name)
{
	cr_expect_str_eq(group_step_name(CPG_MOVE_PREPARED), "prepared");
	cr_expect_str_eq(group_step_name(CPG_MOVE_FROZEN), "frozen");
	cr_expect_str_eq(group_step_name(CPG_MOVE_MOVED), "moved");
	cr_expect_str_eq(group_step_name(CPG_MOVE_THAWED), "thawed");
}
