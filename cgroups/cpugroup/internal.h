/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * internal - what the files of this room share
 *
 * The directories and their attribute, the lock, lists of CPUs as bit masks, and a
 * journal of writes that can be taken back. cgroups/kernfile.h has the kernel's files.
 */

#include "cgroups/cpugroup/cpugroup.h"
#include "cgroups/kernfile.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/auto.h"

/* On a leaf that a move left behind because memory is still charged to it: any value. Goes with its group. */
#define CPG_XATTR_RESIDUAL "user.bulkhead.residual"
#define CPG_MAX_DEPTH      64 /* of nested directories: recursion stays bounded whatever somebody built */

/* ---- scratch memory ---- */

/* An arena of one call's length: too large for the stack, and nothing else to be shared. */
struct arena *cpg_scratch_new(void);
void cpg_scratch_free(struct arena **a);
#define auto_scratch __attribute__((cleanup(cpg_scratch_free)))

/* ---- directories (place.c) ---- */

/* Names of the sub-directories, sorted. A directory that is gone has none. */
int cpg_children(int dir_fd, struct arena *a, const char ***ret, size_t *ret_n, struct error *err);
/* Opens a sub-directory by its name: no way up, no link. -errno, no message. */
int cpg_open_child(int dir_fd, const char *name);
/* The base's directory; -ENOENT when nobody made it yet. */
int cpg_open_base(const struct cpg *cpg, struct error *err);
/* The parent of a group's name in buf: "" for a group directly below the base. */
const char *cpg_parent(const char *name, char *buf, size_t size);
/* Is `name` the same as `below` or a group inside of it? */
bool cpg_is_within(const char *name, const char *below);
/* The file's text without its last newline, in the arena; "" where there is no such file. */
const char *cpg_text(int dir_fd, const char *file, struct arena *a);

/* ---- the attribute (attr.c) ---- */

struct cpg_attr {
	const char *uuid, *created;
	bool adopted;
	struct cpg_policy policy;
};
/* 1: the directory is a group; 0: it is not; -errno. No message. */
int cpg_is_group(int dir_fd);
/* The same and the attribute; a damaged one is -EINVAL with its place. path is for messages. */
int cpg_attr_read(int dir_fd, const char *path, struct arena *a, struct cpg_attr *ret, struct error *err);
/* One setxattr: the whole attribute or nothing. */
int cpg_attr_write(int dir_fd, const char *path, const struct cpg_attr *attr, struct error *err);
/* A new group's uuid and time. */
void cpg_attr_new(struct arena *a, struct cpg_attr *ret);
int cpg_attr_remove(int dir_fd, const char *path, struct error *err);

/* ---- numbers (cap.c, class.c, pure) ---- */

/* The inverse of cpg_decimal_parse(), without zeros at the end. */
void cpg_decimal_print(uint64_t v, unsigned digits, struct buf *out);
uint64_t cpg_weight_of_nice(int nice);

/* ---- locks (lock.c) ---- */

/* flock(2) with the deadline. exclusive or shared; goes with the description. path is for messages. -ETIMEDOUT. */
enum cpg_lock_kind { CPG_LOCK_SHARED, CPG_LOCK_EXCLUSIVE };
int cpg_lock(int dir_fd, enum cpg_lock_kind kind, const char *path, struct error *err);
/*
 * Taken last and for moments: shared by who moves processes, alone by who changes partitions. Linux 6.12 can lock up
 * for good when both happen at once. A host in which somebody keeps it is no reason not to go on.
 */
void cpg_membership_lock(const struct cpg *cpg, enum cpg_lock_kind kind);
void cpg_membership_unlock(const struct cpg *cpg);
/*
 * The lock of whoever changes groups: on the base, so that admission and CPUs of all groups stand still. The base is
 * made when `make` says so and it is not there; *ret_made tells (may be NULL). Returns the base's fd.
 */
int cpg_lock_base(struct cpg *cpg, bool make, bool *ret_made, struct error *err);

/* ---- lists of CPUs and nodes (mask.c, pure) ---- */

