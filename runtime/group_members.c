/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a group: the tree says which leaves there are, the state root which of them are ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "runtime/group.h"
#include "runtime/group_members.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

/* A state root that nobody has used yet has no containers. */
static int containers(const struct rt_context *ctx, struct arena *a, struct rt_summary **ret, size_t *ret_n,
		      struct error *err)
{
	struct error own = ERROR_INIT;
	int r = rt_list(ctx, a, ret, ret_n, &own);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && err)
		*err = own;
	return r;
}

static const struct rt_summary *find(const struct rt_summary *list, size_t n, const char *cgroup)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].cgroup, cgroup) == 0)
			return &list[i];
	return NULL;
}

static const char *status_of_leaf(const struct cpg_member *m)
{
	return !m->populated ? "stopped" : m->frozen ? "paused" : "running";
}

static int members_of_group(struct cpg *cpg, const char *group, bool deep, const struct rt_summary *list,
			    size_t n_list, struct arena *a, struct rt_group_member **ret, size_t *ret_n,
			    struct error *err)
{
	struct cpg_member *leaves;
	size_t n;
	int r = cpg_members(cpg, group, deep, a, &leaves, &n, err);

	if (r < 0)
		return r;

	struct rt_group_member *v = ARENA_NEW_N(a, struct rt_group_member, n);

	for (size_t i = 0; i < n; i++) {
		const struct cpg_member *m = &leaves[i];
		const struct rt_summary *c = find(list, n_list, m->path);

		v[i] = (struct rt_group_member){
			.container = c,
			.id = c ? c->id : m->id,
			.group = m->group,
			.cgroup = m->path,
			.n_pids = m->n_pids,
			.usage_usec = m->usage_usec,
			.memory_current = m->memory_current,
			.cpu_max = m->cpu_max,
			.status = c ? c->status : status_of_leaf(m),
		};
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* One container outside of every group, measured like a leaf inside. */
static void measure(const struct cg_host *host, struct arena *a, struct rt_group_member *m)
{
	auto_close int fd = cg_open(host, m->cgroup, NULL);
	char text[256];
	struct cpg_stat stat;
	pid_t *pids;
	size_t n;

	if (fd < 0)
		return;
	if (cg_pids(fd, a, &pids, &n, NULL) == 0)
		m->n_pids = n;
	if (cpg_stat_fd(fd, &stat, NULL) == 0) {
		m->usage_usec = stat.usage_usec;
		if (stat.has_memory)
			m->memory_current = stat.memory_current;
	}
	if (file_read_at(fd, "cpu.max", text, sizeof(text), NULL) > 0) {
		text[strcspn(text, "\n")] = '\0';
		m->cpu_max = arena_strdup(a, text);
	}
}

static int members_of_none(const struct cg_host *host, const struct rt_summary *list, size_t n_list,
			   struct arena *a, struct rt_group_member **ret, size_t *ret_n)
{
	struct rt_group_member *v = ARENA_NEW_N(a, struct rt_group_member, n_list);
	size_t n = 0;

	for (size_t i = 0; i < n_list; i++) {
		if (list[i].cpu_group[0])
			continue;
		v[n] = (struct rt_group_member){
			.container = &list[i],
			.id = list[i].id,
			.group = "/",
			.cgroup = list[i].cgroup,
			.memory_current = UINT64_MAX,
			.cpu_max = "",
			.status = list[i].status,
		};
		if (v[n].cgroup[0])
			measure(host, a, &v[n]);
		n++;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int group_members_in(const struct rt_context *ctx, struct group_place *at, const char *group, bool deep,
		     struct arena *a, struct rt_group_member **ret, size_t *ret_n, struct error *err)
{
	struct rt_summary *list = NULL;
	size_t n = 0;
	int r = containers(ctx, a, &list, &n, err);

	if (r < 0)
		return r;
	if (strcmp(group, "/") == 0)
		return members_of_none(at->cpg.host, list, n, a, ret, ret_n);
	return members_of_group(&at->cpg, group, deep, list, n, a, ret, ret_n, err);
}

int rt_group_members(const struct rt_context *ctx, const char *group, bool deep, struct arena *a,
		     struct rt_group_member **ret, size_t *ret_n, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	int r = cpg_name_check(group, err);

	if (r == 0)
		r = cg_host_open(&host, err);
	if (r == 0)
		r = group_place(ctx, &host, &at, err);
	if (r == 0)
		r = group_members_in(ctx, &at, group, deep, a, ret, ret_n, err);
	cg_host_close(&host);
	return r;
}
