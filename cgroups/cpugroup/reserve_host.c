/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Keeping the host's own processes on some CPUs: cpuset.cpus of everything that
 * is beside the base and beside the cgroups the base lies in. What runs in the root
 * cgroup itself (kernel threads, and everybody without systemd) cannot be confined so.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

struct reserve {
	struct cpg *cpg;
	struct arena *a;
	const char *cpus;
	struct cpg_mask asked;
	unsigned flags;
	struct cpg_journal j;
	size_t n_confined;
};

static int check(const struct reserve *s, struct error *err)
{
	struct cpg_mask online;
	struct cpg_mask both = s->asked;
	unsigned available;
	struct cpg_policy need;
	int r = cg_controllers(s->cpg->host, &available, err);

	cpg_policy_default(&need);
	need.cpus = s->cpus;
	if (r == 0)
		r = cpg_require(s->cpg, &need, err);
	if (r < 0 || !*s->cpus)
		return r;
	cpg_online_cpus(&online);
	cpg_mask_and(&both, &online);
	if (cpg_mask_equal(&both, &s->asked))
		return 0;
	if (!(s->flags & CPG_ALLOW_DIFFERENCE) || cpg_mask_empty(&both))
		return error_rule(err, EINVAL, "cpus \"%s\": online are \"%s\", and the host needs one of them at least",
				  s->cpus, cpg_mask_print(&online, s->a));
	log_warn(s->cpg->log, "host: cpus \"%s\": online are \"%s\"", s->cpus, cpg_mask_print(&online, s->a));
	return 0;
}

static int confine(struct reserve *s, int fd, const char *path, struct error *err)
{
	struct cpg_mask have = { { 0 } };
	struct cpg_mask both;
	int r;

	if (cpg_is_partition(cpg_text(fd, "cpuset.cpus.partition", s->a))) {
		log_warn(s->cpg->log, "cgroup /%s has CPUs of its own (a partition): left as it is", path);
		return 0;
	}
	r = cpg_put(&s->j, fd, path, "cpuset.cpus", s->cpus, err);
	if (r == -ENOENT) {
		r = error_rule(err, ENOTSUP, "cgroup /%s has no cpuset.cpus: the cpuset controller is not enabled for it",
			       path);
		error_hint(err, "enable it above: echo +cpuset > cgroup.subtree_control (systemd: AllowedCPUs= on the "
				"slices does all of this)");
		return r;
	}
	s->n_confined += r == 0;
	if (r < 0 || !*s->cpus)
		return r;
	cpg_mask_parse(cpg_text(fd, "cpuset.cpus.effective", s->a), &have);
	both = have;
	cpg_mask_and(&both, &s->asked);
	if (!cpg_mask_equal(&both, &have))
		return error_rule(err, EINVAL, "cpus \"%s\" of cgroup /%s: in force is \"%s\"", s->cpus, path,
				  cpg_mask_print(&have, s->a));
	return 0;
}

/* Every cgroup in `dir` but `except`. */
static int confine_all(struct reserve *s, const char *dir, const char *except, struct error *err)
{
	auto_close int fd = *dir ? cg_open_below(s->cpg->host->root_fd, dir, O_RDONLY | O_DIRECTORY) :
				   cg_open_below(s->cpg->host->root_fd, ".", O_RDONLY | O_DIRECTORY);
	const char **names;
	size_t n;
	int r = fd < 0 ? error_set(err, -fd, "open cgroup /%s", dir) : cpg_children(fd, s->a, &names, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *path = arena_printf(s->a, "%s%s%s", dir, *dir ? "/" : "", names[i]);
		auto_close int child = strcmp(names[i], except) == 0 ? -1 : cpg_open_child(fd, names[i]);

		if (child >= 0)
			r = confine(s, child, path, err);
	}
	return r;
}

/* Beside each component of the base's path. */
static int walk(struct reserve *s, struct error *err)
{
	char dir[PATH_MAX] = "";
	const char *at = s->cpg->base;
	int r = 0;

	while (r == 0 && *at) {
		size_t n = strcspn(at, "/");
		char name[NAME_MAX + 1];

		snprintf(name, sizeof(name), "%.*s", (int)n, at);
		r = confine_all(s, dir, name, err);
		snprintf(dir, sizeof(dir), "%.*s", (int)(at + n - s->cpg->base), s->cpg->base);
		at += n + (at[n] == '/');
	}
	return r;
}

/* cpuset reaches the siblings only when their parents hand it down; making the base does that. */
static int reserve(struct reserve *s, struct error *err)
{
	auto_close int lock = cpg_lock_base(s->cpg, true, NULL, err);
	int r = lock < 0 ? lock : walk(s, err);

	if (r < 0) {
		cpg_journal_undo(&s->j);
		return r;
	}
	if (s->n_confined == 0)
		log_warn(s->cpg->log, "there is no cgroup beside /%s: the host's processes are in the root cgroup, which "
			 "cannot be confined", s->cpg->base);
	cpg_journal_log(&s->j, s->cpg->log, *s->cpus ? "confined the host beside" : "released the host beside", "/");
	cpg_journal_release(&s->j);
	return 0;
}

int cpg_reserve_host(struct cpg *cpg, const char *cpus, unsigned flags, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct reserve s = { .cpg = cpg, .a = a, .cpus = cpus, .flags = flags, .j = { .a = a } };
	int r = cpg_mask_parse(cpus, &s.asked);

	if (r < 0 || (*cpus && cpg_mask_empty(&s.asked)))
		r = error_rule(err, r == -ERANGE ? ERANGE : EINVAL, "cpus \"%.128s\" is no list such as 0-1", cpus);
	if (r == 0)
		r = check(&s, err);
	if (r == 0 && !(flags & CPG_CHECK))
		r = reserve(&s, err);
	return r < 0 ? error_wrap(err, r, "cannot confine the host's processes to CPUs \"%s\"", cpus) : 0;
}
