/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* destroy - taking a container apart, and the hooks around its program */

#include "cgroups/cgroups.h"
#include "overlay/overlay.h"
#include "runtime/state.h"

struct destroy {
	const struct rt_context *ctx;
	int state_dir;
	const struct rt_state *state;
	struct cg_host *host;
	const char *cgroup;
	const char *unit;                /* of systemd's; NULL or "": none */
	const struct ovl_store *store;   /* of its files, when it is open already */
	int cgroup_fd;                   /* -1: opened when needed */
	const struct spec_hooks *hooks;  /* NULL: read from the saved config when the state says there are any */
};

/*
 * init is dead: kills what is left in the cgroup, removes the cgroup, runs
 * poststop hooks, removes the state. -EBUSY names a process that will not die.
 */
int destroy_container(const struct destroy *d, struct error *err);

/* startContainer hooks: inside the container, as its process would be, before the program. */
int start_container_hooks(const struct rt_context *ctx, const struct rt_state *state,
			  const struct spec *spec, struct error *err);
