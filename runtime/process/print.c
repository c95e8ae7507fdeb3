/* SPDX-License-Identifier: Apache-2.0 */

/* A plan for the reader of --debug: one line per step, in the order of the steps. */
#include "runtime/process/steps.h"

static void print_caps(struct buf *out, const char *name, uint64_t set)
{
	char names[1024];

	buf_printf(out, "%s %#llx%s%s\n", name, (unsigned long long)set, set ? " " : "",
		   proc_cap_names(set, names, sizeof(names)));
}

static void print_outside(const struct proc_plan *plan, struct buf *out)
{
	const struct spec_process *spec = plan->spec;
	const struct spec_exec_affinity *affinity = plan->is_exec ? spec->exec_affinity : NULL;

	if (affinity && affinity->initial)
		buf_printf(out, "affinity before the cgroup is joined: %s\n", affinity->initial);
	if (affinity && affinity->final)
		buf_printf(out, "affinity in the cgroup: %s\n", affinity->final);
	for (size_t i = 0; i < spec->n_rlimits; i++)
		buf_printf(out, "%s soft %llu hard %llu\n", spec->rlimits[i].name,
			   (unsigned long long)spec->rlimits[i].soft,
			   (unsigned long long)spec->rlimits[i].hard);
	if (spec->has_oom_score_adj)
		buf_printf(out, "oom_score_adj %d\n", spec->oom_score_adj);
}

static void print_attributes(const struct proc_plan *plan, struct buf *out)
{
	const struct spec_process *spec = plan->spec;

	if (plan->keyring)
		buf_printf(out, "session keyring %s\n", plan->keyring);
	if (spec->scheduler)
		buf_printf(out, "scheduler policy %u nice %d priority %d flags %#llx\n",
			   spec->scheduler->policy, spec->scheduler->nice,
			   spec->scheduler->priority, (unsigned long long)spec->scheduler->flags);
	if (spec->io_priority)
		buf_printf(out, "I/O priority class %d level %d\n", spec->io_priority->ioprio_class,
			   spec->io_priority->priority);
	if (plan->memory_policy)
		buf_printf(out, "memory policy %d flags %#x nodes \"%s\"\n",
			   plan->memory_policy->mode, plan->memory_policy->mode_flags,
			   plan->memory_policy->nodes ? plan->memory_policy->nodes : "");
	if (plan->has_personality)
		buf_printf(out, "personality %#lx\n", plan->personality);
	buf_printf(out, "umask %04o\n", spec->user.has_umask ? spec->user.umask : 0022);
}

void proc_plan_print(const struct proc_plan *plan, struct buf *out)
{
	const struct spec_user *user = &plan->spec->user;

	print_outside(plan, out);
	print_attributes(plan, out);
	if (plan->has_caps)
		print_caps(out, "bounding", plan->bounding);
	else
		buf_puts(out, "capabilities as they are\n");
	buf_printf(out, "uid %u gid %u groups", user->uid, user->gid);
	for (size_t i = 0; i < user->n_additional_gids; i++)
		buf_printf(out, " %u", user->additional_gids[i]);
	buf_putc(out, '\n');
	if (plan->has_caps) {
		print_caps(out, "effective", plan->effective);
		print_caps(out, "permitted", plan->permitted);
		print_caps(out, "inheritable", plan->inheritable);
		print_caps(out, "ambient", plan->ambient);
	}
	if (plan->spec->no_new_privileges)
		buf_puts(out, "no_new_privs\n");
	if (plan->seccomp.insns)
		buf_printf(out, "seccomp filter, %u instructions, flags %#x%s\n",
			   plan->seccomp.n_insns, plan->seccomp.flags,
			   plan->seccomp.notifies ? ", with a listener" : "");
}
