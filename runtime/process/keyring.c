/* SPDX-License-Identifier: Apache-2.0 */

/* A session keyring of the container's own, so that keys of the caller's session stay outside. */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * keyrings(7): what the kernel gives a new session keyring (possessor all, user
 * view, read and link), plus user search. Without it a container process that
 * changes its uid could no longer use its own session keyring.
 */
#define RING_PERMISSIONS 0x3f1b0000UL

int proc_set_keyring(const struct proc_plan *plan, struct error *err)
{
	const char *name = plan->keyring;
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

	if (ring < 0 && errno == ENOSYS)
		return 0;
	if (ring < 0) {
		int r = error_set(err, errno, "join session keyring %s", name);

		if (r == -EDQUOT)
			error_hint(err, "raise kernel.keys.maxkeys, or use --no-new-keyring");
		return r;
	}
	/* An exec finds the ring that init made. */
	if (!plan->is_exec && syscall(SYS_keyctl, KEYCTL_SETPERM, ring, RING_PERMISSIONS) < 0)
		return error_set(err, errno, "make session keyring %s searchable", name);
	return 0;
}
