/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* plan - the parts that the resource planners share. Private to this room. */

#include <errno.h>

#include "cgroups/cgroups.h"

struct planner {
	struct cg_plan *plan;
	size_t room; /* of plan->v */
	struct arena *a;
	const struct log *log;
};

void plan_add(struct planner *p, struct cg_write w);
/* One rule for members that cgroup v2 cannot express: a warning that names member and reason. */
void plan_ignored(struct planner *p, const char *member, const char *reason);

/* -EINVAL with the pointer of the member that breaks a rule. */
#define plan_refuse(err, pointer, ...) \
	__extension__({ \
		struct error *refuse_err_ = (err); \
		int refuse_r_ = error_rule(refuse_err_, EINVAL, __VA_ARGS__); \
		error_at(refuse_err_, "%s", pointer); \
		refuse_r_; \
	})

int plan_block_io(struct planner *p, const struct spec_block_io *io, struct error *err);
/* hugepageLimits, rdma and what is left of network. */
int plan_per_name(struct planner *p, const struct spec_resources *res, struct error *err);
int plan_unified(struct planner *p, const struct spec_resources *res, struct error *err);
