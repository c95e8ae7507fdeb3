/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * still - a container held still while its files are read
 *
 * A running container is frozen, and thawed again whatever happens. When this command is killed a helper thaws it: a
 * child in a session of its own, which waits for the end of a pipe that this process holds. A container that was paused
 * before stays so; one that has stopped is left alone.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/runtime.h"

struct still {
	const struct rt_context *ctx;
	const char *id; /* NULL: there is no container, only files */
	struct arena *a;
	bool is_frozen; /* by somebody: has to be so at the end, too */
	bool is_ours; /* by us */
	bool is_vm;
	pid_t helper;
	int pipe_fd;
};

/* Both take a struct still, as struct ovl_commit wants it. */
int still_begin(void *still, struct error *err);
/* -EAGAIN when somebody resumed it meanwhile: what was read may be of two moments. */
int still_end(void *still, struct error *err);
