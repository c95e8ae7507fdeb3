/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/*
 * Who is in a group: the directories in it that are no groups themselves. Only the
 * tree is asked, so members that other engines made are there as well.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "spec/base/path.h"

int cpg_kind_of(int dir_fd)
{
	char names[512];
	ssize_t n = flistxattr(dir_fd, names, sizeof(names));

	/* Most have no attribute at all, and one call says that. */
	if (n == 0)
		return CPG_LEAF;

	int r = cpg_is_group(dir_fd);

	if (r != 0)
		return r < 0 ? r : CPG_GROUP;
	if (fgetxattr(dir_fd, CPG_XATTR_RESIDUAL, NULL, 0) >= 0)
		return CPG_RESIDUAL;
	return errno == ENODATA || errno == ENOTSUP ? CPG_LEAF : -errno;
}

bool cpg_is_residual(int cg_fd)
{
	return fgetxattr(cg_fd, CPG_XATTR_RESIDUAL, NULL, 0) >= 0;
}

int cpg_refuse_own(const char *path, struct error *err)
{
	char own[PATH_MAX];

	if (cg_path_of_pid(0, own, sizeof(own), NULL) < 0 || !path_is_below(own, path))
		return 0;
	error_rule(err, EDEADLK, "this command itself runs in cgroup /%s, and would freeze with it", path);
	error_hint(err, "run it from outside of that cgroup");
	return -EDEADLK;
}

/* A walk over a group's directories. */
struct walk {
	struct arena *arena;
	bool deep;
	struct cpg_member *v;
	size_t n, room;
};

static struct cpg_member *add(struct walk *w)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 16;
		struct cpg_member *v = ARENA_NEW_N(w->arena, struct cpg_member, room);

		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->room = room;
	}
	return &w->v[w->n++];
}

static uint64_t count_lines(int dir_fd)
{
	auto_close int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[CG_FILE_MAX];
	uint64_t lines = 0;

	for (ssize_t n; fd >= 0 && (n = read(fd, text, sizeof(text))) > 0;)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

/* Processes here and below. */
static uint64_t count_pids(int dir_fd, struct arena *a, unsigned depth)
{
	uint64_t lines = count_lines(dir_fd);
	const char **child;
	struct stat st;
	size_t n;

	/* A directory of kernfs has a link for each one in it: most leaves have none, and are not listed. */
	if (depth >= CPG_MAX_DEPTH || (fstat(dir_fd, &st) == 0 && st.st_nlink == 2) ||
	    cpg_children(dir_fd, a, &child, &n, NULL) < 0)
		return lines;
	for (size_t i = 0; i < n; i++) {
		auto_close int sub = cpg_open_child(dir_fd, child[i]);

		if (sub >= 0)
			lines += count_pids(sub, a, depth + 1);
	}
	return lines;
}

/* -ENODEV: the leaf has gone meanwhile. */
static int read_member(int fd, struct arena *a, struct cpg_member *m)
{
	char text[CG_FILE_MAX];
	uint64_t v;
	ssize_t n = cg_read(fd, "cgroup.events", text, sizeof(text));

	if (n < 0)
		return (int)n;
	m->populated = cg_flat_value(text, "populated", &v) && v;
	m->frozen = cg_flat_value(text, "frozen", &v) && v;
	m->freezing = cg_read_number(fd, "cgroup.freeze", &v) == 0 && v;
	m->n_pids = m->populated ? count_pids(fd, a, 0) : 0;
	if (cg_read(fd, "cpu.stat", text, sizeof(text)) > 0)
		cg_flat_value(text, "usage_usec", &m->usage_usec);
	m->cpu_max = cpg_text(fd, "cpu.max", a);
	if (cg_read_number(fd, "memory.current", &m->memory_current) < 0)
		m->memory_current = UINT64_MAX;
	return 0;
}

static int add_members(struct walk *w, int dir_fd, const char *name, const char *path, unsigned depth,
		       struct error *err);

static int visit(struct walk *w, int dir_fd, const char *name, const char *path, const char *child,
		 unsigned depth, struct error *err)
{
	auto_close int fd = cpg_open_child(dir_fd, child);
	int kind = fd < 0 ? fd : cpg_kind_of(fd);
	const char *below = arena_printf(w->arena, "%s/%s", path, child);
	struct cpg_member m = { .id = child, .group = name, .path = below };

	if (kind == CPG_GROUP && w->deep)
		return add_members(w, fd, arena_printf(w->arena, "%s/%s", name, child), below, depth + 1, err);
	if (kind == CPG_LEAF)
		kind = read_member(fd, w->arena, &m);
	else if (kind >= 0)
		return 0;
	if (kind == -ENOENT || kind == -ENODEV)
		return 0; /* removed while we look */
	if (kind < 0)
		return error_set(err, -kind, "read cgroup /%s", below);
	*add(w) = m;
	return 0;
}

static int add_members(struct walk *w, int dir_fd, const char *name, const char *path, unsigned depth,
		       struct error *err)
{
	const char **child;
	size_t n;

	if (depth >= CPG_MAX_DEPTH)
		return 0;

	int r = cpg_children(dir_fd, w->arena, &child, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = visit(w, dir_fd, name, path, child[i], depth, err);
	return r;
}

int cpg_members(struct cpg *cpg, const char *name, bool deep, struct arena *a, struct cpg_member **ret,
		size_t *ret_n, struct error *err)
{
	struct walk w = { .arena = a, .deep = deep };
	char path[PATH_MAX];
	auto_close int fd = cpg_open(cpg, name, false, err);

	if (fd < 0)
		return fd;

	int r = cpg_path(cpg, name, NULL, path, sizeof(path), err);

	if (r == 0)
		r = add_members(&w, fd, arena_strdup(a, name), arena_strdup(a, path), 0, err);
	if (r < 0)
		return error_wrap(err, r, "cannot list the members of CPU group %s", name);
	*ret = w.v;
	*ret_n = w.n;
	return 0;
}
