/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/launch/environ.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena a = ARENA_INIT;

static struct spec_strings strings(char **v)
{
	size_t n = 0;

	while (v[n])
		n++;
	return (struct spec_strings){ .v = v, .n = n };
}

Test(environ, last_of_a_name_wins_at_the_place_of_the_first)
{
	char *env[] = { "A=1", "B=2", "A=3", "C=", NULL };
	struct spec_strings s = strings(env);
	char **home;
	char **out = environ_build(&s, NULL, &a, &home);

	cr_assert_str_eq(out[0], "A=3");
	cr_assert_str_eq(out[1], "B=2");
	cr_assert_str_eq(out[2], "C=");
	cr_assert_null(out[3]);
	cr_assert_eq(home, &out[3]);
}

Test(environ, extra_entries_win_over_the_config)
{
	char *env[] = { "LISTEN_FDS=9", "X=1", NULL };
	char *extra[] = { "LISTEN_FDS=1", "LISTEN_PID=1", NULL };
	struct spec_strings s = strings(env);
	char **home;
	char **out = environ_build(&s, extra, &a, &home);

	cr_assert_str_eq(out[0], "LISTEN_FDS=1");
	cr_assert_str_eq(out[1], "X=1");
	cr_assert_str_eq(out[2], "LISTEN_PID=1");
}

Test(environ, a_name_that_begins_another_is_another)
{
	char *env[] = { "PATHX=1", "PATH=2", NULL };
	struct spec_strings s = strings(env);
	char **home;
	char **out = environ_build(&s, NULL, &a, &home);

	cr_assert_str_eq(out[0], "PATHX=1");
	cr_assert_str_eq(out[1], "PATH=2");
}

Test(environ, given_home_is_kept_and_an_empty_one_is_replaced_in_place)
{
	char *given[] = { "HOME=/x", NULL };
	char *empty[] = { "A=1", "HOME=", "B=2", NULL };
	struct spec_strings s = strings(given), t = strings(empty);
	char **home;

	environ_build(&s, NULL, &a, &home);
	cr_assert_null(home);

	char **out = environ_build(&t, NULL, &a, &home);

	cr_assert_eq(home, &out[1]);
	cr_assert_str_eq(out[2], "B=2");
}

Test(environ, thousands_of_entries_keep_their_order)
{
	enum { N = 5000 };
	static char text[N][16];
	static char *env[N + 1];
	char **home;

	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "V%d=%d", i % 2500, i);
		env[i] = text[i];
	}

	struct spec_strings s = strings(env);
	char **out = environ_build(&s, NULL, &a, &home);

	for (int i = 0; i < 2500; i++) {
		char want[32];

		snprintf(want, sizeof(want), "V%d=%d", i, i + 2500);
		cr_assert_str_eq(out[i], want);
	}
}

static int root_with_passwd(const char *text, char *dir)
{
	char path[128];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/etc", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/etc/passwd", dir);

	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void remove_root(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/etc/passwd", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/etc", dir);
	rmdir(path);
	rmdir(dir);
}

Test(environ, home_comes_from_the_images_passwd)
{
	static const struct {
		const char *passwd;
		uint32_t uid;
		const char *home;
	} table[] = {
		{ "root:x:0:0:root:/root:/bin/sh\nu:x:7:7::/home/u:/bin/sh\n", 7, "/home/u" },
		{ "root:x:0:0:root:/root:/bin/sh", 0, "/root" },
		{ "u:x:7 :7::/wrong:/bin/sh\n", 7, "/" },
		{ "7:x:1:1::/digits:/bin/sh\n", 7, "/" },
		{ "u:x:7:7::relative:/bin/sh\n", 7, "/" },
		{ "u:x:7\n", 7, "/" },
		{ "", 7, "/" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char dir[] = "/tmp/environ-test-XXXXXX";
		int fd = root_with_passwd(table[i].passwd, dir);
		char home[256];

		environ_home(fd, table[i].uid, home, sizeof(home));
		cr_expect_str_eq(home, table[i].home, "row %zu: %s", i, home);
		close(fd);
		remove_root(dir);
	}
}

Test(environ, an_overlong_line_is_skipped_and_a_fifo_never_waited_for)
{
	char dir[] = "/tmp/environ-test-XXXXXX";
	char *text = malloc(9000);
	char path[128], home[64];

	memset(text, 'a', 8000);
	strcpy(text + 8000, ":x:7:7::/long:/bin/sh\nu:x:8:8::/eight:/bin/sh\n");

	int fd = root_with_passwd(text, dir);

	environ_home(fd, 7, home, sizeof(home));
	cr_assert_str_eq(home, "/");
	environ_home(fd, 8, home, sizeof(home));
	cr_assert_str_eq(home, "/eight");
	snprintf(path, sizeof(path), "%s/etc/passwd", dir);
	unlink(path);
	cr_assert_eq(mkfifo(path, 0644), 0);
	environ_home(fd, 8, home, sizeof(home));
	cr_assert_str_eq(home, "/");
	close(fd);
	remove_root(dir);
	free(text);
}
