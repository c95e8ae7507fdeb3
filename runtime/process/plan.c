/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a process may do, worked out before anything is done: what was asked for,
 * reduced to what can be granted. Each reduction is warned about and only ever
 * takes privilege away (config.md, Linux process, capabilities).
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <string.h>

#include "spec/base/parse.h"

/* Keeps of *set what is in `within`; says which names went and why. */
static void reduce(uint64_t *set, uint64_t within, const char *name, const char *why,
		   const struct log *log)
{
	uint64_t lost = *set & ~within;
	char names[512];

	if (!lost)
		return;
	log_warn(log, "%s capabilities left out because %s: %s", name, why,
		 proc_cap_names(lost, names, sizeof(names)));
	*set &= within;
}

/*
 * What the child will be able to grant. In a user namespace it has everything. Else
 * it has what we have. As root our permitted set came from our bounding set at our
 * own exec (capabilities(7)), so one look at the former answers for both; only
 * when it falls short is the bounding set asked bit by bit.
 */
static void read_grantable(const struct proc_options *opt, uint64_t bounding,
			   uint64_t *ret_bounding, uint64_t *ret_permitted)
{
	*ret_bounding = *ret_permitted = UINT64_MAX;
	if (opt->in_user_namespace)
		return;
	*ret_permitted = proc_permitted_caps();
	if (bounding & ~*ret_permitted)
		*ret_bounding = proc_bounding_caps(bounding);
}

static void plan_caps(const struct spec_capabilities *caps, const struct proc_options *opt,
		      struct proc_plan *plan)
{
	const char *caller = "the caller does not have them";
	uint64_t bounding, permitted;

	plan->has_caps = true;
	plan->bounding = caps->set[SPEC_CAP_BOUNDING];
	plan->effective = caps->set[SPEC_CAP_EFFECTIVE];
	plan->permitted = caps->set[SPEC_CAP_PERMITTED];
	plan->inheritable = caps->set[SPEC_CAP_INHERITABLE];
	plan->ambient = caps->set[SPEC_CAP_AMBIENT];

	read_grantable(opt, plan->bounding, &bounding, &permitted);
	reduce(&plan->bounding, bounding, "bounding", caller, opt->log);
	reduce(&plan->permitted, permitted, "permitted", caller, opt->log);
	/* capset(2): E within P; new I within the bounding set. prctl(2): ambient within P and I. */
	reduce(&plan->effective, plan->permitted, "effective", "they are not permitted", opt->log);
	reduce(&plan->inheritable, plan->bounding, "inheritable",
	       "they are not in the bounding set", opt->log);
	reduce(&plan->ambient, plan->permitted & plan->inheritable, "ambient",
	       "they are not both permitted and inheritable", opt->log);
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
	if (spec->capabilities)
		plan_caps(spec->capabilities, opt, &plan);

	int r = check_lists(&plan, err);

	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}
