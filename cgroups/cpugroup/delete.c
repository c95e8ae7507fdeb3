/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/*
 * Deleting groups. Who is in one is named and keeps it, unless the caller says
 * otherwise; what a move left behind without a process (its memory moves up to
 * the parent) goes along. Never removes what somebody else made.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define KILL_WAIT_MS 10000
#define GONE_WAIT_MS 2000
#define MAX_NAMES    5

/* What is in a group and the groups below it, deepest last. */
struct content {
	struct arena *a;
	const struct cpg_tree *tree;
	int self;
	const char **leaves;  /* paths that will be removed */
	size_t n_leaves;
	const char *names;    /* who stands in the way, for the message */
	size_t n_names;
};

static void add_leaf(struct content *c, const char *path)
{
	const char **more = ARENA_NEW_N(c->a, const char *, c->n_leaves + 1);

	if (c->n_leaves)
		memcpy(more, c->leaves, c->n_leaves * sizeof(*more));
	more[c->n_leaves++] = path;
	c->leaves = more;
}

static void add_name(struct content *c, const char *what, const char *name)
{
	if (c->n_names++ < MAX_NAMES)
		c->names = arena_printf(c->a, "%s%s%s \"%s\"", c->names, *c->names ? ", " : "", what, name);
}

static int look_into(struct content *c, int root_fd, const struct cpg_node *node, unsigned flags, struct error *err)
{
	auto_close int fd = cg_open_below(root_fd, node->path, O_RDONLY | O_DIRECTORY);
	const char **names;
	size_t n;
	int r = fd == -ENOENT ? 0 : cpg_children(fd, c->a, &names, &n, err);

	if (fd < 0 || r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		auto_close int child = cpg_open_child(fd, names[i]);
		int kind = child < 0 ? -1 : cpg_kind_of(child);
		bool is_empty = child >= 0 && cg_is_populated(child) == 0;

		if (child == -ENOENT || kind == CPG_GROUP)
			continue;
		if ((kind == CPG_RESIDUAL && is_empty) || (flags & CPG_KILL))
			add_leaf(c, arena_printf(c->a, "%s/%s", node->path, names[i]));
		else
			add_name(c, is_empty ? "the empty cgroup" : "container", names[i]);
	}
	return 0;
}

/* Everything in the group; with CPG_RECURSIVE also what is in those below. */
static int survey(struct content *c, int root_fd, unsigned flags, struct error *err)
{
	const char *name = c->tree->v[c->self].name;
	int r = 0;

	for (size_t i = 1; r == 0 && i < c->tree->n; i++) {
		const struct cpg_node *node = &c->tree->v[i];

		if (!cpg_is_within(node->name, name))
			continue;
		/* An adopted one keeps its directory and with it who is there. */
		if ((int)i == c->self || (flags & CPG_RECURSIVE)) {
			if (!node->attr.adopted || (flags & CPG_KILL))
				r = look_into(c, root_fd, node, flags, err);
		} else if (node->parent == c->self) {
			add_name(c, "group", node->name);
		}
	}
	return r;
}

static int not_empty(const struct content *c, unsigned flags, struct error *err)
{
	char more[32] = "";

	if (c->n_names > MAX_NAMES)
		snprintf(more, sizeof(more), " and %zu more", c->n_names - MAX_NAMES);
	error_rule(err, ENOTEMPTY, "it is not empty: %s%s", c->names, more);
	error_hint(err, "move or delete what is in it%s", (flags & CPG_RECURSIVE) ?
			   "; --kill ends its containers" : "; --recursive takes groups in it along, --kill ends containers");
	return -ENOTEMPTY;
}

