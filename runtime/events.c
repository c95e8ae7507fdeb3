/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: statistics at intervals, OOM kills as they happen, until the container ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"

struct watch {
	const char *id;
	int cgroup_fd;
	int memory_events;  /* poll() reports a change of its counters; -1 without the controller */
	int pidfd;
	uint64_t oom_kills; /* last seen */
	int (*emit)(const char *line, void *data);
	void *data;
};

static int emit_stats(struct watch *w, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w j = { .out = &b };

	json_w_open(&j, NULL, '{');
	json_w_str(&j, "type", "stats");
	json_w_str(&j, "id", w->id);

	int r = cg_write_stats(w->cgroup_fd, &j, "data", err);

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

	r = cg_oom_kills(cgroup_fd, &w.oom_kills, NULL);
	if (once || r < 0 || pidfd < 0)
		return emit_stats(&w, err);
	return follow(&w, interval_ns, err);
}
