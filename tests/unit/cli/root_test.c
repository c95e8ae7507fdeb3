/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/root.h"

static struct arena arena;

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static bool never(void)
{
	cr_assert_fail("the user namespace does not decide here");
	return false;
}

static struct cli_root found(const char *given, struct cli_caller caller)
{
	struct cli_root root = { 0 };
	struct error err = ERROR_INIT;

	cr_expect_eq(cli_root_find(given, &caller, &arena, &root, &err), 0, "%s", err.text);
	return root;
}

Test(cli_root, the_hosts_root_uses_run)
{
	struct cli_root root = found(NULL, (struct cli_caller){ 0, NULL, "root", never });

	cr_expect_str_eq(root.path, "/run/bulkhead");
	cr_expect(root.is_default);
	cr_expect_not(root.is_users_own);
}

Test(cli_root, the_hosts_root_does_not_use_the_runtime_directory)
{
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 0, "/run/user/0", "root", never }).path,
			 "/run/bulkhead");
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 0, "/run/user/0", "alice", no }).path,
			 "/run/bulkhead");
}

Test(cli_root, a_user_uses_the_runtime_directory)
{
	struct cli_root root =
		found(NULL, (struct cli_caller){ 1000, "/run/user/1000", "alice", never });

	cr_expect_str_eq(root.path, "/run/user/1000/bulkhead");
	cr_expect(root.is_default);
	cr_expect(root.is_users_own);
}

Test(cli_root, a_user_without_runtime_directory_uses_run)
{
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 1000, NULL, "alice", never }).path,
			 "/run/bulkhead");
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 1000, "", "alice", never }).path,
			 "/run/bulkhead");
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 1000, "relative", "alice", never }).path,
			 "/run/bulkhead");
}

Test(cli_root, the_root_of_a_user_namespace_uses_the_runtime_directory_unless_called_root)
{
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 0, "/run/user/7", "alice", yes }).path,
			 "/run/user/7/bulkhead");
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 0, "/run/user/7", NULL, yes }).path,
			 "/run/user/7/bulkhead");
	cr_expect_str_eq(found(NULL, (struct cli_caller){ 0, "/run/user/7", "root", never }).path,
			 "/run/bulkhead");
}

Test(cli_root, a_given_root_wins_and_is_cleaned)
{
	const struct cli_caller caller = { 0, "/run/user/7", NULL, never };
	struct cli_root root = found("/tmp//a/../b/", caller);

	cr_expect_str_eq(root.path, "/tmp/b");
	cr_expect_not(root.is_default);
	cr_expect_not(root.is_users_own);
}

Test(cli_root, a_relative_root_starts_at_the_current_directory)
{
	cr_assert_eq(chdir("/usr"), 0);
	cr_expect_str_eq(found("state", (struct cli_caller){ 0, NULL, NULL, never }).path,
			 "/usr/state");
	cr_expect_str_eq(found("../var", (struct cli_caller){ 0, NULL, NULL, never }).path, "/var");
}

Test(cli_root, the_root_directory_is_refused)
{
	static const char *const roots[] = { "", "/", "//", "/..", "/usr/..", ".", "./", ".." };
	const struct cli_caller caller = { 0, NULL, NULL, never };

	cr_assert_eq(chdir("/"), 0);
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		struct cli_root root;
		struct error err = ERROR_INIT;

		cr_expect_eq(cli_root_find(roots[i], &caller, &arena, &root, &err), -EINVAL,
			     "\"%s\"", roots[i]);
	}
}

Test(cli_root, a_users_own_root_is_made_sticky)
{
	char dir[] = "/tmp/bulkhead-root-test-XXXXXX";
	char path[64];
	struct stat st;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bulkhead", dir);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(cli_root_make_users_own(path, NULL), 0);
		cr_assert_eq(stat(path, &st), 0);
		cr_expect_eq(st.st_mode & 07777, 01700);
	}
	rmdir(path);
	rmdir(dir);
}
