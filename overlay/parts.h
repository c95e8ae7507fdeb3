/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * parts - the directories that become one overlay, each as a descriptor
 */

#include <stdbool.h>

#include "overlay/sandbox.h"

#define OVL_UPPER "upper"
#define OVL_WORK "work"
#define OVL_WORK_USED "work" /* in it: what overlayfs makes there, and incompat/volatile/dirty in that */

struct ovl_parts {
	const struct ovl_store *store;
	const struct ovl_lower *lowers; /* lowest first; what is there twice counts where it is highest */
	size_t n;
	int top_fd; /* one more lower, above the others; -1: none */
	int upper_fd, work_fd; /* -1: read-only */
	int base_fd; /* the directory of upper and work, which are one mount; only asked for with userns_fd */
	int userns_fd; /* -1: no id map */
	bool is_volatile; /* nobody needs the upper after a crash: no sync of it, ever */
};

/* Is everything below the root of this layer hidden? tree_fd: not O_PATH. */
bool tree_hides_below(int tree_fd);

/* The overlay, or the one lower alone, as a mount attached nowhere. */
int parts_mount(const struct ovl_parts *p, struct error *err);

/* Does an overlay that is mounted somewhere write to upper? work_fd is its work directory. -EBUSY if so. */
int parts_check_unused(int upper_fd, int work_fd, struct error *err);

/* ---- id maps (idmap.c) ---- */

/* With more clones than this, a child with a mount namespace is quicker: it drops all of them in one go. */
#define REACH_FEW 8

/* Where the directories are reached: through mounts of their own when ids are mapped. */
struct ovl_reach {
	int layers_fd;
	int base_fd;
	int dir_fds[OVL_MAX_LOWERS]; /* of each lower that is a directory, by its number */
	size_t n_dirs, n_mounts;
};

/* Clones and id-maps what p needs, in which nothing is there twice. */
int reach_open(const struct ovl_parts *p, struct ovl_reach *ret, struct error *err);
void reach_close(struct ovl_reach *reach);

/*
 * Before Linux 6.15 overlayfs takes a directory only of a mount in the caller's mount namespace. Runs make(data) in
 * a child in which every mount of reach is attached in a namespace of its own, and returns the descriptor that it makes.
 */
int reach_in_namespace(const struct ovl_reach *reach, int (*make)(const void *data, struct error *err),
		       const void *data, struct error *err);

/* "the layer sha256:…" or the directory's path, for messages. */
const char *lower_name(const struct ovl_lower *lower, char *buf, size_t size);

/* Makes ids of the mount at fd the ones that the user namespace has for them. */
int mount_map_ids(int mount_fd, int userns_fd, const char *what, struct error *err);