/* Nobody is in it any more, but a process that the kernel still reaps keeps its cgroup for a moment. */
static int remove_directory(int root_fd, const char *path, struct error *err)
{
	int64_t deadline = cg_now_ms() + GONE_WAIT_MS;

	for (unsigned us = 100;; cg_back_off(&us)) {
		/* Not cg_remove(): a leaf that comes just now must stay. */
		if (unlinkat(root_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return error_set(err, errno, "remove cgroup /%s", path);
		if (cg_now_ms() >= deadline)
			return error_rule(err, ENOTEMPTY, "somebody came into cgroup /%s meanwhile", path);
	}
}

static int remove_group(struct cpg *cpg, const struct cpg_node *node, struct arena *a, struct error *err)
{
	static const struct cpg_mask nothing; /* groups below are gone by now */
	struct cpg_journal j = { .a = a };
	auto_close int fd = cg_open_below(cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, -fd, "open cgroup /%s", node->path);
	if (node->attr.adopted) {
		r = cpg_attr_remove(fd, node->path, err);
		if (r == 0)
			log_at(cpg->log, LOG_INFO, "released CPU group \"%s\" (uuid %s): cgroup /%s stays", node->name,
			       node->attr.uuid, node->path);
		return r;
	}
	r = cpg_lock(fd, CPG_LOCK_EXCLUSIVE, node->path, err);
	if (r == 0)
		r = cpg_partition_leave(cpg, fd, node->path, &nothing, &j, err);
	if (r == 0 || r == -ENOENT)
		r = remove_directory(cpg->host->root_fd, node->path, err);
	if (r < 0) {
		cpg_journal_undo(&j);
		return r;
	}
	cpg_journal_log(&j, cpg->log, arena_printf(a, "deleted (uuid %s)", node->attr.uuid), node->name);
	cpg_journal_release(&j);
	return 0;
}

static int kill_all(struct cpg *cpg, const struct cpg_node *node, struct error *err)
{
	auto_close int fd = cg_open_below(cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd == -ENOENT ? 0 : error_set(err, -fd, "open cgroup /%s", node->path);
	return cg_kill(fd, err);
}

static int do_delete(struct cpg *cpg, const struct content *c, unsigned flags, struct error *err)
{
	const struct cpg_node *self = &c->tree->v[c->self];
	struct cpg_journal j = { .a = c->a };
	bool had_cpus = false;
	int64_t deadline = cg_now_ms() + KILL_WAIT_MS;
	int r = (flags & CPG_KILL) ? kill_all(cpg, self, err) : 0;

	/* One deadline for all of them: they die at the same time. */
	for (size_t i = 0; r == 0 && i < c->n_leaves; i++) {
		int64_t left = deadline - cg_now_ms();

		r = cg_remove(cpg->host, c->leaves[i], left > 0 ? (int)left : 0, err);
	}
	for (size_t i = c->tree->n; r == 0 && i-- > 1;) {
		if (!cpg_is_within(c->tree->v[i].name, self->name))
			continue;
		had_cpus |= *c->tree->v[i].attr.policy.cpus != '\0';
		r = remove_group(cpg, &c->tree->v[i], c->a, err);
	}
	/* CPUs that were exclusive are everybody's again, and a list that stood in the way of a partition is gone. */
	if (r == 0 && had_cpus) {
		cpg_partition_recover(cpg, c->a);
		r = cpg_recompute_caps(cpg, c->a, "", &j, err);
		cpg_journal_log(&j, cpg->log, "recomputed caps after", self->name);
		cpg_journal_release(&j);
	}
	return r;
}

int cpg_delete_locked(struct cpg *cpg, const char *name, unsigned flags, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct cpg_tree tree;
	struct content c = { .a = a, .tree = &tree, .names = "" };
	int fd = cpg_open(cpg, name, false, err);
	int r = fd < 0 ? fd : cpg_tree_load(cpg, a, &tree, err);

	if (fd >= 0)
		close(fd);
	if (r == 0) {
		c.self = cpg_tree_find(&tree, name);
		if (c.self < 0)
			r = error_rule(err, EINVAL, "its attribute is damaged: remove its directory by hand, or write the "
				       "attribute anew");
	}
	if (r == 0)
		r = survey(&c, cpg->host->root_fd, flags, err);
	if (r == 0 && c.n_names)
		r = not_empty(&c, flags, err);
	if (r == 0 && !(flags & CPG_CHECK))
		r = do_delete(cpg, &c, flags, err);
	return r < 0 ? error_wrap(err, r, "cannot delete CPU group \"%s\"", name) : 0;
}

int cpg_delete(struct cpg *cpg, const char *name, unsigned flags, struct error *err)
{
	auto_close int lock = -1;

	if (!(flags & CPG_CHECK)) {
		lock = cpg_lock_base(cpg, false, NULL, err);
		if (lock < 0 && lock != -ENOENT)
			return error_wrap(err, lock, "cannot delete CPU group \"%s\"", name);
		if (lock < 0 && err) /* no base, no groups: the group is what is missing */
			*err = ERROR_INIT;
	}
	return cpg_delete_locked(cpg, name, flags, err);
}
