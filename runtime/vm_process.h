/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* vm_process - what the host does for a process of a guest, be it the first or one of an exec */

#include "runtime/launch/launch.h"
#include "spec/base/buf.h"

/* The seccomp program as the guest's kernel takes it; nothing where there is none. */
void wall_add_filter(const struct proc_seccomp *filter, struct buf *out);

/*
 * In the child, a session leader: a pty whose master goes to the parent and whose peer becomes the controlling terminal.
 * The guest's own terminal cooks; this one is a wire.
 */
int wall_open_terminal(struct launch *l, const struct spec_process *process, int *ret_peer, struct error *err);

/*
 * In the child, which is no command any more and lives as long as what it stands for: gets this name, and overwrites the
 * caller's environment, which the command's memory began with. getenv() finds nothing from then on.
 */
void wall_become(const char *name);
