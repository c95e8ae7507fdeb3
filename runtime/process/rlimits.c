/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is set on the process from outside: resource limits and oom_score_adj.
 *
 * From outside, because a hard limit can be raised with the host's CAP_SYS_RESOURCE
 * only, and because a limit on memory or descriptors would otherwise hit
 * our own steps before it hits the program.
 */
#include "runtime/process/process.h"

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

static int set_limit(pid_t pid, const struct spec_rlimit *limit, size_t i, struct error *err)
{
	struct limit64 value = { limit->soft, limit->hard };

	if (syscall(SYS_prlimit64, pid, limit->resource, &value, NULL) == 0)
		return 0;

	int r = error_set(err, errno, "set %s of process %d to soft %llu, hard %llu", limit->name,
			  pid, (unsigned long long)limit->soft, (unsigned long long)limit->hard);

	if (r == -EPERM)
		error_hint(err, "raising a hard limit needs CAP_SYS_RESOURCE on the host");
	error_at(err, "/process/rlimits/%zu", i);
	return r;
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
	for (size_t i = 0; i < plan->spec->n_rlimits; i++) {
		int r = set_limit(pid, &plan->spec->rlimits[i], i, err);

		if (r < 0)
			return r;
	}
	return plan->spec->has_oom_score_adj ? set_oom_score(plan, pid, err) : 0;
}