struct cpg_mask {
	uint64_t w[CPG_MASK_WORDS];
};
/* 0, -EINVAL or -ERANGE; "" is the empty mask. */
int cpg_mask_parse(const char *list, struct cpg_mask *ret);
/* As the kernel prints it: "0-3,7"; "" when empty. */
const char *cpg_mask_print(const struct cpg_mask *m, struct arena *a);
unsigned cpg_mask_count(const struct cpg_mask *m);
bool cpg_mask_empty(const struct cpg_mask *m);
bool cpg_mask_has(const struct cpg_mask *m, unsigned bit);
void cpg_mask_set(struct cpg_mask *m, unsigned bit);
bool cpg_mask_equal(const struct cpg_mask *a, const struct cpg_mask *b);
bool cpg_mask_within(const struct cpg_mask *part, const struct cpg_mask *whole);
void cpg_mask_and(struct cpg_mask *m, const struct cpg_mask *with);
void cpg_mask_or(struct cpg_mask *m, const struct cpg_mask *with);
void cpg_mask_minus(struct cpg_mask *m, const struct cpg_mask *without);

/* ---- the model of all groups (tree.c) ---- */

struct cpg_node {
	const char *name;          /* "" for the base */
	const char *path;          /* in the tree */
	int parent;                /* index; -1 for the base */
	struct cpg_attr attr;      /* of the base: default policy */
	struct cpg_mask cpus;      /* cpuset.cpus */
	struct cpg_mask effective; /* cpuset.cpus.effective, or the online CPUs */
	struct cpg_mask all;       /* effective and what partitions of groups below took out of it */
	const char *partition;     /* cpuset.cpus.partition; "" without the controller */
	uint64_t quota_us, period_us; /* cpu.max; UINT64_MAX: no cap */
};
struct cpg_tree {
	struct cpg_node *v; /* parents before children, sorted; the base is [0], there or not */
	size_t n;
	bool has_base;
};
int cpg_tree_load(struct cpg *cpg, struct arena *a, struct cpg_tree *ret, struct error *err);
/* Only the group `name` and those it is in: what a container that comes in asks about. .all is .effective. */
int cpg_tree_load_path(struct cpg *cpg, const char *name, struct arena *a, struct cpg_tree *ret, struct error *err);
/* Index of a group, "" for the base; -1: there is none. */
int cpg_tree_find(const struct cpg_tree *t, const char *name);
/* "root" or "isolated" and in force. */
bool cpg_is_partition(const char *partition);
/* The CPUs online on this host. */
void cpg_online_cpus(struct cpg_mask *ret);
/* "250000 100000" or "max 100000" of cpu.max; no cap for anything else. */
void cpg_parse_cpu_max(const char *text, uint64_t *ret_quota_us, uint64_t *ret_period_us);

/* ---- a change that is being considered (check.c) ---- */

struct cpg_plan {
	struct cpg *cpg;
	struct arena *a;
	const struct cpg_tree *tree;
	const char *name;
	char path[PATH_MAX];
	int self;                  /* index in the tree; -1: to be made */
	int parent;                /* index */
	const struct cpg_policy *policy; /* complete */
	unsigned flags;
	/* answers of cpg_plan_check() */
	struct cpg_mask cpus;      /* asked for; empty: inherited */
	struct cpg_mask expected;  /* what they will be in force */
	const char *mems;          /* "auto" resolved */
	uint64_t quota_us, period_us;
	struct cpg_verdict verdict;
};
/* Name, policy and place in the tree. The parent must be the base or a group: -ENOENT. */
int cpg_plan_init(struct cpg_plan *p, struct cpg *cpg, struct arena *a, const struct cpg_tree *tree,
		  const char *name, const struct cpg_policy *policy, unsigned flags, struct error *err);
/* Every rule that can be checked before anything is touched. */
int cpg_plan_check(struct cpg_plan *p, struct error *err);
/* Warns about reservations that weights do not bear out (shares.c). */
void cpg_check_shares(const struct cpg_plan *p);
/* The weight that gives reserve of the CPUs beside `others` (their sum); UINT64_MAX: none does. Pure. */
uint64_t cpg_weight_for(uint64_t reserve_milli, uint64_t cpus_milli, uint64_t others);
/* -ENOTSUP when the policy needs a controller that this host's tree does not have. */
int cpg_require(struct cpg *cpg, const struct cpg_policy *policy, struct error *err);

