/* SPDX-License-Identifier: Apache-2.0 */

/* CPU scheduling class and I/O priority of the calling thread, and its personality. */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr of the kernel, up to the clamps of Linux 5.3; not every libc has it. */
struct sched_attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
_Static_assert(sizeof(struct sched_attributes) == 56, "the size that sched_setattr knows");

#define POLICY_DEADLINE 6

int proc_set_scheduler(const struct spec_scheduler *s, struct error *err)
{
	struct sched_attributes attr = {
		.size = sizeof(attr),
		.policy = s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = (uint32_t)s->priority,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0) == 0)
		return 0;

	int r = error_set(
		err, errno,
		"set scheduler policy %u (nice %d, priority %d, runtime %llu, deadline %llu, "
		"period %llu)",
		s->policy, s->nice, s->priority, (unsigned long long)s->runtime,
		(unsigned long long)s->deadline, (unsigned long long)s->period);

	/* sched(7): a deadline task must be able to run on every CPU of its root domain. */
	if (r == -EPERM && s->policy == POLICY_DEADLINE)
		error_hint(err, "SCHED_DEADLINE needs CAP_SYS_NICE and an affinity and cpuset that "
				"span all CPUs");
	error_at(err, "/process/scheduler");
	return r;
}

int proc_set_io_priority(const struct spec_io_priority *p, struct error *err)
{
	int value = p->ioprio_class << IOPRIO_CLASS_SHIFT | p->priority;

	/*
	 * The thread, not the process group: it is the only thread and children
	 * inherit, while the group may still be that of whoever called us.
	 */
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) == 0)
		return 0;
	/* A kernel without block devices (CONFIG_BLOCK), a small one of a guest, has nothing to put in an order. */
	if (errno == ENOSYS)
		return 0;

	int r = error_set(err, errno, "set I/O priority class %d level %d", p->ioprio_class,
			  p->priority);

	error_at(err, "/process/ioPriority");
	return r;
}

int proc_set_personality(unsigned long persona, struct error *err)
{
	if (personality(persona) >= 0)
		return 0;

	int r = error_set(err, errno, "set personality %#lx", persona);

	error_at(err, "/linux/personality");
	return r;
}
