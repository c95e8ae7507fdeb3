/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "spec/base/auto.h"

static struct error err;
static const struct cg_host host = { .layout = CG_UNIFIED, .root_fd = -1 };

static const char *place(const char *spec_path)
{
	static char buf[PATH_MAX];

	err = ERROR_INIT;
	assert_ok(cg_container_path(&host, spec_path, "web", buf, sizeof(buf), &err));
	return buf;
}

Test(cg_path, an_absolute_path_starts_at_the_root_of_the_tree)
{
	cr_assert_str_eq(place("/engine/web"), "engine/web");
	cr_assert_str_eq(place("//engine///./web/"), "engine/web");
}

Test(cg_path, dots_never_lead_out)
{
	cr_assert_str_eq(place("/../../engine/../web"), "web");
	cr_assert_null(strstr(place("../../../web"), ".."));
	cr_assert_str_eq(strrchr(place("x/../../../web"), 'w'), "web");
}

/* "<parent of our own>/<name>", for the path and for the id alike. */
Test(cg_path, a_relative_or_absent_path_lies_beside_the_caller)
{
	char own[PATH_MAX];
	char expected[PATH_MAX + 8];

	assert_ok(cg_path_of_pid(0, own, sizeof(own), &err));

	char *slash = strrchr(own, '/');

	*(slash ? slash + 1 : own) = '\0';
	snprintf(expected, sizeof(expected), "%sweb", own);
	cr_assert_str_eq(place(NULL), expected);
	cr_assert_str_eq(place(""), expected);
	cr_assert_str_eq(place("web"), expected);
}

Test(cg_path, the_root_is_no_place_for_a_container)
{
	static const char *const bad[] = { "/", "//", "/..", "/a/.." };
	char buf[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(cg_container_path(&host, bad[i], "web", buf, sizeof(buf), &err), -EINVAL);
		cr_assert_str_eq(err.at, "/linux/cgroupsPath");
	}
}

Test(cg_path, names_the_kernel_or_a_reader_would_trip_over_are_refused)
{
	char buf[PATH_MAX];
	char longest[300] = "/";

	memset(longest + 1, 'x', 256);
	cr_assert_eq(cg_container_path(&host, longest, "web", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cg_container_path(&host, "/a\nb", "web", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cg_container_path(&host, "/abc/def", "web", buf, 5, &err), -ENAMETOOLONG);
}

Test(cg_path, only_clean_paths_below_the_root_pass_the_check)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b",
					   "a/../b", "a\nb" };
	static const char *const good[] = { "a", "a/b", "..a", "a..", ".a", "...", "a/b.slice/c" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(cg_path_check(bad[i], &err), -EINVAL, "\"%s\"", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_assert_eq(cg_path_check(good[i], &err), 0, "\"%s\"", good[i]);
}

/* The kernel is asked to enforce the same: a path that slipped through still cannot leave. */
Test(cg_path, opening_stays_below_the_directory_whatever_the_path)
{
	char dir[64];
	int fd = fake_open(dir);

	cr_assert_eq(mkdirat(fd, "in", 0755), 0);
	cr_assert_eq(symlinkat("/", fd, "link"), 0);

	auto_close int in = cg_open_below(fd, "in", O_RDONLY | O_DIRECTORY);

	cr_assert(in >= 0);
	cr_assert_eq(cg_open_below(in, "..", O_RDONLY), -EXDEV);
	cr_assert_eq(cg_open_below(in, "/", O_RDONLY), -EXDEV);
	cr_assert_eq(cg_open_below(fd, "link", O_RDONLY), -ELOOP);
	fake_close(fd, dir);
}

Test(cg_path, a_process_that_is_not_there_has_no_path)
{
	char buf[PATH_MAX];

	cr_assert_eq(cg_path_of_pid(0x3ffffff, buf, sizeof(buf), &err), -ESRCH);
	cr_assert_not_null(strstr(line_of(&err), "/proc/67108863/cgroup"));
}

Test(cg_path, a_member_is_found_where_it_was_put)
{
	struct scratch s;
	char path[PATH_MAX];

	scratch_open(&s);

	pid_t pid = scratch_fork(&s, pause);

	wait_for_members(s.fd, 1);
	assert_ok(cg_path_of_pid(pid, path, sizeof(path), &err));
	cr_assert_str_eq(path, s.path);
	scratch_close(&s);
}
