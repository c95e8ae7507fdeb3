/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_update - new limits for a container in a virtual machine: its memory and processes are limited by the guest's kernel,
 * all the rest by the host's. Both have the new ones afterwards, or both the old ones.
 */

#include "runtime/resources.h"
#include "runtime/runtime.h"

/* What changes, and what held before. */
struct wall_change {
	const struct spec_resources *now, *delta;
};

int wall_update(const struct rt_context *ctx, const struct rt_state *state, const struct spec *spec,
		const struct wall_change *change, struct arena *a, struct error *err);
