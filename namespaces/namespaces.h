/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * namespaces - what a process sees
 *
 * Clones and joins namespaces, writes id maps and time offsets, builds the root
 * filesystem out of mount file descriptors, pivots into it, masks what must not
 * be seen, sets host name and sysctls, brings up loopback and moves network
 * devices. Knows nothing of cgroups, credentials or the state directory.
 *
 * Plan, then apply. ns_plan_make() reads the spec and makes no system call; the
 * plan is a list of steps that can be printed and tested without root, and each
 * step carries the JSON pointer of the member it comes from. The other functions
 * apply one part of the plan each, in this order:
 *
 *   parent  ns_prepare()          opens namespace paths; opens and id-maps mount
 *                                 sources the child could not; offsets of a time namespace;
 *                                 enters a joined pid namespace for its children
 *   parent  clone3(ns_clone_flags() | …)
 *   child   ns_join()             setns() into every listed path, user namespace first
 *   parent  ns_write_maps()       only when ns_needs_maps(); the child waits for it
 *   child   ns_become_root()      ids 0 of a new or joined user namespace (process.user's where it has none);
 *                                 its time namespace; unshares the cgroup namespace
 *   parent  ns_move_net_devices() any time after the clone
 *   parent  ns_restore_parent()   before it starts another child
 *   child   ns_build_root()       everything that runtime hooks may look at: root, mounts, devices, links
 *   child   ns_console()          when process.terminal
 *   child   ns_enter_root()       host name, sysctl, masks, read-only paths, read-only root, pivot (or chroot)
 *
 * From ns_build_root() on the umask is 0, and the root may be read-only after
 * ns_enter_root(): a missing process.cwd is made between the two, below ns_root_fd().
 * After ns_enter_root() the working directory is the root.
 *
 * In the child no function allocates from the heap after the clone except from
 * the plan's arena. Mount fds stay open (CLOEXEC) until the final execve: closing
 * them one by one would be half of the system calls of a start.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/buf.h"
#include "spec/base/log.h"
#include "spec/spec.h"

struct ns_plan;

/*
 * A mount the runtime adds to those of the config, after them: the notify socket, an image beside the root,
 * a volume. source_fd is read by ns_prepare(), so it may be opened after the plan.
 */
struct ns_extra_mount {
	int source_fd;            /* O_PATH in the host's mount namespace: cloned; or a detached mount: attached as it is */
	bool is_detached;
	const char *destination;  /* container path */
	uint64_t attr_set;        /* MOUNT_ATTR_*; not of a detached one */
	const struct spec_mount *bind; /* as one of the config's instead of all the above, source absolute; or NULL */
};

struct ns_options {
	const char *id;      /* for messages */
	const char *bundle;  /* absolute; relative sources and root.path start here */
	bool no_pivot;       /* MS_MOVE-like attach over "/" and chroot instead of pivot_root */
	bool root_is_given;  /* the root is a detached mount that ns_set_root() brings; root.path may be absent or missing */
	bool is_bare;        /* the process will be a virtual machine's: ns_build_bare() */
	const struct ns_extra_mount *extra_mounts;
	size_t n_extra_mounts;
	const struct log *log;
};

/*
 * Turns the spec into a plan. -EINVAL with a JSON pointer when the spec asks for
 * what cannot be (a filesystem-specific option on a bind mount, a mount inside
 * /proc, id maps without a bind …). The plan lives in `a` and keeps pointers into spec.
 */
int ns_plan_make(const struct spec *spec, const struct ns_options *opt, struct arena *a,
		 struct ns_plan **ret, struct error *err);

/* One line per step: "mount tmpfs on /dev (nosuid,strictatime) mode=755,size=65536k  [/mounts/1]". */
void ns_plan_print(const struct ns_plan *plan, struct buf *out);

/* CLONE_NEW* for clone3(); without CLONE_NEWCGROUP (see ns_become_root()) and CLONE_NEWTIME (see ns_prepare()). */
uint64_t ns_clone_flags(const struct ns_plan *plan);

/* Must the parent write id maps before the child may go on? */
bool ns_needs_maps(const struct ns_plan *plan);

/*
 * A user namespace is joined by path while others are new: these must belong to
 * it, so the first child joins and clones once more (CLONE_PARENT) for init. The
 * same holds when the user namespace is new and others are joined: only a process
 * of the host's may enter these. ns_clone_flags() then holds the flags of the
 * second clone; the first uses none. ns_join() is called in the first child only.
 */
bool ns_needs_second_clone(const struct ns_plan *plan);

/* The mount to use as the root, borrowed until the clone. With root_is_given, before ns_prepare(). */
void ns_set_root(struct ns_plan *plan, int mount_fd);

/*
 * The user namespace whose maps the container's mounts are to have: the joined one, or one with the maps of
 * the new one, which does not exist yet. Borrowed; -1: the container has none of its own. Before ns_prepare(), too.
 */
int ns_idmap_fd(struct ns_plan *plan, int *ret_fd, struct error *err);

int ns_prepare(struct ns_plan *plan, struct error *err);
int ns_write_maps(const struct ns_plan *plan, pid_t pid, struct error *err);
int ns_move_net_devices(const struct ns_plan *plan, pid_t pid, struct error *err);

/*
 * Parent, any time after the clone: its further children (hooks) are born in the
 * runtime's own pid and time namespaces again. Free when ns_prepare() left neither.
 */
int ns_restore_parent(struct ns_plan *plan, struct error *err);

int ns_join(struct ns_plan *plan, struct error *err);
int ns_become_root(struct ns_plan *plan, struct error *err);
int ns_build_root(struct ns_plan *plan, struct error *err);
int ns_enter_root(struct ns_plan *plan, struct error *err);

/*
 * Instead of the two above, for the process of a virtual machine (is_bare): "/" holds the container's root as /root
 * and the sources of its bind mounts as /volumes/m<i> and /volumes/x<i> (bare.c), nothing can be executed, and
 * ns_procfs_fd() is of a procfs that is mounted nowhere.
 */
int ns_build_bare(struct ns_plan *plan, struct error *err);
int ns_enter_bare(struct ns_plan *plan, struct error *err);
/* Is there anything in /volumes? */
bool ns_has_volumes(const struct ns_plan *plan);

/* One of /volumes, with the attributes that it has from its source and the config: what the guest's mount has to have, too. */
struct ns_volume {
	bool is_extra;   /* x<number>, else m<number> */
	uint32_t number;
	uint32_t attr;   /* of MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC, _NOSYMFOLLOW */
	size_t next;     /* zero before the first call */
};
/* After ns_build_bare(), and before ns_enter_bare() takes the most from all of them. False: there is no further one. */
bool ns_next_volume(const struct ns_plan *plan, struct ns_volume *v);

/*
 * A pty of the size that p asks for, in a devpts of its own, which is mounted nowhere: no name leads to it. In a
 * process that may mount.
 */
int ns_new_pty(const struct spec_process *p, int *ret_master, int *ret_peer, struct error *err);

/*
 * The same in the container's own devpts, and the peer is bound to /dev/console.
 * Between ns_build_root() and ns_enter_root(). The master is for the caller's
 * console socket, the peer for fds 0, 1, 2.
 */
int ns_console(struct ns_plan *plan, const struct spec_process *p, int *ret_master, int *ret_peer,
	       struct error *err);

/* The same for an exec: root_fd is the container's root ("/" after setns). No /dev/console. */
int ns_open_pty(int root_fd, const struct spec_process *p, int *ret_master, int *ret_peer,
		struct error *err);

/* O_PATH fd of the container's root once ns_build_root() has run. Borrowed. */
int ns_root_fd(const struct ns_plan *plan);

/*
 * exec: enters the namespaces of init. parent half: makes children be born in
 * its pid namespace. child half: the rest in one setns(), then "/" as root and cwd.
 * kinds has bit 1 << SPEC_NS_* for each namespace that the container does not
 * share with the runtime (ns_kinds() at create time, kept in the state).
 */
unsigned ns_kinds(const struct ns_plan *plan);
int ns_exec_parent(int init_pidfd, unsigned kinds, struct error *err);
int ns_exec_child(int init_pidfd, unsigned kinds, struct error *err);

/* Where masked paths and such need a procfs that the container cannot cover. PROCFS_PIDS of the container. -1 until ns_build_root(). */
int ns_procfs_fd(const struct ns_plan *plan);
