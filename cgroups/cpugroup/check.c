/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * A change before it happens: everything that would go wrong, or that the kernel
 * would take without a word and not do, is said here with the numbers. Reads, never writes.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

static const char *cpus_text(struct arena *a, uint64_t milli)
{
	struct buf b = BUF_INIT;
	const char *text;

	cpg_decimal_print(milli, 3, &b);
	text = arena_printf(a, "%s CPU%s", b.data, milli == 1000 ? "" : "s");
	buf_release(&b);
	return text;
}

static uint64_t milli_of(uint64_t quota_us, uint64_t period_us)
{
	return (uint64_t)((unsigned __int128)quota_us * 1000 / period_us);
}

/* "CPU group "gold"" or "this host". */
static const char *owner_text(const struct cpg_plan *p, int node)
{
	return node == 0 ? "the base of the CPU groups" :
			   arena_printf(p->a, "CPU group \"%s\"", p->tree->v[node].name);
}

/* A rule that FORCE, or a policy of "warn", turns into a warning. */
static int refuse(const struct cpg_plan *p, bool only_warn, int code, const char *text, struct error *err)
{
	if (!only_warn)
		return error_rule(err, code, "%s", text);
	log_warn(p->cpg->log, "CPU group \"%s\": %s", p->name, text);
	return 0;
}

int cpg_plan_init(struct cpg_plan *p, struct cpg *cpg, struct arena *a, const struct cpg_tree *tree,
		  const char *name, const struct cpg_policy *policy, unsigned flags, struct error *err)
{
	char up[PATH_MAX];

	*p = (struct cpg_plan){ .cpg = cpg, .a = a, .tree = tree, .name = name, .policy = policy, .flags = flags };

	int r = cpg_name_check(name, err);

	if (r == 0 && strcmp(name, "/") == 0)
		r = error_rule(err, EINVAL, "\"/\" stands for no group: it cannot be made or changed");
	if (r == 0)
		r = cpg_path(cpg, name, NULL, p->path, sizeof(p->path), err);
	if (r == 0)
		r = cpg_policy_check(policy, err);
	if (r == 0 && policy->share == CPG_BY_WEIGHT && policy->weight == 0)
		r = error_rule(err, ERANGE, "weight 0 is outside of 1 … 10000");
	if (r < 0)
		return r;
	p->self = cpg_tree_find(tree, name);
	p->parent = cpg_tree_find(tree, cpg_parent(name, up, sizeof(up)));
	if (p->parent < 0)
		return error_rule(err, ENOENT, "there is no CPU group \"%s\" for \"%s\" to be in", up, name);
	return 0;
}

/* ---- CPUs ---- */

static int check_cpus(struct cpg_plan *p, struct error *err)
{
	const struct cpg_node *up = &p->tree->v[p->parent];

	cpg_mask_parse(p->policy->cpus, &p->cpus);
	p->expected = up->effective;
	if (cpg_mask_empty(&p->cpus)) {
		if (p->self >= 0 && cpg_mask_empty(&p->tree->v[p->self].cpus))
			p->expected = p->tree->v[p->self].all;
		return 0;
	}
	p->expected = p->cpus;
	cpg_mask_and(&p->expected, &up->all);
	if (cpg_mask_equal(&p->expected, &p->cpus))
		return 0;

	const char *text = arena_printf(p->a, "cpus \"%s\": %s has %s, so \"%s\" would be in force", p->policy->cpus,
					owner_text(p, p->parent), cpg_mask_print(&up->all, p->a),
					cpg_mask_print(cpg_mask_empty(&p->expected) ? &up->effective : &p->expected, p->a));

	return refuse(p, (p->flags & CPG_ALLOW_DIFFERENCE) && !cpg_mask_empty(&p->expected), EINVAL, text, err);
}

/* Two lists that meet where one of them is exclusive. The kernel makes the partition invalid and says so only in its file. */
static int check_conflict(const struct cpg_plan *p, const struct cpg_node *other, struct error *err)
{
	static const char *const word[] = { "", "root", "isolated" };
	bool is_theirs = other->attr.policy.exclusive != CPG_SHARED;
	struct cpg_mask both = p->cpus;

	cpg_mask_and(&both, &other->cpus);
	if (cpg_mask_empty(&both) || (!is_theirs && p->policy->exclusive == CPG_SHARED))
		return 0;

	const char *text =
		is_theirs ? arena_printf(p->a, "cpus \"%s\": CPU group \"%s\" has CPUs %s exclusively (%s), and would lose "
					 "its partition", p->policy->cpus, other->name, cpg_mask_print(&both, p->a),
					 word[other->attr.policy.exclusive]) :
			    arena_printf(p->a, "exclusive cpus \"%s\": CPU group \"%s\" lists CPUs %s of them for itself",
					 p->policy->cpus, other->name, cpg_mask_print(&both, p->a));

	return refuse(p, p->flags & CPG_FORCE, EBUSY, text, err);
}

