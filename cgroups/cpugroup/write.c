/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Bringing a policy into a group's files, in the order the kernel wants: lists
 * before the partition over them, burst down before the quota and up after it,
 * idle before the weight that idle forgets. What was written is read back, and
 * for lists it is the effective one that counts.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "spec/base/auto.h"

struct job {
	const struct cpg_plan *p;
	int fd;
	struct cpg_journal *j;
	struct cpg_value v[CPG_VALUES_MAX];
	size_t n;
};

static const struct cpg_value *value_of(const struct job *w, const char *file)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->v[i].file, file) == 0)
			return &w->v[i];
	return NULL;
}

static int missing_error(const struct job *w, const struct cpg_value *v, struct error *err)
{
	if (v->set & (CPG_SET_UCLAMP_MIN | CPG_SET_UCLAMP_MAX))
		return error_rule(err, ENOTSUP, "%s needs %s, which this kernel does not have (CONFIG_UCLAMP_TASK_GROUP)",
				  v->member, v->file);

	int r = error_rule(err, ENOTSUP, "%s needs %s, and cgroup /%s does not have it: the %s controller is not "
			   "enabled for it", v->member, v->file, w->p->path, cg_controller_name(v->controller));

	error_hint(err, "the controller must be listed in cgroup.subtree_control of every cgroup above");
	return r;
}

/* Writes one value of the table; a file that only says the default may be absent. */
static int put(struct job *w, const char *file, struct error *err)
{
	const struct cpg_value *v = value_of(w, file);
	int r = v ? cpg_put(w->j, w->fd, w->p->path, v->file, v->value, err) : 0;

	if (r == -ENOENT)
		r = v->is_default ? 0 : missing_error(w, v, err);
	if (r < 0 && v)
		r = error_wrap(err, r, "cannot set %s", v->member);
	return r;
}

/* A value on the way to another, where the file is. */
static int put_between(struct job *w, const char *file, const char *value, struct error *err)
{
	int r = cpg_put(w->j, w->fd, w->p->path, file, value, err);

	return r == -ENOENT ? 0 : r;
}

/*
 * The kernel kills to get below a new limit that reclaim does not reach in time.
 * memory.high reclaims and never kills, so it goes first, and tells whether there is room.
 */
static int write_memory(struct job *w, struct error *err)
{
	int64_t limit = w->p->policy->memory_max;
	const char *high = cpg_text(w->fd, "memory.high", w->j->a);
	uint64_t used = 0;
	int r = 0;

	if (limit >= 0 && cg_read_number(w->fd, "memory.current", &used) == 0 && used > (uint64_t)limit) {
		r = put_between(w, "memory.high", value_of(w, "memory.max")->value, err);
		if (r == 0 && cg_read_number(w->fd, "memory.current", &used) == 0 && used > (uint64_t)limit &&
		    !(w->p->flags & CPG_FORCE))
			r = error_rule(err, EBUSY, "memory %" PRId64 ": %" PRIu64 " bytes are in use and cannot be reclaimed; "
				       "a limit below that would kill", limit, used);
	}
	if (r == 0)
		r = put(w, "memory.max", err);
	return r < 0 || !*high ? r : put_between(w, "memory.high", high, err);
}

/* Lists are taken and then ignored where the parent does not have them: only the effective list tells. */
static int check_effective(const struct job *w, const char *what, const struct cpg_mask *asked,
			   const struct cpg_mask *have, struct error *err)
{
	struct cpg_mask both = *asked;
	struct arena *a = w->j->a;

	if (cpg_mask_empty(asked) || cpg_mask_equal(asked, have))
		return 0;
	cpg_mask_and(&both, have);
	if (!(w->p->flags & CPG_ALLOW_DIFFERENCE) || cpg_mask_empty(&both) || !cpg_mask_within(have, asked))
		return error_rule(err, EINVAL, "%s \"%s\" of CPU group \"%s\": in force is \"%s\"", what,
				  cpg_mask_print(asked, a), w->p->name, cpg_mask_print(have, a));
	log_warn(w->p->cpg->log, "CPU group \"%s\": %s \"%s\": in force is \"%s\"", w->p->name, what,
		 cpg_mask_print(asked, a), cpg_mask_print(have, a));
	return 0;
}

