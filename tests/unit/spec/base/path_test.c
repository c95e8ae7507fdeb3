/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/spec/base/scratch.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

TestSuite(path, .init = scratch_make, .fini = scratch_remove);

static ino_t inode(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

static ino_t inode_at(const char *name)
{
	struct stat st;

	cr_assert_eq(fstatat(scratch_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
	return st.st_ino;
}

static void link_to(const char *target, const char *name)
{
	cr_assert_eq(symlinkat(target, scratch_fd, name), 0);
}

static void expect_opens(const char *path, const char *same_as)
{
	int fd = path_try(scratch_fd, path, O_PATH);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(-fd));
	cr_expect_eq(inode(fd), inode_at(same_as), "%s", path);
	close(fd);
}

Test(path, paths_are_taken_from_the_root_whatever_they_begin_with)
{
	mkdirat(scratch_fd, "a", 0755);
	mkdirat(scratch_fd, "a/b", 0755);
	expect_opens("a/b", "a/b");
	expect_opens("/a/b", "a/b");
	expect_opens("//a/./b/", "a/b");
	expect_opens("/../../../a/b", "a/b");
	expect_opens("a/../../a/b", "a/b");
	expect_opens("/", ".");
	expect_opens("..", ".");
}

Test(path, links_stay_in_the_root)
{
	mkdirat(scratch_fd, "a", 0755);
	mkdirat(scratch_fd, "tmp", 0755);
	link_to("/a", "absolute");
	link_to("../../../../../../a", "upwards");
	link_to("/tmp", "tmp-link");
	link_to("/..", "dots");
	expect_opens("absolute", "a");
	expect_opens("upwards", "a");
	expect_opens("tmp-link", "tmp");
	expect_opens("dots/../a", "a");
}

Test(path, links_to_host_files_do_not_reach_them)
{
	link_to("/etc/passwd", "passwd");
	link_to("../../../../../../../../etc/passwd", "dotted");
	link_to("/proc/self/root", "root");
	cr_expect_eq(path_try(scratch_fd, "passwd", O_RDONLY), -ENOENT);
	cr_expect_eq(path_try(scratch_fd, "dotted", O_RDONLY), -ENOENT);
	cr_expect_eq(path_try(scratch_fd, "root", O_PATH), -ENOENT);
}

Test(path, magic_links_are_refused)
{
	/* With a procfs inside: the root of this test is then the host's own. */
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_expect_eq(path_try(root, "/proc/self/root", O_PATH), -ELOOP);
	cr_expect_eq(path_try(root, "/proc/self/root/etc", O_PATH), -ELOOP);
	cr_expect_eq(path_try(root, "/proc/self/exe", O_RDONLY), -ELOOP);
	cr_expect_eq(path_try(root, "/proc/self/cwd/", O_PATH), -ELOOP);
	close(root);
}

static int make_chain(int n)
{
	char name[16], target[16];

	mkdirat(scratch_fd, "end", 0755);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), i + 1 < n ? "l%d" : "end", i + 1);
		link_to(target, name);
	}
	return path_try(scratch_fd, "l0", O_PATH);
}

Test(path, forty_links_are_followed)
{
	int fd = make_chain(40);

	cr_assert_geq(fd, 0);
	cr_expect_eq(inode(fd), inode_at("end"));
	close(fd);
}

Test(path, forty_one_links_are_a_loop)
{
	cr_expect_eq(make_chain(41), -ELOOP);
}

Test(path, every_descriptor_is_closed_on_exec)
{
	int fd = path_try(scratch_fd, "/", O_PATH | O_DIRECTORY);

	cr_assert_geq(fd, 0);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

Test(path, opening_never_creates)
{
	cr_expect_eq(path_try(scratch_fd, "new", O_WRONLY | O_CREAT), -EINVAL);
	cr_expect_eq(path_try(scratch_fd, "new", O_WRONLY | O_CREAT | O_EXCL), -EINVAL);
	cr_expect_eq(path_try(scratch_fd, "/", O_WRONLY | O_TMPFILE), -EINVAL);
	cr_expect_eq(faccessat(scratch_fd, "new", F_OK, 0), -1);
}

Test(path, more_rules_can_be_asked_for)
{
	mkdirat(scratch_fd, "a", 0755);
	link_to("a", "l");

	int fd = path_try_resolve(scratch_fd, "a", O_PATH, 0x04 /* RESOLVE_NO_SYMLINKS */);

	cr_expect_geq(fd, 0);
	close(fd);
	cr_expect_eq(path_try_resolve(scratch_fd, "l", O_PATH, 0x04), -ELOOP);
}

Test(path, the_message_names_the_path)
{
	struct error err = ERROR_INIT;
	char line[256];

	cr_expect_eq(path_open(scratch_fd, "/no/such", O_PATH, &err), -ENOENT);
	error_line(&err, line, sizeof(line));
	cr_expect_str_eq(line,
			 "open /no/such below the container's root: no such file or directory");
}

Test(path, cleaning_is_lexical)
{
	static const struct {
		const char *path, *clean;
	} t[] = {
		{ "", "/" },
		{ "/", "/" },
		{ "///", "/" },
		{ ".", "/" },
		{ "..", "/" },
		{ "/..", "/" },
		{ "../../a", "/a" },
		{ "a", "/a" },
		{ "/a/", "/a" },
		{ "//a//b//", "/a/b" },
		{ "/a/./b/.", "/a/b" },
		{ "/a/b/..", "/a" },
		{ "/a/../b", "/b" },
		{ "/a/b/../../..", "/" },
		{ "/a/b/../../../c", "/c" },
		{ "/...", "/..." },
		{ "/..a/.b/c..", "/..a/.b/c.." },
		{ "/a b/\xc3\xa4", "/a b/\xc3\xa4" },
	};
	char buf[64];

	for (size_t i = 0; i < N(t); i++) {
		cr_expect_eq(path_clean(t[i].path, buf, sizeof(buf)), 0);
		cr_expect_str_eq(buf, t[i].clean, "\"%s\" gave %s", t[i].path, buf);
		/* Clean paths stay as they are. */
		char again[64];

		cr_expect_eq(path_clean(buf, again, sizeof(again)), 0);
		cr_expect_str_eq(again, buf);
	}
}

Test(path, cleaning_never_writes_beyond_the_buffer)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	cr_expect_eq(path_clean("/abc", buf, 5), 0);
	cr_expect_str_eq(buf, "/abc");
	cr_expect_eq(path_clean("/abcd", buf, 5), -ENAMETOOLONG);
	cr_expect_eq(path_clean("/a/b/c", buf, 5), -ENAMETOOLONG);
	cr_expect_eq(path_clean("/", buf, 2), 0);
	cr_expect_eq(path_clean("/", buf, 1), -ENAMETOOLONG);
	cr_expect_eq(path_clean("/", buf, 0), -ENAMETOOLONG);
	cr_expect_eq(buf[5], 'x');
}

Test(path, below_compares_whole_components)
{
	cr_expect(path_is_below("/a", "/a"));
	cr_expect(path_is_below("/a/b", "/a"));
	cr_expect(path_is_below("/a", "/"));
	cr_expect(path_is_below("/", "/"));
	cr_expect_not(path_is_below("/ab", "/a"));
	cr_expect_not(path_is_below("/a", "/a/b"));
	cr_expect_not(path_is_below("/", "/a"));
	cr_expect_not(path_is_below("/proc-x", "/proc"));
	cr_expect(path_is_below("/proc/sys", "/proc"));
}
