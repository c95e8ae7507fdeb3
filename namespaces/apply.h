/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * apply - the parts of the apply loop, one file each
 *
 * Private to the room. Each header line says in which process it runs:
 * (parent) in the runtime's namespaces, (child) in the container's, before its
 * root is entered.
 */

#include "namespaces/plan.h"

struct mount_attr; /* sys.h */

/* "/mounts/3", or nothing for a mount of the runtime's own. */
void ns_mount_at(const struct ns_mount *m, struct error *err);

/* attach.c */

/*
 * (child) The descriptor to resolve a place from with path.h, and what to
 * resolve: the fd of the mount that holds it where nobody can have planted a link
 * in that, else the root's and the whole path. rest "": the descriptor is the place.
 */
int ns_place_base(const struct ns_plan *plan, const struct ns_place *place, const char **ret_rest);

/*
 * (child) The directory that holds a place, for calls that do not follow a link
 * in their last component. -1 when the place is more than one name away.
 */
int ns_place_dir(const struct ns_plan *plan, const struct ns_place *place, const char **ret_name);

/* Is the base the inside of a mount nobody else could have written to? */
bool ns_place_is_fresh(const struct ns_plan *plan, const struct ns_place *place);

/*
 * (child) Attaches the detached mount fd at m's place, making the mount point
 * when it is missing, and remembers it as m->fd.
 */
int ns_attach(struct ns_plan *plan, struct ns_mount *m, int fd, bool dir, struct error *err);

/* Applies m's propagation options in their order, as far as they change anything. */
int ns_propagate(const struct ns_plan *plan, const struct ns_mount *m, int fd, struct error *err);

/*
 * Will m, attached where the plan has it, be private unless it is told
 * otherwise? Then "private" can be set before, in the same call as the clone.
 */
bool ns_lands_on_private(const struct ns_plan *plan, const struct ns_mount *m);

/* mount_fs.c (child) */
int ns_mount_fs(struct ns_plan *plan, struct ns_mount *m, const char *type, struct error *err);
int ns_remount_fs(struct ns_plan *plan, struct ns_mount *m, int target, struct error *err);
/* A new detached instance without options: for covers. */
int ns_new_fs(const char *type, uint64_t attr, struct error *err);

/* mount_bind.c */
/* (parent or child) A detached clone of the source with its attributes and id map. */
int ns_bind_source(struct ns_plan *plan, struct ns_mount *m, int userns_fd, struct error *err);
/* (child) That of each bind mount which has none yet, while the host's paths can be walked. */
int ns_bind_sources(struct ns_plan *plan, struct error *err);
int ns_mount_bind(struct ns_plan *plan, struct ns_mount *m, struct error *err);
int ns_remount(struct ns_plan *plan, struct ns_mount *m, struct error *err);
/* One mount_setattr() with both halves; a locked flag in the way gets a sentence of its own. */
int ns_set_attr(int fd, unsigned flags, const struct ns_attr *attr, const char *path,
		struct error *err);
/* A clone of dir/name with attributes, one call where the kernel has it. */
int ns_clone_tree(struct ns_plan *plan, int dir, const char *name, unsigned flags,
		  const struct mount_attr *attr);

/* mount_cgroup.c (child) */
int ns_mount_cgroup(struct ns_plan *plan, struct ns_mount *m, struct error *err);
/* Reads the path of the own cgroup for a later bind; before the cgroup namespace is left. */
int ns_read_own_cgroup(struct ns_plan *plan, struct error *err);

/* copyup.c (child): copies what the image has at m's place into the detached tmpfs. */
int ns_copy_up(struct ns_plan *plan, struct ns_mount *m, int fd, struct error *err);

/* root.c */
int ns_open_root(struct ns_plan *plan, struct error *err);                   /* parent or child */
int ns_mount_root(struct ns_plan *plan, struct error *err);                  /* child */

/* devices.c (child) */
int ns_make_devices(struct ns_plan *plan, struct error *err);
int ns_make_links(struct ns_plan *plan, struct error *err);
/* Does procfs show kcore? Asked twice, answered once. */
bool ns_has_kcore(struct ns_plan *plan);
/* A detached clone of a null device that is proven to be one. */
int ns_open_null(struct ns_plan *plan, struct error *err);

/* masks.c (child) */
int ns_mask_paths(struct ns_plan *plan, struct error *err);
int ns_readonly_paths(struct ns_plan *plan, struct error *err);

/* sysctl.c, uts.c, loopback.c (child) */
int ns_write_sysctls(struct ns_plan *plan, struct error *err);
int ns_set_names(const struct ns_plan *plan, struct error *err);
int ns_loopback_up(struct error *err);

/* pivot.c, no_pivot.c (child) */
int ns_pivot(struct ns_plan *plan, struct error *err);
/* Takes every procfs and sysfs out of the mount namespace that is not the container's. */
int ns_drop_host_procfs(struct ns_plan *plan, struct error *err);

/* idmaps.c (parent) */
/* A user namespace with exactly these maps, held by nothing but the returned fd. */
int ns_userns_of_maps(const struct spec_idmaps *uid, const struct spec_idmaps *gid,
		      struct error *err);
int ns_check_joined_maps(struct ns_plan *plan, struct error *err);

/* timens.c (parent, unless there is a user namespace; then the child, as the id it was born with) */
int ns_prepare_time(struct ns_plan *plan, struct error *err);
int ns_make_own_time(const struct ns_plan *plan, struct error *err);

/* join.c (parent) */
/* Once, however often it is called. */
int ns_open_paths(struct ns_plan *plan, struct error *err);
bool ns_joins_pid(const struct ns_plan *plan);
/* For the children of who calls it. */
int ns_join_pid(const struct ns_plan *plan, struct error *err);
