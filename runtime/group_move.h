/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * group_move - what moving and repairing have in common
 *
 *	1. move.json               from, to: whatever happens next can be understood
 *	2. cpg_migrate()           move.json replaced at each of its steps
 *	3. at its step "moved"     state.json and the note of the cgroup say `to`; `from` is a residual
 *	4. `from` removed          state.json forgets it
 *	5. move.json removed
 */

#include "runtime/group.h"
#include "runtime/group_record.h"

/* A leaf is never quite without a charge: the kernel's own structures are one. */
#define GROUP_UNREMARKED_BYTES (1u << 20)

struct group_mover {
	const struct rt_context *ctx;
	const char *id;
	int dir_fd;                 /* with the lock */
	struct arena *arena;
	struct cg_host host;
	struct group_place at;
	struct rt_state state;
	struct group_record record;
	void *device_insns;
	size_t n_device_insns;
};

#define GROUP_MOVER_INIT { .dir_fd = -1, .host = { .root_fd = -1 } }

/* Opens the host and reads state.json. */
int group_mover_open(struct group_mover *m, const struct rt_context *ctx, const char *id, int dir_fd,
		     struct arena *a, struct error *err);
void group_mover_close(struct group_mover *m);

/* The container lives in `path` from now on: state.json first, then the note. */
int group_mover_settle_in(struct group_mover *m, const char *path, struct error *err);

/* `path` may still be there: remembered, so that delete finds it. Not saved yet. */
void group_mover_remember(struct group_mover *m, const char *path);
/* Removes what of the residual leaves is empty and no longer charged, and saves the state when one went. The number of them. */
int group_mover_sweep(struct group_mover *m, struct error *err);

/* After a mover's death or a failure of its own: everybody to one side, the state says which. told: what was done. */
int group_mover_repair(struct group_mover *m, char *told, size_t size, struct error *err);
