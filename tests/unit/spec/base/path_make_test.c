/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/spec/base/scratch.h"

static int files_before;

static void init(void)
{
	scratch_make();
	files_before = open_files();
}

static void fini(void)
{
	cr_expect_eq(scratch_outside(), 0, "something was made outside of the root");
	cr_expect_eq(open_files(), files_before, "descriptors leaked");
	scratch_remove();
}

TestSuite(path_make, .init = init, .fini = fini);

static struct stat stat_at(const char *name)
{
	struct stat st;

	cr_assert_eq(fstatat(scratch_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s is not there",
		     name);
	return st;
}

static void link_to(const char *target, const char *name)
{
	cr_assert_eq(symlinkat(target, scratch_fd, name), 0);
}

static void make_file(const char *name)
{
	cr_assert_eq(mknodat(scratch_fd, name, S_IFREG | 0600, 0), 0);
}

/* The fd must be the very directory `name`. */
static void expect_dir(int fd, const char *name)
{
	struct stat st;

	cr_assert_geq(fd, 0, "%s: %s", name, strerror(-fd));
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_ino, stat_at(name).st_ino, "%s", name);
	cr_expect(S_ISDIR(st.st_mode));
	cr_expect(fcntl(fd, F_GETFL) & O_PATH);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void expect_file(int fd, const char *name)
{
	struct stat st;

	cr_assert_geq(fd, 0, "%s: %s", name, strerror(-fd));
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_ino, stat_at(name).st_ino, "%s", name);
	cr_expect(S_ISREG(st.st_mode));
	cr_expect_eq(st.st_size, 0);
	close(fd);
}

static int mkdirs(const char *path)
{
	return path_mkdirs(scratch_fd, path, 0711, NULL);
}

static int target(const char *path, bool dir)
{
	return path_make_target(scratch_fd, path, dir, NULL);
}

Test(path_make, missing_components_are_made_with_the_mode_asked_for)
{
	cr_assert_eq(mkdirat(scratch_fd, "a", 0700), 0);
	expect_dir(mkdirs("/a/b/c"), "a/b/c");
	cr_expect_eq(stat_at("a").st_mode & 07777, 0700);
	cr_expect_eq(stat_at("a/b").st_mode & 07777, 0711);
	cr_expect_eq(stat_at("a/b/c").st_mode & 07777, 0711);
	expect_dir(mkdirs("a/b/c"), "a/b/c");
	expect_dir(mkdirs("a//b/./d/"), "a/b/d");
}

Test(path_make, the_root_is_a_directory_like_any_other)
{
	expect_dir(mkdirs("/"), ".");
	expect_dir(mkdirs("/.."), ".");
	expect_dir(mkdirs("new/.."), ".");
	expect_dir(mkdirs("new/../.."), ".");
	cr_expect(S_ISDIR(stat_at("new").st_mode));
}

Test(path_make, an_empty_path_is_refused)
{
	cr_expect_eq(mkdirs(""), -ENOENT);
	cr_expect_eq(target("", true), -ENOENT);
	cr_expect_eq(target("", false), -ENOENT);
}

Test(path_make, dots_go_up_where_the_walk_is)
{
	expect_dir(mkdirs("a/b/../c"), "a/c");
	expect_dir(mkdirs("../../x/y"), "x/y");
	expect_dir(mkdirs("p/../../../q/r/../s"), "q/s");

	/* Behind a link, ".." is the parent of where it leads. */
	link_to("a/b", "l");
	expect_dir(mkdirs("l/../d"), "a/d");
	link_to("m/n", "dangling");
	expect_dir(mkdirs("dangling/../o"), "m/o");
}

