/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Making a group and changing one. Both consider the whole change first
 * (cpg_plan_check()), then do it with a journal, and take everything back when a
 * step fails.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"

void cpg_attr_new(struct arena *a, struct cpg_attr *ret)
{
	unsigned char b[16];
	char text[RFC3339_BYTES];
	struct timespec now;

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		memset(b, 0, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	clock_gettime(CLOCK_REALTIME, &now);
	ret->uuid = arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
				 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
				 b[15]);
	ret->created = arena_strdup(a, rfc3339_seconds(&now, text));
}

/* The controllers that the policy cannot do without, each with the member that needs it. */
static void needed(const struct cpg_policy *policy, struct arena *a, struct cg_plan *ret)
{
	struct cpg_value v[CPG_VALUES_MAX];
	size_t n = cpg_values(policy, policy->mems, policy->cap.form == CPG_CAP_MAX ? UINT64_MAX : 1000, 100000, a, v);

	*ret = (struct cg_plan){ .v = ARENA_NEW_N(a, struct cg_write, n) };
	for (size_t i = 0; i < n; i++) {
		if (v[i].is_default)
			continue;
		ret->v[ret->n++] = (struct cg_write){ .file = v[i].file, .value = v[i].value, .pointer = v[i].member,
						      .controller = v[i].controller };
		ret->controllers |= v[i].controller;
	}
}

static int exists_error(const struct cpg_plan *p, struct error *err)
{
	int r = error_rule(err, EEXIST, "cgroup /%s exists and is no CPU group: somebody else made it", p->path);

	error_hint(err, "bulkhead cpugroup adopt %s makes it one", p->name);
	return r;
}

/* There is a group of that name. The same policy is what CPG_IF_NOT_EXISTS is content with. */
static int existing(const struct cpg_plan *p, struct error *err)
{
	const char *diff = cpg_policy_diff(&p->tree->v[p->self].attr.policy, p->policy, p->a);

	if (!(p->flags & CPG_IF_NOT_EXISTS))
		return error_rule(err, EEXIST, "CPU group \"%s\" exists already", p->name);
	if (*diff)
		return error_rule(err, EEXIST, "CPU group \"%s\" exists already with another policy: %s", p->name, diff);
	return 0;
}

static int make_directory(const struct cpg_plan *p, struct error *err)
{
	struct cg_plan need;
	bool made = false;

	needed(p->policy, p->a, &need);

	int fd = cg_create(p->cpg->host, p->path, &need, &made, err);

	if (fd >= 0 && !made) {
		close(fd);
		return exists_error(p, err);
	}
	if (fd >= 0 || !err)
		return fd;
	/* A member of a policy is no place in config.json, and a group has no cgroupsPath. */
	err->at[0] = '\0';
	if (fd == -EACCES || fd == -EPERM || fd == -EROFS) {
		err->hint[0] = '\0';
		error_hint(err, "act as root, or choose a base (--cpu-group-base) in a cgroup that is delegated to this user "
				"with the controllers it needs");
	}
	return fd;
}

/* Lists that were there for a moment may have cost another group its partition. */
static void take_back(const struct cpg_plan *p, struct cpg_journal *j, bool lists)
{
	cpg_journal_undo(j);
	if (lists)
		cpg_partition_recover(p->cpg, p->a);
}

static int fill(const struct cpg_plan *p, int fd, struct error *err)
{
	struct cpg_journal j = { .a = p->a };
	struct cpg_attr attr = { .policy = *p->policy };
	bool lists = p->policy->set & (CPG_SET_CPUS | CPG_SET_EXCLUSIVE);

	cpg_attr_new(p->a, &attr);

	int r = cpg_attr_write(fd, p->path, &attr, err);

	if (r == 0)
		r = cpg_write_policy(p, fd, p->policy->set, &j, err);
	if (r == 0 && lists)
		r = cpg_recompute_caps(p->cpg, p->a, p->name, &j, err);
	if (r < 0) {
		take_back(p, &j, lists);
		return r;
	}
	cpg_journal_log(&j, p->cpg->log, "made", p->name);
	cpg_journal_release(&j);
	return 0;
}

static int create(struct cpg *cpg, struct arena *a, const char *name, const struct cpg_policy *policy,
		  unsigned flags, struct error *err)
{
	struct cpg_tree tree;
	struct cpg_plan p;
	int r = cpg_tree_load(cpg, a, &tree, err);

	if (r == 0)
		r = cpg_plan_init(&p, cpg, a, &tree, name, policy, flags, err);
	if (r == 0 && p.self >= 0)
		return existing(&p, err);
	if (r == 0 && faccessat(cpg->host->root_fd, p.path, F_OK, 0) == 0)
		r = exists_error(&p, err);
	if (r == 0)
		r = cpg_plan_check(&p, err);
	if (r < 0 || (flags & CPG_CHECK))
		return r;

	auto_close int fd = make_directory(&p, err);

	if (fd < 0)
		return fd;
	r = fill(&p, fd, err);
	if (r < 0)
		unlinkat(cpg->host->root_fd, p.path, AT_REMOVEDIR);
	return r;
}

