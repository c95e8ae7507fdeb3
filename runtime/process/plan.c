/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a process may do, worked out before anything is done: what was asked for,
 * reduced to what can be granted. Each reduction is warned about and only ever
 * takes privilege away (config.md, Linux process, capabilities).
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "spec/base/parse.h"

static void warn_lost(uint64_t lost, const char *which, const char *why, const struct log *log)
{
	char names[1024];

	if (lost)
		log_warn(log, "%s left out because %s: %s", which, why,
			 proc_cap_names(lost, names, sizeof(names)));
}

/* Keeps of *set what is in `within`; says which names went and why. */
static void reduce(uint64_t *set, uint64_t within, const char *which, const char *why,
		   const struct log *log)
{
	warn_lost(*set & ~within, which, why, log);
	*set &= within;
}

/*
 * What the child will be able to grant: in a user namespace everything, else what we
 * have. As root our permitted set came from our bounding set at our own exec
 * (capabilities(7)), so one look at the former answers for both; only where it falls
 * short is the bounding set asked bit by bit.
 */
static uint64_t grantable_bounding(uint64_t bounding, uint64_t permitted)
{
	return bounding & ~permitted ? proc_bounding_caps(bounding) : UINT64_MAX;
}

/*
 * Who has a capability that this source does not know of shows that the kernel has more. Who lacks it may have it
 * in the bounding set all the same, which proc_verify() would tell.
 */
static unsigned count_caps(uint64_t permitted)
{
	return 64 - (unsigned)__builtin_clzll(permitted | PROC_CAP_BIT(SPEC_CAP_LAST));
}

static void plan_caps(const struct spec_capabilities *caps, uint64_t permitted,
		      const struct log *log, struct proc_plan *plan)
{
	const uint64_t *set = caps->set;
	uint64_t bounding = grantable_bounding(set[SPEC_CAP_BOUNDING], permitted);

	warn_lost(((set[SPEC_CAP_BOUNDING] | set[SPEC_CAP_INHERITABLE]) & ~bounding) |
			  ((set[SPEC_CAP_EFFECTIVE] | set[SPEC_CAP_PERMITTED]) & ~permitted),
		  "capabilities", "the caller does not have them", log);
	plan->has_caps = true;
	plan->bounding = set[SPEC_CAP_BOUNDING] & bounding;
	plan->effective = set[SPEC_CAP_EFFECTIVE] & permitted;
	plan->permitted = set[SPEC_CAP_PERMITTED] & permitted;
	plan->inheritable = set[SPEC_CAP_INHERITABLE] & bounding;
	plan->ambient = set[SPEC_CAP_AMBIENT] & permitted;

	/* capset(2): E within P; new I within the bounding set. prctl(2): ambient within P and I. */
	reduce(&plan->effective, plan->permitted, "effective capabilities",
	       "they are not permitted", log);
	reduce(&plan->inheritable, plan->bounding, "inheritable capabilities",
	       "they are not in the bounding set", log);
	reduce(&plan->ambient, plan->permitted & plan->inheritable, "ambient capabilities",
	       "they are not both permitted and inheritable", log);
}

/* Found here rather than in the child: the lists are only parsed when they are applied. */
static int check_lists(const struct proc_plan *plan, struct error *err)
{
	const struct spec_memory_policy *policy = plan->memory_policy;
	const struct spec_exec_affinity *affinity =
		plan->is_exec ? plan->spec->exec_affinity : NULL;
	uint64_t mask[128];
	int r;

	if (policy && policy->nodes && (r = parse_cpulist(policy->nodes, mask, 16)) < 0) {
		error_rule(err, -r, "\"%s\" is not a list of memory nodes", policy->nodes);
		error_at(err, "/linux/memoryPolicy/nodes");
		return r;
	}
	for (int i = 0; affinity && i < 2; i++) {
		const char *list = i ? affinity->final : affinity->initial;

		if (!list || (r = parse_cpulist(list, mask, 128)) >= 0)
			continue;
		error_rule(err, -r, "\"%s\" is not a list of CPUs", list);
		error_at(err, "/process/execCPUAffinity/%s", i ? "final" : "initial");
		return r;
	}
	return 0;
}

int proc_plan_make(const struct spec_process *spec, const struct proc_options *opt, struct arena *a,
		   struct proc_plan *ret, struct error *err)
{
	struct proc_plan plan = {
		.spec = spec,
		.in_user_namespace = opt->in_user_namespace,
		.is_exec = opt->is_exec,
		.keyring = opt->keyring ? arena_strdup(a, opt->keyring) : NULL,
	};

	if (opt->linux_) {
		plan.memory_policy = opt->linux_->memory_policy;
		plan.has_personality = opt->linux_->has_personality;
		plan.personality = opt->linux_->personality;
	}
	if (opt->seccomp)
		plan.seccomp = *opt->seccomp;

	uint64_t permitted = UINT64_MAX;

	if (!opt->in_user_namespace && (spec->capabilities || spec->n_rlimits > 0)) {
		permitted = proc_permitted_caps();
		plan.n_caps = count_caps(permitted);
		plan.limits_inside = !(permitted & PROC_CAP_BIT(CAP_SYS_RESOURCE));
	}
	if (spec->capabilities)
		plan_caps(spec->capabilities, permitted, opt->log, &plan);

	int r = check_lists(&plan, err);

	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}
