/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* sandbox_room - a room with a store, layers in it, and sandboxes over them: begin and finish of each test */

#include "overlay/sandbox.h"
#include "tests/unit/overlay/room.h"

enum { MOST = 501 };

static struct ovl_store store;
static struct arena arena = ARENA_INIT;
static char holder[96];
static char hexes[MOST][OVL_HEX_BYTES];
static struct ovl_lower lowers[MOST];

__attribute__((unused)) static void begin(void)
{
	char path[80];

	room_make();
	snprintf(path, sizeof(path), "%s/store", room_path);
	cr_assert_eq(ovl_store_open(strdup(path), OVL_MAKE, &store, &err), 0, "%s", err.text);
	snprintf(holder, sizeof(holder), "%s/holder", room_path);
	cr_assert_eq(mkdir(holder, 0700), 0);
}

__attribute__((unused)) static void finish(void)
{
	ovl_store_close(&store);
	room_remove();
}

/* Layer i has the file "common" with its number and one of its own. The odd ones have a root. */
__attribute__((unused)) static void make_layer(int i)
{
	char path[160], text[16];

	snprintf(hexes[i], sizeof(hexes[i]), "%064d", i);
	lowers[i].hex = hexes[i];
	snprintf(path, sizeof(path), "store/layers/%s", hexes[i]);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/tree", hexes[i]);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/has-root", hexes[i]);
	if (i % 2)
		room_file(path, "");
	snprintf(text, sizeof(text), "%d", i);
	snprintf(path, sizeof(path), "store/layers/%s/tree/common", hexes[i]);
	room_file(path, text);
	snprintf(path, sizeof(path), "store/layers/%s/tree/own-%d", hexes[i], i);
	room_file(path, text);
}

__attribute__((unused)) static void make_layers(int n)
{
	for (int i = 0; i < n; i++)
		make_layer(i);
}

__attribute__((unused)) static struct ovl_sandbox_options options(const char *name, size_t n)
{
	return (struct ovl_sandbox_options){
		.name = name,
		.holder = holder,
		.lowers = lowers,
		.n_lowers = n,
	};
}

__attribute__((unused)) static struct ovl_sandbox make(const struct ovl_sandbox_options *o)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;

	cr_assert_eq(ovl_sandbox_make(&store, o, &arena, &sb, &err), 0, "%s (%s)", err.text, err.hint);
	return sb;
}

__attribute__((unused)) static int mounted(const struct ovl_sandbox *sb)
{
	int fd = ovl_sandbox_mount(&store, sb, -1, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	return fd;
}

__attribute__((unused)) static void put_text(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s: %d", name, errno);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

__attribute__((unused)) static void end(const char *name)
{
	char path[160];

	cr_expect_eq(ovl_sandbox_end(&store, name, &err), 0, "%s", err.text);
	snprintf(path, sizeof(path), "store/sandboxes/%s", name);
	cr_expect_not(room_has(path));
}
