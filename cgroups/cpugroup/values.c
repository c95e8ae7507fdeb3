/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * A policy as the texts of kernel files, and when a file counts as holding one.
 * Pure: drift is looked for and changes are written from the same table.
 */

#include <inttypes.h>
#include <string.h>

static const char *number(struct arena *a, int64_t v)
{
	return v < 0 ? "max" : arena_printf(a, "%" PRId64, v);
}

static const char *clamp(struct arena *a, uint32_t v)
{
	return v >= 10000 ? "max" : arena_printf(a, "%u.%02u", v / 100, v % 100);
}

static size_t share(const struct cpg_policy *p, struct arena *a, struct cpg_value *v)
{
	static const struct cpg_value proto = { .member = "weight", .controller = CG_CPU, .set = CPG_SET_SHARE };
	size_t n = 0;

	/* idle comes first: going back to 0 resets the weight, and while it is 1 there is none. */
	v[n] = proto;
	v[n].file = "cpu.idle";
	v[n].value = p->share == CPG_BY_IDLE ? "1" : "0";
	v[n].member = "idle";
	v[n++].is_default = p->share != CPG_BY_IDLE;
	if (p->share == CPG_BY_WEIGHT) {
		v[n] = proto;
		v[n].file = "cpu.weight";
		v[n].value = arena_printf(a, "%" PRIu64, p->weight);
		v[n++].is_default = p->weight == 100;
	} else if (p->share == CPG_BY_NICE) {
		v[n] = proto;
		v[n].file = "cpu.weight.nice";
		v[n].value = arena_printf(a, "%d", p->nice);
		v[n].member = "nice";
		v[n++].is_default = p->nice == 0;
	}
	return n;
}

size_t cpg_values(const struct cpg_policy *p, const char *mems, uint64_t quota_us, uint64_t period_us,
		  struct arena *a, struct cpg_value ret[CPG_VALUES_MAX])
{
	static const char *const partition[] = { "member", "root", "isolated" };
	const char *max = quota_us == UINT64_MAX ? arena_printf(a, "max %" PRIu64, period_us) :
						   arena_printf(a, "%" PRIu64 " %" PRIu64, quota_us, period_us);
	const struct cpg_value table[] = {
		{ "memory.max", number(a, p->memory_max), "memory", CG_MEMORY, CPG_SET_MEMORY, p->memory_max < 0 },
		{ "pids.max", number(a, p->pids_max), "pids", CG_PIDS, CPG_SET_PIDS, p->pids_max < 0 },
		{ "cpuset.mems", mems, "mems", CG_CPUSET, CPG_SET_MEMS, !*mems },
		{ "cpuset.cpus", p->cpus, "cpus", CG_CPUSET, CPG_SET_CPUS, !*p->cpus },
		{ "cpuset.cpus.partition", partition[p->exclusive], "exclusive", CG_CPUSET, CPG_SET_EXCLUSIVE,
		  p->exclusive == CPG_SHARED },
		{ "cpu.max", max, "cap", CG_CPU, CPG_SET_CAP, quota_us == UINT64_MAX },
		{ "cpu.max.burst", arena_printf(a, "%" PRIu64, p->burst_us), "burst", CG_CPU, CPG_SET_BURST,
		  p->burst_us == 0 },
		{ "cpu.uclamp.min", clamp(a, p->uclamp_min), "uclampMin", CG_CPU, CPG_SET_UCLAMP_MIN,
		  p->uclamp_min == 0 },
		{ "cpu.uclamp.max", clamp(a, p->uclamp_max), "uclampMax", CG_CPU, CPG_SET_UCLAMP_MAX,
		  p->uclamp_max >= 10000 },
	};
	size_t n = sizeof(table) / sizeof(table[0]);

	memcpy(ret, table, sizeof(table));
	return n + share(p, a, ret + n);
}

static bool same_clamp(const char *wanted, const char *now)
{
	uint64_t a = 10000;
	uint64_t b = 10000;

	if (strcmp(wanted, "max") != 0 && cpg_decimal_parse(wanted, 2, 10000, &a) < 0)
		return false;
	if (strcmp(now, "max") != 0 && cpg_decimal_parse(now, 2, 10000, &b) < 0)
		return false;
	return a == b;
}

bool cpg_value_holds(const char *file, const char *wanted, const char *now)
{
	char fault[512];

	if (strncmp(file, "cpu.uclamp.", 11) == 0)
		return same_clamp(wanted, now);
	if (strcmp(file, "cpuset.cpus.partition") == 0 || strcmp(file, "cpu.weight.nice") == 0)
		return strcmp(wanted, now) == 0;
	/* Two empty lists are the same; an empty one parses as one. */
	if (strcmp(file, "cpuset.cpus.exclusive") == 0)
		file = "cpuset.cpus";
	return cg_readback_fault(file, wanted, now, fault, sizeof(fault)) == NULL;
}