/* A group below that is left without its CPUs runs on all of its parent's instead. */
static int check_below(const struct cpg_plan *p, const struct cpg_node *below, struct error *err)
{
	bool is_plain = p->policy->exclusive == CPG_SHARED && p->tree->v[p->self].attr.policy.exclusive == CPG_SHARED;

	/* A partition in a partition lives by the outer one, and is invalid as soon as that one changes. */
	if (!is_plain && below->attr.policy.exclusive != CPG_SHARED) {
		int r = refuse(p, p->flags & CPG_FORCE, EBUSY,
			       arena_printf(p->a, "CPU group \"%s\" below has CPUs \"%s\" exclusively, and would lose its "
					    "partition", below->name, cpg_mask_print(&below->cpus, p->a)), err);

		if (r < 0)
			return r;
	}
	if (cpg_mask_empty(&below->cpus) || cpg_mask_empty(&p->cpus) || cpg_mask_within(&below->cpus, &p->cpus))
		return 0;
	return refuse(p, p->flags & CPG_FORCE, EBUSY,
		      arena_printf(p->a, "cpus \"%s\": CPU group \"%s\" below uses \"%s\"", p->policy->cpus, below->name,
				   cpg_mask_print(&below->cpus, p->a)), err);
}

/* A container's own list is ignored in the same way, and nobody would notice. */
static int check_leaves(const struct cpg_plan *p, const struct cpg_node *node, struct error *err)
{
	auto_close int fd = cg_open_below(p->cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY);
	const char **names;
	size_t n;
	int r = fd < 0 || cpg_mask_empty(&p->cpus) ? 0 : cpg_children(fd, p->a, &names, &n, err);

	if (fd < 0 || cpg_mask_empty(&p->cpus))
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_close int child = cpg_open_child(fd, names[i]);
		struct cpg_mask own = { { 0 } };

		if (child < 0 || cpg_is_group(child) != 0 || cg_is_populated(child) != 1)
			continue;
		cpg_mask_parse(cpg_text(child, "cpuset.cpus", p->a), &own);
		if (!cpg_mask_within(&own, &p->cpus))
			r = refuse(p, p->flags & CPG_FORCE, EBUSY,
				   arena_printf(p->a, "cpus \"%s\": container \"%s\" in CPU group \"%s\" uses \"%s\"",
						p->policy->cpus, names[i], node->name, cpg_mask_print(&own, p->a)), err);
	}
	return r;
}

static int check_others(const struct cpg_plan *p, struct error *err)
{
	bool is_same = p->self >= 0 && cpg_mask_equal(&p->cpus, &p->tree->v[p->self].cpus) &&
		       p->policy->exclusive == p->tree->v[p->self].attr.policy.exclusive;
	int r = 0;

	for (size_t i = 1; r == 0 && !is_same && i < p->tree->n; i++) {
		const struct cpg_node *n = &p->tree->v[i];

		if (cpg_is_within(n->name, p->name)) {
			r = (int)i == p->self ? 0 : check_below(p, n, err);
			r = r < 0 ? r : check_leaves(p, n, err);
		} else if (!cpg_is_within(p->name, n->name)) {
			r = check_conflict(p, n, err);
		}
	}
	return r;
}

static int check_topology(struct cpg_plan *p, struct error *err)
{
	bool is_auto = strcmp(p->policy->mems, "auto") == 0;
	struct cpg_topology t;

	p->mems = p->policy->mems;
	if (!is_auto && !p->policy->whole_cores)
		return 0;

	int r = cpg_topology(NULL, -1, p->a, &t, err);

	if (r == 0 && is_auto)
		p->mems = cpg_nodes_of(&t, &p->cpus, p->a);
	if (r == 0 && p->policy->whole_cores)
		r = cpg_check_whole_cores(&t, &p->cpus, err);
	return r;
}

/* ---- caps ---- */

/* Is a/b above c/d? */
static bool is_above(uint64_t quota, uint64_t period, uint64_t other_quota, uint64_t other_period)
{
	if (quota == UINT64_MAX || other_quota == UINT64_MAX)
		return false;
	return (unsigned __int128)quota * other_period > (unsigned __int128)other_quota * period;
}

