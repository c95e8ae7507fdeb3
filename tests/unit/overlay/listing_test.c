/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/listing.h"

#include <sys/xattr.h>

#include "tests/unit/overlay/room.h"

static struct libs libs;
static struct inodes inodes;

static void init(void)
{
	room_make();
	cr_assert_eq(libs_load(&libs, &err), 0, "%s", err.text);
}

static void fini(void)
{
	inodes_release(&inodes);
	room_remove();
}

TestSuite(ovl_listing, .init = init, .fini = fini);

/* A listing without the root's own line, whose time is now. */
static char *list(uint64_t *ret_bytes)
{
	struct listing l = { .libs = &libs, .inodes = &inodes, .text = BUF_INIT };

	inodes_release(&inodes);
	cr_assert_eq(listing_make(&l, room_fd, &err), 0, "%s", err.text);
	if (ret_bytes)
		*ret_bytes = l.bytes;

	char *text = strdup(strchr(l.text.data, '\n') + 1);

	buf_release(&l.text);
	return text;
}

static void at_second(const char *name, time_t second)
{
	const struct timespec times[2] = { { .tv_sec = second }, { .tv_sec = second, .tv_nsec = 5 } };

	cr_assert_eq(utimensat(room_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-2, B.1 */

Test(ovl_listing, a_line_has_everything_that_makes_a_file)
{
	uint64_t bytes;

	room_file("f", "abc");
	cr_assert_eq(fchmodat(room_fd, "f", 04750, 0), 0);
	cr_assert_eq(linkat(room_fd, "f", room_fd, "g", 0), 0);
	cr_assert_eq(symlinkat("a b", room_fd, "l"), 0);
	at_second("f", 77);
	at_second("l", 78);

	char *text = list(&bytes);

	cr_expect_str_eq(text, "./f f 4750 0 0 77.000000005 3 " ABC "\n"
			       "./g h ./f\n"
			       "./l l 0777 0 0 78.000000005 a\\040b\n");
	cr_expect_eq(bytes, 3, "a file with two names counts once");
	free(text);
}

Test(ovl_listing, names_are_sorted_by_their_bytes_and_escaped)
{
	room_file("b", "");
	room_file("a\n", "");
	room_file("a\\", "");
	room_file("\xff", "");
	cr_assert_eq(mkdirat(room_fd, "a", 0700), 0);

	char *text = list(NULL);
	static const char *const order[] = { "./a d", "./a\\012 f", "./a\\134 f", "./b f", "./\\377 f" };
	const char *p = text;

	for (size_t i = 0; i < 5; i++) {
		p = p ? strstr(p, order[i]) : NULL;
		cr_expect(p, "%s in order in:\n%s", order[i], text);
	}
	free(text);
}

Test(ovl_listing, attributes_are_in_it_and_labels_of_the_host_are_not)
{
	char path[128];

	room_file("f", "abc");
	snprintf(path, sizeof(path), "%s/f", room_path);
	cr_assert_eq(lsetxattr(path, "user.b", "\x01\xff", 2, 0), 0);
	cr_assert_eq(lsetxattr(path, "user.a", "x", 1, 0), 0);

	char *text = list(NULL);

	cr_expect(strstr(text, ABC " user.a=78 user.b=01ff\n"), "%s", text);
	free(text);
}

Test(ovl_listing, a_digest_that_is_known_is_not_taken_again)
{
	struct listing l = { .libs = &libs, .inodes = &inodes, .text = BUF_INIT };
	struct stat st;

	room_file("f", "abc");
	cr_assert_eq(fstatat(room_fd, "f", &st, 0), 0);

	struct inode *known = inodes_get(&inodes, st.st_ino);

	known->has_digest = true;
	memset(known->digest, 0x11, 32);
	cr_assert_eq(listing_make(&l, room_fd, &err), 0);
	cr_expect(strstr(l.text.data, " 3 1111111111111111"), "%s", l.text.data);
	buf_release(&l.text);
}

Test(ovl_listing, many_inodes_are_found_again)
{
	for (uint64_t i = 1; i < 5000; i++)
		inodes_get(&inodes, i * 4096)->first = (size_t)i;
	for (uint64_t i = 1; i < 5000; i++)
		cr_assert_eq(inodes_find(&inodes, i * 4096)->first, i);
	cr_expect_null(inodes_find(&inodes, 4097));
}

static char told[256];

static void tell(void *data, enum ovl_change what, const char *path)
{
	size_t n = strlen(told);

	(void)data;
	snprintf(told + n, sizeof(told) - n, "%c%s ", "CMA"[what], path);
}

static size_t compare(const char *before, const char *after)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	told[0] = '\0';
	buf_puts(&a, before);
	buf_puts(&b, after);

	size_t n = listing_compare(&a, &b, tell, NULL);

	buf_release(&a);
	buf_release(&b);
	return n;
}

Test(ovl_listing, differences_are_named)
{
	cr_expect_eq(compare("./a 1\n./b 2\n", "./a 1\n./b 2\n"), 0);
	cr_expect_eq(compare("./a 1\n./b 2\n./c 3\n", "./a 1\n./b 9\n./d 4\n"), 3);
	cr_expect_str_eq(told, "C./b M./c A./d ");
	cr_expect_eq(compare("./a 1\n./a-b 1\n./a/x 1\n", "./a 1\n./a-b 1\n"), 1);
	cr_expect_str_eq(told, "M./a/x ");
	cr_expect_eq(compare("./a 1\n./b 1\n", "./b 1\n./a 1\n"), 1, "the same lines in another order");
}
