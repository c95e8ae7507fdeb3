/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of linux.resources that hold on every host. What a value becomes in the
 * cgroup tree, and what cannot become anything there, is the cgroup planner's.
 */
#include "spec/check.h"

#include <errno.h>
#include <inttypes.h>

static int check_cpu(const struct spec_cpu *c, struct place place, struct error *err)
{
	if (c->burst.set && c->quota.set && c->quota.v > 0 && c->burst.v > (uint64_t)c->quota.v)
		return rule_at(error_rule(err, EINVAL,
					  "%scpu.burst is %" PRIu64 ", above the quota of %" PRId64
					  ": a burst is at most one quota",
					  place.name, c->burst.v, c->quota.v),
			       err, "%s/cpu/burst", place.at);
	return 0;
}

int check_resources(const struct spec_resources *res, struct place place, struct error *err)
{
	return res->cpu ? check_cpu(res->cpu, place, err) : 0;
}
