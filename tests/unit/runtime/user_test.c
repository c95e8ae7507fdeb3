/* SPDX-License-Identifier: Apache-2.0 */
/* Users of an image: numbers, names, groups, and files that are not what they should be. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "spec/base/auto.h"

static struct arena arena;
static struct error error;
static char dir[64], path[128];
static int root = -1;

static const char *in_root(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_root(name), "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void begin(void)
{
	strcpy(dir, "/tmp/user-test-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(mkdir(in_root("etc"), 0755), 0);
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			  "# a comment\nbad\n+::::::\n"
			  "alice:x:1001:50:Alice,,,:/home/alice:/bin/sh\n"
			  "alice:x:0:0:again::\n"
			  "2000:x:7:7::/:/bin/sh\n"
			  "broken:x:-1:0::/:\n"
			  "huge:x:4294967295:0::/:\n"
			  "web:x:33:33");
	put("etc/group", "root:x:0:\nstaff:x:50:\naudio:x:63:alice,web\nvideo:x:64:malice,alicea\nnone:x:65\n"
			 "3000:x:8:\nplug:x:1000:bob,alice\nbad:x:x:alice\n");
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
}

static void end(void)
{
	static const char *const names[] = { "etc/passwd", "etc/group", "real" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in_root(names[i]));
	rmdir(in_root("etc"));
	unlink(in_root("etc"));
	rmdir(dir);
	close(root);
	arena_release(&arena);
}

TestSuite(user, .init = begin, .fini = end);

static const char *resolved(const char *text)
{
	static char out[256];
	struct spec_user user = { .uid = 12345 };
	int n;

	error = ERROR_INIT;

	int r = rt_user_resolve(root, text, &arena, &user, &error);

	if (r < 0) {
		cr_expect_eq(user.uid, 12345, "%s: written in spite of an error", text);
		cr_expect_eq(r, -22, "%s: %d", text, r);
		return error.text;
	}
	n = snprintf(out, sizeof(out), "%u:%u", user.uid, user.gid);
	for (size_t i = 0; i < user.n_additional_gids; i++)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "+%u", user.additional_gids[i]);
	return out;
}

Test(user, numbers_and_names_are_found_as_the_specification_says)
{
	static const struct { const char *text, *expected; } rows[] = {
		{ "", "0:0" },		      { NULL, "0:0" },		    { "0", "0:0" },
		{ "root", "0:0" },	      { "alice", "1001:50+63+1000" }, { "1001", "1001:50" },
		{ "alice:staff", "1001:50" }, { "alice:7", "1001:7" },      { "1001:audio", "1001:63" },
		{ "5:6", "5:6" },	      { "5", "5:0" },		    { "web", "33:33+63" },
		{ "2000", "2000:0" },	      { "alice:3000", "1001:3000" }, { "4294967294", "4294967294:0" },
		{ "alice:none", "1001:65" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(resolved(rows[i].text), rows[i].expected, "%s: %s", rows[i].text,
				 resolved(rows[i].text));
}

Test(user, what_names_nobody_is_an_error_and_never_root)
{
	static const struct { const char *text, *expected; } rows[] = {
		{ "bob", "the image has no user \"bob\" in /etc/passwd" },
		{ "broken", "the image has no user \"broken\" in /etc/passwd" },
		{ "huge", "the image has no user \"huge\" in /etc/passwd" },
		{ "+1", "the image has no user \"+1\" in /etc/passwd" },
		{ "-1", "the image has no user \"-1\" in /etc/passwd" },
		{ "0x1", "the image has no user \"0x1\" in /etc/passwd" },
		{ " 1", "the image has no user \" 1\" in /etc/passwd" },
		{ "1\n", "the user's name has a control character in it" },
		{ "root:nobody", "the image has no group \"nobody\" in /etc/group" },
		{ "root:bad", "the image has no group \"bad\" in /etc/group" },
		{ "4294967295", "user 4294967295 is out of range: ids go from 0 to 4294967294" },
		{ "4294967296", "user 4294967296 is out of range: ids go from 0 to 4294967294" },
		{ "99999999999999999999", "user 99999999999999999999 is out of range: ids go from 0 to 4294967294" },
		{ "1:4294967295", "group 4294967295 is out of range: ids go from 0 to 4294967294" },
		{ "1:", "user \"1:\" is not USER, UID, USER:GROUP or UID:GID" },
		{ ":1", "user \":1\" is not USER, UID, USER:GROUP or UID:GID" },
		{ "1:2:3", "user \"1:2:3\" is not USER, UID, USER:GROUP or UID:GID" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(resolved(rows[i].text), rows[i].expected, "%s: %s", rows[i].text,
				 resolved(rows[i].text));
}

Test(user, an_image_without_the_files_still_has_numbers)
{
	unlink(in_root("etc/passwd"));
	unlink(in_root("etc/group"));
	cr_expect_str_eq(resolved("1001"), "1001:0");
	cr_expect_str_eq(resolved("1001:5"), "1001:5");
	cr_expect_str_eq(resolved("alice"), "the image has no user \"alice\" in /etc/passwd");
}

Test(user, links_stay_in_the_root)
{
	unlink(in_root("etc/passwd"));
	cr_assert_eq(symlink("/real", in_root("etc/passwd")), 0);
	put("real", "inside:x:77:78::/:\n");
	cr_expect_str_eq(resolved("inside"), "77:78");
	unlink(in_root("etc/passwd"));
	cr_assert_eq(symlink("../../../../../../../../etc/passwd", in_root("etc/passwd")), 0);
	cr_expect_str_eq(resolved("daemon"), "the image has no user \"daemon\" in /etc/passwd");
}

Test(user, a_fifo_or_a_directory_is_not_opened)
{
	unlink(in_root("etc/passwd"));
	cr_assert_eq(mkfifo(in_root("etc/passwd"), 0644), 0);
	cr_expect_str_eq(resolved("alice"), "the image's /etc/passwd is not a regular file");
	cr_expect_str_eq(resolved("5:6"), "5:6");
}

Test(user, files_are_read_within_a_bound)
{
	struct spec_user user;
	int fd = open(in_root("etc/passwd"), O_WRONLY | O_CLOEXEC);

	cr_assert_eq(ftruncate(fd, 1 << 30), 0);
	close(fd);
	error = ERROR_INIT;
	cr_expect_eq(rt_user_resolve(root, "nobody", &arena, &user, &error), -27, "%s", error.text);
}

Test(user, more_groups_than_the_kernel_takes_are_refused)
{
	FILE *f = fopen(in_root("etc/group"), "w");
	struct spec_user user;

	for (int i = 0; i < 65537; i++)
		fprintf(f, "g%d:x:%d:alice\n", i, i);
	fclose(f);
	error = ERROR_INIT;
	cr_expect_eq(rt_user_resolve(root, "alice", &arena, &user, &error), -7, "%s", error.text);
}

Test(user, a_line_with_a_nul_byte_is_no_entry)
{
	int fd = open(in_root("etc/passwd"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	static const char text[] = "evil\0:x:5:5::/:\nalice:x:\0:0::/:\nalice:x:6:6::/:\n";

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	cr_expect_str_eq(resolved("alice:1"), "6:1");
	cr_expect_str_eq(resolved("evil"), "the image has no user \"evil\" in /etc/passwd");
}

Test(user, only_names_and_lone_numbers_need_the_files)
{
	cr_expect(!rt_user_needs_files(NULL) && !rt_user_needs_files("") && !rt_user_needs_files("1:2"));
	cr_expect(rt_user_needs_files("1") && rt_user_needs_files("a") && rt_user_needs_files("a:1") &&
		  rt_user_needs_files("1:a"));
}
