/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/*
 * The numbers of a group and of those in it, in one walk. Five hundred members are
 * some seven thousand files, so each costs what it must: one openat, one read, one
 * close, and none is asked for where its controller has been found missing.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a sibling was found to lack need not be asked for: who has the same parent has the same files. */
enum { NO_MEMORY = 1 << 0, NO_PIDS = 1 << 1, NO_CPU_PSI = 1 << 2, NO_MEMORY_PSI = 1 << 3, NO_IO_PSI = 1 << 4 };

static uint64_t number_or(int fd, const char *file, uint64_t other)
{
	uint64_t v;

	return cg_read_number(fd, file, &v) == 0 ? v : other;
}

/* "max 100000", "250000 100000" */
static void read_cap(int fd, struct cpg_stat *s)
{
	char text[64];
	unsigned long long quota;
	unsigned long long period;

	if (cg_read(fd, "cpu.max", text, sizeof(text)) <= 0)
		return;
	if (sscanf(text, "%llu %llu", &quota, &period) == 2) {
		s->quota_us = quota;
		s->period_us = period;
	} else if (sscanf(text, "max %llu", &period) == 1) {
		s->period_us = period;
	}
}

/* The whole of a flat keyed file in one pass: keys are looked for in the order of the table, which is the kernel's. */
struct wanted {
	const char *key;
	uint64_t *ret;
};

/* Returns how many of the keys are there, up to the last of them. */
static size_t read_flat(const char *text, const struct wanted *w, size_t n)
{
	size_t found = 0;

	for (const char *line = text; *line && found < n;) {
		size_t i = found, len = strcspn(line, " \n");

		while (i < n && (strncmp(line, w[i].key, len) != 0 || w[i].key[len]))
			i++;
		if (i < n && cg_flat_value(line, w[i].key, w[i].ret))
			found = i + 1;
		line += len;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return found;
}

static void read_psi(int fd, const char *file, unsigned bit, unsigned *lacks, struct cpg_psi *ret)
{
	if (*lacks & bit)
		return;
	/* Without the file; not without numbers: a cgroup may have them switched off for itself. */
	if (cpg_psi_read(fd, file, ret) == -ENOENT)
		*lacks |= bit;
}

static void read_cpu(int fd, struct cpg_stat *s, unsigned *lacks)
{
	const struct wanted wanted[] = {
		{ "usage_usec", &s->usage_usec },     { "user_usec", &s->user_usec },
		{ "system_usec", &s->system_usec },   { "nr_periods", &s->nr_periods },
		{ "nr_throttled", &s->nr_throttled }, { "throttled_usec", &s->throttled_usec },
		{ "nr_bursts", &s->nr_bursts },       { "burst_usec", &s->burst_usec },
	};
	enum { OF_ALL = 3 }; /* so many are there without it */
	char text[CG_FILE_MAX];

	/* Usage is counted without the controller as well. */
	if (cg_read(fd, "cpu.stat", text, sizeof(text)) > 0)
		s->has_cpu = read_flat(text, wanted, ARRAY_SIZE(wanted)) > OF_ALL;
	if (s->has_cpu)
		read_cap(fd, s);
	read_psi(fd, "cpu.pressure", NO_CPU_PSI, lacks, &s->cpu);
}

static void read_memory(int fd, struct cpg_stat *s, unsigned *lacks)
{
	char text[CG_FILE_MAX];

	s->has_memory = !(*lacks & NO_MEMORY) && cg_read_number(fd, "memory.current", &s->memory_current) == 0;
	if (s->has_memory) {
		s->memory_peak = number_or(fd, "memory.peak", UINT64_MAX); /* since Linux 5.19 */
		s->memory_max = number_or(fd, "memory.max", UINT64_MAX);
		s->swap_current = number_or(fd, "memory.swap.current", UINT64_MAX);
		if (cg_read(fd, "memory.events", text, sizeof(text)) > 0)
			cg_flat_value(text, "oom_kill", &s->oom_kills);
	}
	if (!s->has_memory)
		*lacks |= NO_MEMORY;
	read_psi(fd, "memory.pressure", NO_MEMORY_PSI, lacks, &s->memory);
}

static void read_pids(int fd, struct cpg_stat *s, unsigned *lacks)
{
	s->has_pids = !(*lacks & NO_PIDS) && cg_read_number(fd, "pids.current", &s->pids_current) == 0;
	if (s->has_pids)
		s->pids_max = number_or(fd, "pids.max", UINT64_MAX);
	else
		*lacks |= NO_PIDS;
}

static int read_all(int cg_fd, unsigned *lacks, struct cpg_stat *ret)
{
	struct cpg_stat s = {
		.quota_us = UINT64_MAX,       .period_us = UINT64_MAX,  .memory_current = UINT64_MAX,
		.memory_peak = UINT64_MAX,    .memory_max = UINT64_MAX, .swap_current = UINT64_MAX,
		.pids_max = UINT64_MAX,
	};
	char text[256];
	struct timespec now;
	uint64_t v;
	ssize_t n = cg_read(cg_fd, "cgroup.events", text, sizeof(text));

	if (n < 0)
		return (int)n;
	s.populated = cg_flat_value(text, "populated", &v) && v;
	s.frozen = cg_flat_value(text, "frozen", &v) && v;
	read_cpu(cg_fd, &s, lacks);
	/* As near to the reading of usage as can be: utilisation is the one by the other. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	s.taken_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	read_memory(cg_fd, &s, lacks);
	read_psi(cg_fd, "io.pressure", NO_IO_PSI, lacks, &s.io);
	read_pids(cg_fd, &s, lacks);
	*ret = s;
	return 0;
}

int cpg_stat_fd(int cg_fd, struct cpg_stat *ret, struct error *err)
{
	unsigned lacks = 0;
	int r = read_all(cg_fd, &lacks, ret);

	return r < 0 ? error_set(err, -r, "read the statistics of the cgroup") : 0;
}

struct walk {
	struct arena *arena;
	bool members;
	struct cpg_stat *v;
	size_t n, room;
};

/* The row's place: pointers to rows do not survive the next one. */
static size_t add_row(struct walk *w)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 64;
		struct cpg_stat *v = ARENA_NEW_N(w->arena, struct cpg_stat, room);

		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->room = room;
	}
	w->v[w->n] = (struct cpg_stat){ .name = "" };
	return w->n++;
}

