/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * What CPUs there are and whose they are: sysfs (kernel Documentation/admin-guide/cputopology.rst) beside the
 * partitions of the groups.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define SYSFS "/sys/devices/system"

/* A list file; an absent one is empty. */
static void read_list(int dir_fd, const char *file, struct cpg_mask *ret)
{
	char text[CG_FILE_MAX];

	*ret = (struct cpg_mask){ { 0 } };
	if (cg_read(dir_fd, file, text, sizeof(text)) <= 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	cpg_mask_parse(text, ret);
}

void cpg_online_cpus(struct cpg_mask *ret)
{
	read_list(AT_FDCWD, SYSFS "/cpu/online", ret);
	if (!cpg_mask_empty(ret))
		return;
	/* No sysfs here: what the C library counts. */
	for (long i = 0, n = sysconf(_SC_NPROCESSORS_ONLN); i < n; i++)
		cpg_mask_set(ret, (unsigned)i);
}

static int read_id(int sysfs_fd, unsigned cpu, const char *file)
{
	char path[96];
	char text[32];
	int64_t v;

	snprintf(path, sizeof(path), "cpu/cpu%u/topology/%s", cpu, file);
	if (cg_read(sysfs_fd, path, text, sizeof(text)) <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return parse_i64(text, &v) == 0 && v >= 0 && v <= INT32_MAX ? (int)v : -1;
}

/* core_cpus_list is the name since 5.3; thread_siblings_list before. */
static const char *read_siblings(int sysfs_fd, unsigned cpu, struct arena *a)
{
	static const char *const files[] = { "core_cpus_list", "thread_siblings_list" };
	char path[96];
	struct cpg_mask m;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "cpu/cpu%u/topology/%s", cpu, files[i]);
		read_list(sysfs_fd, path, &m);
		if (!cpg_mask_empty(&m))
			return cpg_mask_print(&m, a);
	}
	return arena_printf(a, "%u", cpu);
}

static struct cpg_cpu *find_cpu(struct cpg_topology *t, unsigned cpu)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->cpu[i].cpu == cpu)
			return &t->cpu[i];
	return NULL;
}

static void read_nodes(int sysfs_fd, struct cpg_topology *t)
{
	char path[64];
	struct cpg_mask nodes;
	struct cpg_mask cpus;

	read_list(sysfs_fd, "node/online", &nodes);
	for (unsigned n = 0; n < CPG_MAX_CPUS; n++) {
		if (!cpg_mask_has(&nodes, n))
			continue;
		snprintf(path, sizeof(path), "node/node%u/cpulist", n);
		read_list(sysfs_fd, path, &cpus);
		for (size_t i = 0; i < t->n; i++)
			if (cpg_mask_has(&cpus, t->cpu[i].cpu))
				t->cpu[i].node = (int)n;
	}
}

/* Which exclusive partitions of groups the CPUs are in; the innermost one counts. */
static int add_groups(struct cpg *cpg, struct arena *a, struct cpg_topology *t, struct error *err)
{
	struct cpg_tree tree;
	struct cpg_mask isolated;
	int r = cpg_tree_load(cpg, a, &tree, err);

	if (r < 0)
		return r;
	for (size_t i = 1; i < tree.n; i++) {
		const struct cpg_node *n = &tree.v[i];

		if (!cpg_is_partition(n->partition))
			continue;
		for (unsigned c = 0; c < CPG_MAX_CPUS; c++) {
			struct cpg_cpu *cpu = cpg_mask_has(&n->effective, c) ? find_cpu(t, c) : NULL;

			if (!cpu)
				continue;
			cpu->group = n->name;
			cpu->isolated |= strcmp(n->partition, "isolated") == 0;
		}
	}
	/* Partitions that others made: the root knows since 6.7. */
	read_list(cpg->host->root_fd, "cpuset.cpus.isolated", &isolated);
	for (size_t i = 0; i < t->n; i++)
		t->cpu[i].isolated |= cpg_mask_has(&isolated, t->cpu[i].cpu);
	return 0;
}

int cpg_topology(struct cpg *cpg, int sysfs_fd, struct arena *a, struct cpg_topology *ret, struct error *err)
{
	auto_close int own = sysfs_fd < 0 ? open(SYSFS, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int fd = sysfs_fd < 0 ? own : sysfs_fd;
	struct cpg_topology t = { .cpu = NULL };
	struct cpg_mask present;
	struct cpg_mask online;
	struct cpg_mask isolated;

	if (fd < 0)
		return error_set(err, errno, "open " SYSFS);
	read_list(fd, "cpu/present", &present);
	read_list(fd, "cpu/online", &online);
	read_list(fd, "cpu/isolated", &isolated);
	cpg_mask_or(&present, &online);
	if (cpg_mask_empty(&present))
		return error_rule(err, ENOENT, "the kernel lists no CPU in " SYSFS "/cpu/present");

	t.cpu = ARENA_NEW_N(a, struct cpg_cpu, cpg_mask_count(&present));
	for (unsigned c = 0; c < CPG_MAX_CPUS; c++) {
		if (!cpg_mask_has(&present, c))
			continue;
		t.cpu[t.n++] = (struct cpg_cpu){
			.cpu = c,
			.node = -1,
			.package = read_id(fd, c, "physical_package_id"),
			.die = read_id(fd, c, "die_id"),
			.core = read_id(fd, c, "core_id"),
			.siblings = read_siblings(fd, c, a),
			.online = cpg_mask_has(&online, c),
			.isolated = cpg_mask_has(&isolated, c),
		};
		t.n_online += cpg_mask_has(&online, c);
	}
	read_nodes(fd, &t);

	int r = cpg ? add_groups(cpg, a, &t, err) : 0;

	if (r == 0)
		*ret = t;
	return r;
}

const char *cpg_nodes_of(const struct cpg_topology *t, const struct cpg_mask *cpus, struct arena *a)
{
	struct cpg_mask nodes = { { 0 } };

	for (size_t i = 0; i < t->n; i++)
		if (t->cpu[i].node >= 0 && cpg_mask_has(cpus, t->cpu[i].cpu))
			cpg_mask_set(&nodes, (unsigned)t->cpu[i].node);
	return cpg_mask_print(&nodes, a);
}

int cpg_check_whole_cores(const struct cpg_topology *t, const struct cpg_mask *cpus, struct error *err)
{
	struct cpg_mask core;

	for (size_t i = 0; i < t->n; i++) {
		const struct cpg_cpu *c = &t->cpu[i];

		if (!cpg_mask_has(cpus, c->cpu) || cpg_mask_parse(c->siblings, &core) < 0 ||
		    cpg_mask_within(&core, cpus))
			continue;
		return error_rule(err, EINVAL, "CPU %u shares its core with CPUs %s, and the list does not have all "
				  "of them (whole cores are asked for)", c->cpu, c->siblings);
	}
	return 0;
}
