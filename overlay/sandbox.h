/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandbox - one container's private writable layer over shared ones
 *
 *	STORE/sandboxes/<name>/    flock()ed by whoever works on it
 *	  sandbox.json             {name, image, lowers, keep, kind, maxBytes, maxInodes, created, …}
 *	  upper/ work/             plain directories; or:
 *	  disk.img                 a sparse ext4 image of the size asked for, and
 *	  fs/                      where it, or a tmpfs, is mounted (private) while it is in use: upper and work are in it
 *
 * A name is the container's id. Its holder is an absolute path that exists as long as the container does, its state
 * directory: the same rule as for ovl_hold_take(). A sandbox whose holder is gone is free: discarded ones are
 * leftovers that ovl_gc() removes; kept ones (`keep`) wait for the next container of their name, a commit, or
 * ovl_sandbox_remove(), and hold their layers meanwhile.
 *
 * Limits. A plain directory with a limit gets a project quota where the store's file system has them (ext4, xfs,
 * f2fs mounted with prjquota); elsewhere the sandbox is disk.img on a loop device. Memory is a tmpfs of that size.
 * Each is enforced by the kernel for the writes of this sandbox only, whoever writes; overlayfs itself gives up
 * CAP_SYS_RESOURCE for them (fs/overlayfs/super.c).
 *
 * Id maps. With a user namespace every layer and the upper are id-mapped before the overlay is made (mount_setattr(2),
 * MOUNT_ATTR_IDMAP): nothing on the disk is chowned, ids in upper are those the container sees, and a start takes
 * as long over 300,000 files as over three.
 *
 * The overlay has redirect_dir=on and metacopy=on where all its file systems can (attributes of trusted.overlay.*,
 * which overlayfs hides from the container): renaming a directory and chown -R copy no data. index=off, xino=auto.
 */

#include "overlay/overlay.h"

/* One directory below, lowest first in arrays. Exactly one of hex and dir is set. */
struct ovl_lower {
	const char *hex; /* a layer of the store: 64 hex digits */
	const char *dir; /* any other directory, absolute */
	const struct ovl_layer *layer; /* what is known of the layer; NULL: nothing. For speed alone */
};

#define OVL_MAX_LOWERS 500 /* OVL_MAX_STACK, fs/overlayfs/params.h */

struct ovl_sandbox_options {
	const char *name;
	const char *holder;
	const char *image;       /* what the lowers were found by, for people and commit; NULL: none */
	const struct ovl_lower *lowers;
	size_t n_lowers;         /* 1 to OVL_MAX_LOWERS different ones */
	bool keep;
	bool memory;
	uint64_t max_bytes;      /* 0: no limit (memory: tmpfs's own, half of the RAM) */
	uint64_t max_inodes;     /* 0: no limit beyond what the file system has */
};

enum ovl_sandbox_kind { OVL_SANDBOX_DIRECTORY, OVL_SANDBOX_QUOTA, OVL_SANDBOX_IMAGE, OVL_SANDBOX_MEMORY };

struct ovl_sandbox {
	const char *name, *image, *holder;
	const char *created;     /* RFC 3339 */
	struct ovl_lower *lowers;
	size_t n_lowers;
	enum ovl_sandbox_kind kind;
	bool keep;
	bool is_used;            /* holder is there */
	uint64_t max_bytes, max_inodes;
	uint32_t project;        /* quota: the project id */
	int dir_fd;              /* the sandbox's directory, locked; -1: closed, or one of a list */
	int upper_fd, work_fd;   /* -1 until it was attached */
};

#define OVL_SANDBOX_INIT { .dir_fd = -1, .upper_fd = -1, .work_fd = -1 }
/* Closes the descriptors; what is mounted stays mounted. */
void ovl_sandbox_close(struct ovl_sandbox *sb);

/*
 * Makes a sandbox, or takes up the kept one of that name: -EEXIST when that one is not asked to be kept, -EBUSY when its
 * holder is there, -EINVAL when its lowers differ. Takes a hold on its layers. The new upper's root has owner, mode
 * and times of the topmost lower that has a root of its own. Undone by ovl_sandbox_end(), after any failure of what
 * comes next, too. A kill -9 at any moment leaves something that ovl_sandbox_end() of its name, or ovl_gc(), removes.
 */
int ovl_sandbox_make(const struct ovl_store *store, const struct ovl_sandbox_options *o, struct arena *a,
		     struct ovl_sandbox *ret, struct error *err);

/*
 * Opens an existing one, attached: a kept one with an image is mounted again for this (ovl_sandbox_release() undoes that
 * when no holder is there). -ENOENT. -EBUSY: another command has worked on it for longer than 10 s.
 */
int ovl_sandbox_open(const struct ovl_store *store, const char *name, struct arena *a, struct ovl_sandbox *ret,
		     struct error *err);
void ovl_sandbox_release(const struct ovl_store *store, struct ovl_sandbox *sb);

/* All of them, by name, closed (records only). */
int ovl_sandboxes(const struct ovl_store *store, struct arena *a, struct ovl_sandbox **ret, size_t *ret_n,
		  struct error *err);

/*
 * The overlay for a container: a mount attached nowhere. userns_fd: the namespace whose id maps every part gets;
 * -1: none. -EINVAL with the directory's name when its file system cannot be a lower or cannot be id-mapped.
 */
int ovl_sandbox_mount(const struct ovl_store *store, const struct ovl_sandbox *sb, int userns_fd, struct error *err);

/* Layers or directories alone, read-only, detached: for another image at a directory, and to compare with. */
int ovl_lowers_mount(const struct ovl_store *store, const struct ovl_lower *lowers, size_t n, int userns_fd,
		     struct error *err);

/*
 * What the container sees, read-only, detached, made of lowers and the upper as the topmost of them: redirects
 * and metacopies are followed by the kernel. Of a running container it is a view only while that is frozen.
 */
int ovl_sandbox_view(const struct ovl_store *store, const struct ovl_sandbox *sb, struct error *err);

struct ovl_usage {
	uint64_t bytes, inodes;  /* used by upper and work */
	uint64_t max_bytes, max_inodes; /* 0: no limit */
	bool is_known;           /* false: a plain directory without quota, which only a walk could count */
};
/* One system call, whatever is in it (quotactl_fd(2), fstatfs(2)). */
int ovl_sandbox_usage(const struct ovl_store *store, const struct ovl_sandbox *sb, struct ovl_usage *ret,
		      struct error *err);

/* The container is gone: discards the sandbox, or keeps it, as its record says. No such sandbox is no error. */
int ovl_sandbox_end(const struct ovl_store *store, const char *name, struct error *err);
/* Throws away a kept one. -EBUSY while its holder is there. */
int ovl_sandbox_remove(const struct ovl_store *store, const char *name, struct error *err);
/* Empties the upper; lowers, limits and name stay. -EBUSY while an overlay uses it. */
int ovl_sandbox_reset(const struct ovl_store *store, const char *name, struct error *err);
