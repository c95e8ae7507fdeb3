/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount - layers as one tree, by the new mount API
 *
 * Every directory goes to the kernel as a descriptor: no path with a comma or colon in it is ever parsed, and
 * no bound on the length of an option (a page) limits the number of layers. The result is attached nowhere.
 */
#include "overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "overlay/record.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#define MAX_LOWERS 500 /* OVL_MAX_STACK, fs/overlayfs/params.h */

/* The kernel's own words about a refused option or mount, when it left some ("e " and a sentence). */
static void add_reason(int fs_fd, struct error *err)
{
	char text[256];
	ssize_t n = read(fs_fd, text, sizeof(text) - 1);

	if (n <= 2)
		return;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	error_hint(err, "the kernel says: %s", text + 2);
}

static int add_dir(int fs_fd, const char *key, int dir_fd, const char *what, struct error *err)
{
	char path[64];

	/* Linux 6.13 takes descriptors; from 6.5 on this path of one does. */
	if (fsconfig(fs_fd, FSCONFIG_SET_FD, key, NULL, dir_fd) == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	if (fsconfig(fs_fd, FSCONFIG_SET_STRING, key, path, 0) == 0)
		return 0;

	int r = error_set(err, errno, "add %s to an overlay as %s", what, key);

	add_reason(fs_fd, err);
	return r;
}

static int add_lower(const struct ovl_store *store, int fs_fd, const struct ovl_layer *layer,
		     struct error *err)
{
	char what[OVL_HEX_BYTES + 32];
	auto_close int fd = ovl_layer_open(store, layer->hex, err);

	snprintf(what, sizeof(what), "the layer sha256:%.12s", layer->hex);
	return fd < 0 ? fd : add_dir(fs_fd, "lowerdir+", fd, what, err);
}

static bool is_above(const struct ovl_layer *layers, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n; k++)
		if (!strcmp(layers[k].hex, layers[i].hex))
			return true;
	return false;
}

/* A layer that is there twice says nothing new below, and overlayfs takes a directory once: the upper one stays. */
static int add_lowers(const struct ovl_store *store, int fs_fd, const struct ovl_layer *layers, size_t n,
		      struct error *err)
{
	int r = 0;

	for (size_t i = n; r == 0 && i-- > 0;)
		if (!is_above(layers, n, i))
			r = add_lower(store, fs_fd, &layers[i], err);
	return r;
}

static size_t count_once(const struct ovl_layer *layers, size_t n)
{
	size_t once = 0;

	for (size_t i = 0; i < n; i++)
		once += !is_above(layers, n, i);
	return once;
}

/* overlayfs wants two directories at least; one alone to be read needs none of it. */
static int clone_one(const struct ovl_store *store, const struct ovl_layer *layer, struct error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_close int tree = ovl_layer_open(store, layer->hex, err);

	if (tree < 0)
		return tree;

	auto_close int fd = open_tree(tree, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return error_set(err, errno, "clone the mount of the layer sha256:%.12s", layer->hex);
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "make the mount of the layer sha256:%.12s read-only", layer->hex);
	return TAKE_FD(fd);
}

int ovl_mount(const struct ovl_store *store, const struct ovl_layer *layers, size_t n, int upper_fd,
	      int work_fd, struct error *err)
{
	size_t once = count_once(layers, n);
	bool is_writable = upper_fd >= 0;

	if (once == 0 || once > MAX_LOWERS)
		return error_rule(err, EINVAL, "an overlay takes 1 to %d layers, not %zu", MAX_LOWERS, once);
	if (once == 1 && !is_writable)
		return clone_one(store, &layers[n - 1], err);

	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_set(err, errno, "open the overlay filesystem");
	fsconfig(fs, FSCONFIG_SET_STRING, "source", "bulkhead", 0);

	int r = add_lowers(store, fs, layers, n, err);

	if (r == 0 && is_writable)
		r = add_dir(fs, "upperdir", upper_fd, "the writable directory", err);
	if (r == 0 && is_writable)
		r = add_dir(fs, "workdir", work_fd, "the work directory", err);
	if (r < 0)
		return r;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		r = error_set(err, errno, "make an overlay of %zu layers", once);
		add_reason(fs, err);
		return r;
	}

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, is_writable ? 0 : MOUNT_ATTR_RDONLY);

	return fd < 0 ? error_set(err, errno, "mount an overlay of %zu layers", once) : fd;
}