static int check_mems(const struct job *w, struct error *err)
{
	struct cpg_mask asked = { { 0 } };
	struct cpg_mask have = { { 0 } };

	cpg_mask_parse(w->p->mems, &asked);
	cpg_mask_parse(cpg_text(w->fd, "cpuset.mems.effective", w->j->a), &have);
	return check_effective(w, "mems", &asked, &have, err);
}

/* What groups below have exclusively is listed in this one as well. */
static void exclusive_below(const struct cpg_plan *p, struct cpg_mask *ret)
{
	*ret = (struct cpg_mask){ { 0 } };
	for (size_t i = 1; i < p->tree->n; i++) {
		const struct cpg_node *n = &p->tree->v[i];

		if ((int)i != p->self && cpg_is_within(n->name, p->name) && n->attr.policy.exclusive != CPG_SHARED)
			cpg_mask_or(ret, &n->cpus);
	}
}

static int write_lists(struct job *w, unsigned affected, struct error *err)
{
	const struct cpg_plan *p = w->p;
	const struct cpg_value *cpus = value_of(w, "cpuset.cpus");
	bool is_exclusive = p->policy->exclusive != CPG_SHARED;
	bool changes = (affected & CPG_SET_CPUS) &&
		       !cpg_value_holds("cpuset.cpus", cpus->value, cpg_text(w->fd, "cpuset.cpus", w->j->a));
	struct cpg_mask keep;
	int r = 0;

	exclusive_below(p, &keep);
	if (changes || ((affected & CPG_SET_EXCLUSIVE) && !is_exclusive))
		r = cpg_partition_leave(p->cpg, w->fd, p->path, &keep, w->j, err);
	if (r == 0 && (affected & CPG_SET_MEMS))
		r = put(w, "cpuset.mems", err);
	if (r == 0 && (affected & CPG_SET_CPUS))
		r = put(w, "cpuset.cpus", err);
	if (r == 0 && is_exclusive && (affected & (CPG_SET_CPUS | CPG_SET_EXCLUSIVE)))
		r = cpg_partition_enter(p, w->fd, w->j, err);
	return r < 0 || !(affected & CPG_SET_MEMS) ? r : check_mems(w, err);
}

/* What the lists came to, and the cap that follows from it. */
static int settle(struct job *w, struct error *err)
{
	const struct cpg_plan *p = w->p;
	struct cpg_tree now;
	uint64_t quota = p->quota_us;
	uint64_t period = p->period_us;
	int r = cpg_tree_load(p->cpg, w->j->a, &now, err);
	int self = r < 0 ? -1 : cpg_tree_find(&now, p->name);

	if (r < 0 || self < 0)
		return r;
	r = check_effective(w, "cpus", &p->cpus, &now.v[self].all, err);
	if (r == 0 && p->policy->cap.form == CPG_CAP_PERCENT)
		r = cpg_cap_resolve(&p->policy->cap, cpg_mask_count(&now.v[self].all), &quota, &period, err);
	if (r == 0)
		w->n = cpg_values(p->policy, p->mems, quota, period, w->j->a, w->v);
	return r;
}

static int write_cap(struct job *w, struct error *err)
{
	const struct cpg_value *max = value_of(w, "cpu.max");
	int r = 0;

	/* The kernel refuses a burst above the quota at every moment. */
	if (!cpg_value_holds("cpu.max", max->value, cpg_text(w->fd, "cpu.max", w->j->a)))
		r = put_between(w, "cpu.max.burst", "0", err);
	if (r == 0)
		r = put(w, "cpu.max", err);
	return r < 0 ? r : put(w, "cpu.max.burst", err);
}

static int write_share(struct job *w, struct error *err)
{
	const struct cpg_policy *p = w->p->policy;
	bool is_idle = strcmp(cpg_text(w->fd, "cpu.idle", w->j->a), "1") == 0;
	int r = 0;

	/* The weight goes first so that the journal knows it: idle forgets it. */
	if (p->share == CPG_BY_IDLE && !is_idle)
		r = put_between(w, "cpu.weight", "100", err);
	if (r == 0)
		r = put(w, "cpu.idle", err);
	/* By its weight, for the same reason: an odd weight reads as the nearest nice. */
	if (r == 0 && p->share == CPG_BY_NICE)
		r = put_between(w, "cpu.weight",
				arena_printf(w->j->a, "%" PRIu64, cpg_weight_of_nice(p->nice)), err);
	if (r == 0)
		r = put(w, "cpu.weight", err);
	return r < 0 ? r : put(w, "cpu.weight.nice", err);
}

