/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_stats - a container's numbers, of which the host knows some and the guest others
 *
 * CPU time, block I/O and pressure are the host's: the machine's threads are in the container's cgroup. Memory and
 * processes are the guest's: for the host its memory is one mapping that only grows.
 */

#include "runtime/vm_ask.h"
#include "spec/base/buf.h"

/*
 * data is the object of cg_write_stats(), on one line. Its memory and pids become the guest's; memory.host is what the
 * host's cgroup holds.
 */
void wall_merge_stats(struct buf *data, const struct wire_stats *guest);

/* Asks the guest, briefly. One that does not answer leaves the host's numbers and is remarked in the log. */
void wall_add_stats(const struct rt_context *ctx, const char *id, struct buf *data);
