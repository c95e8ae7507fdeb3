/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * oom_record - how a container's memory ended it
 *
 * The cgroup counts what the OOM killer did, but goes with the container. `run`
 * says it when its container ends and keeps it in <root>/<id>/exit.json; `delete`
 * says it before it removes the cgroup; `state` shows it as the member "oom".
 */

#include <stdbool.h>

#include "runtime/state.h"
#include "spec/base/json.h"

#define OOM_RECORD "exit.json"

/* Of a container of either wall: a virtual machine's process has noted what happened in the guest (vm_record.h). */
bool oom_find(const struct rt_context *ctx, const struct rt_state *state, struct arena *a, struct rt_oom *ret);
/* Asks the leaf and the cgroups above it. False when nobody was killed, or no memory controller counts. */
bool oom_ask(const struct rt_state *state, struct arena *a, struct rt_oom *ret);
/* "out of memory: limit 64 MiB of cgroup /a/b, peak 64 MiB, 1 process killed" */
void oom_describe(const struct rt_oom *oom, struct buf *out);

/* Who was killed: the container's init, and so the container, or one or more of its processes. */
enum oom_victim { OOM_INIT, OOM_SOMEBODY };
void oom_warn(const struct log *log, const char *id, const struct rt_oom *oom, enum oom_victim who);

int oom_keep(int dir_fd, const struct rt_oom *oom, struct error *err);
/* What was kept, else what the leaf of a stopped container says. */
bool oom_recall(const struct rt_context *ctx, const struct rt_state *state, struct arena *a, struct rt_oom *ret);
void oom_write(struct json_w *w, const char *name, const struct rt_oom *oom);
