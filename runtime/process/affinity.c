/* SPDX-License-Identifier: Apache-2.0 */

/* CPU affinity of a process that is being started (config.md, Linux process, execCPUAffinity). */
#include "runtime/process/process.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/parse.h"

/* CONFIG_NR_CPUS goes up to 8192; the kernel ignores bits beyond its own. */
#define MAX_CPUS 8192
#define WORDS (MAX_CPUS / 64)

static int set_affinity(pid_t pid, const char *list, const char *which, struct error *err)
{
	uint64_t cpus[WORDS];
	int r = parse_cpulist(list, cpus, WORDS);

	if (r < 0)
		error_rule(err, -r, "\"%s\" is not a list of CPUs", list);
	else if (syscall(SYS_sched_setaffinity, pid, sizeof(cpus), cpus) < 0)
		r = error_set(err, errno, "set affinity of process %d to CPUs %s", pid, list);
	if (r < 0)
		error_at(err, "/process/execCPUAffinity/%s", which);
	return r;
}

int proc_apply_affinity(const struct proc_plan *plan, pid_t pid, bool joined_cgroup,
			struct error *err)
{
	const struct spec_exec_affinity *a = plan->is_exec ? plan->spec->exec_affinity : NULL;

	if (!joined_cgroup)
		return a && a->initial ? set_affinity(pid, a->initial, "initial", err) : 0;
	if (a && a->final)
		return set_affinity(pid, a->final, "final", err);
	if (a && a->initial)
		return 0; /* what becomes of it is the kernel's affair, says the specification */

	/*
	 * The caller's mask is no property of the container: all CPUs, of which the
	 * cpuset leaves what it allows. Where that is forbidden nothing is lost.
	 */
	uint64_t all[WORDS];

	memset(all, 0xff, sizeof(all));
	syscall(SYS_sched_setaffinity, pid, sizeof(all), all);
	return 0;
}
