/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Is a reservation worth something when everybody wants to run? Then a group gets
 * its weight's part of its parent's CPUs, and a promise above that is one that the
 * scheduler does not know of. Warns, with the weight that would do.
 */

#include <inttypes.h>

/* As the kernel counts it: an idle group has a weight of 3 of 1024, less than a hundredth of the default's. */
static uint64_t weight_of(const struct cpg_policy *p)
{
	if (p->share == CPG_BY_IDLE)
		return 1;
	return p->share == CPG_BY_NICE ? cpg_weight_of_nice(p->nice) : p->weight;
}

uint64_t cpg_weight_for(uint64_t reserve_milli, uint64_t cpus_milli, uint64_t others)
{
	if (reserve_milli >= cpus_milli)
		return others ? UINT64_MAX : 1;

	uint64_t rest = cpus_milli - reserve_milli;

	return (reserve_milli * others + rest - 1) / rest;
}

static void warn(const struct cpg_plan *p, const char *name, const struct cpg_policy *pol, uint64_t sum,
		 uint64_t cpus_milli)
{
	uint64_t own = weight_of(pol);
	uint64_t need = cpg_weight_for(pol->reserve_milli, cpus_milli, sum - own);
	uint64_t share = cpus_milli * own / sum;

	if (own >= need)
		return;
	log_warn(p->cpg->log, "CPU group \"%s\": when all its neighbours are busy its weight of %" PRIu64 " of %" PRIu64
		 " gives %" PRIu64 ".%03" PRIu64 " CPUs, less than the %" PRIu64 ".%03" PRIu64 " it reserves: %s %" PRIu64,
		 name, own, sum, share / 1000, share % 1000, pol->reserve_milli / 1000, pol->reserve_milli % 1000,
		 need <= 10000 ? "give it a weight of" : "lower theirs, it would take a weight of", need);
}

void cpg_check_shares(const struct cpg_plan *p)
{
	const struct cpg_tree *t = p->tree;
	struct cpg_mask cpus = t->v[p->parent].all;
	bool has_reserve = p->policy->reserve_milli;
	uint64_t sum = p->policy->exclusive == CPG_SHARED ? weight_of(p->policy) : 0;

	if (p->policy->exclusive != CPG_SHARED)
		cpg_mask_minus(&cpus, &p->cpus);
	for (size_t i = 1; i < t->n; i++) {
		const struct cpg_policy *pol = &t->v[i].attr.policy;

		if (t->v[i].parent != p->parent || (int)i == p->self)
			continue;
		if (pol->exclusive != CPG_SHARED) {
			cpg_mask_minus(&cpus, &t->v[i].cpus);
			continue;
		}
		sum += weight_of(pol);
		has_reserve |= pol->reserve_milli != 0;
	}
	if (!has_reserve)
		return;

	uint64_t milli = (uint64_t)cpg_mask_count(&cpus) * 1000;

	if (p->policy->reserve_milli && p->policy->exclusive == CPG_SHARED)
		warn(p, p->name, p->policy, sum, milli);
	for (size_t i = 1; i < t->n; i++) {
		const struct cpg_policy *pol = &t->v[i].attr.policy;

		if (t->v[i].parent == p->parent && (int)i != p->self && pol->reserve_milli && pol->exclusive == CPG_SHARED)
			warn(p, t->v[i].name, pol, sum, milli);
	}
}
