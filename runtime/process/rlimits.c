/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is set on the process from outside: resource limits and oom_score_adj.
 *
 * From outside, because a hard limit can be raised with the host's CAP_SYS_RESOURCE
 * only, and because a limit on memory or descriptors would otherwise hit
 * our own steps before it hits the program. Without that capability prlimit(2) refuses
 * processes of other ids altogether, so then the child does what it may for itself.
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/file.h"

/* Of the kernel: 64 bits on every architecture and with every libc. */
struct limit64 {
	uint64_t soft, hard;
};

/* pid 0 is the caller. */
static int set_limits(const struct spec_process *spec, pid_t pid, struct error *err)
{
	for (size_t i = 0; i < spec->n_rlimits; i++) {
		const struct spec_rlimit *limit = &spec->rlimits[i];
		struct limit64 value = { limit->soft, limit->hard };

		if (syscall(SYS_prlimit64, pid, limit->resource, &value, NULL) == 0)
			continue;

		int r = error_set(err, errno, "set %s to soft %llu, hard %llu", limit->name,
				  (unsigned long long)limit->soft, (unsigned long long)limit->hard);

		if (r == -EPERM)
			error_hint(err, "raising a hard limit needs CAP_SYS_RESOURCE on the host");
		error_at(err, "/process/rlimits/%zu", i);
		return r;
	}
	return 0;
}

int proc_set_own_limits(const struct proc_plan *plan, struct error *err)
{
	return plan->limits_inside ? set_limits(plan->spec, 0, err) : 0;
}

static int set_oom_score(const struct proc_plan *plan, pid_t pid, struct error *err)
{
	char path[48], text[16];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%d", plan->spec->oom_score_adj);

	int r = file_write_at(AT_FDCWD, path, text, err);

	/*
	 * Lowering is a host privilege (fs/proc/base.c, __set_oom_adj). Who runs
	 * containers without it cannot have it and gets the value of its own session.
	 */
	if ((r == -EACCES || r == -EPERM) && plan->in_user_namespace) {
		if (err)
			*err = ERROR_INIT;
		return 0;
	}
	if (r < 0)
		error_at(err, "/process/oomScoreAdj");
	return r;
}

int proc_apply_outside(const struct proc_plan *plan, pid_t pid, struct error *err)
{
	int r = plan->limits_inside ? 0 : set_limits(plan->spec, pid, err);

	if (r == 0 && plan->spec->has_oom_score_adj)
		r = set_oom_score(plan, pid, err);
	return r;
}
