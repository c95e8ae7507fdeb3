/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * What a group is asked to be, checked without a host: each member against the
 * kernel's range, and members against each other.
 */

#include <inttypes.h>
#include <string.h>

#define MAX_RESERVE    ((uint64_t)CPG_MAX_CPUS * 1000)
#define MAX_OVERCOMMIT 1000000 /* a thousand times */

void cpg_policy_default(struct cpg_policy *ret)
{
	*ret = (struct cpg_policy){
		.cpus = "",
		.mems = "",
		.cap = { .form = CPG_CAP_MAX, .period_us = 100000 },
		.share = CPG_BY_WEIGHT,
		.weight = 100,
		.uclamp_max = 10000,
		.overcommit_milli = 1000,
		.over_parent = CPG_REFUSE,
		.realtime = CPG_WARN,
		.memory_max = -1,
		.pids_max = -1,
	};
}

static int check_list(const char *what, const char *list, struct error *err)
{
	struct cpg_mask m;
	int r = cpg_mask_parse(list, &m);

	if (r == -ERANGE)
		return error_rule(err, ERANGE, "%s \"%.128s\" has a number above %d", what, list, CPG_MAX_CPUS - 1);
	if (r < 0)
		return error_rule(err, EINVAL, "%s \"%.128s\" is no list such as 0-3,7", what, list);
	if (*list && cpg_mask_empty(&m))
		return error_rule(err, EINVAL, "%s \"%.128s\" is a list without a number", what, list);
	return 0;
}

static int check_share(const struct cpg_policy *p, struct error *err)
{
	if (p->share == CPG_BY_NICE && (p->nice < -20 || p->nice > 19))
		return error_rule(err, ERANGE, "nice %d is outside of -20 … 19", p->nice);
	/* 0 asks for the remembered one; see cpg_policy_merge(). */
	if (p->share != CPG_BY_NICE && p->weight > 10000)
		return error_rule(err, ERANGE, "weight %" PRIu64 " is outside of 1 … 10000", p->weight);
	return 0;
}

/* What the numbers of the cap say without knowing the group's CPUs. */
static int check_cap(const struct cpg_policy *p, struct error *err)
{
	uint64_t quota;
	uint64_t period;
	int r = cpg_cap_resolve(&p->cap, CPG_MAX_CPUS, &quota, &period, err);

	if (r < 0)
		return r;
	if ((p->set & CPG_SET_BURST) && p->burst_us > quota)
		return error_rule(err, ERANGE, "burst %" PRIu64 " us is above the quota of %" PRIu64 " us: 0 … quota is "
				  "possible", p->burst_us, quota);
	if (p->cap.form != CPG_CAP_PERCENT && quota != UINT64_MAX && p->reserve_milli > quota * 1000 / period)
		return error_rule(err, EDQUOT, "a reservation of %" PRIu64 ".%03" PRIu64 " CPUs cannot be kept under a cap "
				  "of %" PRIu64 ".%03" PRIu64 " CPUs", p->reserve_milli / 1000, p->reserve_milli % 1000,
				  quota / period, quota * 1000 / period % 1000);
	return 0;
}

static int check_clamps(const struct cpg_policy *p, struct error *err)
{
	if (p->uclamp_min > 10000)
		return error_rule(err, ERANGE, "uclamp minimum is outside of 0 … 100 %%");
	if (p->uclamp_max > 10000)
		return error_rule(err, ERANGE, "uclamp maximum is outside of 0 … 100 %%");
	if ((p->set & CPG_SET_UCLAMP_MIN) && (p->set & CPG_SET_UCLAMP_MAX) && p->uclamp_min > p->uclamp_max)
		return error_rule(err, EINVAL, "uclamp minimum of %u.%02u %% is above the maximum of %u.%02u %%",
				  p->uclamp_min / 100, p->uclamp_min % 100, p->uclamp_max / 100, p->uclamp_max % 100);
	return 0;
}

