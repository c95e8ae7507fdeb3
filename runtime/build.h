/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * build - a container under construction: what create and run share
 *
 *	build_plan()      reads and checks the config, makes all plans; no side effect
 *	build_reserve()   state directory, notes
 *	build_clone()     cgroup, sandbox, stub, clone; device program, id maps, network devices
 *	build_supervise() stages, hooks, console, until the stub runs
 *	build_finish()    rlimits, verification, state.json, pid file
 *
 * Whatever fails in between, build_undo() takes everything back. Whenever this
 * process is killed instead, what is noted of cgroup and sandbox is enough for `delete --force`.
 */

#include <limits.h>
#include <stdbool.h>

#include "cgroups/cgroups.h"
#include "namespaces/namespaces.h"
#include "runtime/cgroup_driver.h"
#include "runtime/launch/launch.h"
#include "runtime/process/process.h"
#include "runtime/runtime.h"
#include "runtime/state.h"
#include "runtime/storage.h"

struct wall; /* vm_wall.h */

struct build {
	const struct rt_context *ctx;
	const struct rt_create_options *opt;
	struct wall *vm;            /* NULL: a container of processes */
	struct arena *arena;

	struct spec *spec;
	char bundle[PATH_MAX];      /* absolute, cleaned */
	struct ns_plan *ns;
	struct proc_plan proc;
	struct proc_seccomp seccomp;
	struct cg_plan cg;
	void *device_insns;
	size_t n_device_insns;
	uint32_t preserve_fds;      /* with LISTEN_FDS */
	char **extra_env;
	bool detach;
	int child_stdio[3];         /* what the program uses as 0, 1, 2; -1: the caller's own */

	struct cg_host host;
	char cgroup[PATH_MAX];
	bool cgroup_made;
	struct cgroup_unit unit;    /* with systemd as the driver */
	int group_lock;             /* of the CPU group, until the cgroup has its limits; -1 */
	int cgroup_fd;
	int state_dir;
	bool reserved;
	int attended_fd;            /* attended.h; -1 */
	int notify_dir_fd;          /* O_PATH of the notify directory, or -1 */
	struct storage storage;
	struct ns_extra_mount *extra_mounts; /* of the runtime, after those of the config */
	size_t n_extra_mounts;
	struct rt_state state;
	struct launch launch;
	int console_master;         /* received from the child, or -1 */
	bool wrote_pid_file;
};

#define BUILD_INIT \
	{ .launch = LAUNCH_INIT, .cgroup_fd = -1, .state_dir = -1, .notify_dir_fd = -1, \
	  .console_master = -1, .child_stdio = { -1, -1, -1 }, .host = { .root_fd = -1 }, \
	  .unit = CGROUP_UNIT_INIT, .group_lock = -1, .attended_fd = -1, .storage = STORAGE_INIT }

int build_plan(struct build *b, struct error *err);
int build_reserve(struct build *b, struct error *err);
int build_clone(struct build *b, struct error *err);
int build_supervise(struct build *b, struct error *err);
int build_finish(struct build *b, struct error *err);

/* After the program runs: poststart hooks. A failure ends the container (runtime.md, 1.3). */
int build_poststart(struct build *b, struct error *err);

void build_undo(struct build *b);

/* All but build_plan(), in order. On failure everything is undone. */
int build_make(struct build *b, struct error *err);

/* The uid of the program as the host counts. */
uint32_t build_host_uid(const struct build *b);

/* The child's side (init.c). */
void build_init_child(struct launch *l, void *data);

/* Has the config hooks of this kind? */
static inline bool build_has_hooks(const struct build *b, enum spec_hook_kind kind)
{
	return b->spec->hooks.n[kind] > 0;
}

/* Must the child stop before the pivot, for hooks of the runtime's namespaces? */
static inline bool build_has_runtime_hooks(const struct build *b)
{
	return build_has_hooks(b, SPEC_HOOK_PRESTART) || build_has_hooks(b, SPEC_HOOK_CREATE_RUNTIME);
}
