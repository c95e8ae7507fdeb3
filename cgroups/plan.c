/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/plan.h"

/*
 * linux.resources as writes to cgroup v2 files. Pure: no system call, so the
 * whole table is tested without a kernel. What v2 has no file for is warned
 * about, by one rule for all such members (README); what the kernel is known to
 * refuse is refused here, where the message can name the member.
 *
 * This file has cpu, cpuset, memory and pids; plan_devices.c has what is limited
 * per device or page size, and `unified`.
 */

#include <stdio.h>
#include <string.h>

/* cpu.max: limits that the kernel answers with a bare EINVAL (kernel/sched/core.c, tg_set_bandwidth). */
#define PERIOD_MIN     1000
#define PERIOD_MAX     1000000
#define PERIOD_DEFAULT 100000
#define QUOTA_MIN      1000

void plan_add(struct planner *p, struct cg_write w)
{
	struct cg_plan *plan = p->plan;

	if (plan->n == p->room) {
		size_t room = p->room ? p->room * 2 : 16;
		struct cg_write *v = ARENA_NEW_N(p->a, struct cg_write, room);

		if (plan->n)
			memcpy(v, plan->v, plan->n * sizeof(*v));
		plan->v = v;
		p->room = room;
	}
	plan->v[plan->n++] = w;
	if (!w.optional)
		plan->controllers |= w.controller;
}

void plan_ignored(struct planner *p, const char *member, const char *reason)
{
	log_warn(p->log, "ignoring %s: %s", member, reason);
}

/* -1 is no limit; a number is a number of bytes. */
static const char *bytes_value(struct planner *p, int64_t v)
{
	return v < 0 ? "max" : arena_printf(p->a, "%lld", (long long)v);
}

static int plan_cpuset(struct planner *p, const struct spec_cpu *cpu)
{
	/* Before cpu and memory: pages and threads settle where they are going to stay. */
	if (cpu->cpus)
		plan_add(p, (struct cg_write){ .file = "cpuset.cpus", .value = cpu->cpus,
			 .pointer = "/linux/resources/cpu/cpus", .controller = CG_CPUSET });
	if (cpu->mems)
		plan_add(p, (struct cg_write){ .file = "cpuset.mems", .value = cpu->mems,
			 .pointer = "/linux/resources/cpu/mems", .controller = CG_CPUSET });
	return 0;
}

static int plan_weight(struct planner *p, const struct spec_cpu *cpu, struct error *err)
{
	bool idle = cpu->idle.set && cpu->idle.v == 1;

	if (cpu->idle.set) {
		if (cpu->idle.v != 0 && cpu->idle.v != 1)
			return plan_refuse(err, "/linux/resources/cpu/idle", "cpu.idle is %lld: must be 0 or 1",
					   (long long)cpu->idle.v);
		/* First: going back to 0 resets the weight, and while 1 no weight can be written. */
		plan_add(p, (struct cg_write){ .file = "cpu.idle", .value = idle ? "1" : "0",
			 .pointer = "/linux/resources/cpu/idle", .controller = CG_CPU, .optional = !idle });
	}
	/* Engines send 0 for "not given". */
	if (!cpu->shares.set || cpu->shares.v == 0)
		return 0;
	if (idle) {
		if (cpu->shares.v != 1024)
			plan_ignored(p, "cpu.shares", "an idle cgroup (cpu.idle 1) has no weight");
		return 0;
	}
	/* 1024 is the default of v1 and 100 that of v2: nothing is lost where there is no controller. */
	plan_add(p, (struct cg_write){ .file = "cpu.weight",
		 .value = arena_printf(p->a, "%llu",
				       (unsigned long long)cg_weight_of_shares(cpu->shares.v)),
		 .pointer = "/linux/resources/cpu/shares", .controller = CG_CPU,
		 .optional = cpu->shares.v == 1024 });
	return 0;
}