static int over_error(const struct cpg_plan *p, const struct cpg_policy *who, const char *text, struct error *err)
{
	int r = refuse(p, who->over_parent == CPG_WARN, EDQUOT, text, err);

	if (r < 0)
		error_hint(err, "the smaller cap binds in any case; --over-parent warn takes the larger one as it is");
	return r;
}

static int check_above(const struct cpg_plan *p, struct error *err)
{
	int r = 0;

	for (int i = p->parent; r == 0 && i >= 0; i = p->tree->v[i].parent) {
		const struct cpg_node *up = &p->tree->v[i];

		if (is_above(p->quota_us, p->period_us, up->quota_us, up->period_us))
			r = over_error(p, p->policy,
				       arena_printf(p->a, "a cap of %s (%" PRIu64 "/%" PRIu64 " us) is above the %s (%" PRIu64
						    "/%" PRIu64 " us) that %s is capped at",
						    cpus_text(p->a, milli_of(p->quota_us, p->period_us)), p->quota_us,
						    p->period_us, cpus_text(p->a, milli_of(up->quota_us, up->period_us)),
						    up->quota_us, up->period_us, owner_text(p, i)), err);
	}
	return r;
}

/* The cap a group below will have once our CPUs have changed. */
static void cap_below(const struct cpg_plan *p, const struct cpg_node *n, uint64_t *ret_quota, uint64_t *ret_period)
{
	struct cpg_mask cpus = n->all;

	*ret_quota = n->quota_us;
	*ret_period = n->period_us;
	cpg_mask_and(&cpus, &p->expected);
	if (cpg_mask_empty(&cpus) || cpg_mask_empty(&n->cpus))
		cpus = p->expected;
	if (n->attr.policy.cap.form == CPG_CAP_PERCENT)
		cpg_cap_resolve(&n->attr.policy.cap, cpg_mask_count(&cpus), ret_quota, ret_period, NULL);
}

static int check_caps_below(const struct cpg_plan *p, struct error *err)
{
	int r = 0;

	for (size_t i = 1; r == 0 && p->self >= 0 && i < p->tree->n; i++) {
		const struct cpg_node *n = &p->tree->v[i];
		uint64_t quota;
		uint64_t period;

		if ((int)i == p->self || !cpg_is_within(n->name, p->name))
			continue;
		cap_below(p, n, &quota, &period);
		if (is_above(quota, period, p->quota_us, p->period_us))
			r = over_error(p, &n->attr.policy,
				       arena_printf(p->a, "a cap of %s (%" PRIu64 "/%" PRIu64 " us) is below the %s (%" PRIu64
						    "/%" PRIu64 " us) of CPU group \"%s\"",
						    cpus_text(p->a, milli_of(p->quota_us, p->period_us)), p->quota_us,
						    p->period_us, cpus_text(p->a, milli_of(quota, period)), quota, period,
						    n->name), err);
	}
	return r;
}

static int check_caps(struct cpg_plan *p, struct error *err)
{
	const struct cpg_policy *pol = p->policy;
	unsigned n = cpg_mask_count(&p->expected);
	int r = cpg_cap_resolve(&pol->cap, n, &p->quota_us, &p->period_us, err);
	uint64_t cap = p->quota_us == UINT64_MAX ? UINT64_MAX : 0;

	if (r < 0)
		return r;
	if (!cap)
		cap = milli_of(p->quota_us, p->period_us);
	if (pol->burst_us > p->quota_us)
		return error_rule(err, ERANGE, "burst %" PRIu64 " us is above the quota of %" PRIu64 " us (cap on %u CPU%s): "
				  "0 … quota is possible", pol->burst_us, p->quota_us, n, n == 1 ? "" : "s");
	if (pol->reserve_milli > cap)
		return error_rule(err, EDQUOT, "a reservation of %s cannot be kept under a cap of %s",
				  cpus_text(p->a, pol->reserve_milli), cpus_text(p->a, cap));
	if (pol->reserve_milli > (uint64_t)n * 1000)
		return error_rule(err, EDQUOT, "a reservation of %s cannot be kept on %s (\"%s\")",
				  cpus_text(p->a, pol->reserve_milli), cpus_text(p->a, (uint64_t)n * 1000),
				  cpg_mask_print(&p->expected, p->a));
	if (cap != UINT64_MAX && cap > (uint64_t)n * 1000)
		log_warn(p->cpg->log, "CPU group \"%s\": a cap of %s on %s never binds", p->name, cpus_text(p->a, cap),
			 cpus_text(p->a, (uint64_t)n * 1000));
	r = check_above(p, err);
	return r < 0 ? r : check_caps_below(p, err);
}