static int not_made(const char *name, int r, struct error *err)
{
	return r < 0 ? error_wrap(err, r, "cannot create CPU group \"%s\"", name) : r;
}

int cpg_create_locked(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
		      struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();

	return not_made(name, create(cpg, a, name, policy, flags, err), err);
}

int cpg_create(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
	       struct error *err)
{
	bool made = false;
	int r = cpg_name_check(name, err);

	if (r == 0 && (flags & CPG_CHECK))
		return cpg_create_locked(cpg, name, policy, flags, err);

	auto_close int lock = r < 0 ? r : cpg_lock_base(cpg, true, &made, err);

	if (lock < 0)
		return not_made(name, lock, err);
	r = cpg_create_locked(cpg, name, policy, flags, err);
	/* A base that was made for this group alone goes with it. */
	if (r < 0 && made)
		unlinkat(cpg->host->root_fd, cpg->base, AT_REMOVEDIR);
	return r;
}

/* ---- changing ---- */

/* Replaces the policy of a group that is open and locked. */
static int replace(const struct cpg_plan *p, int fd, struct error *err)
{
	const struct cpg_attr *old = &p->tree->v[p->self].attr;
	unsigned affected = old->policy.set | p->policy->set;
	bool lists = affected & (CPG_SET_CPUS | CPG_SET_EXCLUSIVE);
	struct cpg_journal j = { .a = p->a };
	struct cpg_attr attr = *old;
	int r = cpg_write_policy(p, fd, affected, &j, err);

	attr.policy = *p->policy;
	if (r == 0 && lists && !(p->flags & CPG_FORCE))
		cpg_partition_recover(p->cpg, p->a);
	if (r == 0 && lists)
		r = cpg_recompute_caps(p->cpg, p->a, p->name, &j, err);
	if (r == 0)
		r = cpg_attr_write(fd, p->path, &attr, err);
	if (r < 0) {
		take_back(p, &j, lists);
		return r;
	}

	const char *diff = cpg_policy_diff(&old->policy, p->policy, p->a);

	if (j.n || *diff)
		cpg_journal_log(&j, p->cpg->log, *diff ? arena_printf(p->a, "changed (%s)", diff) : "corrected", p->name);
	cpg_journal_release(&j);
	return 0;
}

/* over: only the members in .set are given, unless `whole`. */
static int change(struct cpg *cpg, struct arena *a, const char *name, const struct cpg_policy *over, bool whole,
		  unsigned flags, struct error *err)
{
	auto_close int fd = cpg_open(cpg, name, !(flags & CPG_CHECK), err);
	struct cpg_policy policy;
	struct cpg_tree tree;
	struct cpg_plan p;
	int self;
	int r = fd < 0 ? fd : cpg_tree_load(cpg, a, &tree, err);

	if (r < 0)
		return r;
	self = cpg_tree_find(&tree, name);
	if (self < 0)
		return error_rule(err, ENOENT, "there is no CPU group \"%s\" any more", name);
	policy = whole ? *over : tree.v[self].attr.policy;
	if (!whole)
		cpg_policy_merge(&policy, over);
	r = cpg_plan_init(&p, cpg, a, &tree, name, &policy, flags, err);
	if (r == 0)
		r = cpg_plan_check(&p, err);
	return r < 0 || (flags & CPG_CHECK) ? r : replace(&p, fd, err);
}

static int not_changed(const char *name, int r, struct error *err)
{
	return r < 0 ? error_wrap(err, r, "cannot change CPU group \"%s\"", name) : r;
}

int cpg_replace_locked(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
		       struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();

	return not_changed(name, change(cpg, a, name, policy, true, flags, err), err);
}

int cpg_set(struct cpg *cpg, const char *name, const struct cpg_policy *over, unsigned flags, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	auto_close int lock = -1;
	int r = cpg_name_check(name, err);

	if (r == 0 && !(flags & CPG_CHECK) && strcmp(name, "/") != 0) {
		lock = cpg_lock_base(cpg, false, NULL, err);
		if (lock == -ENOENT && err) /* no base, no groups: the group is what is missing */
			*err = ERROR_INIT;
		r = lock < 0 && lock != -ENOENT ? lock : 0;
	}
	return not_changed(name, r < 0 ? r : change(cpg, a, name, over, false, flags, err), err);
}

int cpg_judge(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
	      struct cpg_verdict *ret, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct cpg_policy whole = *policy;
	struct cpg_tree tree;
	struct cpg_plan p = { .self = -1 };
	struct cpg quiet = *cpg; /* who asks for numbers has had, or will have, the words */
	int r = cpg_name_check(name, err);
	int self;

	quiet.log = NULL;
	*ret = (struct cpg_verdict){ .admitted = false };
	if (r == 0)
		r = cpg_tree_load(&quiet, a, &tree, err);
	if (r < 0)
		return r;
	self = strcmp(name, "/") == 0 ? -1 : cpg_tree_find(&tree, name);
	if (self >= 0) {
		whole = tree.v[self].attr.policy;
		cpg_policy_merge(&whole, policy);
	}
	r = cpg_plan_init(&p, &quiet, a, &tree, name, &whole, flags, err);
	if (r == 0)
		r = cpg_plan_check(&p, err);
	*ret = p.verdict;
	return r;
}