Test(path_make, dangling_links_are_made_where_they_point_inside)
{
	char outside[128];

	snprintf(outside, sizeof(outside), "%s/outside", scratch_path);
	link_to("/x/y", "absolute");
	link_to("../../../../u/v", "upwards");
	link_to(outside, "away");
	link_to("../outside", "beside");
	expect_dir(mkdirs("absolute/z"), "x/y/z");
	expect_dir(mkdirs("upwards"), "u/v");
	expect_dir(mkdirs("beside/z"), "outside/z");

	int fd = mkdirs("away/z");
	char inside[192];

	snprintf(inside, sizeof(inside), "%s/z", outside + 1);
	expect_dir(fd, inside);
}

Test(path_make, links_to_links_that_dangle_are_followed)
{
	link_to("two", "one");
	link_to("/dir/../three", "two");
	link_to("end/", "three");
	expect_dir(mkdirs("one/x"), "end/x");
	cr_expect(S_ISDIR(stat_at("dir").st_mode));
}

static int make_chain(int n, bool dir)
{
	char name[16], to[16];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(to, sizeof(to), i + 1 < n ? "l%d" : "end", i + 1);
		link_to(to, name);
	}
	return target("l0", dir);
}

Test(path_make, forty_dangling_links_are_followed)
{
	expect_dir(make_chain(40, true), "end");
}

Test(path_make, forty_dangling_links_lead_to_a_file)
{
	expect_file(make_chain(40, false), "end");
}

Test(path_make, forty_one_links_are_a_loop)
{
	cr_expect_eq(make_chain(41, true), -ELOOP);
	cr_expect_eq(target("l0", false), -ELOOP);
	cr_expect_eq(faccessat(scratch_fd, "end", F_OK, 0), -1);
}

Test(path_make, circular_links_are_a_loop)
{
	link_to("b", "a");
	link_to("a", "b");
	link_to("self", "self");
	cr_expect_eq(mkdirs("a"), -ELOOP);
	cr_expect_eq(mkdirs("self/x"), -ELOOP);
	cr_expect_eq(target("a", false), -ELOOP);
	/* A link into what its own path needs: each round makes the path longer. */
	link_to("grow/x/../more/missing", "grow");
	cr_expect_eq(mkdirs("grow"), -ELOOP);
}

Test(path_make, a_link_that_grows_is_cut_off)
{
	char text[PATH_MAX] = "";

	while (strlen(text) + 8 < 2040)
		strcat(text, "a/../");
	strcat(text, "big");
	link_to(text, "big");

	int r = mkdirs("big/x");

	cr_expect(r == -ENAMETOOLONG || r == -ELOOP, "%d", r);
}

Test(path_make, magic_links_are_refused)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_expect_eq(path_mkdirs(root, "/proc/self/root/tmp/x", 0755, NULL), -ELOOP);
	cr_expect_eq(path_make_target(root, "/proc/self/cwd", true, NULL), -ELOOP);
	cr_expect_eq(path_make_target(root, "/proc/self/fd/0", false, NULL), -ELOOP);
	close(root);
}

Test(path_make, links_through_proc_of_the_root_are_plain_text)
{
	/* No procfs in this root: the text is a path like any other, inside. */
	link_to("/proc/self/root/x", "l");
	expect_dir(mkdirs("l"), "proc/self/root/x");
}

Test(path_make, what_is_no_directory_is_not_entered)
{
	make_file("file");
	cr_assert_eq(mkfifoat(scratch_fd, "fifo", 0600), 0);
	link_to("file", "to-file");
	cr_expect_eq(mkdirs("file"), -ENOTDIR);
	cr_expect_eq(mkdirs("file/x"), -ENOTDIR);
	cr_expect_eq(mkdirs("fifo"), -ENOTDIR);
	cr_expect_eq(mkdirs("fifo/x/y"), -ENOTDIR);
	cr_expect_eq(mkdirs("to-file/x"), -ENOTDIR);
	cr_expect_eq(mkdirs("new/../file/x"), -ENOTDIR);
}

