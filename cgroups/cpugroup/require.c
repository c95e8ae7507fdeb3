/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/* A policy needs controllers; without one of them the refusal says what is missing, where, and what to do. */

#include <string.h>

/* Which controllers a policy needs, and the member to name for each. */
static const struct {
	unsigned set;
	const char *member;
	enum cg_controller controller;
} needs[] = {
	{ CPG_SET_CPUS, "cpus", CG_CPUSET },	     { CPG_SET_MEMS, "mems", CG_CPUSET },
	{ CPG_SET_EXCLUSIVE, "exclusive", CG_CPUSET }, { CPG_SET_CAP, "cap", CG_CPU },
	{ CPG_SET_BURST, "burst", CG_CPU },	     { CPG_SET_SHARE, "weight", CG_CPU },
	{ CPG_SET_UCLAMP_MIN, "uclampMin", CG_CPU }, { CPG_SET_UCLAMP_MAX, "uclampMax", CG_CPU },
	{ CPG_SET_MEMORY, "memory", CG_MEMORY },     { CPG_SET_PIDS, "pids", CG_PIDS },
};

/* The members whose value is not the default. */
static unsigned meant(const struct cpg_policy *p)
{
	unsigned m = 0;

	m |= *p->cpus ? CPG_SET_CPUS : 0;
	m |= *p->mems ? CPG_SET_MEMS : 0;
	m |= p->exclusive != CPG_SHARED ? CPG_SET_EXCLUSIVE : 0;
	m |= p->cap.form != CPG_CAP_MAX ? CPG_SET_CAP : 0;
	m |= p->burst_us ? CPG_SET_BURST : 0;
	m |= p->share == CPG_BY_IDLE || (p->share == CPG_BY_NICE && p->nice) ||
			     (p->share == CPG_BY_WEIGHT && p->weight != 100) ? CPG_SET_SHARE : 0;
	m |= p->uclamp_min ? CPG_SET_UCLAMP_MIN : 0;
	m |= p->uclamp_max < 10000 ? CPG_SET_UCLAMP_MAX : 0;
	m |= p->memory_max >= 0 ? CPG_SET_MEMORY : 0;
	m |= p->pids_max >= 0 ? CPG_SET_PIDS : 0;
	return m;
}

int cpg_require(struct cpg *cpg, const struct cpg_policy *policy, struct error *err)
{
	unsigned want = meant(policy);
	unsigned available = 0;
	int r = want ? cg_controllers(cpg->host, &available, err) : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needs); i++) {
		const char *name = cg_controller_name(needs[i].controller);

		if (!(want & needs[i].set) || (available & needs[i].controller))
			continue;
		if (cpg->host->layout == CG_HYBRID) {
			r = error_rule(err, ENOTSUP, "%s needs the %s controller, which is not available in the cgroup v2 "
				       "tree (hybrid host: controllers are bound to cgroup v1)", needs[i].member, name);
			error_hint(err, "boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_no_v1=%s where "
					"there is no systemd, or remove the limit", name);
		} else {
			r = error_rule(err, ENOTSUP, "%s needs the %s controller, which is not available in the cgroup v2 "
				       "tree (%s/cgroup.controllers does not list it)", needs[i].member, name,
				       cpg->host->mount_point);
			error_hint(err, "the kernel lacks this controller, or who made this container did not delegate it "
					"(systemd: Delegate=yes); or remove the limit");
		}
	}
	return r;
}
