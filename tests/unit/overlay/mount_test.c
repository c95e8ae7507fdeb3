/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/overlay.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/overlay/room.h"

enum { MOST = 501 };

static struct ovl_store store;
static struct ovl_layer layers[MOST];

static void init(void)
{
	char path[80];

	room_make();
	snprintf(path, sizeof(path), "%s/store", room_path);
	cr_assert_eq(ovl_store_open(path, OVL_MAKE, &store, &err), 0, "%s", err.text);
	cr_assert_eq(mkdirat(room_fd, "upper", 0755), 0);
	cr_assert_eq(mkdirat(room_fd, "work", 0755), 0);
}

static void fini(void)
{
	ovl_store_close(&store);
	room_remove();
}

TestSuite(ovl_mount, .init = init, .fini = fini);

/* Layer i has the file "common" with its number, one of its own, and a whiteout of that of layer i-2. */
static void make_layer(int i)
{
	char path[160], text[16];

	snprintf(layers[i].hex, sizeof(layers[i].hex), "%064d", i);
	snprintf(path, sizeof(path), "store/layers/%s", layers[i].hex);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/tree", layers[i].hex);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(text, sizeof(text), "%d", i);
	snprintf(path, sizeof(path), "store/layers/%s/tree/common", layers[i].hex);
	room_file(path, text);
	snprintf(path, sizeof(path), "store/layers/%s/tree/own-%d", layers[i].hex, i);
	room_file(path, text);
	snprintf(path, sizeof(path), "store/layers/%s/tree/own-%d", layers[i].hex, i - 2);
	if (i >= 2)
		cr_assert_eq(mknodat(room_fd, path, S_IFCHR, makedev(0, 0)), 0);
}

Test(ovl_mount, the_last_layer_is_on_top_and_whiteouts_hide)
{
	for (int i = 0; i < 3; i++)
		make_layer(i);

	int fd = ovl_mount(&store, layers, 3, -1, -1, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_text(fd, "common", "2");
	cr_expect_not(has(fd, "own-0"));
	cr_expect(has(fd, "own-1"));
	cr_expect_eq(openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
	cr_expect_eq(errno, EROFS);
	close(fd);
}

Test(ovl_mount, one_layer_alone_can_be_read)
{
	make_layer(0);

	int fd = ovl_mount(&store, layers, 1, -1, -1, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	expect_text(fd, "common", "0");
	cr_expect_eq(unlinkat(fd, "common", 0), -1);
	cr_expect_eq(errno, EROFS);
	close(fd);
}

Test(ovl_mount, writes_go_to_the_upper_directory_alone)
{
	int upper = open_dir("upper"), work = open_dir("work");

	make_layer(0);

	int fd = ovl_mount(&store, layers, 1, upper, work, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);

	int file = openat(fd, "common", O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_geq(file, 0);
	cr_assert_eq(write(file, "mine", 4), 4);
	close(file);
	expect_text(fd, "common", "mine");
	expect_text(upper, "common", "mine");

	int tree = ovl_layer_open(&store, layers[0].hex, &err);

	expect_text(tree, "common", "0");
	close(tree);
	close(fd);
	close(upper);
	close(work);
}

Test(ovl_mount, five_hundred_layers_are_no_more_trouble_than_one)
{
	for (int i = 0; i < MOST; i++)
		make_layer(i);

	int fd = ovl_mount(&store, layers, MOST - 1, -1, -1, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_text(fd, "common", "499");
	cr_expect(has(fd, "own-498"));
	cr_expect_not(has(fd, "own-497"));
	close(fd);
	cr_expect_eq(ovl_mount(&store, layers, MOST, -1, -1, &err), -EINVAL);
	cr_expect(strstr(err.text, "1 to 500 layers, not 501"), "%s", err.text);
}

Test(ovl_mount, a_layer_that_is_there_twice_counts_where_it_is_highest)
{
	for (int i = 0; i < 2; i++)
		make_layer(i);
	layers[2] = layers[0];

	int fd = ovl_mount(&store, layers, 3, -1, -1, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_text(fd, "common", "0");
	cr_expect(has(fd, "own-1"));
	close(fd);
}

Test(ovl_mount, a_layer_that_is_not_there_is_named)
{
	make_layer(0);
	memset(layers[1].hex, 'f', 64);
	cr_expect_eq(ovl_mount(&store, layers, 2, -1, -1, &err), -ENOENT);
	cr_expect(strstr(err.text, "open the layer sha256:ffff"), "%s", err.text);
}

Test(ovl_mount, an_opaque_root_hides_the_layers_below)
{
	int upper = open_dir("upper"), work = open_dir("work");

	for (int i = 0; i < 4; i++)
		make_layer(i);
	room_file("store/layers/0000000000000000000000000000000000000000000000000000000000000001/tree/low", "x");
	for (int top = 2; top < 4; top++) {
		char path[160];

		snprintf(path, sizeof(path), "store/layers/%s/tree", layers[top].hex);

		int tree = open_dir(path);

		cr_assert_eq(fsetxattr(tree, "trusted.overlay.opaque", "y", 1, 0), 0);
		close(tree);
		for (int write = 0; write < 2; write++) {
			int fd = ovl_mount(&store, layers, 4, write ? upper : -1, write ? work : -1, &err);

			cr_assert_geq(fd, 0, "%s", err.text);
			cr_expect(has(fd, "own-3"));
			cr_expect_eq(has(fd, "own-2"), top == 2);
			cr_expect_not(has(fd, "low"));
			close(fd);
		}
	}
	close(upper);
	close(work);
}

Test(ovl_mount, whiteouts_hide_in_a_layer_that_is_alone)
{
	make_layer(0);
	make_layer(1);
	cr_assert_eq(mknodat(room_fd, "store/layers/0000000000000000000000000000000000000000000000000000000000000001/tree/gone", S_IFCHR,
			     makedev(0, 0)),
		     0);
	for (int round = 0; round < 2; round++) { /* the second finds what the first made */
		int fd = ovl_mount(&store, &layers[1], 1, -1, -1, &err);

		cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
		cr_expect_not(has(fd, "gone"));
		cr_expect(has(fd, "own-1"));
		close(fd);
	}
}