int cpg_write_policy(const struct cpg_plan *p, int fd, unsigned affected, struct cpg_journal *j, struct error *err)
{
	struct job w = { .p = p, .fd = fd, .j = j };
	bool lists = affected & (CPG_SET_CPUS | CPG_SET_EXCLUSIVE);
	int r = 0;

	w.n = cpg_values(p->policy, p->mems, p->quota_us, p->period_us, j->a, w.v);
	/* Auto follows the CPUs, and a percentage does. */
	if (lists && strcmp(p->policy->mems, "auto") == 0)
		affected |= CPG_SET_MEMS;
	if (lists && p->policy->cap.form == CPG_CAP_PERCENT)
		affected |= CPG_SET_CAP;

	if (affected & CPG_SET_MEMORY)
		r = write_memory(&w, err);
	if (r == 0 && (affected & CPG_SET_PIDS))
		r = put(&w, "pids.max", err);
	if (r == 0 && (affected & (CPG_SET_CPUS | CPG_SET_MEMS | CPG_SET_EXCLUSIVE)))
		r = write_lists(&w, affected, err);
	if (r == 0 && (lists || p->policy->cap.form == CPG_CAP_PERCENT))
		r = settle(&w, err);
	if (r == 0 && (affected & (CPG_SET_CAP | CPG_SET_BURST)))
		r = write_cap(&w, err);
	if (r == 0 && (affected & CPG_SET_SHARE))
		r = write_share(&w, err);
	if (r == 0 && (affected & CPG_SET_UCLAMP_MIN))
		r = put(&w, "cpu.uclamp.min", err);
	if (r == 0 && (affected & CPG_SET_UCLAMP_MAX))
		r = put(&w, "cpu.uclamp.max", err);
	return r;
}

/* One group's percent cap; a burst that no longer fits shrinks to the quota. */
static int recompute(struct cpg *cpg, const struct cpg_node *n, struct cpg_journal *j, struct error *err)
{
	const struct cpg_policy *pol = &n->attr.policy;
	uint64_t quota;
	uint64_t period;
	int r = cpg_cap_resolve(&pol->cap, cpg_mask_count(&n->all), &quota, &period, err);
	const char *max = r < 0 ? "" : arena_printf(j->a, "%" PRIu64 " %" PRIu64, quota, period);
	uint64_t burst = pol->burst_us < quota ? pol->burst_us : quota;

	if (r < 0)
		return error_wrap(err, r, "cannot recompute the cap of CPU group \"%s\"", n->name);

	auto_close int fd = cg_open_below(cpg->host->root_fd, n->path, O_RDONLY | O_DIRECTORY);

	if (fd == -ENOENT || cpg_value_holds("cpu.max", max, cpg_text(fd, "cpu.max", j->a)))
		return 0;
	if (fd < 0)
		return error_set(err, -fd, "open cgroup /%s", n->path);
	r = cpg_put(j, fd, n->path, "cpu.max.burst", "0", err);
	if (r == 0 || r == -ENOENT)
		r = cpg_put(j, fd, n->path, "cpu.max", max, err);
	if (r == 0 && burst)
		r = cpg_put(j, fd, n->path, "cpu.max.burst", arena_printf(j->a, "%" PRIu64, burst), err);
	return r == -ENOENT ? 0 : r;
}

int cpg_recompute_caps(struct cpg *cpg, struct arena *a, const char *except, struct cpg_journal *j,
		       struct error *err)
{
	struct cpg_tree now;
	int r = cpg_tree_load(cpg, a, &now, err);

	for (size_t i = 1; r == 0 && i < now.n; i++)
		if (now.v[i].attr.policy.cap.form == CPG_CAP_PERCENT && strcmp(now.v[i].name, except) != 0)
			r = recompute(cpg, &now.v[i], j, err);
	return r;
}
