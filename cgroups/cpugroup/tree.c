/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * All groups as they are now, read in one walk. Only groups are gone into: what
 * a container builds below its leaf is its own business.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

struct walk {
	struct cpg *cpg;
	struct arena *a;
	struct cpg_node *v;
	size_t n, room;
};

bool cpg_is_partition(const char *partition)
{
	return strcmp(partition, "root") == 0 || strcmp(partition, "isolated") == 0;
}

void cpg_parse_cpu_max(const char *text, uint64_t *ret_quota_us, uint64_t *ret_period_us)
{
	unsigned long long quota;
	unsigned long long period;

	*ret_quota_us = UINT64_MAX;
	*ret_period_us = 100000;
	if (sscanf(text, "%llu %llu", &quota, &period) == 2 && period) {
		*ret_quota_us = quota;
		*ret_period_us = period;
	} else if (sscanf(text, "max %llu", &period) == 1 && period) {
		*ret_period_us = period;
	}
}

static void read_mask(int fd, const char *file, struct arena *a, struct cpg_mask *ret)
{
	*ret = (struct cpg_mask){ { 0 } };
	cpg_mask_parse(cpg_text(fd, file, a), ret);
}

static struct cpg_node *add(struct walk *w)
{
	if (w->n == w->room) {
		struct cpg_node *more = ARENA_NEW_N(w->a, struct cpg_node, w->room ? w->room * 2 : 8);

		if (w->n)
			memcpy(more, w->v, w->n * sizeof(*more));
		w->v = more;
		w->room = w->room ? w->room * 2 : 8;
	}
	return &w->v[w->n++];
}

static void read_files(struct walk *w, int fd, struct cpg_node *n)
{
	read_mask(fd, "cpuset.cpus", w->a, &n->cpus);
	read_mask(fd, "cpuset.cpus.effective", w->a, &n->effective);
	if (cpg_mask_empty(&n->effective))
		cpg_online_cpus(&n->effective);
	n->all = n->effective;
	n->partition = cpg_text(fd, "cpuset.cpus.partition", w->a);
	cpg_parse_cpu_max(cpg_text(fd, "cpu.max", w->a), &n->quota_us, &n->period_us);
}

static void warn(const struct log *log, const struct error *e)
{
	char text[512];

	error_line(e, text, sizeof(text));
	log_warn(log, "%s", text);
}

static int add_children(struct walk *w, int fd, size_t at, unsigned depth, struct error *err)
{
	const char **names;
	size_t n;
	int r = depth > CPG_MAX_DEPTH ? 0 : cpg_children(fd, w->a, &names, &n, err);

	if (r < 0 || depth > CPG_MAX_DEPTH)
		return r;
	for (size_t i = 0; i < n; i++) {
		auto_close int child = cpg_open_child(fd, names[i]);
		const char *up = w->v[at].name;
		struct cpg_attr attr;

		if (child < 0) /* gone, or not ours to look into */
			continue;

		const char *path = arena_printf(w->a, "%s/%s", w->v[at].path, names[i]);

		/* One attribute that nobody understands must not stand in the way of all other groups. */
		struct error damage = ERROR_INIT;

		r = cpg_attr_read(child, path, w->a, &attr, &damage);
		if (r < 0)
			warn(w->cpg->log, &damage);
		if (r <= 0)
			continue;

		struct cpg_node *node = add(w);
		size_t self = w->n - 1;

		*node = (struct cpg_node){ .path = path, .parent = (int)at, .attr = attr };
		node->name = *up ? arena_printf(w->a, "%s/%s", up, names[i]) : names[i];
		read_files(w, child, node);
		r = add_children(w, child, self, depth + 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Partitions take their CPUs out of the effective ones of every group above; one
 * that has become invalid still does on 6.12, until it is a member.
 */
static void add_up_partitions(struct walk *w)
{
	for (size_t i = w->n; i-- > 1;)
		cpg_mask_or(&w->v[w->v[i].parent].all, &w->v[i].all);
}

/* The base as the first node. Its fd; -ENOENT without a message where there is none yet. */
static int add_base(struct walk *w, struct error *err)
{
	const struct cpg *cpg = w->cpg;
	int fd = cg_open_below(cpg->host->root_fd, cpg->base, O_RDONLY | O_DIRECTORY);
	struct cpg_node *base = add(w);

	if (fd < 0 && fd != -ENOENT)
		return error_set(err, -fd, "open the base of the CPU groups, /%s", cpg->base);

	*base = (struct cpg_node){ .name = "", .path = arena_strdup(w->a, cpg->base), .parent = -1 };
	base->attr.uuid = base->attr.created = "";
	cpg_policy_default(&base->attr.policy);
	/* Without a base yet, it will inherit what the root has. */
	read_files(w, fd < 0 ? cpg->host->root_fd : fd, base);
	return fd;
}

int cpg_tree_load(struct cpg *cpg, struct arena *a, struct cpg_tree *ret, struct error *err)
{
	struct walk w = { .cpg = cpg, .a = a };
	auto_close int fd = add_base(&w, err);
	int r = fd < 0 && fd != -ENOENT ? fd : 0;

	if (r == 0 && fd >= 0)
		r = add_children(&w, fd, 0, 0, err);
	if (r < 0)
		return r;
	add_up_partitions(&w);
	*ret = (struct cpg_tree){ .v = w.v, .n = w.n, .has_base = fd >= 0 };
	return 0;
}

int cpg_tree_load_path(struct cpg *cpg, const char *name, struct arena *a, struct cpg_tree *ret, struct error *err)
{
	struct walk w = { .cpg = cpg, .a = a };
	auto_close int base = add_base(&w, err);
	size_t end = 0;

	if (base < 0 && base != -ENOENT)
		return base;
	while (base >= 0 && name[end]) {
		size_t from = name[end] == '/' ? end + 1 : end;
		struct cpg_attr attr;

		end = from + strcspn(name + from, "/");

		const char *at = arena_strndup(a, name, end);
		const char *path = arena_printf(a, "%s/%s", cpg->base, at);
		auto_close int fd = cg_open_below(base, at, O_RDONLY | O_DIRECTORY);
		int r = fd < 0 ? 0 : cpg_attr_read(fd, path, a, &attr, err);

		if (r < 0)
			return r;
		if (r == 0)
			break;

		struct cpg_node *node = add(&w);

		*node = (struct cpg_node){ .name = at, .path = path, .parent = (int)w.n - 2, .attr = attr };
		read_files(&w, fd, node);
	}
	*ret = (struct cpg_tree){ .v = w.v, .n = w.n, .has_base = base >= 0 };
	return 0;
}

int cpg_tree_find(const struct cpg_tree *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].name, name) == 0)
			return (int)i;
	return -1;
}
