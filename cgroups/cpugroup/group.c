/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/* Looking at groups: what was asked for beside what the kernel says, and where these differ. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "spec/base/auto.h"

static void add_drift(struct cpg_group *g, const char *member, const char *wanted, const char *actual)
{
	g->drift[g->n_drift++] = (struct cpg_drift){ .member = member, .wanted = wanted, .actual = actual };
}

static const char *resolve_mems(const struct cpg_policy *p, const struct cpg_mask *cpus, struct arena *a)
{
	struct cpg_topology t;

	if (strcmp(p->mems, "auto") != 0)
		return p->mems;
	return cpg_topology(NULL, -1, a, &t, NULL) == 0 ? cpg_nodes_of(&t, cpus, a) : "";
}

/*
 * Lists as written can hold while others are in force (hotplug, a parent that
 * shrank), so the effective ones are compared, too.
 */
static void find_drift(int fd, const struct cpg_node *node, struct arena *a, struct cpg_group *g)
{
	const struct cpg_policy *p = &g->policy;
	struct cpg_value v[CPG_VALUES_MAX];
	struct cpg_mask asked = { { 0 } };
	uint64_t quota = UINT64_MAX;
	uint64_t period = 100000;

	cpg_cap_resolve(&p->cap, cpg_mask_count(&node->all), &quota, &period, NULL);
	cpg_mask_parse(p->cpus, &asked);

	size_t n = cpg_values(p, resolve_mems(p, &asked, a), quota, period, a, v);

	g->drift = ARENA_NEW_N(a, struct cpg_drift, n + 1);
	for (size_t i = 0; i < n; i++) {
		const char *now = (p->set & v[i].set) ? cpg_text(fd, v[i].file, a) : "";

		if (!(p->set & v[i].set) || (!*now && v[i].is_default))
			continue;
		if (strcmp(v[i].file, "cpu.max.burst") == 0 && quota < p->burst_us)
			v[i].value = arena_printf(a, "%llu", (unsigned long long)quota);
		if (!cpg_value_holds(v[i].file, v[i].value, now))
			add_drift(g, v[i].member, v[i].value, now);
		else if (strcmp(v[i].file, "cpuset.cpus") == 0 && !cpg_mask_empty(&asked) &&
			 !cpg_mask_equal(&asked, &node->all))
			add_drift(g, "cpus", p->cpus, cpg_mask_print(&node->all, a));
	}
}

static int count_children(int fd, struct arena *a, struct cpg_group *g, struct error *err)
{
	const char **names;
	size_t n;
	int r = cpg_children(fd, a, &names, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_close int child = cpg_open_child(fd, names[i]);
		int kind = child < 0 ? -1 : cpg_kind_of(child);

		g->n_groups += kind == CPG_GROUP;
		g->n_members += kind == CPG_LEAF;
	}
	return r;
}

static void read_state(int fd, struct arena *a, struct cpg_group *g)
{
	struct stat st;
	struct cpg_mask effective = { { 0 } };

	g->cpus_effective = cpg_text(fd, "cpuset.cpus.effective", a);
	g->mems_effective = cpg_text(fd, "cpuset.mems.effective", a);
	g->partition = cpg_text(fd, "cpuset.cpus.partition", a);
	g->cpu_max = cpg_text(fd, "cpu.max", a);
	g->cpu_max_burst = cpg_text(fd, "cpu.max.burst", a);
	g->cpu_weight = cpg_text(fd, "cpu.weight", a);
	g->cpu_idle = cpg_text(fd, "cpu.idle", a);
	g->populated = cg_is_populated(fd) == 1;
	g->frozen = cg_is_frozen(fd) == 1;
	g->freezing = strcmp(cpg_text(fd, "cgroup.freeze", a), "1") == 0;

	cpg_mask_parse(g->cpus_effective, &effective);
	if (cpg_mask_empty(&effective))
		cpg_online_cpus(&effective);
	g->n_cpus = cpg_mask_count(&effective);
	if (fstat(fd, &st) == 0) {
		g->owner = st.st_uid;
		g->cgroup_id = st.st_ino;
	}
}

/* node: of the group, or NULL for a foreign directory. */
static int read_group(int fd, const struct cpg_node *node, const char *name, const char *path, struct arena *a,
		      struct cpg_group *ret, struct error *err)
{
	struct cpg_group g = { .name = arena_strdup(a, name), .path = arena_strdup(a, path),
			       .uuid = "", .created = "", .foreign = !node };

	cpg_policy_default(&g.policy);
	read_state(fd, a, &g);
	if (node) {
		g.uuid = node->attr.uuid;
		g.created = node->attr.created;
		g.adopted = node->attr.adopted;
		g.policy = node->attr.policy;
		find_drift(fd, node, a, &g);
	}

	int r = count_children(fd, a, &g, err);

	if (r == 0)
		*ret = g;
	return r;
}

int cpg_get(struct cpg *cpg, const char *name, struct arena *a, struct cpg_group *ret, struct error *err)
{
	char path[PATH_MAX];
	struct cpg_tree tree;
	struct cpg_attr attr;
	int r = cpg_name_check(name, err);

	if (r == 0 && strcmp(name, "/") == 0)
		r = error_rule(err, EINVAL, "\"/\" stands for no group and has no policy");
	if (r == 0)
		r = cpg_path(cpg, name, NULL, path, sizeof(path), err);
	if (r < 0)
		return r;

	auto_close int fd = cg_open_below(cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);

	if (fd == -ENOENT)
		return error_rule(err, ENOENT, "there is no CPU group \"%s\" (cgroup /%s)", name, path);
	if (fd < 0)
		return error_set(err, -fd, "open CPU group \"%s\" (cgroup /%s)", name, path);
	/* First, so that a damaged attribute is an error of the group that was asked for. */
	r = cpg_attr_read(fd, path, a, &attr, err);
	if (r < 0)
		return r;

	int self = -1;

	if (r == 1) {
		r = cpg_tree_load(cpg, a, &tree, err);
		self = r < 0 ? -1 : cpg_tree_find(&tree, name);
	}
	return r < 0 ? r : read_group(fd, self < 0 ? NULL : &tree.v[self], name, path, a, ret, err);
}

int cpg_list(struct cpg *cpg, const char *below, struct arena *a, struct cpg_group **ret, size_t *ret_n,
	     struct error *err)
{
	struct cpg_tree tree;
	struct cpg_group *v;
	size_t n = 0;
	int r = below ? cpg_name_check(below, err) : 0;

	if (r == 0)
		r = cpg_tree_load(cpg, a, &tree, err);
	if (r < 0)
		return r;
	if (below && strcmp(below, "/") == 0)
		below = NULL;
	if (below && cpg_tree_find(&tree, below) < 0)
		return error_rule(err, ENOENT, "there is no CPU group \"%s\"", below);

	v = ARENA_NEW_N(a, struct cpg_group, tree.n);
	for (size_t i = 1; i < tree.n; i++) {
		const struct cpg_node *node = &tree.v[i];

		if (below && (!cpg_is_within(node->name, below) || strcmp(node->name, below) == 0))
			continue;

		auto_close int fd = cg_open_below(cpg->host->root_fd, node->path, O_RDONLY | O_DIRECTORY);

		if (fd == -ENOENT) /* deleted beside us */
			continue;
		if (fd < 0)
			return error_set(err, -fd, "open CPU group \"%s\" (cgroup /%s)", node->name, node->path);
		r = read_group(fd, node, node->name, node->path, a, &v[n], err);
		if (r < 0)
			return r;
		n++;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}