Test(path_make, a_target_is_of_the_kind_asked_for)
{
	cr_assert_eq(mkdirat(scratch_fd, "dir", 0755), 0);
	make_file("file");
	link_to("dir", "to-dir");
	link_to("file", "to-file");
	expect_dir(target("/dir", true), "dir");
	expect_dir(target("/to-dir", true), "dir");
	expect_file(target("/file", false), "file");
	expect_file(target("/to-file", false), "file");
	cr_expect_eq(target("file", true), -ENOTDIR);
	cr_expect_eq(target("to-file", true), -ENOTDIR);
	cr_expect_eq(target("dir", false), -EISDIR);
	cr_expect_eq(target("to-dir", false), -EISDIR);
	cr_expect_eq(target("/", false), -EISDIR);
}

Test(path_make, missing_targets_are_made)
{
	expect_dir(target("/a/b/c", true), "a/b/c");
	expect_file(target("/a/f/g/file", false), "a/f/g/file");
	cr_expect_eq(stat_at("a/f").st_mode & 07777, 0755);
	cr_expect_eq(stat_at("a/f/g/file").st_mode & 07777, 0644);
	expect_file(target("/etc/hosts/", false), "etc/hosts");
	expect_file(target("/etc/hosts/", false), "etc/hosts");
	link_to("/run/there", "here");
	expect_file(target("here", false), "run/there");
	cr_expect_eq(target("new/.", false), -EISDIR);
	cr_expect_eq(target("new/..", false), -EISDIR);
}

Test(path_make, a_target_is_not_opened)
{
	/* A fifo or device of the image: opening it could wait or act; O_PATH does neither. */
	struct stat st;

	cr_assert_eq(mkfifoat(scratch_fd, "fifo", 0600), 0);

	int fd = target("fifo", false);

	cr_assert_geq(fd, 0);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect(S_ISFIFO(st.st_mode));
	cr_expect(fcntl(fd, F_GETFL) & O_PATH);
	close(fd);
}

Test(path_make, an_existing_file_keeps_its_content)
{
	int fd = openat(scratch_fd, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, "text", 4), 4);
	close(fd);
	fd = target("file", false);
	cr_expect_geq(fd, 0);
	close(fd);
	cr_expect_eq(stat_at("file").st_size, 4);
}

