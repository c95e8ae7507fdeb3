/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: statistics at intervals, OOM kills as they happen, until the container ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/group.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

struct watch {
	const char *id;
	int cgroup_fd;
	int memory_events;  /* poll() reports a change of its counters; -1 without the controller */
	int pidfd;
	uint64_t oom_kills; /* last seen */
	int (*emit)(const char *line, void *data);
	void *data;
	const char *group;  /* the container's CPU group, or NULL */
	char group_path[PATH_MAX];
	const struct cg_host *host;
};

/* One more member of the object in `data`: what the container's CPU group leaves it. */
static void add_group(const struct watch *w, struct buf *data)
{
	auto_close int fd = cg_open(w->host, w->group_path, NULL);
	struct json_w j = { .out = data, .depth = 1, .has_member = true };
	char cpus[4096], cap[64];
	bool has_cpus = fd >= 0 && file_read_at(fd, "cpuset.cpus.effective", cpus, sizeof(cpus), NULL) > 0;
	bool has_cap = fd >= 0 && file_read_at(fd, "cpu.max", cap, sizeof(cap), NULL) > 0;

	data->len--;
	json_w_open(&j, "cpu_group", '{');
	json_w_str(&j, "name", w->group);
	if (has_cpus) {
		cpus[strcspn(cpus, "\n")] = '\0';
		json_w_str(&j, "effective_cpus", cpus);
	}
	if (has_cap) {
		cap[strcspn(cap, "\n")] = '\0';
		json_w_str(&j, "cap", cap);
	}
	json_w_close(&j, '}');
	json_w_close(&j, '}');
}

static int emit_stats(struct watch *w, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	auto_buf struct buf data = BUF_INIT;
	struct json_w d = { .out = &data };
	struct json_w j = { .out = &b };
	int r = cg_write_stats(w->cgroup_fd, &d, NULL, err);

	if (r == 0 && w->group)
		add_group(w, &data);
	json_w_open(&j, NULL, '{');
	json_w_str(&j, "type", "stats");
	json_w_str(&j, "id", w->id);
	if (r == 0)
		json_w_raw(&j, "data", data.data, data.len);
	json_w_close(&j, '}');
	return r < 0 ? error_wrap(err, r, "cannot read statistics") : w->emit(b.data, w->data);
}

static int emit_oom(struct watch *w, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w j = { .out = &b };
	uint64_t kills = 0;
	int r = cg_oom_kills(w->cgroup_fd, &kills, err);

	if (r < 0 || kills == w->oom_kills)
		return r;
	w->oom_kills = kills;
	json_w_open(&j, NULL, '{');
	json_w_str(&j, "type", "oom");
	json_w_str(&j, "id", w->id);
	json_w_close(&j, '}');
	return w->emit(b.data, w->data);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int follow(struct watch *w, int64_t interval_ns, struct error *err)
{
	int64_t next = now_ns() + interval_ns;

	for (;;) {
		struct pollfd p[] = { { .fd = w->pidfd, .events = POLLIN },
				      { .fd = w->memory_events, .events = POLLPRI } };
		int64_t left_ms = (next - now_ns() + 999999) / 1000000;
		int r = poll(p, 2, left_ms > INT_MAX ? INT_MAX : left_ms > 0 ? (int)left_ms : 0);

		if (r < 0 && errno != EINTR)
			return error_set(err, errno, "wait for the container");
		if (r > 0 && p[1].revents) {
			char text[512];

			/* Reading arms the next notification. */
			if (pread(w->memory_events, text, sizeof(text), 0) < 0 && errno == ENODEV)
				return 0;
			r = emit_oom(w, err);
			if (r < 0)
				return r;
		}
		if (r > 0 && p[0].revents)
			return 0;
		if (now_ns() < next)
			continue;
		r = emit_stats(w, err);
		if (r < 0)
			return r;
		next += interval_ns;
	}
}

int rt_events(const struct rt_context *ctx, const char *id, int64_t interval_ns, bool once,
	      int (*emit)(const char *line, void *data), void *data, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;

	if (interval_ns <= 0)
		return error_rule(err, EINVAL, "duration interval must be greater than 0");

	int r = state_peek(ctx, id, &a, &state, err);

	if (r < 0)
		return r;
	if (state_status(ctx, -1, &state) == RT_STOPPED || !state.pid)
		return error_rule(err, ESRCH, TEXT_EVENTS_STOPPED, id);

	auto_close int cgroup_fd = state_open_cgroup(&state, err);
	auto_close int pidfd = state_pidfd(&state, NULL);

	if (cgroup_fd < 0)
		return cgroup_fd;

	auto_close int memory_events = openat(cgroup_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	struct watch w = { .id = id, .cgroup_fd = cgroup_fd, .memory_events = memory_events,
			   .pidfd = pidfd, .emit = emit, .data = data };

	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	char name[PATH_MAX];

	w.group = group_of(ctx, state.cgroup, name, sizeof(name));
	if (w.group && (cg_host_open(&host, NULL) < 0 || group_place(ctx, &host, &at, NULL) < 0 ||
			cpg_path(&at.cpg, w.group, NULL, w.group_path, sizeof(w.group_path), NULL) < 0))
		w.group = NULL;
	w.host = &host;
	r = cg_oom_kills(cgroup_fd, &w.oom_kills, NULL);
	if (once || r < 0 || pidfd < 0)
		return emit_stats(&w, err);
	return follow(&w, interval_ns, err);
}
