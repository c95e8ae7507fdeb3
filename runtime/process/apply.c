/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The order in which a process becomes what its plan says. Runs in the child, in
 * the container's root and namespaces, as (container) root.
 *
 *	keyring, scheduler, io priority,   need privilege or none, never affected
 *	memory policy, personality, umask  by the filter
 *	bounding set                       needs CAP_SETPCAP
 *	groups, gid, uid                   need CAP_SETGID, CAP_SETUID
 *	own rlimits                        after the uid: a process that changes to a
 *	                                   user over its RLIMIT_NPROC may not exec
 *	E, P, I, then ambient              ambient needs P and I
 *	the caller's own look              as the program, before the filter
 *	no_new_privs
 *	filter                             needs no_new_privs, or CAP_SYS_ADMIN
 *	drop CAP_SYS_ADMIN                 only where it was kept for the filter
 *
 * So the filter sees at most one call that the program did not ask for (capset),
 * and none with no_new_privs.
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define ADMIN PROC_CAP_BIT(CAP_SYS_ADMIN)

static int apply_attributes(const struct proc_plan *plan, struct error *err)
{
	const struct spec_process *spec = plan->spec;
	int r = 0;

	if (plan->keyring)
		r = proc_set_keyring(plan, err);
	if (r >= 0 && spec->scheduler)
		r = proc_set_scheduler(spec->scheduler, err);
	if (r >= 0 && spec->io_priority)
		r = proc_set_io_priority(spec->io_priority, err);
	if (r >= 0 && plan->memory_policy)
		r = proc_set_memory_policy(plan->memory_policy, err);
	if (r >= 0 && plan->has_personality)
		r = proc_set_personality(plan->personality, err);
	umask(spec->user.has_umask ? spec->user.umask : 0022);
	return r;
}

static int set_no_new_privs(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "set no_new_privs");
	return 0;
}

static void hint_at_privilege(struct error *err)
{
	error_hint(err,
		   "a filter without noNewPrivileges needs CAP_SYS_ADMIN in the user namespace");
}

static int load_filter(const struct proc_plan *plan, int notify_sock, struct error *err)
{
	int r = proc_load_seccomp(&plan->seccomp, notify_sock, err);

	if (r == -EACCES && !plan->spec->no_new_privileges)
		hint_at_privilege(err);
	return r;
}

static int call_ready(const struct proc_ready *ready, struct error *err)
{
	return ready ? ready->call(ready->data, err) : 0;
}

/* Capabilities absent from the config: ids and filter, and no set is touched. */
static int become_without_caps(const struct proc_plan *plan, int notify_sock,
			       const struct proc_ready *ready, struct error *err)
{
	bool early = plan->seccomp.insns && !plan->spec->no_new_privileges;
	int r = 0;

	/* Leaving uid 0 takes CAP_SYS_ADMIN along, and a load without it is refused later. */
	if (early)
		r = load_filter(plan, notify_sock, err);
	if (r >= 0)
		r = proc_set_ids(plan, PROC_DROP_CAPS, err);
	if (r >= 0)
		r = call_ready(ready, err);
	if (r >= 0)
		r = proc_set_own_limits(plan, err);
	if (r >= 0 && plan->spec->no_new_privileges)
		r = set_no_new_privs(err);
	if (r >= 0 && plan->seccomp.insns && !early)
		r = load_filter(plan, notify_sock, err);
	return r;
}

static int become(const struct proc_plan *plan, int notify_sock, const struct proc_ready *ready,
		  struct error *err)
{
	uint64_t admin = plan->seccomp.insns && !plan->spec->no_new_privileges
				 ? ADMIN & ~plan->effective
				 : 0;
	uint64_t permitted = plan->permitted | admin;
	/* A new inheritable set is checked against the permitted one, so that has to last as well. */
	enum proc_keep_caps keep = plan->spec->user.uid != 0 && (permitted | plan->inheritable)
					   ? PROC_KEEP_CAPS
					   : PROC_DROP_CAPS;
	int r = proc_drop_bounding(plan->bounding, plan->n_caps, err);

	if (r >= 0)
		r = proc_set_ids(plan, keep, err);
	if (r >= 0)
		r = proc_set_own_limits(plan, err);
	if (r >= 0)
		r = proc_set_caps(plan->effective | admin, permitted, plan->inheritable, err);
	if (r == -EPERM && admin)
		hint_at_privilege(err);
	if (r < 0)
		return r;
	/*
	 * The kernel keeps ambient within permitted and inheritable, so where these
	 * do not meet it is empty by now and needs no clearing (CVE-2022-24769 and kin).
	 */
	if (plan->permitted & plan->inheritable) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
			return error_set(err, errno, "clear the ambient capabilities");
		proc_raise_ambient(plan->ambient);
	}
	r = call_ready(ready, err);
	if (r >= 0 && plan->spec->no_new_privileges)
		r = set_no_new_privs(err);
	if (r >= 0 && plan->seccomp.insns)
		r = load_filter(plan, notify_sock, err);
	if (r >= 0 && admin) {
		r = proc_set_caps(plan->effective, plan->permitted, plan->inheritable, err);
		if (r < 0)
			error_hint(err, "the seccomp profile must allow capset, or noNewPrivileges "
					"be true");
	}
	return r;
}

int proc_apply(const struct proc_plan *plan, int notify_sock, const struct proc_ready *ready,
	       struct error *err)
{
	int r = apply_attributes(plan, err);

	if (r >= 0)
		r = plan->has_caps ? become(plan, notify_sock, ready, err)
				   : become_without_caps(plan, notify_sock, ready, err);
	return r < 0 ? error_wrap(err, r, "cannot set up what the process may do") : 0;
}
