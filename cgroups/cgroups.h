/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cgroups - what a container may consume
 *
 * Owns the cgroup v2 tree: creating, limiting, measuring, freezing, killing and
 * removing groups, and the device program. Knows nothing of namespaces, mounts
 * or processes; callers hold a cgroup as a directory fd.
 *
 * Version 2 only. On a hybrid host (v1 controllers beside a v2 tree) the v2 tree
 * that is there is used: tracking, freezing and killing need no controller. A
 * limit whose controller is missing is an error that names the controller, the
 * host's layout and the remedy; empty defaults that engines always send
 * (cpu.shares 0 or 1024, blkio weight 0, limits of 0 or -1 where these mean "none")
 * count as unset.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/buf.h"
#include "spec/base/json.h"
#include "spec/base/log.h"
#include "spec/spec.h"

enum cg_controller {
	CG_CPU = 1 << 0,
	CG_CPUSET = 1 << 1,
	CG_MEMORY = 1 << 2,
	CG_PIDS = 1 << 3,
	CG_IO = 1 << 4,
	CG_HUGETLB = 1 << 5,
	CG_RDMA = 1 << 6,
	CG_MISC = 1 << 7,
};

enum cg_layout { CG_UNIFIED, CG_HYBRID, CG_LEGACY, CG_NO_CGROUPS };

/* The host's v2 tree. root_fd is its top directory as this process sees it. */
struct cg_host {
	enum cg_layout layout;
	int root_fd;              /* -1 when there is no v2 tree */
	const char *mount_point;  /* "/sys/fs/cgroup" or ".../unified" or what mountinfo says */
	unsigned controllers;     /* available at the root; read on first use by cg_controllers() */
	bool controllers_known;
};

/* Finds the v2 tree: no mountinfo scan when it is in one of the two usual places. -ENOTSUP with a hint without one. */
int cg_host_open(struct cg_host *host, struct error *err);
void cg_host_close(struct cg_host *host);
int cg_controllers(struct cg_host *host, unsigned *ret, struct error *err);
/* "cpu" for CG_CPU. */
const char *cg_controller_name(enum cg_controller c);
/* "hybrid (controllers are bound to cgroup v1)" and so on, for messages. */
const char *cg_layout_text(enum cg_layout layout);

/*
 * Where a container lives, relative to the tree's root, cleaned, without a
 * leading slash. spec_path is linux.cgroupsPath or NULL: absolute → below the root;
 * relative or absent → below the parent of the caller's own cgroup ("<parent>/<id>"
 * when absent). ".." never escapes. With systemd as the driver: unit_name_make() (systemd/systemd.h).
 */
int cg_container_path(const struct cg_host *host, const char *spec_path, const char *id,
		      char *buf, size_t size, struct error *err);

/*
 * One write: file, value, and the config member it comes from. An optional one
 * says what holds without it ("max", the default weight) or uses a file that
 * not every kernel has: it is left out where the file or its controller is not there.
 */
struct cg_write {
	const char *file, *value, *pointer;
	enum cg_controller controller; /* 0: core file */
	bool optional;
	const char *other_file, *other_value; /* written instead where `file` is not there; may be NULL */
};

/* Resources as an ordered list of writes (pure). The device rules are apart: cg_device_program(). */
struct cg_plan {
	struct cg_write *v;
	size_t n;
	unsigned controllers; /* needed by the writes that are not optional */
	/* memory.checkBeforeUpdate: refuse limits that are not above present usage; 0: no check */
	uint64_t check_memory, check_memory_swap;
};

int cg_plan_make(const struct spec_resources *res, struct arena *a, const struct log *log,
		 struct cg_plan *ret, struct error *err);
void cg_plan_print(const struct cg_plan *plan, struct buf *out);

/* cpu.shares (2 … 262144) to cpu.weight (1 … 10000): 2→1, 1024→100, 262144→10000, monotone (runc 1.3.2's quadratic map). */
uint64_t cg_weight_of_shares(uint64_t shares);

/*
 * Makes the leaf with its parents and enables `controllers` (those asked for)
 * in every ancestor. Returns a directory fd. A leaf that exists and holds processes or
 * is frozen is refused (-EBUSY), an empty one is used. *ret_made tells whether the leaf was made by us.
 * -ENOTSUP names a controller that is not there, with pointer and remedy (`plan` supplies the pointer).
 */
int cg_create(struct cg_host *host, const char *path, const struct cg_plan *plan, bool *ret_made,
	      struct error *err);

/*
 * Opens a cgroup that somebody else made for us (a unit of systemd's) and enables in its ancestors what the
 * plan needs and they lack. Returns a directory fd; errors as cg_create().
 */
