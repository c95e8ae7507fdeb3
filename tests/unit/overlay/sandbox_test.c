/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox shows, and what it is made of. */
#include <sys/xattr.h>

#include "tests/unit/overlay/sandbox_room.h"

TestSuite(ovl_sandbox, .init = begin, .fini = finish);

Test(ovl_sandbox, writes_of_a_container_are_its_own_and_gone_at_its_end)
{
	make_layers(3);

	struct ovl_sandbox_options o = options("web", 3);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "mine");
	put_text(fd, "new", "mine");
	cr_expect_eq(unlinkat(fd, "own-1", 0), 0);
	expect_text(fd, "common", "mine");
	expect_text(fd, "own-0", "0");
	close(fd);

	int below = ovl_lowers_mount(&store, lowers, 3, -1, &err);

	cr_assert_geq(below, 0, "%s", err.text);
	expect_text(below, "common", "2");
	cr_expect(has(below, "own-1"));
	cr_expect_not(has(below, "new"));
	close(below);

	int view = ovl_sandbox_view(&store, &sb, &err);

	cr_assert_geq(view, 0, "%s (%s)", err.text, err.hint);
	expect_text(view, "common", "mine");
	expect_text(view, "new", "mine");
	cr_expect_not(has(view, "own-1"));
	cr_expect_eq(mkdirat(view, "x", 0755), -1);
	cr_expect_eq(errno, EROFS);
	close(view);
	ovl_sandbox_close(&sb);
	end("web");
	end("web");
}

Test(ovl_sandbox, directories_can_be_layers_below_and_above_those_of_the_store)
{
	char low[96], high[96];

	make_layers(1);
	snprintf(low, sizeof(low), "%s/low", room_path);
	snprintf(high, sizeof(high), "%s/hi,gh:er", room_path);
	cr_assert_eq(mkdir(low, 0755), 0);
	cr_assert_eq(mkdir(high, 0711), 0);
	room_file("low/common", "low");
	room_file("low/low", "low");
	room_file("hi,gh:er/high", "high");

	const struct ovl_lower three[] = { { .dir = low }, { .hex = hexes[0] }, { .dir = high } };
	struct ovl_sandbox_options o = options("dirs", 3);

	o.lowers = three;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);
	struct stat st;

	expect_text(fd, "common", "0");
	expect_text(fd, "low", "low");
	expect_text(fd, "high", "high");
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0711);
	close(fd);
	ovl_sandbox_close(&sb);
	end("dirs");
}

