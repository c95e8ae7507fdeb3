/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * place - putting the entries of one layer into a directory, in overlayfs' form
 *
 * Names come from an archive that an enemy may have written. Every one is taken apart by place_name(), and
 * every parent is opened below the tree with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV: a
 * link that an earlier entry planted is never followed (CVE-2018-20969, CVE-2019-14271, CVE-2021-30465 are
 * the class). Things are made with O_EXCL, mkdirat, mknodat, linkat and symlinkat, which follow no last
 * component either.
 *
 * Whiteouts (image-spec, layer.md) concern lower layers only: `.wh.NAME` becomes a character device 0/0, or,
 * where this layer has a directory of that name itself, makes it opaque, whichever comes first in the archive.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "overlay/overlay.h"

/* Metadata of an entry. */
struct place_meta {
	mode_t mode; /* type and permissions */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

/* A directory gets its time when everything is in it. */
struct place_time {
	char *path;
	struct timespec mtime;
};

struct place {
	int tree_fd;
	unsigned max_depth;
	int parent_fd; /* of the last entry: most have the same as the one before */
	char parent[PATH_MAX];
	bool parent_gives_group;
	struct place_time *times;
	size_t times_bytes;
	size_t n_times, cap_times;
	bool has_root;
};

/* Where an entry goes. */
struct place_at {
	char path[PATH_MAX]; /* cleaned, relative; "" is the root itself */
	const char *name; /* its last component */
	int parent_fd; /* of the struct place */
	bool inherits_group; /* the parent has the set-group-id bit, or may get it */
};

void place_begin(struct place *p, int tree_fd, unsigned max_depth);
void place_release(struct place *p);

/*
 * Cleans a name of the archive into path: no empty or "." components. -EPERM for absolute names and "..",
 * -E2BIG when it is deeper than max_depth. what is "entry" or "hard link target", for the message.
 */
int place_name(const char *name, const char *what, unsigned max_depth, char path[static PATH_MAX],
	       struct error *err);

/* Finds where name goes and opens the parent, made when missing (0755 root, 1970). 1: a whiteout of nothing. */
int place_find(struct place *p, const char *name, struct place_at *at, struct error *err);

/* Is this the name of a whiteout? Such an entry goes to place_whiteout() whatever its type is. */
bool place_is_whiteout(const struct place_at *at);
int place_whiteout(struct place *p, const struct place_at *at, struct error *err);

/* Makes the directory, or takes the one there is, and returns it open. */
int place_dir(struct place *p, const struct place_at *at, const struct place_meta *m, struct error *err);

/* Makes an empty regular file in place of what is there, and returns it open for writing. */
int place_file(struct place *p, const struct place_at *at, struct error *err);

int place_symlink(struct place *p, const struct place_at *at, const char *target, struct error *err);
int place_node(struct place *p, const struct place_at *at, mode_t type, dev_t device, struct error *err);
/* target: a name of the archive. Both names are of this layer: no link leads out of it. */
int place_hardlink(struct place *p, const struct place_at *at, const char *target, struct error *err);

/* Owner, mode and time, in the order in which none undoes another. fd < 0: of the name, never followed. */
int place_set_meta(const struct place_at *at, int fd, const struct place_meta *m, struct error *err);

/* Gives directories their times. The last call. */
int place_end(struct place *p, struct error *err);
