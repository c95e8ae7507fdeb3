/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Telling what happens to groups. The kernel announces changes of cgroup.events,
 * memory.events and cpuset.cpus.partition, and pressure triggers, by POLLPRI on an open
 * file until it is read again. It does not announce effective CPUs (hotplug, a
 * sibling's partition) nor new groups: these are looked at once a second.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/oom.h"

#define LOOK_EVERY_MS 1000

enum { EVENTS, MEMORY, PARTITION, PRESSURE, N_FILES };

struct watched {
	char *name;
	ino_t id;        /* a new group of the same name has another */
	int dir_fd;
	int fd[N_FILES]; /* -1: not there */
	bool populated, frozen;
	uint64_t oom_kills;
	char *partition, *cpus;
	bool seen;       /* by the present look */
	bool lost;       /* its files are: a file of a group that has gone is ready for ever */
};

struct watch {
	struct cpg *cpg;
	const char *top; /* "" for all */
	const char *psi;
	int (*emit)(const struct cpg_event *ev, void *data);
	void *data;
	struct watched *v;
	size_t n, room;
};

static void release(struct watched *g)
{
	for (int i = 0; i < N_FILES; i++)
		if (g->fd[i] >= 0)
			close(g->fd[i]);
	close(g->dir_fd);
	free(g->name);
	free(g->partition);
	free(g->cpus);
}

static int tell(const struct watch *w, const struct watched *g, enum cpg_event_kind kind, const char *before,
		const char *after)
{
	struct timespec now;
	struct cpg_event ev = { .kind = kind, .group = g->name, .before = before, .after = after };

	clock_gettime(CLOCK_REALTIME, &now);
	ev.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	return w->emit(&ev, w->data);
}

/* The file from its start, which also makes poll() wait for the next change. -errno; the newline at the end goes. */
static ssize_t look(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

	if (n < 0) {
		text[0] = '\0';
		return fd < 0 ? -ENOENT : -errno;
	}
	text[n] = '\0';
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return n;
}

static int tell_flag(const struct watch *w, const struct watched *g, enum cpg_event_kind kind, bool *was, bool is)
{
	if (*was == is)
		return 0;
	*was = is;
	return tell(w, g, kind, is ? "0" : "1", is ? "1" : "0");
}

static int tell_text(const struct watch *w, const struct watched *g, enum cpg_event_kind kind, char **was,
		     const char *is)
{
	if (strcmp(*was, is) == 0)
		return 0;

	auto_free char *before = *was;

	*was = strdup(is);
	if (!*was)
		oom_die();
	return tell(w, g, kind, before, *was);
}

/* Reads all that may have changed and tells what did. */
static int check(const struct watch *w, struct watched *g)
{
	char text[CG_FILE_MAX];
	uint64_t v;
	int r = 0;

	g->lost = look(g->fd[EVENTS], text, sizeof(text)) < 0;
	if (g->lost)
		return 0; /* the next look over the tree tells */

	bool frozen = cg_flat_value(text, "frozen", &v) && v;

	r = tell_flag(w, g, CPG_EV_POPULATED, &g->populated, cg_flat_value(text, "populated", &v) && v);
	if (r == 0)
		r = tell_flag(w, g, CPG_EV_FROZEN, &g->frozen, frozen);
	if (r == 0 && look(g->fd[MEMORY], text, sizeof(text)) > 0 && cg_flat_value(text, "oom_kill", &v) &&
	    v != g->oom_kills) {
		char before[24];
		char after[24];

		snprintf(before, sizeof(before), "%llu", (unsigned long long)g->oom_kills);
		snprintf(after, sizeof(after), "%llu", (unsigned long long)v);
		g->oom_kills = v;
		r = tell(w, g, CPG_EV_OOM, before, after);
	}
	if (r == 0 && look(g->fd[PARTITION], text, sizeof(text)) > 0)
		r = tell_text(w, g, CPG_EV_PARTITION, &g->partition, text);
	if (r == 0 && g->fd[PARTITION] >= 0 && cg_read(g->dir_fd, "cpuset.cpus.effective", text, sizeof(text)) > 0) {
		text[strcspn(text, "\n")] = '\0';
		r = tell_text(w, g, CPG_EV_CPUS, &g->cpus, text);
	}
	return r;
}

static int tell_pressure(const struct watch *w, const struct watched *g)
{
	char text[512];

	if (cg_read(g->dir_fd, "cpu.pressure", text, sizeof(text)) <= 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return tell(w, g, CPG_EV_PRESSURE, NULL, text);
}

/* The trigger lives as long as its descriptor. */
static int open_pressure(struct watched *g, const char *psi, struct error *err)
{
	int fd = openat(g->dir_fd, "cpu.pressure", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || write(fd, psi, strlen(psi) + 1) < 0) {
		int r = error_set(err, errno, "set pressure trigger \"%s\" on CPU group %s", psi, g->name);

		if (errno == ENOENT || errno == EOPNOTSUPP)
			error_hint(err, "pressure is not measured: boot with psi=1, and cgroup.pressure must be 1");
		if (fd >= 0)
			close(fd);
		return r;
	}
	g->fd[PRESSURE] = fd;
	return 0;
}

/* Begins to watch a group. What is true now is no event. */
static int begin(struct watch *w, int dir_fd, const char *name, ino_t id, struct error *err)
{
	static const char *const files[] = { "cgroup.events", "memory.events", "cpuset.cpus.partition" };
	struct watched g = { .id = id, .dir_fd = -1, .fd = { -1, -1, -1, -1 }, .seen = true };
	char text[CG_FILE_MAX];
	uint64_t v;
	int r = 0;

	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 16;
		struct watched *grown = realloc(w->v, room * sizeof(*grown));

		if (!grown)
			return error_set(err, ENOMEM, "watch CPU group %s", name);
		w->v = grown;
		w->room = room;
	}
	g.dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (g.dir_fd < 0)
		return error_set(err, errno, "watch CPU group %s", name);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		g.fd[i] = openat(dir_fd, files[i], O_RDONLY | O_CLOEXEC);
	if (look(g.fd[EVENTS], text, sizeof(text)) > 0) {
		g.populated = cg_flat_value(text, "populated", &v) && v;
		g.frozen = cg_flat_value(text, "frozen", &v) && v;
	}
	if (look(g.fd[MEMORY], text, sizeof(text)) > 0)
		cg_flat_value(text, "oom_kill", &g.oom_kills);
	look(g.fd[PARTITION], text, sizeof(text));
	g.partition = strdup(text);
	if (cg_read(dir_fd, "cpuset.cpus.effective", text, sizeof(text)) < 0)
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	g.cpus = strdup(text);
	g.name = strdup(name);
	if (!g.name || !g.partition || !g.cpus)
		r = error_set(err, ENOMEM, "watch CPU group %s", name);
	if (r == 0 && w->psi)
		r = open_pressure(&g, w->psi, err);
	if (r < 0)
		release(&g);
	else
		w->v[w->n++] = g;
	return r;
}

static int meet(struct watch *w, int dir_fd, const char *name, struct error *err)
{
	struct stat st;

	if (fstat(dir_fd, &st) < 0)
		return error_set(err, errno, "look at CPU group %s", name);
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].id == st.st_ino && strcmp(w->v[i].name, name) == 0) {
			w->v[i].seen = true;
			return 0;
		}
	return begin(w, dir_fd, name, st.st_ino, err);
}

