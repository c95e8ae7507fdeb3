/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* resources - linux.resources as they were asked for, are now and shall be */

#include "cgroups/cgroups.h"
#include "runtime/state.h"
#include "spec/spec.h"

/*
 * over's given members win over base's; what over leaves open is base's. Device
 * rules and network members are base's alone: update does not touch them.
 */
struct spec_resources *resources_merge(const struct spec_resources *base,
				       const struct spec_resources *over, struct arena *a);

/*
 * What update has to write: over's members, completed by the partners that the
 * kernel takes in the same file (quota and period, limit and swap) from merged.
 */
struct spec_resources *resources_delta(const struct spec_resources *over,
				       const struct spec_resources *merged, struct arena *a);

/* The members that update can change, as a JSON object of config.json's shape. */
void resources_write(const struct spec_resources *res, struct buf *out);

/* What the config asked for, with the updates since. */
int resources_now(const struct spec *spec, const struct rt_state *state, struct arena *a,
		  struct spec_resources **ret, struct error *err);
