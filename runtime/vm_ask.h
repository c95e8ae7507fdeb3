/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_ask - a command's questions to a container's guest
 *
 * Through <root>/<id>/vm.sock (vm/session/client.h). Every question has a deadline, for the guest may be stuck, stopped
 * or hostile, and the process of its machine frozen or gone.
 */

#include "runtime/runtime.h"
#include "runtime/state.h"
#include "runtime/vm_plan.h"
#include "vm/session/client.h"

#define WALL_ASK_MS 10000  /* for who came to learn it */
#define WALL_BRIEF_MS 1000 /* where the guest's word is one among others */
#define WALL_LAST_WORD_MS 1500  /* before it is killed: one that says nothing */
#define WALL_LAST_WRITE_MS 5000 /* and one that does, and has much to write */

/* A connected socket. At most a moment, also when nobody accepts. */
int wall_connect(const struct rt_context *ctx, const char *id, struct error *err);

/* Connects and greets. To be ended by vm_client_end() in any case. */
int wall_meet(const struct rt_context *ctx, const char *id, int timeout_ms, struct vm_client *ret, struct error *err);
#define auto_client __attribute__((cleanup(vm_client_end)))

/* One question whose answer is yes or an error. items may be NULL. */
int wall_tell(const struct rt_context *ctx, const char *id, enum wire_type type, const struct buf *items, int timeout_ms,
	      struct error *err);

/* A signal for the first process, or for all. */
int wall_signal(const struct rt_context *ctx, const char *id, int signo, enum rt_kill_scope scope, struct error *err);

int wall_stats(const struct rt_context *ctx, const char *id, int timeout_ms, struct wire_stats *ret, struct error *err);

/* After a thaw: without it the guest's clock wakes watchdogs. Failure is no matter. */
void wall_resumed(const struct rt_context *ctx, const char *id);

/*
 * Before a running machine is killed: has its program killed inside, upon which the guest writes what it still holds of a
 * sandbox's files, and the machine ends. True: it has ended so. Bounded, and over at once where nothing can be lost:
 * another wall, files of a bundle, which are written through, a paused machine, which cannot be asked.
 */
bool wall_let_end(const struct rt_context *ctx, const struct rt_state *state);
