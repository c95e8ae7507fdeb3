/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/place.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/overlay/room.h"

static struct place place;
static struct place_at at;

static void init(void)
{
	room_make();
	place_begin(&place, room_fd, 256);
}

static void fini(void)
{
	place_release(&place);
	room_remove();
}

TestSuite(ovl_place, .init = init, .fini = fini);

static int find(const char *name)
{
	return place_find(&place, name, &at, &err);
}

static void dir(const char *name)
{
	const struct place_meta m = { .mode = S_IFDIR | 0755, .mtime = { .tv_sec = 1000 } };

	cr_assert_eq(find(name), 0, "%s", err.text);

	int fd = place_dir(&place, &at, &m, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(place_set_meta(&at, fd, &m, &err), 0);
	close(fd);
}

static void file(const char *name)
{
	cr_assert_eq(find(name), 0, "%s", err.text);

	int fd = place_file(&place, &at, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	close(fd);
}

static void whiteout(const char *name)
{
	cr_assert_eq(find(name), 0, "%s", err.text);
	cr_assert(place_is_whiteout(&at));
	cr_assert_eq(place_whiteout(&place, &at, &err), 0, "%s", err.text);
}

Test(ovl_place, names_are_cleaned)
{
	static const char *const names[][2] = {
		{ "a", "a" }, { "./a", "a" }, { "a//b/", "a/b" }, { "././a/./b", "a/b" },
		{ ".", "" }, { "./", "" }, { "...", "..." }, { "a..b/..c", "a..b/..c" },
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_assert_eq(place_name(names[i][0], "entry", 256, path, &err), 0, "%s", names[i][0]);
		cr_expect_str_eq(path, names[i][1]);
	}
}

Test(ovl_place, names_that_lead_out_are_refused)
{
	static const char *const names[] = { "/", "/a", "..", "../a", "a/..", "a/../../b", "./../a" };
	char path[PATH_MAX], long_name[NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect_eq(place_name(names[i], "entry", 256, path, &err), -EPERM, "%s", names[i]);
	cr_expect_eq(place_name("a/b/c", "entry", 2, path, &err), -E2BIG);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	cr_expect_eq(place_name(long_name, "entry", 256, path, &err), -EPERM);
}

Test(ovl_place, missing_parents_are_made_with_a_mode_and_time_of_their_own)
{
	struct stat st;

	umask(077);
	file("a/b/c");
	cr_assert_eq(place_end(&place, &err), 0);
	cr_assert_eq(fstatat(room_fd, "a/b", &st, 0), 0);
	cr_expect_eq(st.st_mtime, 0);
	cr_expect_eq(st.st_mode & 07777, 0755);
}

Test(ovl_place, no_link_is_followed_on_the_way)
{
	cr_assert_eq(symlinkat("/tmp", room_fd, "l"), 0);
	cr_assert_eq(mkdirat(room_fd, "d", 0755), 0);
	cr_assert_eq(symlinkat("d", room_fd, "inside"), 0);
	cr_expect_eq(find("l/x"), -EPERM);
	cr_expect_eq(find("l/deeper/x"), -EPERM);
	cr_expect_eq(find("inside/x"), -EPERM);
	cr_expect(strstr(err.text, "symbolic link"));
}

Test(ovl_place, a_link_planted_after_a_directory_was_used_is_not_followed)
{
	file("d/x");
	cr_assert_eq(find("d"), 0);
	cr_assert_eq(place_symlink(&place, &at, "/tmp", &err), 0);
	cr_expect_eq(find("d/y"), -EPERM);
}

Test(ovl_place, a_whiteout_is_a_device_without_a_number)
{
	struct stat st;

	whiteout("d/.wh.gone");
	cr_assert_eq(fstatat(room_fd, "d/gone", &st, AT_SYMLINK_NOFOLLOW), 0);
	cr_expect(S_ISCHR(st.st_mode));
	cr_expect_eq(st.st_rdev, makedev(0, 0));
	cr_expect_eq(st.st_mtime, 0);
}

static bool is_opaque(const char *name)
{
	char value[2];
	int fd = openat(room_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value));

	close(fd);
	return n == 1 && value[0] == 'y';
}

Test(ovl_place, a_directory_with_a_whiteout_beside_it_is_opaque_in_any_order)
{
	dir("first");
	whiteout(".wh.first");
	whiteout(".wh.second");
	dir("second");
	whiteout(".wh.third");
	file("third/implied");
	dir("plain");
	cr_expect(is_opaque("first"));
	cr_expect(is_opaque("second"));
	cr_expect(is_opaque("third"));
	cr_expect_not(is_opaque("plain"));
	whiteout("plain/.wh..wh..opq");
	cr_expect(is_opaque("plain"));
}

Test(ovl_place, the_last_of_two_entries_counts)
{
	file("x/y/z");
	file("x");
	file("x");
	cr_expect_eq(find("x/y"), -EPERM);
	dir("x");
	cr_expect_not(room_has("x/y"));
}

Test(ovl_place, hard_links_stay_in_the_layer)
{
	struct stat a, b;

	file("a");
	cr_assert_eq(find("d/b"), 0);
	cr_assert_eq(place_hardlink(&place, &at, "./a", &err), 0, "%s", err.text);
	cr_assert_eq(fstatat(room_fd, "a", &a, 0), 0);
	cr_assert_eq(fstatat(room_fd, "d/b", &b, 0), 0);
	cr_expect_eq(a.st_ino, b.st_ino);
	cr_expect_eq(place_hardlink(&place, &at, "../a", &err), -EPERM);
	cr_expect_eq(place_hardlink(&place, &at, "/a", &err), -EPERM);
	cr_expect_eq(place_hardlink(&place, &at, "none", &err), -EPERM);
	cr_expect_eq(place_hardlink(&place, &at, "d/b", &err), -EPERM, "a link to itself");
	cr_expect(room_has("d/b"));
}

Test(ovl_place, directories_get_their_times_last)
{
	struct stat st;

	dir("d");
	dir("d/e");
	file("d/e/f");
	dir("gone");
	file("gone");
	cr_assert_eq(place_end(&place, &err), 0, "%s", err.text);
	cr_assert_eq(fstatat(room_fd, "d", &st, 0), 0);
	cr_expect_eq(st.st_mtime, 1000);
	cr_assert_eq(fstatat(room_fd, "d/e", &st, 0), 0);
	cr_expect_eq(st.st_mtime, 1000);
}