/* ---- admission ---- */

static struct cpg_claim claim_of(const char *name, const struct cpg_policy *p, unsigned n_cpus)
{
	bool exclusive = p->exclusive != CPG_SHARED;

	return (struct cpg_claim){ .name = name, .exclusive = exclusive,
				   .milli = exclusive ? (uint64_t)n_cpus * 1000 : p->reserve_milli };
}

/* What the groups directly in `parent` claim, but for `except`. */
static size_t claims_in(const struct cpg_plan *p, int parent, int except, struct cpg_claim **ret)
{
	struct cpg_claim *v = ARENA_NEW_N(p->a, struct cpg_claim, p->tree->n);
	size_t n = 0;

	for (size_t i = 1; i < p->tree->n; i++) {
		const struct cpg_node *c = &p->tree->v[i];

		if (c->parent != parent || (int)i == except)
			continue;
		v[n] = claim_of(c->name, &c->attr.policy, cpg_mask_count(&c->cpus));
		n += v[n].milli != 0;
	}
	*ret = v;
	return n;
}

static const char *list_claims(struct arena *a, const struct cpg_claim *v, size_t n)
{
	const char *text = "";

	for (size_t i = 0; i < n && i < 8; i++)
		text = arena_printf(a, "%s%s\"%s\" %s%s", text, i ? ", " : "", v[i].name, cpus_text(a, v[i].milli),
				    v[i].exclusive ? " exclusively" : "");
	return n > 8 ? arena_printf(a, "%s and %zu more", text, n - 8) : text;
}

static int check_in_parent(struct cpg_plan *p, struct error *err)
{
	const struct cpg_node *up = &p->tree->v[p->parent];
	const struct cpg_policy *pol = &up->attr.policy;
	uint64_t capacity = cpg_capacity_milli(pol, up->quota_us, up->period_us, cpg_mask_count(&up->all));
	struct cpg_claim asked = claim_of(p->name, p->policy, cpg_mask_count(&p->expected));
	struct cpg_claim *others;
	size_t n = claims_in(p, p->parent, p->self, &others);

	cpg_verdict(capacity, pol->overcommit_milli, others, n, &asked, &p->verdict);
	if (p->verdict.admitted)
		return 0;
	return error_rule(err, EDQUOT, "%s asked for%s, but %s has %s to promise and %s claimed%s%s",
			  cpus_text(p->a, asked.milli), asked.exclusive ? " exclusively" : "", owner_text(p, p->parent),
			  cpus_text(p->a, p->verdict.capacity_milli), cpus_text(p->a, p->verdict.claimed_milli),
			  n ? ": " : "", list_claims(p->a, others, n));
}

/* A smaller group must still hold what it promised to those in it. */
static int check_own_promises(const struct cpg_plan *p, struct error *err)
{
	struct cpg_claim *inside;
	struct cpg_verdict v;
	size_t n = p->self < 0 ? 0 : claims_in(p, p->self, -1, &inside);
	uint64_t capacity = cpg_capacity_milli(p->policy, p->quota_us, p->period_us, cpg_mask_count(&p->expected));
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += inside[i].milli;
	if (n == 0)
		return 0;
	/* The last one stands for the question, so that the sum of all is asked about. */
	cpg_verdict(capacity, p->policy->overcommit_milli, inside, n - 1, &inside[n - 1], &v);
	if (v.admitted)
		return 0;
	return error_rule(err, EDQUOT, "%s would have %s to promise, and the groups in it claim %s: %s", p->name,
			  cpus_text(p->a, capacity), cpus_text(p->a, sum), list_claims(p->a, inside, n));
}

int cpg_plan_check(struct cpg_plan *p, struct error *err)
{
	int r = cpg_require(p->cpg, p->policy, err);

	if (r == 0)
		r = check_cpus(p, err);
	if (r == 0)
		r = check_others(p, err);
	if (r == 0)
		r = check_topology(p, err);
	if (r == 0)
		r = check_caps(p, err);
	if (r == 0)
		r = check_in_parent(p, err);
	if (r == 0)
		r = check_own_promises(p, err);
	if (r == 0)
		cpg_check_shares(p);
	return r;
}