static int check_exclusive(const struct cpg_policy *p, struct error *err)
{
	static const char *const word[] = { "none", "root", "isolated" };

	if (p->exclusive != CPG_SHARED && !*p->cpus)
		return error_rule(err, EINVAL, "exclusive %s needs a list of CPUs of the group's own (cpus)",
				  word[p->exclusive]);
	if (p->mems && strcmp(p->mems, "auto") == 0 && !*p->cpus)
		return error_rule(err, EINVAL, "mems auto needs a list of CPUs of the group's own (cpus)");
	if (p->whole_cores && !*p->cpus)
		return error_rule(err, EINVAL, "whole cores need a list of CPUs of the group's own (cpus)");
	return 0;
}

int cpg_policy_check(const struct cpg_policy *p, struct error *err)
{
	int r = check_list("cpus", p->cpus, err);

	if (r == 0 && strcmp(p->mems, "auto") != 0)
		r = check_list("mems", p->mems, err);
	if (r == 0)
		r = check_exclusive(p, err);
	if (r == 0)
		r = check_cap(p, err);
	if (r == 0)
		r = check_share(p, err);
	if (r == 0)
		r = check_clamps(p, err);
	if (r < 0)
		return r;
	if (p->reserve_milli > MAX_RESERVE)
		return error_rule(err, ERANGE, "a reservation is at most %d CPUs", CPG_MAX_CPUS);
	if (p->overcommit_milli < 1000 || p->overcommit_milli > MAX_OVERCOMMIT)
		return error_rule(err, ERANGE, "an overcommit factor is 1 … %d", MAX_OVERCOMMIT / 1000);
	if (p->pressure_limit > 10000)
		return error_rule(err, ERANGE, "a pressure limit is outside of 0 … 100 %%");
	if (p->memory_max < -1 || p->pids_max < -1)
		return error_rule(err, ERANGE, "%s is negative", p->memory_max < -1 ? "memory" : "pids");
	return 0;
}

static void merge_share(struct cpg_policy *base, const struct cpg_policy *over)
{
	if (over->share == CPG_BY_NICE) {
		base->nice = over->nice;
	} else if (over->share == CPG_BY_WEIGHT && over->weight) {
		base->weight = over->weight;
	} else if (over->share == CPG_BY_IDLE && base->share == CPG_BY_NICE) {
		/* What idle false will go back to. */
		base->weight = cpg_weight_of_nice(base->nice);
	}
	base->share = over->share;
}

void cpg_policy_merge(struct cpg_policy *base, const struct cpg_policy *over)
{
	unsigned set = over->set;

	if (set & CPG_SET_CPUS)
		base->cpus = over->cpus;
	if (set & CPG_SET_MEMS)
		base->mems = over->mems;
	if (set & CPG_SET_CAP)
		base->cap = over->cap;
	if (set & CPG_SET_BURST)
		base->burst_us = over->burst_us;
	if (set & CPG_SET_SHARE)
		merge_share(base, over);
	if (set & CPG_SET_EXCLUSIVE)
		base->exclusive = over->exclusive;
	if (set & CPG_SET_UCLAMP_MIN)
		base->uclamp_min = over->uclamp_min;
	if (set & CPG_SET_UCLAMP_MAX)
		base->uclamp_max = over->uclamp_max;
	if (set & CPG_SET_RESERVE)
		base->reserve_milli = over->reserve_milli;
	if (set & CPG_SET_OVERCOMMIT)
		base->overcommit_milli = over->overcommit_milli;
	if (set & CPG_SET_OVER_PARENT)
		base->over_parent = over->over_parent;
	if (set & CPG_SET_REALTIME)
		base->realtime = over->realtime;
	if (set & CPG_SET_WHOLE_CORES)
		base->whole_cores = over->whole_cores;
	if (set & CPG_SET_PRESSURE)
		base->pressure_limit = over->pressure_limit;
	if (set & CPG_SET_MEMORY)
		base->memory_max = over->memory_max;
	if (set & CPG_SET_PIDS)
		base->pids_max = over->pids_max;
	base->set |= set;
}
