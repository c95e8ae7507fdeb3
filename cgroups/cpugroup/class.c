/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Names for shares of contended CPUs. "realtime" is the kernel's largest weight
 * and no real-time scheduling class: it wins a contest without locking anybody out.
 */

#include <string.h>

#include "spec/base/auto.h"

static const struct {
	const char *name;
	enum cpg_share share;
	uint64_t weight;
} classes[] = {
	{ "realtime", CPG_BY_WEIGHT, 10000 }, { "high", CPG_BY_WEIGHT, 800 }, { "normal", CPG_BY_WEIGHT, 100 },
	{ "low", CPG_BY_WEIGHT, 20 },	      { "idle", CPG_BY_IDLE, 100 },
};

int cpg_class_parse(const char *text, struct cpg_policy *p, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (strcmp(text, classes[i].name) != 0)
			continue;
		p->share = classes[i].share;
		p->weight = classes[i].weight;
		p->nice = 0;
		p->set |= CPG_SET_SHARE;
		return 0;
	}
	return error_rule(err, EINVAL, "\"%.64s\" is no priority class: realtime (weight 10000), high (800), normal "
			  "(100), low (20) and idle are", text);
}

/* The weight a nice value stands for: sched_prio_to_weight[] of kernel/sched/core.c, each step a factor of 1.25. */
uint64_t cpg_weight_of_nice(int nice)
{
	static const uint32_t prio_to_weight[40] = {
		88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
		9548,  7620,  6100,  4904,  3906,  3121,  2501,	 1991,	1586,  1277,
		1024,  820,   655,   526,   423,   335,	  272,	 215,	172,   137,
		110,   87,    70,    56,    45,	   36,	  29,	 23,	18,    15,
	};
	uint64_t w = ((uint64_t)prio_to_weight[nice + 20] * 100 + 512) / 1024;

	return w < 1 ? 1 : w > 10000 ? 10000 : w;
}
