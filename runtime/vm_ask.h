/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_ask - a command's questions to a container's guest
 *
 * Through <root>/<id>/vm.sock (vm/session/client.h). Every question has a deadline, for the guest may be stuck, stopped
 * or hostile, and the process of its machine frozen or gone.
 */

#include "runtime/runtime.h"
#include "runtime/vm_plan.h"
#include "vm/session/client.h"

#define WALL_ASK_MS 10000  /* for who came to learn it */
#define WALL_BRIEF_MS 1000 /* where the guest's word is one among others */

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