static int plan_bandwidth(struct planner *p, const struct spec_cpu *cpu, struct error *err)
{
	int64_t quota = cpu->quota.set ? cpu->quota.v : 0;
	uint64_t period = cpu->period.set ? cpu->period.v : 0;
	uint64_t burst = cpu->burst.set ? cpu->burst.v : 0;
	bool has_max = quota != 0 || period != 0;

	if (period && (period < PERIOD_MIN || period > PERIOD_MAX))
		return plan_refuse(err, "/linux/resources/cpu/period", "cpu.period is %llu µs: the kernel takes "
				   "%d to %d", (unsigned long long)period, PERIOD_MIN, PERIOD_MAX);
	if (quota > 0 && quota < QUOTA_MIN)
		return plan_refuse(err, "/linux/resources/cpu/quota", "cpu.quota is %lld µs: the kernel takes "
				   "no less than %d", (long long)quota, QUOTA_MIN);
	if (quota > 0 && burst > (uint64_t)quota)
		return plan_refuse(err, "/linux/resources/cpu/burst", "cpu.burst is %llu µs, more than cpu.quota "
				   "(%lld µs)", (unsigned long long)burst, (long long)quota);

	struct cg_write w = { .file = "cpu.max.burst", .value = "0", .pointer = "/linux/resources/cpu/burst",
			      .controller = CG_CPU, .optional = true };

	/*
	 * The kernel refuses a burst above the quota at any moment. So it is taken
	 * back first and given last; no order of two writes is right both for a
	 * growing and a shrinking quota.
	 */
	if (cpu->burst.set && (has_max || burst == 0))
		plan_add(p, w);
	if (has_max) {
		unsigned long long per = period ? period : PERIOD_DEFAULT;

		plan_add(p, (struct cg_write){ .file = "cpu.max",
			 .value = quota > 0 ? arena_printf(p->a, "%lld %llu", (long long)quota, per) :
					      arena_printf(p->a, "max %llu", per),
			 .pointer = quota ? "/linux/resources/cpu/quota" : "/linux/resources/cpu/period",
			 .controller = CG_CPU, .optional = quota <= 0 });
	}
	if (burst) {
		w.value = arena_printf(p->a, "%llu", (unsigned long long)burst);
		w.optional = false;
		plan_add(p, w);
	}
	return 0;
}

static int plan_cpu(struct planner *p, const struct spec_cpu *cpu, struct error *err)
{
	int r = plan_cpuset(p, cpu);

	if (r == 0)
		r = plan_weight(p, cpu, err);
	if (r == 0)
		r = plan_bandwidth(p, cpu, err);
	if (r == 0 && ((cpu->realtime_runtime.set && cpu->realtime_runtime.v) ||
		       (cpu->realtime_period.set && cpu->realtime_period.v)))
		plan_ignored(p, "cpu.realtimeRuntime and cpu.realtimePeriod",
			     "cgroup v2 has no real-time bandwidth");
	return r;
}

/* memory.swap.max from the sum that the spec speaks of. NULL: nothing to write. */
static int swap_value(struct planner *p, const struct spec_memory *m, const char **ret, struct error *err)
{
	int64_t limit = m->limit.set ? m->limit.v : 0;
	int64_t swap = m->swap.set ? m->swap.v : 0;
	static const char pointer[] = "/linux/resources/memory/swap";

	*ret = NULL;
	if (swap == 0) {
		/* On v1 no memory limit meant no swap limit. */
		if (limit == -1)
			*ret = "max";
		return 0;
	}
	if (swap == -1) {
		*ret = "max";
		return 0;
	}
	if (limit <= 0)
		return plan_refuse(err, pointer, "memory.swap is the sum of memory and swap, so it needs a "
				   "memory.limit");
	if (swap < limit)
		return plan_refuse(err, pointer, "memory.swap (%lld) is the sum of memory and swap, so it cannot "
				   "be less than memory.limit (%lld)", (long long)swap, (long long)limit);
	*ret = arena_printf(p->a, "%lld", (long long)(swap - limit));
	return 0;
}

static void plan_memory_warnings(struct planner *p, const struct spec_memory *m)
{
	if ((m->kernel.set && m->kernel.v > 0) || (m->kernel_tcp.set && m->kernel_tcp.v > 0))
		plan_ignored(p, "memory.kernel and memory.kernelTCP",
			     "cgroup v2 counts kernel memory within memory.limit");
	if (m->swappiness.set)
		plan_ignored(p, "memory.swappiness", "cgroup v2 has no swappiness per cgroup");
	if (m->disable_oom_killer)
		plan_ignored(p, "memory.disableOOMKiller", "cgroup v2 cannot switch the OOM killer off");
}

