/* SPDX-License-Identifier: Apache-2.0 */

/*
 * User and group ids. The real, effective and saved id of each kind, and the whole group list.
 * By system call: the wrappers of a libc stop every thread to change all of them, and we have one.
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_groups(const struct proc_plan *plan, struct error *err)
{
	const struct spec_user *user = &plan->spec->user;

	if (syscall(SYS_setgroups, user->n_additional_gids, user->additional_gids) == 0)
		return 0;
	/*
	 * Since CVE-2014-8989 a user namespace whose map was written without privilege
	 * has `deny` in /proc/self/setgroups. Its processes cannot change their
	 * list at all: they keep groups that are no one's inside the namespace.
	 */
	if (errno == EPERM && plan->in_user_namespace)
		return 0;
	return error_set(err, errno, "set %zu supplementary groups", user->n_additional_gids);
}

/*
 * What this program was executed with, which made the saved id the effective one; it never changes them but here.
 * Not in a user namespace: there the number means another id. proc_verify() reads them back.
 */
static bool is_own(const struct proc_plan *plan, unsigned long real, unsigned long effective, uint32_t id)
{
	return !plan->in_user_namespace && getauxval(real) == id && getauxval(effective) == id;
}

int proc_set_ids(const struct proc_plan *plan, enum proc_keep_caps keep, struct error *err)
{
	uid_t uid = plan->spec->user.uid;
	gid_t gid = plan->spec->user.gid;
	int r = set_groups(plan, err);

	if (r < 0)
		return r;
	if (!is_own(plan, AT_GID, AT_EGID, gid) && syscall(SYS_setresgid, gid, gid, gid) < 0) {
		r = error_set(err, errno, "set gid %u", gid);
		if (r == -EINVAL)
			error_hint(err, "the user namespace does not map group %u", gid);
		error_at(err, "/process/user/gid");
		return r;
	}
	/* Every exec clears this bit, the stub's own is the next (capabilities(7), securebits). */
	if (keep == PROC_KEEP_CAPS && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "keep capabilities over the change to uid %u", uid);
	if (!is_own(plan, AT_UID, AT_EUID, uid) && syscall(SYS_setresuid, uid, uid, uid) < 0) {
		r = error_set(err, errno, "set uid %u", uid);
		if (r == -EINVAL)
			error_hint(err, "the user namespace does not map user %u", uid);
		error_at(err, "/process/user/uid");
		return r;
	}
	return 0;
}
