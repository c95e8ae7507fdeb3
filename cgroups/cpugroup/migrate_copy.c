/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * The limits of one cgroup written to another. What counts as a limit is every file
 * that can be written and keeps what was written: a file that a later kernel adds
 * is copied without being known here. A fresh cgroup holds the defaults, so what
 * differs between the two is what somebody has set. cg_apply() writes, reads back
 * and, when one is refused, takes back those before it.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_MAX 16384 /* of a keyed file: a hundred devices */

bool mig_is_setting(const char *file)
{
	/* Doors, commands, what is handled apart, and the second spelling of cpu.weight. */
	static const char *const others[] = {
		"cgroup.procs", "cgroup.threads",     "cgroup.type",          "cgroup.subtree_control",
		"cgroup.freeze", "cgroup.kill",       "cgroup.max.depth",     "cgroup.max.descendants",
		"cgroup.events", "cgroup.controllers", "cpu.weight.nice",
	};
	static const char *const endings[] = {
		".stat",  ".events",    ".local", ".current", ".effective", ".numa_stat",
		".peak", ".pressure", ".reclaim", ".isolated",
	};
	const char *dot = strrchr(file, '.');

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(file, others[i]) == 0)
			return false;
	/* The one file of this ending that is a switch. */
	if (strcmp(file, "cgroup.pressure") == 0)
		return true;
	for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
		if (strcmp(dot, endings[i]) == 0)
			return false;
	return dot != NULL;
}

unsigned mig_rank(const char *file)
{
	/*
	 * An idle cgroup takes no weight; a burst has to be within the quota; the reserve within the
	 * limit; a partition is made of CPUs that are written by then (cgroup-v2.rst).
	 */
	static const char *const order[] = {
		"cpuset.mems",  "cpuset.cpus", "cpuset.cpus.exclusive", "cpu.idle",     "cpu.weight",
		"cpu.max",      "cpu.max.burst", "memory.max",          "memory.high",  "memory.low",
		"memory.min",   "memory.swap.max",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		if (strcmp(file, order[i]) == 0)
			return i;
	return strcmp(file, "cpuset.cpus.partition") == 0 ? 1000 : 100;
}

static bool is_keyed(const char *file, const char *text)
{
	static const char *const files[] = {
		"io.max", "io.weight", "io.bfq.weight", "io.latency", "rdma.max", "misc.max", "dmem.max",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(file, files[i]) == 0)
			return true;
	return strchr(text, '\n') != NULL;
}

/* What takes the limit for one name out of a keyed file. */
static const char *reset_of(const char *file)
{
	if (strcmp(file, "io.max") == 0)
		return "rbps=max wbps=max riops=max wiops=max";
	if (strcmp(file, "rdma.max") == 0)
		return "hca_handle=max hca_object=max";
	if (strcmp(file, "io.latency") == 0)
		return "target=0";
	return strstr(file, "weight") ? "default" : "max";
}

/* The line of text that begins with the first word of `line`; whole: and is the same. NULL: none. */
static const char *find_line(const char *text, const char *line, bool whole)
{
	size_t n = strcspn(line, whole ? "\n" : " \n");

	for (const char *s = text; *s; s += *s == '\n') {
		if (strncmp(s, line, n) == 0 && (s[n] == '\0' || s[n] == '\n' || (!whole && s[n] == ' ')))
			return s;
		s += strcspn(s, "\n");
	}
	return NULL;
}

struct writes {
	struct arena *arena;
	struct cg_write *v;
	size_t n, room;
};

static void add(struct writes *w, const char *file, const char *value)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 16;
		struct cg_write *v = ARENA_NEW_N(w->arena, struct cg_write, room);

		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->room = room;
	}
	w->v[w->n++] = (struct cg_write){ .file = file, .value = value, .pointer = "" };
}

static void add_lines(struct writes *w, const char *file, const char *have, const char *now)
{
	for (const char *s = now; *s; s += *s == '\n') {
		size_t n = strcspn(s, "\n");

		if (!find_line(have, s, false))
			add(w, file, arena_printf(w->arena, "%.*s %s", (int)strcspn(s, " \n"), s, reset_of(file)));
		s += n;
	}
	for (const char *s = have; *s; s += *s == '\n') {
		size_t n = strcspn(s, "\n");

		if (!find_line(now, s, true))
			add(w, file, arena_strndup(w->arena, s, n));
		s += n;
	}
}

/* The file without the newline at its end. -errno. */
static ssize_t read_value(int fd, const char *file, char *text)
{
	ssize_t n = cg_read(fd, file, text, TEXT_MAX);

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return n;
}

static int add_file(struct writes *w, int from_fd, int to_fd, const char *file, struct error *err)
{
	char have[TEXT_MAX];
	char now[TEXT_MAX];
	ssize_t n = read_value(from_fd, file, have);

	/* Gone with its controller, or one that can only be written. */
	if (n == -ENOENT || n == -EINVAL || n == -EOPNOTSUPP)
		return 0;
	if (n < 0)
		return error_set(err, (int)-n, "read %s", file);
	n = read_value(to_fd, file, now);
	if (n == -ENOENT)
		return error_rule(err, ENOTSUP, "%s is set to \"%s\" and the place to move to has no such file", file,
				  have);
	if (n < 0)
		return error_set(err, (int)-n, "read %s of the place to move to", file);
	if (strcmp(have, now) == 0)
		return 0;
	/* The old burst may be more than the new quota allows. */
	if (strcmp(file, "cpu.max") == 0 && cg_read_number(to_fd, "cpu.max.burst", &(uint64_t){ 0 }) == 0)
		add(w, "cpu.max.burst", "0");
	if (is_keyed(file, have))
		add_lines(w, file, have, now);
	else
		add(w, file, arena_strdup(w->arena, have));
	return 0;
}

static int by_rank(const void *a, const void *b)
{
	unsigned ra = mig_rank(*(const char *const *)a);
	unsigned rb = mig_rank(*(const char *const *)b);

	return (ra > rb) - (ra < rb);
}

int mig_copy_settings(int from_fd, int to_fd, const struct mig_listing *files, struct arena *a, struct error *err)
{
	struct writes w = { .arena = a };
	const char **file = ARENA_NEW_N(a, const char *, files->n_files + 1);
	uint64_t idle = 0;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < files->n_files; i++)
		if (mig_is_setting(files->file[i]))
			file[n++] = files->file[i];
	qsort(file, n, sizeof(*file), by_rank);
	cg_read_number(from_fd, "cpu.idle", &idle);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct stat st;

		if (idle && strcmp(file[i], "cpu.weight") == 0)
			continue; /* reads 0 then, and cannot be written */
		/* What nobody may write, the kernel writes. */
		if (mig_rank(file[i]) == 100 &&
		    (fstatat(from_fd, file[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !(st.st_mode & 0222)))
			continue;
		r = add_file(&w, from_fd, to_fd, file[i], err);
	}
	if (r < 0 || w.n == 0)
		return r;

	struct cg_plan plan = { .v = w.v, .n = w.n };

	return cg_apply(to_fd, &plan, err);
}