static int plan_memory(struct planner *p, const struct spec_memory *m, struct error *err)
{
	int64_t limit = m->limit.set ? m->limit.v : 0;
	int64_t reservation = m->reservation.set ? m->reservation.v : 0;
	const char *swap;

	if (limit < -1)
		return plan_refuse(err, "/linux/resources/memory/limit", "memory.limit is %lld: must be a number "
				   "of bytes, or -1 for none", (long long)limit);
	if (reservation < -1)
		return plan_refuse(err, "/linux/resources/memory/reservation", "memory.reservation is %lld: must "
				   "be a number of bytes, or -1", (long long)reservation);
	if (m->swap.set && m->swap.v < -1)
		return plan_refuse(err, "/linux/resources/memory/swap", "memory.swap is %lld: must be a number of "
				   "bytes, or -1 for none", (long long)m->swap.v);

	int r = swap_value(p, m, &swap, err);

	if (r < 0)
		return r;
	/* No swap accounting, no file: then there is nothing to open up or to close either. */
	if (swap)
		plan_add(p, (struct cg_write){ .file = "memory.swap.max", .value = swap,
			 .pointer = "/linux/resources/memory/swap", .controller = CG_MEMORY,
			 .optional = strcmp(swap, "max") == 0 || strcmp(swap, "0") == 0 });
	if (limit)
		plan_add(p, (struct cg_write){ .file = "memory.max", .value = bytes_value(p, limit),
			 .pointer = "/linux/resources/memory/limit", .controller = CG_MEMORY,
			 .optional = limit == -1 });
	if (reservation)
		plan_add(p, (struct cg_write){ .file = "memory.low", .value = bytes_value(p, reservation),
			 .pointer = "/linux/resources/memory/reservation", .controller = CG_MEMORY,
			 .optional = reservation == -1 });
	if (m->check_before_update) {
		p->plan->check_memory = limit > 0 ? (uint64_t)limit : 0;
		p->plan->check_memory_swap = m->swap.set && m->swap.v > 0 ? (uint64_t)m->swap.v : 0;
	}
	plan_memory_warnings(p, m);
	return 0;
}

static void plan_pids(struct planner *p, int64_t limit)
{
	/*
	 * Since 1.3 of the specification 0 is a limit: no process beyond the one
	 * that is there. The kernel counts that one, so 1 is what says it. Engines of
	 * before send 0 for "not given": where there is no controller it counts as that.
	 */
	plan_add(p, (struct cg_write){ .file = "pids.max",
		 .value = limit < 0  ? "max" :
			  limit == 0 ? "1" : arena_printf(p->a, "%lld", (long long)limit),
		 .pointer = "/linux/resources/pids/limit", .controller = CG_PIDS, .optional = limit <= 0 });
}

int cg_plan_make(const struct spec_resources *res, struct arena *a, const struct log *log,
		 struct cg_plan *ret, struct error *err)
{
	struct cg_plan plan = { .v = NULL };
	struct planner p = { .plan = &plan, .a = a, .log = log };
	int r = 0;

	if (res) {
		if (res->cpu)
			r = plan_cpu(&p, res->cpu, err);
		if (r == 0 && res->memory)
			r = plan_memory(&p, res->memory, err);
		if (r == 0 && res->pids_limit.set)
			plan_pids(&p, res->pids_limit.v);
		if (r == 0 && res->block_io)
			r = plan_block_io(&p, res->block_io, err);
		if (r == 0)
			r = plan_per_name(&p, res, err);
		/* Last: what is written by the kernel's own name wins over what was converted. */
		if (r == 0)
			r = plan_unified(&p, res, err);
	}
	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}

void cg_plan_print(const struct cg_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct cg_write *w = &plan->v[i];

		buf_printf(out, "write \"%s\" to %s", w->value, w->file);
		if (w->other_file)
			buf_printf(out, " (or \"%s\" to %s)", w->other_value, w->other_file);
		buf_printf(out, "%s  [%s]\n", w->optional ? " if it is there" : "", w->pointer);
	}
}
