/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * group_record - what a move between CPU groups means to do, kept until it is done
 *
 * <root>/<id>/move.json is written before the first change and replaced at each
 * step. Whoever finds one with the lock in hand knows that the mover is dead: a
 * mover holds the lock throughout.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cgroups/cpugroup/cpugroup.h"
#include "runtime/runtime.h"

#define GROUP_RECORD "move.json"

struct group_record {
	const char *from, *to;     /* leaves, paths in the tree */
	const char *step;          /* "begun", then what was reached: "prepared" … */
	bool was_frozen;           /* the container was paused on its own */
	uint64_t residual_limit;
};

const char *group_step_name(enum cpg_move_step step);
int group_record_write(int dir_fd, const struct group_record *rec, struct error *err);
/* -ENOENT, quietly, when there is none. */
int group_record_read(int dir_fd, const char *id, struct arena *a, struct group_record *ret, struct error *err);
int group_record_remove(int dir_fd, struct error *err);

/* Is a move going on, or was one cut short? One system call. */
bool group_record_is_there(const struct rt_context *ctx, const char *id);

/*
 * With the lock held: finishes or undoes a move that was cut short. What it cannot do is
 * a warning in the log, and the record stays for the next command.
 */
void group_settle(const struct rt_context *ctx, int dir_fd, const char *id);
/* For a command that works without the lock: waits for a move that is going on, settles one that was cut short. */
void group_settle_unlocked(const struct rt_context *ctx, const char *id);