static bool has_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

static int add_group(struct walk *w, int fd, const char *name, const char *path, unsigned depth,
		     struct error *err);

/* A group, while those in it are visited. */
struct visit {
	const char *name, *path;
	unsigned depth;
	unsigned lacks;    /* of those in it */
	uint64_t residual; /* what leaves that a move left behind are still charged */
};

/* "path/name" */
static const char *join(struct arena *a, const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);
	char *text = arena_alloc(a, n + 1 + m + 1);

	memcpy(text, path, n);
	text[n] = '/';
	memcpy(text + n + 1, name, m);
	return text;
}

static int add_leaf(struct walk *w, int fd, struct visit *v, const char *id)
{
	struct cpg_stat s;
	int r = read_all(fd, &v->lacks, &s);

	if (r < 0)
		return r;
	s.name = id;
	s.group = v->name;
	s.path = join(w->arena, v->path, id);

	size_t row = add_row(w); /* first: it may give the rows another place */

	w->v[row] = s;
	return 0;
}

static int visit(struct walk *w, int dir_fd, struct visit *v, const char *child, struct error *err)
{
	auto_close int fd = cpg_open_child(dir_fd, child);
	int kind = fd < 0 ? fd : cpg_kind_of(fd);

	if (kind == CPG_RESIDUAL)
		v->residual += number_or(fd, "memory.current", 0);
	else if (kind == CPG_LEAF && w->members)
		kind = add_leaf(w, fd, v, child);
	else if (kind == CPG_GROUP && w->members && v->depth < CPG_MAX_DEPTH)
		return add_group(w, fd, arena_printf(w->arena, "%s/%s", v->name, child),
				 arena_printf(w->arena, "%s/%s", v->path, child), v->depth + 1, err);
	if (kind >= 0 || has_gone(kind))
		return 0;
	return error_set(err, -kind, "read the statistics of cgroup /%s/%s", v->path, child);
}

static int add_group(struct walk *w, int fd, const char *name, const char *path, unsigned depth,
		     struct error *err)
{
	struct visit v = { .name = name, .path = path, .depth = depth };
	const char **child;
	struct cpg_stat s;
	size_t n;
	int r = cpg_stat_fd(fd, &s, err);

	if (r < 0)
		return r;

	size_t row = add_row(w);

	s.name = name;
	s.path = path;
	s.is_group = true;
	w->v[row] = s;
	r = cpg_children(fd, w->arena, &child, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = visit(w, fd, &v, child[i], err);
	w->v[row].residual = v.residual;
	return r;
}

int cpg_stats(struct cpg *cpg, const char *name, bool members, struct arena *a, struct cpg_stat **ret,
	      size_t *ret_n, struct error *err)
{
	struct walk w = { .arena = a, .members = members };
	char path[PATH_MAX];
	auto_close int fd = cpg_open(cpg, name, false, err);

	if (fd < 0)
		return fd;

	int r = cpg_path(cpg, name, NULL, path, sizeof(path), err);

	if (r == 0)
		r = add_group(&w, fd, arena_strdup(a, name), arena_strdup(a, path), 0, err);
	if (r < 0)
		return error_wrap(err, r, "cannot read the statistics of CPU group %s", name);
	*ret = w.v;
	*ret_n = w.n;
	return 0;
}

uint64_t cpg_utilisation(const struct cpg_stat *before, const struct cpg_stat *after)
{
	int64_t ns = after->taken_ns - before->taken_ns;
	bool capped = after->quota_us != UINT64_MAX && after->period_us != UINT64_MAX && after->period_us;

	if (ns <= 0 || after->usage_usec <= before->usage_usec)
		return 0;

	/* used / (time * quota / period), in hundredths of a percent. */
	__extension__ unsigned __int128 used = after->usage_usec - before->usage_usec;
	__extension__ unsigned __int128 may = (unsigned __int128)ns * (capped ? after->quota_us : 1);

	used = used * 1000 * 10000 * (capped ? after->period_us : 1);
	return may ? (uint64_t)(used / may) : 0;
}
