/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * May a container come into a group? What the kernel would take and then not do
 * (CPUs outside of the group's), or what would break a promise of the group
 * (reservation, pressure), is refused before the container is there. Reads only;
 * the caller holds the group's lock until the container's leaf has its limits.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cpugroup/measure.h"
#include "spec/base/auto.h"

struct asked {
	const char *cpus, *mems;
	uint64_t quota_us, period_us; /* UINT64_MAX: no cap */
};

/* unified is written last, so it wins. */
static void read_asked(const struct spec_resources *res, struct asked *q)
{
	const struct spec_cpu *cpu = res->cpu;

	*q = (struct asked){ .quota_us = UINT64_MAX, .period_us = 100000 };
	if (cpu) {
		q->cpus = cpu->cpus;
		q->mems = cpu->mems;
		if (cpu->period.set && cpu->period.v)
			q->period_us = cpu->period.v;
		if (cpu->quota.set && cpu->quota.v > 0)
			q->quota_us = (uint64_t)cpu->quota.v;
	}
	for (size_t i = 0; i < res->n_unified; i++) {
		const struct spec_key_value *kv = &res->unified[i];

		if (strcmp(kv->key, "cpu.max") == 0)
			cpg_parse_cpu_max(kv->value, &q->quota_us, &q->period_us);
		else if (strcmp(kv->key, "cpuset.cpus") == 0)
			q->cpus = kv->value;
		else if (strcmp(kv->key, "cpuset.mems") == 0)
			q->mems = kv->value;
	}
}

static uint64_t milli_of(uint64_t quota_us, uint64_t period_us)
{
	return quota_us == UINT64_MAX ? 0 : (uint64_t)((unsigned __int128)quota_us * 1000 / period_us);
}

static const char *cpus_text(uint64_t milli, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;

	cpg_decimal_print(milli, 3, &b);
	return arena_printf(a, "%s CPU%s", b.data, milli == 1000 ? "" : "s");
}

static int check_list(const char *what, const char *list, const struct cpg_mask *have, const char *name,
		      struct arena *a, struct error *err)
{
	struct cpg_mask asked;
	int r;

	if (!list || !*list || cpg_mask_parse(list, &asked) < 0 || cpg_mask_empty(have) ||
	    cpg_mask_within(&asked, have))
		return 0;
	r = error_rule(err, EINVAL, "%s \"%s\" are not all in CPU group \"%s\", which has \"%s\" (the kernel would ignore "
		       "them silently)", what, list, name, cpg_mask_print(have, a));
	error_at(err, "/linux/resources/cpu/%s", what);
	return r;
}

static int check_lists(int fd, const struct cpg_node *node, const struct asked *q, struct arena *a,
		       struct error *err)
{
	struct cpg_mask mems = { { 0 } };
	int r = check_list("cpus", q->cpus, &node->effective, node->name, a, err);

	cpg_mask_parse(cpg_text(fd, "cpuset.mems.effective", a), &mems);
	return r < 0 ? r : check_list("mems", q->mems, &mems, node->name, a, err);
}

/* What the leaves of a group may use by their own caps. A group below that reserves nothing counts by its leaves. */
static uint64_t claims_of_leaves(const struct cpg *cpg, const struct cpg_tree *t, int at, const char *leaf,
				 struct arena *a)
{
	const struct cpg_node *node = &t->v[at];
	auto_close int fd = cg_open_below(cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY);
	uint64_t sum = 0;
	const char **names;
	size_t n;

	if (fd < 0 || cpg_children(fd, a, &names, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		auto_close int child = cpg_open_child(fd, names[i]);
		const char *path = arena_printf(a, "%s/%s", node->path, names[i]);
		uint64_t quota;
		uint64_t period;

		if (child < 0 || (leaf && strcmp(path, leaf) == 0) || cpg_kind_of(child) != CPG_LEAF)
			continue;
		cpg_parse_cpu_max(cpg_text(child, "cpu.max", a), &quota, &period);
		sum += milli_of(quota, period);
	}
	for (size_t i = 1; i < t->n; i++) {
		const struct cpg_policy *p = &t->v[i].attr.policy;

		if (t->v[i].parent != at || p->exclusive != CPG_SHARED)
			continue;
		sum += p->reserve_milli ? p->reserve_milli : claims_of_leaves(cpg, t, (int)i, leaf, a);
	}
	return sum;
}

static bool has_reserve(const struct cpg_tree *t)
{
	for (size_t i = 1; i < t->n; i++)
		if (t->v[i].attr.policy.reserve_milli)
			return true;
	return false;
}

/* The nearest group upwards that has a reservation: it is what those in it share. Needs the whole tree. */
static int check_reserve(const struct cpg *cpg, const struct cpg_tree *t, int at, const struct asked *q,
			 const char *leaf, struct arena *a, struct error *err)
{
	struct cpg_claim asked = { .name = "", .milli = milli_of(q->quota_us, q->period_us) };
	struct cpg_claim others[2] = { { .name = "members" }, { .name = "partitions", .exclusive = true } };
	struct cpg_verdict v;

	while (at > 0 && !t->v[at].attr.policy.reserve_milli)
		at = t->v[at].parent;
	if (at <= 0 || !asked.milli)
		return 0;

	const struct cpg_node *node = &t->v[at];

	others[0].milli = claims_of_leaves(cpg, t, at, leaf, a);
	for (size_t i = 1; i < t->n; i++)
		if (t->v[i].parent == at && t->v[i].attr.policy.exclusive != CPG_SHARED)
			others[1].milli += (uint64_t)cpg_mask_count(&t->v[i].cpus) * 1000;
	cpg_verdict(node->attr.policy.reserve_milli, node->attr.policy.overcommit_milli, others, 2, &asked, &v);
	if (v.admitted)
		return 0;
	return error_rule(err, EDQUOT, "a quota of %s does not fit into CPU group \"%s\": it reserves %s, and its members "
			  "may use %s of them already", cpus_text(asked.milli, a), node->name,
			  cpus_text(v.capacity_milli, a), cpus_text(v.claimed_milli, a));
}

/* A container that may use more than the group it is in: the group's cap binds, so it is only worth a word. */
static void warn_over(const struct cpg *cpg, const struct cpg_tree *t, int at, const struct asked *q,
		      struct arena *a)
{
	for (; at > 0; at = t->v[at].parent) {
		uint64_t cap = milli_of(t->v[at].quota_us, t->v[at].period_us);
		uint64_t own = milli_of(q->quota_us, q->period_us);

		if (cap && own > cap)
			log_warn(cpg->log, "a quota of %s is above the %s of CPU group \"%s\", which bind", cpus_text(own, a),
				 cpus_text(cap, a), t->v[at].name);
	}
}

static int check_gate(int fd, const char *name, uint32_t limit, struct error *err)
{
	struct cpg_psi psi = { .has = false };

	if (limit && fd >= 0)
		cpg_psi_read(fd, "cpu.pressure", &psi);
	if (!psi.has || psi.some10 <= limit)
		return 0;
	return error_rule(err, EDQUOT, "CPU group \"%s\" is under pressure: some avg10 is %u.%02u %%, and it takes no new "
			  "members above %u.%02u %%", name, psi.some10 / 100, psi.some10 % 100, limit / 100, limit % 100);
}

static int check_pressure(const struct cpg *cpg, const struct cpg_tree *t, int at, struct error *err)
{
	int r = 0;

	for (; r == 0 && at > 0; at = t->v[at].parent) {
		const struct cpg_node *node = &t->v[at];
		uint32_t limit = node->attr.policy.pressure_limit;
		auto_close int fd = limit ? cg_open_below(cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY) : -1;

		r = check_gate(fd, node->name, limit, err);
	}
	return r;
}

/*
 * Who asks for no CPU, no quota and no real-time scheduler can only be stopped by a
 * gate. That is nearly everybody, so it costs one attribute for each group on the way up.
 */
static int check_gates(const struct cpg *cpg, int group_fd, const char *group, struct arena *a, struct error *err)
{
	char *name = arena_strdup(a, group);
	int r = 0;

	for (int fd = group_fd; r == 0 && fd >= 0;) {
		struct cpg_attr attr;
		char path[PATH_MAX];
		char *slash = strrchr(name, '/');

		if (cpg_attr_read(fd, name, a, &attr, NULL) > 0)
			r = check_gate(fd, name, attr.policy.pressure_limit, err);
		if (fd != group_fd)
			close(fd);
		if (r < 0 || !slash)
			break;
		*slash = '\0';
		fd = cpg_path(cpg, name, NULL, path, sizeof(path), NULL) < 0 ?
			     -1 : cg_open_below(cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);
	}
	return r;
}

/* The bandwidth controller does not look at real-time tasks (cgroup-v2.rst, CPU). */
static int check_realtime(const struct cpg *cpg, const struct cpg_tree *t, int at, struct error *err)
{
	bool strict = false;
	int capped = -1;

	for (; at > 0; at = t->v[at].parent) {
		strict |= t->v[at].attr.policy.realtime == CPG_REFUSE;
		if (t->v[at].quota_us != UINT64_MAX)
			capped = at;
	}
	if (capped < 0)
		return 0;
	if (!strict) {
		log_warn(cpg->log, "a real-time scheduler is asked for in CPU group \"%s\": its cap does not bind such tasks",
			 t->v[capped].name);
		return 0;
	}
	return error_rule(err, EDQUOT, "a real-time scheduler is asked for, the cap of CPU group \"%s\" does not bind such "
			  "tasks, and the group's policy refuses them", t->v[capped].name);
}

int cpg_admit(struct cpg *cpg, const char *name, const struct spec_resources *res, bool is_realtime,
	      const char *leaf, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	auto_close int fd = cpg_open(cpg, name, false, err);
	struct cpg_tree tree;
	struct asked q;

	if (fd < 0)
		return fd;
	read_asked(res, &q);
	if (!q.cpus && !q.mems && q.quota_us == UINT64_MAX && !is_realtime && !leaf)
		return check_gates(cpg, fd, name, a, err);

	int r = cpg_tree_load_path(cpg, name, a, &tree, err);

	/* Who else is in it matters only where somebody was promised something. */
	if (r == 0 && has_reserve(&tree))
		r = cpg_tree_load(cpg, a, &tree, err);

	int self = r < 0 ? -1 : cpg_tree_find(&tree, name);

	if (r == 0 && self < 0)
		r = error_rule(err, ENOENT, "there is no CPU group \"%s\"", name);
	if (r < 0)
		return r;
	while (leaf && *leaf == '/')
		leaf++;
	r = check_lists(fd, &tree.v[self], &q, a, err);
	if (r == 0)
		r = check_reserve(cpg, &tree, self, &q, leaf, a, err);
	/* Who is in already does not come in. */
	if (r == 0 && !(leaf && cpg_is_within(leaf, tree.v[self].path)))
		r = check_pressure(cpg, &tree, self, err);
	if (r == 0 && is_realtime)
		r = check_realtime(cpg, &tree, self, err);
	if (r < 0)
		return r;
	warn_over(cpg, &tree, self, &q, a);
	return 0;
}
