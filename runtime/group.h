/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * group - a container's place among the CPU groups
 *
 * The place is the path of its leaf and nothing else (cgroups/cpugroup/cpugroup.h).
 * For a container outside of the base nothing here asks the kernel anything.
 */

#include <limits.h>

#include "cgroups/cpugroup/cpugroup.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

struct group_place {
	struct cpg cpg;
	char base[PATH_MAX];
};

/* Pure. host may be NULL when only names and paths are asked. */
int group_place(const struct rt_context *ctx, struct cg_host *host, struct group_place *ret, struct error *err);

/* The group of a cgroup path, in buf, or NULL. Pure. */
const char *group_of(const struct rt_context *ctx, const char *cgroup, char *buf, size_t size);

/*
 * Where a new container goes. path holds what cgroupsPath (or its absence) says, and the leaf in the group when
 * --cpu-group or the annotation names one. Then, for a leaf below the base: the group is there, is not frozen and
 * admits the container (cpg_admit()), and the leaf is no group itself. *ret_lock: the group's directory with its lock,
 * to be kept until the leaf has its limits, so that the group stays and nobody else is admitted on the same numbers; -1
 * outside of the base.
 */
int group_enter(const struct rt_context *ctx, struct cg_host *host, const struct rt_create_options *opt,
		const struct spec *spec, char *path, size_t size, int *ret_lock, struct error *err);

/* May a container of these resources be in this group? leaf: where it is now, or NULL. */
int group_admits(const struct group_place *at, const char *name, const struct spec_resources *res,
		 const struct spec *spec, const char *leaf, struct error *err);

/* The same for a container that shall have other resources where it is. No group: yes. */
int group_still_admits(const struct rt_context *ctx, const struct rt_state *state, const struct spec_resources *res,
		       const struct spec *spec, struct error *err);

/* -EBUSY with the group's name when the container stands still because its group, or one above it, is frozen. */
int group_check_thawed(const struct rt_context *ctx, const struct rt_state *state, struct error *err);
