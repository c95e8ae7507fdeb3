/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Exclusive CPUs. The base is a plain cgroup, so a group's partition is a remote
 * one: its CPUs must be listed as exclusive in every cgroup along the path
 * (cgroup-v2.rst, cpuset.cpus.exclusive; kernel 6.7). The kernel takes any word
 * for cpuset.cpus.partition and says in the same file whether it became true.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

#define EXCLUSIVE "cpuset.cpus.exclusive"
#define PARTITION "cpuset.cpus.partition"

enum direction { TAKE, GIVE_BACK };

/* Adds the CPUs to, or takes them out of, the exclusive ones of one cgroup. */
static int change_exclusive(int fd, const char *path, const struct cpg_mask *cpus, enum direction dir,
			    struct cpg_journal *j, struct error *err)
{
	struct cpg_mask m = { { 0 } };

	cpg_mask_parse(cpg_text(fd, EXCLUSIVE, j->a), &m);
	if (dir == TAKE)
		cpg_mask_or(&m, cpus);
	else
		cpg_mask_minus(&m, cpus);
	return cpg_put(j, fd, path, EXCLUSIVE, cpg_mask_print(&m, j->a), err);
}

/* Every cgroup above `path`: from the top when CPUs are taken, from below when they are given back. */
static int change_above(const struct cpg *cpg, const char *path, const struct cpg_mask *cpus, enum direction dir,
			struct cpg_journal *j, struct error *err)
{
	char at[PATH_MAX];
	size_t ends[CPG_MAX_DEPTH * 2];
	size_t n = 0;
	int r = 0;

	for (const char *s = strchr(path, '/'); s && n < ARRAY_SIZE(ends); s = strchr(s + 1, '/'))
		ends[n++] = (size_t)(s - path);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		snprintf(at, sizeof(at), "%.*s", (int)ends[dir == TAKE ? i : n - 1 - i], path);

		auto_close int fd = cg_open_below(cpg->host->root_fd, at, O_RDONLY | O_DIRECTORY);

		r = fd < 0 ? error_set(err, -fd, "open cgroup /%s", at) : change_exclusive(fd, at, cpus, dir, j, err);
		if (r == -ENOENT && fd >= 0)
			r = 0;
	}
	return r;
}

static int leave(struct cpg *cpg, int fd, const char *path, const struct cpg_mask *keep, struct cpg_journal *j,
		 struct error *err)
{
	const char *now = cpg_text(fd, PARTITION, j->a);
	struct cpg_mask cpus = { { 0 } };
	int r = 0;

	if (*now && strcmp(now, "member") != 0)
		r = cpg_put(j, fd, path, PARTITION, "member", err);
	cpg_mask_parse(cpg_text(fd, EXCLUSIVE, j->a), &cpus);
	cpg_mask_minus(&cpus, keep);
	if (r < 0 || cpg_mask_empty(&cpus))
		return r;
	r = change_exclusive(fd, path, &cpus, GIVE_BACK, j, err);
	return r < 0 ? r : change_above(cpg, path, &cpus, GIVE_BACK, j, err);
}

int cpg_partition_leave(struct cpg *cpg, int fd, const char *path, const struct cpg_mask *keep, struct cpg_journal *j,
			struct error *err)
{
	cpg_membership_lock(cpg, CPG_LOCK_EXCLUSIVE);

	int r = leave(cpg, fd, path, keep, j, err);

	cpg_membership_unlock(cpg);
	return r;
}

static bool has_partition_above(const struct cpg_plan *p)
{
	return p->parent > 0 ? cpg_is_partition(p->tree->v[p->parent].partition) :
			       cpg_is_partition(p->tree->v[0].partition) && p->tree->has_base;
}

static int take_exclusive(const struct cpg_plan *p, int fd, struct cpg_journal *j, struct error *err)
{
	int r;

	if (faccessat(fd, EXCLUSIVE, F_OK, 0) < 0) {
		r = error_rule(err, ENOTSUP, "exclusive CPUs for \"%s\" need a parent that is a partition itself, or a "
			       "kernel of 6.7 or later (this one has no " EXCLUSIVE ")", p->name);
		error_hint(err, "run a later kernel, or make the groups share CPUs by lists that do not overlap");
		return r;
	}
	r = change_above(p->cpg, p->path, &p->cpus, TAKE, j, err);
	return r < 0 ? r : change_exclusive(fd, p->path, &p->cpus, TAKE, j, err);
}

static int enter(const struct cpg_plan *p, int fd, struct cpg_journal *j, struct error *err)
{
	const char *word = p->policy->exclusive == CPG_ISOLATED ? "isolated" : "root";
	const char *now = "";
	int r = has_partition_above(p) ? 0 : take_exclusive(p, fd, j, err);

	/* An invalid partition does not come back by itself when its cause is gone: it must be a member in between. */
	for (int tries = 0; r == 0 && tries < 2; tries++) {
		if (tries)
			r = cpg_put(j, fd, p->path, PARTITION, "member", err);
		if (r == 0)
			r = cpg_put(j, fd, p->path, PARTITION, word, err);
		now = cpg_text(fd, PARTITION, j->a);
		if (r == 0 && strcmp(now, word) == 0)
			return 0;
	}
	if (r == -ENOENT)
		return error_rule(err, ENOTSUP, "exclusive needs the file " PARTITION ", which cgroup /%s does not have",
				  p->path);
	if (r < 0)
		return r;
	r = error_rule(err, EBUSY, "the kernel does not make CPU group \"%s\" a partition of CPUs %s: it is \"%s\"",
		       p->name, p->policy->cpus, *now ? now : "gone");
	if (strstr(now, "isolated CPUs") || strstr(now, "housekeeping"))
		error_hint(err, "CPUs of the boot parameter isolcpus= can only be in isolated partitions");
	return r;
}

int cpg_partition_enter(const struct cpg_plan *p, int fd, struct cpg_journal *j, struct error *err)
{
	cpg_membership_lock(p->cpg, CPG_LOCK_EXCLUSIVE);

	int r = enter(p, fd, j, err);

	cpg_membership_unlock(p->cpg);
	return r;
}

/* A word alone does not bring an invalid one back. */
static bool ask_again(const struct cpg *cpg, int fd, const char *word)
{
	cpg_membership_lock(cpg, CPG_LOCK_EXCLUSIVE);

	bool is_asked = cg_write_text(fd, PARTITION, "member") == 0 && cg_write_text(fd, PARTITION, word) == 0;

	cpg_membership_unlock(cpg);
	return is_asked;
}

void cpg_partition_recover(struct cpg *cpg, struct arena *a)
{
	struct cpg_tree t;

	if (cpg_tree_load(cpg, a, &t, NULL) < 0)
		return;
	for (size_t i = 1; i < t.n; i++) {
		const struct cpg_node *n = &t.v[i];
		const char *word = n->attr.policy.exclusive == CPG_ISOLATED ? "isolated" : "root";

		if (n->attr.policy.exclusive == CPG_SHARED || !strstr(n->partition, "invalid"))
			continue;

		auto_close int fd = cg_open_below(cpg->host->root_fd, n->path, O_RDONLY | O_DIRECTORY);

		if (fd < 0 || !ask_again(cpg, fd, word))
			continue;
		log_at(cpg->log, LOG_INFO, "tried CPU group \"%s\" again: /%s/" PARTITION " \"%s\" -> \"%s\"", n->name,
		       n->path, n->partition, cpg_text(fd, PARTITION, a));
	}
}
