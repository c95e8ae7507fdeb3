/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * plan - the steps between a spec and a process that sees nothing else
 *
 * Private to the room. The first half of each struct is the plan proper, made
 * without a system call by plan*.c; the fields under "state" are filled while
 * it is applied. An fd in the state is never closed one by one: all are
 * CLOEXEC and go at execve.
 *
 * Places. A path of the container is kept as (parent, rest): the last mount of
 * the list whose destination holds the path, and what remains below it. As long
 * as no mount went through a symlink this is what the kernel would find by
 * walking from the root, so a path below our own fresh /dev or /proc is
 * reached through that mount's own fd and cannot be diverted by the image.
 */

#include <stdbool.h>
#include <stdint.h>

#include "namespaces/namespaces.h"
#include "spec/base/arena.h"

struct ns_place {
	int parent;       /* index in plan->mounts; -1: the root */
	const char *path; /* cleaned, absolute */
	const char *rest; /* of path below the parent; "" when it is the parent's own destination */
};

enum ns_mount_kind {
	NS_MOUNT_FS,      /* a new filesystem instance */
	NS_MOUNT_BIND,
	NS_MOUNT_CGROUP,  /* cgroup v2, as the container's cgroup namespace shows it */
	NS_MOUNT_REMOUNT, /* change what is mounted there */
};

struct ns_fsopt {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* MOUNT_ATTR_* to set and to clear. */
struct ns_attr {
	uint64_t set, clear;
};

struct ns_propagation {
	uint64_t type; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE */
	bool recursive;
};

enum ns_idmap { NS_IDMAP_NONE, NS_IDMAP_TOP, NS_IDMAP_TREE };

struct ns_mount {
	enum ns_mount_kind kind;
	int index;               /* in mounts[]; -1: not from the config */
	const char *type;        /* "proc" … ; "bind" for binds */
	const char *source;      /* NULL: none. Absolute for binds */
	struct ns_place place;
	struct ns_attr attr;     /* this mount */
	struct ns_attr rec_attr; /* the whole tree */
	bool recursive;          /* rbind */
	bool of_bind;            /* remount: of the mount only, not of its filesystem */
	bool late_ro;            /* filled first, read-only at the end */
	bool copy_up;
	bool source_nofollow;    /* binds the source itself when that is a link */
	bool target_nofollow;    /* on a link of the image, not where it leads */
	bool copy_link;          /* a source that is a link is made anew, not mounted */
	bool takes_mode;         /* tmpfs without mode=: as the directory it covers */
	bool is_fresh;           /* its content is the kernel's or empty: nobody planted anything */
	bool real_dir_only;      /* proc, sysfs: never through a symlink */
	const char *label;       /* SELinux context, NULL: none */
	struct ns_fsopt *opts;
	size_t n_opts;
	struct ns_propagation *prop;
	size_t n_prop;
	enum ns_idmap idmap;
	const struct spec_idmaps *uid_maps, *gid_maps; /* of the idmap; NULL: those of the user namespace */
	const struct ns_extra_mount *extra; /* a mount the runtime adds by descriptor, or NULL; borrowed */

	/* state */
	int tree_fd; /* detached source, opened by ns_prepare() */
	const char *link; /* copy_link: where the source leads; NULL: it is none */
	int fd;      /* the mount, once attached */
};

struct ns_device {
	const struct spec_device *spec;
	int index; /* in linux.devices[]; -1: one of the defaults */
	struct ns_place place;
};

/* A masked or read-only path. */
struct ns_cover {
	int index;
	struct ns_place place;
	bool has_inner_mounts; /* mounts of the config lie below it */
};

struct ns_entry { /* of linux.namespaces[] */
	bool listed;
	const char *path; /* NULL: a new one */
	unsigned index;

	/* state */
	int fd;    /* of path */
	bool same; /* path is the namespace we are in: as if not listed */
};

struct ns_plan {
	const struct spec *spec;
	struct arena *arena;
	const struct log *log;
	const char *id, *bundle;

	struct ns_entry ns[SPEC_NAMESPACES];

	const char *root_path;
	bool root_is_relative; /* as the config gave it: only what is below the bundle is checked for links */
	bool no_pivot;
	bool keep_host_peers;  /* rootfsPropagation is shared: volumes stay peers of the host's */
	bool root_follows_host; /* it is slave */
	bool root_is_given;    /* by ns_set_root() */
	bool is_bare;
	bool has_root_prop;
	struct ns_propagation root_prop; /* set on the root at the end */

	struct ns_mount *mounts;
	size_t n_mounts;
	int proc, dev, devpts; /* indices of mounts that are ours and fresh, -1 */

	bool populate_dev;
	struct ns_place dev_place; /* of /dev/x: parent is what holds /dev */
	struct ns_device *devices;
	size_t n_devices;

	struct ns_cover *masked, *readonly;
	size_t n_masked, n_readonly;

	/* state */
	int root_mount_fd;   /* of ns_set_root() */
	int idmap_fd;        /* of ns_idmap_fd(), once it was asked for a new one */
	bool paths_are_open; /* ns_open_paths() has run */
	int root_fd;
	bool covers_slash;   /* the root is attached over "/": its own directory is missing or not to be reached */
	int host_root_fd;    /* only with keep_host_peers */
	int procfs_fd;
	int root_tree_fd;    /* opened by ns_prepare() for a child that could not */
	int own_pid_ns, own_time_ns; /* of the parent, to come back to */
	int newest_linked;   /* last mount whose destination went through a symlink, -1 */
	bool no_tree_attr;   /* open_tree_attr() is not there */
	bool has_kcore, knows_kcore;
	const char *own_cgroup; /* path before the cgroup namespace was left; NULL: not read */
};

/* Is the namespace one the container does not share with us? */
static inline bool ns_is_own(const struct ns_plan *plan, enum spec_ns_kind kind)
{
	return plan->ns[kind].listed && !plan->ns[kind].same;
}

/* Is it made by us? */
static inline bool ns_is_new(const struct ns_plan *plan, enum spec_ns_kind kind)
{
	return plan->ns[kind].listed && !plan->ns[kind].path;
}

/* Makes the mounts' part of the plan (plan_mounts.c, plan_options.c). */
int ns_plan_mounts(struct ns_plan *plan, const struct ns_options *opt, struct error *err);
int ns_plan_options(struct ns_plan *plan, const struct spec_mount *from, struct ns_mount *m,
		    struct error *err);
/* The maps of an option "idmap=value" (plan_idmap.c). */
int ns_plan_idmap(struct ns_plan *plan, struct ns_mount *m, const char *value, struct error *err);
/* Devices, masked and read-only paths (plan_paths.c). */
int ns_plan_paths(struct ns_plan *plan, struct error *err);
/* Rules about namespaces, maps, names and sysctls (plan_rules.c). */
int ns_plan_rules(struct ns_plan *plan, struct error *err);

/* The place of a container path among the first n mounts. -ENAMETOOLONG. */
int ns_place_find(const struct ns_plan *plan, size_t n, const char *path, struct ns_place *ret,
		  struct error *err);

/* Is the rest a single name? */
bool ns_place_is_name(const struct ns_place *place);
