/* SPDX-License-Identifier: Apache-2.0 */
/* Is there anybody in a container who may trace what enters it, and what can be done about it? */
#include "runtime/launch/launch.h"

#include <linux/capability.h>

#include "spec/base/auto.h"

bool launch_may_be_traced(const struct spec *spec)
{
	const struct spec_namespace *ns = spec->linux_.ns;
	const struct spec_capabilities *caps = spec->process.capabilities;
	uint64_t any = 0;

	/* In the host's pid namespace there is no moment before which it could not be seen. */
	if (ns[SPEC_NS_USER].listed || !ns[SPEC_NS_PID].listed)
		return false;
	if (ns[SPEC_NS_PID].path || !caps) /* what the others there hold is not known */
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(caps->set); i++)
		any |= caps->set[i];
	return any & 1ULL << CAP_SYS_PTRACE;
}

bool launch_can_clone_late(const struct proc_plan *plan)
{
	const struct spec_process *spec = plan->spec;
	bool early_filter = plan->seccomp.insns && !plan->has_caps && !spec->no_new_privileges;

	return !early_filter && !spec->scheduler && !spec->apparmor_profile && !spec->selinux_label;
}