/* Meets the group (name "" is the base, which is none) and those below it. */
static int look_over(struct watch *w, int dir_fd, const char *name, unsigned depth, struct arena *a,
		     struct error *err)
{
	const char **child;
	size_t n;
	int r = *name ? meet(w, dir_fd, name, err) : 0;

	if (r == 0 && depth < CPG_MAX_DEPTH)
		r = cpg_children(dir_fd, a, &child, &n, err);
	else
		n = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_close int fd = cpg_open_child(dir_fd, child[i]);

		if (fd >= 0 && cpg_is_group(fd) == 1)
			r = look_over(w, fd, arena_printf(a, "%s%s%s", name, *name ? "/" : "", child[i]), depth + 1,
				      a, err);
	}
	return r;
}

/* Takes out the groups that the look did not meet. */
static int forget(struct watch *w)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->n;) {
		if (w->v[i].seen) {
			i++;
			continue;
		}
		r = tell(w, &w->v[i], CPG_EV_GONE, NULL, NULL);
		release(&w->v[i]);
		memmove(&w->v[i], &w->v[i + 1], (--w->n - i) * sizeof(*w->v));
	}
	return r;
}

static int look_at_tree(struct watch *w, int *ret_emitted, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct error none = ERROR_INIT;
	auto_close int fd = *w->top ? cpg_open(w->cpg, w->top, false, &none) : cpg_open_base(w->cpg, &none);
	int r = 0;

	for (size_t i = 0; i < w->n; i++)
		w->v[i].seen = false;
	if (fd >= 0)
		r = look_over(w, fd, w->top, 0, a, err);
	else if (fd != -ENOENT && err)
		*err = none;
	if (fd < 0 && fd != -ENOENT)
		return fd;
	*ret_emitted = r < 0 ? 0 : forget(w);
	return r;
}