int cg_take(struct cg_host *host, const char *path, const struct cg_plan *plan, struct error *err);

/* Explains why a process could not be put into a cgroup (clone3 with CLONE_INTO_CGROUP, or a write to cgroup.procs). Returns -code. */
int cg_join_error(int cg_fd, int code, struct error *err);

/* Opens an existing cgroup. -ENOENT. */
int cg_open(const struct cg_host *host, const char *path, struct error *err);

/*
 * Writes the plan in order and reads back what the kernel kept. On failure every
 * file already written gets its old value back. A memory limit below present
 * usage is approached through memory.high, so that the kernel reclaims before it
 * kills; with memory.checkBeforeUpdate it is refused (-EBUSY) when that is not enough.
 */
int cg_apply(int cg_fd, const struct cg_plan *plan, struct error *err);

/*
 * Device access: one eBPF program equal to the v1 semantics of the rules (last
 * match wins, default deny once any rule denies; spec_default_device_rules()
 * are appended by the caller's choice). Attached so that exactly one program is in force; replaced atomically on update.
 */
struct cg_device_rules {
	const struct spec_device_rule *v;
	size_t n;
};
/* Pure: the program for the rules, as struct bpf_insn[] in the arena. n == 0: nothing to restrict. */
int cg_device_program(const struct cg_device_rules *rules, size_t n_lists, struct arena *a,
		      void **ret_insns, size_t *ret_n, struct error *err);
/*
 * A container's rules: everything is denied, then come the config's, then the devices every container has.
 * So a config without rules is the strictest one, not the most open. res may be NULL.
 */
enum { CG_DEVICE_LISTS = 3 };
void cg_device_lists(const struct spec_resources *res, struct cg_device_rules ret[CG_DEVICE_LISTS]);
/* Their program. *ret_n == 0: nothing to restrict. */
int cg_container_device_program(const struct spec_resources *res, struct arena *a, void **ret_insns,
				size_t *ret_n, struct error *err);
/* CG_FRESH: the cgroup was made by us just now, so there is no program to ask for and replace. */
enum cg_age { CG_USED, CG_FRESH };
int cg_device_attach(int cg_fd, enum cg_age age, const void *insns, size_t n, struct error *err);
/* The model the program is tested against: would this access be allowed? */
bool cg_device_allows(const struct cg_device_rules *rules, size_t n_lists, char type, int64_t major,
		      int64_t minor, unsigned access);

/* Freezes or thaws and returns once that is a fact. -ETIMEDOUT after timeout_ms: an attempted freeze is undone. */
int cg_freeze(int cg_fd, bool freeze, int timeout_ms, struct error *err);
/* Is the group frozen, whoever froze it? <0: cannot tell. */
int cg_is_frozen(int cg_fd);
int cg_is_populated(int cg_fd);

/* SIGKILL to every process of the subtree, present and future, frozen or not (cgroup.kill; loop of signals on kernels before 5.14). */
int cg_kill(int cg_fd, struct error *err);

/* Every pid of the subtree, as this pid namespace sees them. The array is from the arena. */
int cg_pids(int cg_fd, struct arena *a, pid_t **ret, size_t *ret_n, struct error *err);

/*
 * Removes the cgroup and those below it, bottom up. A kernel that is still
 * reaping answers EBUSY: retried with back-off until timeout_ms, then -EBUSY names pid, state and wchan
 * of what is left. Not there at all is success.
 */
int cg_remove(const struct cg_host *host, const char *path, int timeout_ms, struct error *err);
/* Waits for somebody else to remove a cgroup. Is it gone? */
bool cg_wait_gone(const struct cg_host *host, const char *path, int timeout_ms);

/* Gives the directory and the delegatable files (/sys/kernel/cgroup/delegate) to uid (cl Cgroup ownership). */
int cg_delegate(int cg_fd, uid_t uid, gid_t gid, struct error *err);

/* The cgroup v2 path of a process, relative to the tree's root, from /proc/<pid>/cgroup. */
int cg_path_of_pid(pid_t pid, char *buf, size_t size, struct error *err);

/*
 * The `data` object of `events` (cli: section 9): cpu, memory, pids, blkio,
 * hugetlb, psi. Files that are absent (no controller) leave zero members out of
 * one openat+read pass.
 */
int cg_write_stats(int cg_fd, struct json_w *w, const char *name, struct error *err);

/* memory.events oom_kill counter; 0 without the controller. */
int cg_oom_kills(int cg_fd, uint64_t *ret, struct error *err);
