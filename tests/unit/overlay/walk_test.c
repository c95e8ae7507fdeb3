/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/walk.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "spec/base/buf.h"
#include "tests/unit/overlay/overlay.h"

/* What happens in `merged`, a real overlay over `lower`, is what the walk has to find out. */
static int merged;
static struct buf told;

static void make(int fd, const char *name)
{
	cr_assert_eq(mkdirat(fd, name, 0755), 0, "%s: %s", name, strerror(errno));
}

/* Old enough for every change to have another time. */
static void age(int fd, const char *name)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	cr_assert_eq(utimensat(fd, name, old, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
}

static void init(void)
{
	static const char *const dirs[] = { "dir", "dir/sub", "other", "deep", "deep/one", "deep/one/two" };
	static const char *const files[] = { "dir/a", "dir/b", "dir/sub/c", "other/x", "deep/one/two/file", "top" };

	room_make();
	make(room_fd, "lower");
	make(room_fd, "upper");
	make(room_fd, "work");

	int lower = open_dir("lower");

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		make(lower, dirs[i]);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		put(lower, files[i], files[i]);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		age(lower, files[i]);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		age(lower, dirs[i]);
	age(lower, ".");
	close(lower);
	merged = mount_it("upper", "lower", NULL);
	told = (struct buf)BUF_INIT;
}

static void fini(void)
{
	if (merged >= 0)
		close(merged);
	buf_release(&told);
	room_remove();
}

TestSuite(ovl_walk, .init = init, .fini = fini);

static int note(void *data, const struct walk_entry *e, struct error *err_)
{
	(void)data;
	(void)err_;
	if (*e->path)
		buf_printf(&told, "%c%s%s %s\n", "=AMD"[e->kind], e->is_opaque ? "!" : "", e->is_covered ? "c" : "", e->path);
	return 0;
}

static int walk_it(bool deleted_first)
{
	close(merged);
	merged = -1;

	int upper = open_dir("upper"), lower = open_dir("lower"), view = mount_it(NULL, "upper", "lower");
	const struct walk w = { .upper_fd = upper, .lower_fd = lower, .view_fd = view,
				.deleted_first = deleted_first, .tell = note };
	int r = walk_upper(&w, &err);

	close(upper);
	close(lower);
	close(view);
	buf_puts(&told, "");
	return r;
}

static void expect(const char *wanted)
{
	cr_assert_eq(walk_it(false), 0, "%s", err.text);
	cr_expect_str_eq(told.data, wanted, "%s", told.data);
}

Test(ovl_walk, nothing_changed_is_nothing)
{
	struct stat st;

	cr_expect_eq(fstatat(merged, "dir/sub/c", &st, 0), 0);
	expect("");
}

Test(ovl_walk, a_new_a_changed_and_a_deleted_file)
{
	put(merged, "dir/new", "n");
	put(merged, "dir/a", "changed");
	cr_assert_eq(unlinkat(merged, "dir/b", 0), 0);
	expect("M dir\nM dir/a\nD dir/b\nA dir/new\n");
}

Test(ovl_walk, directories_on_the_way_are_kept)
{
	put(merged, "deep/one/two/file", "changed");
	expect("= deep\n= deep/one\n= deep/one/two\nM deep/one/two/file\n");
}

Test(ovl_walk, deletions_come_first_where_asked)
{
	put(merged, "dir/a", "changed");
	cr_assert_eq(unlinkat(merged, "dir/b", 0), 0);
	cr_assert_eq(walk_it(true), 0);
	cr_expect_str_eq(told.data, "M dir\nD dir/b\nM dir/a\n");
}

Test(ovl_walk, a_directory_made_anew_is_opaque)
{
	cr_assert_eq(unlinkat(merged, "dir/sub/c", 0), 0);
	cr_assert_eq(unlinkat(merged, "dir/sub", AT_REMOVEDIR), 0);
	make(merged, "dir/sub");
	put(merged, "dir/sub/d", "d");
	expect("M dir\nM! dir/sub\nDc dir/sub/c\nAc dir/sub/d\n");
}

Test(ovl_walk, a_renamed_directory_has_all_it_had)
{
	cr_assert_eq(renameat(merged, "dir", merged, "moved"), 0, "%s", strerror(errno));
	put(merged, "moved/new", "n");
	expect("D dir\nA moved\nA moved/a\nA moved/b\nA moved/new\nA moved/sub\nA moved/sub/c\n");
}

Test(ovl_walk, a_directory_renamed_over_another_is_compared_with_it)
{
	cr_assert_eq(unlinkat(merged, "other/x", 0), 0);
	cr_assert_eq(renameat(merged, "dir", merged, "other"), 0, "%s", strerror(errno));
	cr_assert_eq(walk_it(false), 0, "%s", err.text);
	/* Both directories are of one time and mode: what is in them differs. */
	cr_expect_str_eq(told.data, "D dir\n=! other\nAc other/a\nAc other/b\nAc other/sub\nAc other/sub/c\nDc other/x\n",
			 "%s", told.data);
}

Test(ovl_walk, a_directory_that_went_and_came_back_is_no_news)
{
	cr_assert_eq(renameat(merged, "deep", merged, "away"), 0);
	cr_assert_eq(renameat(merged, "away", merged, "deep"), 0);
	expect("= deep\n");
}

Test(ovl_walk, a_directory_moved_into_a_new_one)
{
	make(merged, "new");
	cr_assert_eq(renameat(merged, "dir/sub", merged, "new/sub"), 0);
	expect("M dir\nD dir/sub\nA new\nA new/sub\nA new/sub/c\n");
}

Test(ovl_walk, a_file_in_the_place_of_a_directory_and_the_other_way)
{
	cr_assert_eq(unlinkat(merged, "other/x", 0), 0);
	cr_assert_eq(unlinkat(merged, "other", AT_REMOVEDIR), 0);
	put(merged, "other", "a file");
	cr_assert_eq(unlinkat(merged, "top", 0), 0);
	make(merged, "top");
	put(merged, "top/in", "x");
	expect("M other\nM top\nA top/in\n");
}

Test(ovl_walk, the_content_behind_a_metacopy_is_the_views)
{
	char path[128];

	cr_assert_eq(fchmodat(merged, "top", 0600, 0), 0);
	expect("M top\n");
	snprintf(path, sizeof(path), "%s/upper/top", room_path);
	cr_expect_geq(getxattr(path, "trusted.overlay.metacopy", NULL, 0), 0, "else this tests nothing");

	int view = mount_it(NULL, "upper", "lower");
	int fd = openat(view, "top", O_RDONLY | O_CLOEXEC);
	char text[8] = "";

	cr_expect_eq(read(fd, text, sizeof(text) - 1), 3);
	cr_expect_str_eq(text, "top");
	close(fd);
	close(view);
}

Test(ovl_walk, names_of_any_bytes)
{
	put(merged, "a\nb", "1");
	put(merged, "\xff\xfe", "2");
	expect("A a\nb\nA \xff\xfe\n");
}

Test(ovl_walk, a_whiteout_of_what_never_was_says_nothing)
{
	cr_assert_eq(mknodat(room_fd, "upper/nothing", S_IFCHR, makedev(0, 0)), 0);
	expect("");
}

static void raw(const char *wanted)
{
	int upper = open_dir("upper");
	const struct walk w = { .upper_fd = upper, .lower_fd = -1, .view_fd = upper, .tell = note };
	int r = walk_upper(&w, &err);

	close(upper);
	if (!wanted) {
		cr_expect_eq(r, -ENOTSUP);
		return;
	}
	cr_assert_eq(r, 0, "%s", err.text);
	buf_puts(&told, "");
	cr_expect_str_eq(told.data, wanted, "%s", told.data);
}

Test(ovl_walk, below_an_opaque_root_all_is_new)
{
	char path[128];

	put(merged, "new", "n");
	close(merged);
	merged = -1;
	snprintf(path, sizeof(path), "%s/upper", room_path);
	cr_assert_eq(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);

	int upper = open_dir("upper"), lower = open_dir("lower");
	const struct walk w = { .upper_fd = upper, .lower_fd = lower, .view_fd = upper, .tell = note };

	cr_assert_eq(walk_upper(&w, &err), 0, "%s", err.text);
	close(upper);
	close(lower);
	cr_expect_str_eq(told.data, "Dc deep\nDc dir\nAc new\nDc other\nDc top\n", "%s", told.data);
}

Test(ovl_walk, a_tree_alone_stands_for_itself)
{
	put(merged, "dir/a", "changed");
	cr_assert_eq(unlinkat(merged, "dir/b", 0), 0);
	cr_assert_eq(unlinkat(merged, "other/x", 0), 0);
	cr_assert_eq(unlinkat(merged, "other", AT_REMOVEDIR), 0);
	make(merged, "other");
	close(merged);
	merged = -1;
	raw("=c dir\n=c dir/a\nD dir/b\n=!c other\n");
}

Test(ovl_walk, a_tree_alone_with_half_a_directory_is_refused)
{
	cr_assert_eq(renameat(merged, "dir", merged, "moved"), 0);
	close(merged);
	merged = -1;
	raw(NULL);
	cr_expect(strstr(err.text, "/moved was renamed"), "%s", err.text);
}

Test(ovl_walk, a_tree_alone_with_half_a_file_is_refused)
{
	cr_assert_eq(fchmodat(merged, "top", 0600, 0), 0);
	close(merged);
	merged = -1;
	raw(NULL);
	cr_expect(strstr(err.text, "only its metadata"), "%s", err.text);
}

static int stop(void *data, const struct walk_entry *e, struct error *err_)
{
	(void)data;
	return *e->path ? error_rule(err_, EINTR, "enough") : 0;
}

Test(ovl_walk, whoever_is_told_can_end_it)
{
	put(merged, "new", "n");

	int upper = open_dir("upper");
	const struct walk w = { .upper_fd = upper, .lower_fd = upper, .view_fd = upper, .tell = stop };

	cr_expect_eq(walk_upper(&w, &err), -EINTR);
	close(upper);
}