/* Waits for a change of any file, the stop, or the time of the next look. 1: stopped. */
static int wait_for_change(struct watch *w, int stop_fd, int timeout_ms, int *ret_emitted, struct error *err)
{
	size_t n = 1 + w->n * N_FILES;
	auto_free struct pollfd *p = calloc(n, sizeof(*p));

	if (!p)
		return error_set(err, ENOMEM, "watch %zu CPU groups", w->n);
	p[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	for (size_t i = 0; i < w->n; i++)
		for (size_t f = 0; f < N_FILES; f++)
			p[1 + i * N_FILES + f] = (struct pollfd){ .fd = w->v[i].fd[f], .events = POLLPRI };
	if (poll(p, n, timeout_ms) < 0)
		return errno == EINTR ? 0 : error_set(err, errno, "watch %zu CPU groups", w->n);
	if (p[0].revents)
		return 1;
	for (size_t i = 0; *ret_emitted == 0 && i < w->n; i++) {
		const struct pollfd *of = &p[1 + i * N_FILES];

		if (of[EVENTS].revents || of[MEMORY].revents || of[PARTITION].revents)
			*ret_emitted = check(w, &w->v[i]);
		if (*ret_emitted == 0 && of[PRESSURE].revents & POLLPRI)
			*ret_emitted = tell_pressure(w, &w->v[i]);
	}
	return 0;
}

static bool has_lost_one(const struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].lost)
			return true;
	return false;
}

static int run(struct watch *w, int stop_fd, struct error *err)
{
	int64_t next = 0;

	for (int emitted = 0;;) {
		int64_t now = cg_now_ms();
		int r = 0;

		if (now >= next) {
			r = look_at_tree(w, &emitted, err);
			for (size_t i = 0; r == 0 && emitted == 0 && i < w->n; i++)
				emitted = check(w, &w->v[i]);
			next = now + LOOK_EVERY_MS;
		}
		if (r < 0 || emitted)
			return r < 0 ? r : emitted;
		if (*w->top && w->n == 0)
			return 0;
		r = wait_for_change(w, stop_fd, (int)(next - now), &emitted, err);
		if (r)
			return r < 0 ? r : 0;
		if (emitted)
			return emitted;
		if (has_lost_one(w))
			next = 0;
	}
}

int cpg_watch(struct cpg *cpg, const char *name, const char *psi, int stop_fd,
	      int (*emit)(const struct cpg_event *ev, void *data), void *data, struct error *err)
{
	bool all = !name || strcmp(name, "/") == 0;
	struct watch w = { .cpg = cpg, .top = all ? "" : name, .psi = psi, .emit = emit, .data = data };

	if (!all) {
		auto_close int fd = cpg_open(cpg, name, false, err);

		if (fd < 0)
			return fd;
	}

	int r = run(&w, stop_fd, err);

	for (size_t i = 0; i < w.n; i++)
		release(&w.v[i]);
	free(w.v);
	return r;
}
