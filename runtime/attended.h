/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * attended - containers that must not outlive the command that runs them
 *
 *	<root>/.attended@/<id>	locked by that command as long as it lives; its text is the inode number of
 *				<root>/<id>, once that is made
 *
 * The kernel releases the lock of whoever dies, however it dies. rt_sweep() looks for entries whose lock is free and
 * deletes their containers: those whose directory is the one that was noted, so that an id which somebody else has
 * taken since is safe. '@' keeps the name apart from every container id.
 */

#include "runtime/runtime.h"

/* Makes and locks the entry. TEXT_EXISTS when another command attends to this id. Returns its descriptor. */
int attended_begin(const struct rt_context *ctx, const char *id, struct error *err);

/* The state directory is made. */
int attended_note(int fd, int state_dir, struct error *err);

/* The container is gone. Takes over fd; -1 is fine. */
void attended_end(const struct rt_context *ctx, const char *id, int fd);