Test(path_make, long_names_and_paths_are_refused)
{
	char name[NAME_MAX + 2], path[PATH_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	cr_expect_eq(mkdirs(name), -ENAMETOOLONG);
	cr_expect_eq(target(name, false), -ENAMETOOLONG);
	name[NAME_MAX] = '\0';
	expect_dir(mkdirs(name), name);

	for (size_t i = 0; i + 1 < sizeof(path); i += 2)
		memcpy(path + i, "d/", 2);
	path[PATH_MAX - 1] = 'd';
	path[PATH_MAX] = '\0';
	cr_expect_eq(mkdirs(path), -ENAMETOOLONG);
	cr_expect_eq(target(path, false), -ENAMETOOLONG);
	cr_expect_eq(faccessat(scratch_fd, "d", F_OK, 0), -1);
}

Test(path_make, a_parent_is_opened_and_the_name_is_not_resolved)
{
	char name[NAME_MAX + 1] = "";

	cr_assert_eq(mkdirat(scratch_fd, "a", 0755), 0);
	link_to("/a", "l");
	link_to("nowhere", "a/last");
	expect_dir(path_parent(scratch_fd, "/a/x", false, name, NULL), "a");
	cr_expect_str_eq(name, "x");
	expect_dir(path_parent(scratch_fd, "l/last", false, name, NULL), "a");
	cr_expect_str_eq(name, "last");
	expect_dir(path_parent(scratch_fd, "l/last//", false, name, NULL), "a");
	cr_expect_str_eq(name, "last");
	expect_dir(path_parent(scratch_fd, "top", false, name, NULL), ".");
	cr_expect_str_eq(name, "top");
	expect_dir(path_parent(scratch_fd, "/../top", false, name, NULL), ".");
	expect_dir(path_parent(scratch_fd, "b/c/d", true, name, NULL), "b/c");
	cr_expect_str_eq(name, "d");
	cr_expect_eq(stat_at("b/c").st_mode & 07777, 0755);
}

Test(path_make, a_path_without_a_last_name_has_no_parent)
{
	static const char *const bad[] = { "/",	  "",	  "///", "..",	  ".",
					   "/..", "a/..", "a/.", "a/../", "./" };
	char name[NAME_MAX + 1] = "same";

	cr_assert_eq(mkdirat(scratch_fd, "a", 0755), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(path_parent(scratch_fd, bad[i], true, name, NULL), -EINVAL, "%s",
			     bad[i]);
	cr_expect_eq(path_parent(scratch_fd, "no/such", false, name, NULL), -ENOENT);
	cr_expect_str_eq(name, "same");
}

Test(path_make, messages_name_the_path)
{
	struct error err = ERROR_INIT;
	char line[256];

	make_file("file");
	cr_expect_lt(path_make_target(scratch_fd, "/file", true, &err), 0);
	error_line(&err, line, sizeof(line));
	cr_expect_str_eq(line, "make the mount point /file (a directory): not a directory");
	cr_expect_lt(path_mkdirs(scratch_fd, "/file/x", 0755, &err), 0);
	error_line(&err, line, sizeof(line));
	cr_expect_str_eq(line,
			 "make directory /file/x below the container's root: not a directory");
	cr_expect_lt(path_parent(scratch_fd, "a/..", true, line, &err), 0);
	error_line(&err, line, sizeof(line));
	cr_expect_str_eq(line, "path \"a/..\" does not end in a name");
}

/*
 * The race of CVE-2021-30465 and CVE-2024-45310: while we walk, an enemy swaps a
 * directory of the path for a link that leads out.
 */
static atomic_bool is_over;

static void *swap_forever(void *arg)
{
	(void)arg;
	while (!is_over)
		syscall(SYS_renameat2, scratch_fd, "a/b", scratch_fd, "a/evil",
			2 /* RENAME_EXCHANGE */);
	return NULL;
}

static void *remove_forever(void *arg)
{
	(void)arg;
	while (!is_over) {
		unlinkat(scratch_fd, "r/s/t", AT_REMOVEDIR);
		unlinkat(scratch_fd, "r/s", AT_REMOVEDIR);
	}
	return NULL;
}

Test(path_make, a_swap_during_the_walk_stays_inside, .timeout = 60)
{
	char evil[160], path[64];
	pthread_t enemy;
	unsigned made = 0;

	/* By the way the host would resolve them, both would lead to <tmp>/outside. */
	snprintf(evil, sizeof(evil), "../../outside");
	cr_assert_eq(mkdirat(scratch_fd, "a", 0755), 0);
	cr_assert_eq(mkdirat(scratch_fd, "a/b", 0755), 0);
	link_to(evil, "a/evil");
	is_over = false;
	cr_assert_eq(pthread_create(&enemy, NULL, swap_forever, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/a/b/x%d/y", i);

		int fd = i % 2 ? target(path, false) : mkdirs(path);

		made += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	is_over = true;
	pthread_join(enemy, NULL);
	cr_expect_gt(made, 0);
	cr_expect_eq(scratch_outside(), 0);
}

Test(path_make, directories_that_vanish_end_the_walk_in_bounded_time, .timeout = 60)
{
	pthread_t enemy;
	unsigned made = 0;

	is_over = false;
	cr_assert_eq(pthread_create(&enemy, NULL, remove_forever, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		int fd = mkdirs("r/s/t");

		if (fd >= 0) {
			made++;
			close(fd);
		} else {
			cr_assert(fd == -ENOENT || fd == -EAGAIN, "%d", fd);
		}
	}
	is_over = true;
	pthread_join(enemy, NULL);
	cr_expect_gt(made, 0);
}
