/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * attended - containers that must not outlive the command that runs them
 *
 *	<root>/.attended@/<id>	locked by that command as long as it lives
 *	<root>/<id>/attended	the container is such a one: the first file of its state, and the last to go
 *
 * The kernel releases the lock of whoever dies, however it dies. rt_sweep() looks for entries whose lock is free and
 * deletes their containers: those with the mark, so that an id which somebody else has taken since is safe. (An inode
 * number would not do, which the next directory may get again.) '@' keeps the name apart from every container id.
 */

#include "runtime/runtime.h"

/* Makes and locks the entry. TEXT_EXISTS when another command attends to this id. Returns its descriptor. */
int attended_begin(const struct rt_context *ctx, const char *id, struct error *err);

/* The state directory is made. */
int attended_note(int state_dir, struct error *err);

/* The container is gone. Takes over fd; -1 is fine. */
void attended_end(const struct rt_context *ctx, const char *id, int fd);
