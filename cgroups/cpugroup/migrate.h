/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * migrate - what the files that move a cgroup's processes share
 *
 *	migrate.c         the steps, and going back
 *	migrate_repair.c  after a crash
 *	migrate_tree.c    a second cgroup like the first: sub-cgroups, owner, attributes
 *	migrate_copy.c    … and limits
 *	migrate_bpf.c     … and programs
 *	migrate_procs.c   processes and threads
 *	migrate_rest.c    what becomes of the one that was left
 */

#include "cgroups/cpugroup/internal.h"

/* Threads of one threaded sub-cgroup: moving their process gathers them all in its domain. */
struct mig_threads {
	const char *path; /* below the leaf */
	const char *tids; /* lines */
};

struct mig {
	struct cpg *cpg;
	const struct cpg_move *move;
	struct arena *arena;
	int timeout_ms;
	int from_fd, to_fd;
	int lock_fd[2];          /* the directories they are in */
	bool made;               /* `to` was made by us */
	bool prepared;           /* `to` was like `from` once: from here on it is brought up to date */
	bool was_residual;       /* `to` was there, left behind by a move */
	bool was_frozen;         /* cgroup.freeze of `from` itself */
	struct mig_threads *threads;
	size_t n_threads;
	size_t moved;
};

/* On `to` from its beginning to the end of the move: without it a repair leaves what is there alone. */
#define MIG_XATTR_MOVE "user.bulkhead.move"
/* Where a sub-cgroup's threads were is written on its counterpart in `to`, for a repair. */
#define MIG_XATTR_THREADS "user.bulkhead.threads"

/* ---- migrate_tree.c ---- */

struct mig_listing {
	const char **file, **child;
	size_t n_files, n_children;
};
int mig_list(int dir_fd, struct arena *a, struct mig_listing *ret, struct error *err);
/*
 * Makes `to` like `from`, sub-cgroups included. top: the leaf itself, whose freezer is the caller's.
 * Idempotent: what is the same already is left alone.
 */
enum mig_part { MIG_LEAF, MIG_SUB };
int mig_copy_tree(struct mig *m, int from_fd, int to_fd, enum mig_part part, unsigned depth, struct error *err);
/* Makes dst/name, which is missing, like src/name. Returns its descriptor. */
int mig_copy_child(struct mig *m, int src_fd, int dst_fd, const char *name, unsigned depth, struct error *err);
/* Takes the controllers of a cgroup's children away and the children with them. */
int mig_clear(int dir_fd, struct error *err);

/* ---- migrate_copy.c ---- */

/* Writes what differs of the files named, in the order that the kernel wants, and reads it back. */
int mig_copy_settings(int from_fd, int to_fd, const struct mig_listing *files, struct arena *a, struct error *err);
/* Is the file one that keeps what is written to it? Pure. */
bool mig_is_setting(const char *file);
/* The order of writing: lower first. Pure. */
unsigned mig_rank(const char *file);

/* ---- migrate_bpf.c ---- */

/*
 * Attaches to `to`, which has none of its own when it is fresh, the programs that are attached to `from`. with_device:
 * those that rule access to devices, too.
 */
int mig_copy_programs(int from_fd, int to_fd, enum cg_age age, bool with_device, struct error *err);

/* ---- migrate_procs.c ---- */

/* Remembers where the threads of threaded sub-cgroups are. `to` has its sub-cgroups by now. */
int mig_note_threads(struct mig *m, struct error *err);
/* The same from what was noted on `to`, after a crash. */
int mig_recall_threads(struct mig *m, struct error *err);
/* Everybody from one to the other, which is like it; *ret_n grows by each one moved. Until nobody is left. */
int mig_move_all(struct mig *m, int src_fd, int dst_fd, size_t *ret_n, struct error *err);
int mig_put_threads(struct mig *m, int dst_fd, struct error *err);

/* ---- migrate_rest.c ---- */

/* Removes `from`, or keeps it for its memory and says so. What comes in late still goes over. */
void mig_leave(struct mig *m);
/* Takes the marks of the move off `to`. */
void mig_unmark(struct mig *m);
/* memory.current, 0 without the controller. */
uint64_t mig_charge(int cg_fd);

/* ---- migrate.c ---- */

/* Opens the directories that from and to are in and locks them. */
int mig_lock(struct mig *m, struct error *err);
/* cgroup.freeze alone: what it says, and the write without the wait. */
bool mig_is_freezing(int cg_fd);
/* Everybody back to `from`, its freezer as it was, `to` removed. */
int mig_undo(struct mig *m, struct error *err);
/* Everybody is in `to`: it gets the freezer state that `from` had. */
int mig_thaw(struct mig *m, struct error *err);
void mig_close(struct mig *m);