/* ---- what the files should say (values.c, pure) ---- */

struct cpg_value {
	const char *file, *value;
	const char *member;        /* of the policy */
	enum cg_controller controller;
	unsigned set;              /* CPG_SET_… it belongs to */
	bool is_default;           /* nothing to do where the file is not there */
};
#define CPG_VALUES_MAX 16
/* All values of a policy in the order they are written; for drift and for writing. */
size_t cpg_values(const struct cpg_policy *p, const char *mems, uint64_t quota_us, uint64_t period_us,
		  struct arena *a, struct cpg_value ret[CPG_VALUES_MAX]);
/* Does the file say what is wanted, in its own terms (a list spelled otherwise, pages)? */
bool cpg_value_holds(const char *file, const char *wanted, const char *now);

/* "cap 50% -> 75%, reserve - -> 1.5"; "" when they say the same. (diff.c) */
const char *cpg_policy_diff(const struct cpg_policy *from, const struct cpg_policy *to, struct arena *a);

/* ---- writes that can be taken back (journal.c) ---- */

struct cpg_undo {
	int fd;                    /* ours */
	const char *path, *file, *old, *value;
};
struct cpg_journal {
	struct arena *a;
	struct cpg_undo *v;
	size_t n, room;
};
/* Writes one value, having noted the old one; nothing when the file holds it already. -ENOENT: no such file. */
int cpg_put(struct cpg_journal *j, int dir_fd, const char *path, const char *file, const char *value,
	    struct error *err);
void cpg_journal_undo(struct cpg_journal *j);
/* One line at info: the verb, the group, each file with its old and new value. */
void cpg_journal_log(const struct cpg_journal *j, const struct log *log, const char *verb, const char *name);
void cpg_journal_release(struct cpg_journal *j);

/* ---- doing it (write.c, partition.c) ---- */

/* Brings the values of `affected` (CPG_SET_…) into the directory and reads them back. The caller undoes the journal. */
int cpg_write_policy(const struct cpg_plan *p, int fd, unsigned affected, struct cpg_journal *j, struct error *err);
/* Percent caps of all groups but `except` follow the CPUs these have now. */
int cpg_recompute_caps(struct cpg *cpg, struct arena *a, const char *except, struct cpg_journal *j,
		       struct error *err);
/* Gives up the partition and the exclusive CPUs noted for it along the path, but for `keep`, which groups below have. */
int cpg_partition_leave(struct cpg *cpg, int fd, const char *path, const struct cpg_mask *keep, struct cpg_journal *j,
			struct error *err);
/* Partitions that groups ask for and the kernel called invalid meanwhile are tried once more. Never fails. */
void cpg_partition_recover(struct cpg *cpg, struct arena *a);
int cpg_partition_enter(const struct cpg_plan *p, int fd, struct cpg_journal *j, struct error *err);

/* ---- changes with the lock held, for apply.c ---- */

int cpg_create_locked(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
		      struct error *err);
/* The group's whole policy, not members of it. */
int cpg_replace_locked(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
		       struct error *err);
int cpg_delete_locked(struct cpg *cpg, const char *name, unsigned flags, struct error *err);

/* ---- topology (topology.c, pure given the topology) ---- */

/* NUMA nodes of the CPUs as a list. */
const char *cpg_nodes_of(const struct cpg_topology *t, const struct cpg_mask *cpus, struct arena *a);
/* -EINVAL names the first CPU whose sibling threads are not all in the list. */
int cpg_check_whole_cores(const struct cpg_topology *t, const struct cpg_mask *cpus, struct error *err);

/* ---- admission (admission.c, admit.c) ---- */

/* CPUs a group can promise: its reservation, else its cap, else its CPUs. */
uint64_t cpg_capacity_milli(const struct cpg_policy *p, uint64_t quota_us, uint64_t period_us, unsigned n_cpus);