Test(ovl_sandbox, the_root_is_that_of_the_topmost_layer_that_has_one)
{
	const struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 2000, .tv_nsec = 5 } };
	char path[160];
	struct stat st;

	make_layers(3); /* 1 has a root */
	snprintf(path, sizeof(path), "%s/store/layers/%s/tree", room_path, hexes[1]);
	cr_assert_eq(chown(path, 12, 34), 0);
	cr_assert_eq(chmod(path, 01775), 0);
	cr_assert_eq(setxattr(path, "trusted.mine", "yes", 3, 0), 0);
	cr_assert_eq(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	umask(077);

	struct ovl_sandbox_options o = options("root", 3);
	struct ovl_sandbox sb = make(&o);
	char value[8];

	cr_assert_eq(fstat(sb.upper_fd, &st), 0);
	cr_expect_eq(st.st_uid, 12);
	cr_expect_eq(st.st_gid, 34);
	cr_expect_eq(st.st_mode & 07777, 01775);
	cr_expect_eq(st.st_mtim.tv_sec, 2000);
	cr_expect_eq(st.st_mtim.tv_nsec, 5);
	cr_expect_eq(fgetxattr(sb.upper_fd, "trusted.mine", value, sizeof(value)), 3);
	cr_expect_eq(fgetxattr(sb.upper_fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
	ovl_sandbox_close(&sb);
	end("root");
}

Test(ovl_sandbox, five_hundred_layers_make_one_and_one_more_none)
{
	make_layers(MOST);

	struct ovl_sandbox_options o = options("tall", MOST - 1);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	expect_text(fd, "common", "499");
	cr_expect(has(fd, "own-0"));
	
	int file = openat(fd, "mine", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_eq(write(file, "x", 1), 1);
	close(file);
	close(fd);
	fd = ovl_sandbox_view(&store, &sb, &err);
	if (fd != -EINVAL || !strstr(err.text, "takes Linux 6.15")) { /* with it on top they are 501 */
		cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
		expect_text(fd, "mine", "x");
		expect_text(fd, "common", "499");
		cr_expect(has(fd, "own-0") && has(fd, "own-1") && has(fd, "own-2"));
		close(fd);
	}
	err = ERROR_INIT;
	ovl_sandbox_close(&sb);
	end("tall");

	o = options("taller", MOST);
	sb = make(&o);
	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -EINVAL);
	cr_expect(strstr(err.text, "1 to 500 layers, not 501"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("taller");
}

Test(ovl_sandbox, the_upper_of_a_mounted_one_is_refused_to_a_second)
{
	make_layers(1);

	struct ovl_sandbox_options o = options("twice", 1);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -EBUSY, "%s", err.text);
	cr_expect(strstr(err.text, "another overlay writes to the same directory"), "%s", err.text);
	put_text(fd, "common", "still");
	close(fd);
	fd = mounted(&sb);
	expect_text(fd, "common", "still");
	close(fd);
	ovl_sandbox_close(&sb);
	end("twice");
}

Test(ovl_sandbox, a_missing_layer_or_directory_is_named)
{
	make_layers(2);

	const struct ovl_lower gone[] = { { .dir = "/nonexistent/lower" }, { .hex = hexes[1] } };
	struct ovl_sandbox_options o = options("gone", 2);

	o.lowers = gone;

	struct ovl_sandbox sb = make(&o);

	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -ENOENT);
	cr_expect(strstr(err.text, "open /nonexistent/lower"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("gone");
	memset(hexes[0], 'f', 64);
	o = options("none", 1);
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -ENOENT);
	cr_expect(strstr(err.text, "sha256:ffff"), "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/none"));
}

Test(ovl_sandbox, names_and_paths_that_cannot_be_are_refused)
{
	struct ovl_sandbox sb;

	make_layers(1);

	struct ovl_sandbox_options o = options("..", 1);

	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.name = "a/b";
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.name = "ok";
	o.holder = "relative";
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.holder = holder;
	o.n_lowers = 0;
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	cr_expect_eq(ovl_sandbox_end(&store, "../layers", &err), -EINVAL);
	cr_expect_eq(ovl_sandbox_open(&store, "nobody", &arena, &sb, &err), -ENOENT);
	cr_expect_eq(ovl_sandbox_remove(&store, "nobody", &err), -ENOENT);
	cr_expect(strstr(err.text, "has no sandbox \"nobody\""), "%s", err.text);
}

Test(ovl_sandbox, more_layers_than_a_few_are_all_there_in_order)
{
	char cwd[2][256];

	make_layers(6);

	/* Known ones go to the kernel by name. */
	static struct ovl_layer known[6];

	for (int i = 0; i < 6; i++) {
		known[i].is_known = true;
		lowers[i].layer = &known[i];
	}

	struct ovl_sandbox_options o = options("a", 6);
	struct ovl_sandbox sb = make(&o);

	cr_assert_not_null(getcwd(cwd[0], sizeof(cwd[0])));

	int fd = mounted(&sb);

	cr_assert_not_null(getcwd(cwd[1], sizeof(cwd[1])));
	cr_expect_str_eq(cwd[0], cwd[1]);
	expect_text(fd, "common", "5");
	expect_text(fd, "own-0", "0");
	close(fd);
	ovl_sandbox_close(&sb);
	end("a");

	/* The topmost that hides what is below. */
	known[3].hides_below = true;
	sb = make(&o);
	fd = mounted(&sb);
	expect_text(fd, "own-3", "3");
	cr_expect_eq(faccessat(fd, "own-2", F_OK, 0), -1);
	close(fd);
	ovl_sandbox_close(&sb);
	end("a");

	/* One that is gone has its name in the message. */
	known[3].hides_below = false;
	remove_tree(room_fd, "store/layers/0000000000000000000000000000000000000000000000000000000000000002", NULL);
	sb = make(&o);
	err = (struct error)ERROR_INIT;
	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -ENOENT);
	cr_expect(strstr(err.text, "the layer sha256:000000000000"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("a");
}
