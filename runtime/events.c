/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: statistics at intervals, OOM kills as they happen, until the container ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/group.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "runtime/vm_stats.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

struct watch {
	const struct rt_context *ctx;
	const char *id;
	char cgroup[PATH_MAX]; /* where it was when we looked last */
	int cgroup_fd;
	int memory_events;  /* poll() reports a change of its counters; -1 without the controller */
	int pidfd;
	uint64_t oom_kills; /* last seen */
	bool is_vm;
	struct vm_client guest; /* of a virtual machine: tells of OOM kills; fd -1: not connected */
	int (*emit)(const char *line, void *data);
	void *data;
	char group[PATH_MAX]; /* the container's CPU group, or "" */
	char group_path[PATH_MAX];
	struct cg_host host;  /* open when there is a group */
};

#define WATCH_INIT { .cgroup_fd = -1, .memory_events = -1, .pidfd = -1, .guest = VM_CLIENT_INIT, .host = { .root_fd = -1 } }

/* One more member of the object in `data`: what the container's CPU group leaves it. */
static void add_group(const struct watch *w, struct buf *data)
{
	auto_close int fd = cg_open(&w->host, w->group_path, NULL);
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

	if (r == 0 && w->is_vm)
		wall_add_stats(w->ctx, w->id, &data);
	if (r == 0 && w->group[0])
		add_group(w, &data);
	json_w_open(&j, NULL, '{');
	json_w_str(&j, "type", "stats");
	json_w_str(&j, "id", w->id);
	if (r == 0)
		json_w_raw(&j, "data", data.data, data.len);
	json_w_close(&j, '}');
	return r < 0 ? error_wrap(err, r, "cannot read statistics") : w->emit(b.data, w->data);
}

static int tell_oom(const struct watch *w)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w j = { .out = &b };

	json_w_open(&j, NULL, '{');
	json_w_str(&j, "type", "oom");
	json_w_str(&j, "id", w->id);
	json_w_close(&j, '}');
	return w->emit(b.data, w->data);
}

static int emit_oom(struct watch *w, struct error *err)
{
	uint64_t kills = 0;
	int r = cg_oom_kills(w->cgroup_fd, &kills, err);

	if (r < 0 || kills == w->oom_kills)
		return r;
	w->oom_kills = kills;
	return tell_oom(w);
}

/* A guest that is gone, or does not speak to us, has nothing to tell: its end shows elsewhere. */
static void watch_guest(struct watch *w)
{
	const void *reply;
	size_t n;

	if (wall_meet(w->ctx, w->id, WALL_BRIEF_MS, &w->guest, NULL) < 0 ||
	    vm_client_ask(&w->guest, WIRE_WATCH, NULL, NULL, 0, WALL_BRIEF_MS, &reply, &n, NULL) < 0)
		vm_client_end(&w->guest);
}

static int on_guest_event(struct watch *w)
{
	struct wire_header h;
	const void *payload;
	int r;

	while ((r = vm_client_event(&w->guest, 0, &h, &payload, NULL)) > 0)
		if (h.type == WIRE_OOM && (r = tell_oom(w)) < 0)
			return r;
	if (r < 0)
		vm_client_end(&w->guest);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void find_group(struct watch *w)
{
	struct group_place at;

	w->group[0] = '\0';
	if (!group_of(w->ctx, w->cgroup, w->group, sizeof(w->group)))
		return;
	if ((w->host.root_fd < 0 && cg_host_open(&w->host, NULL) < 0) ||
	    group_place(w->ctx, &w->host, &at, NULL) < 0 ||
	    cpg_path(&at.cpg, w->group, NULL, w->group_path, sizeof(w->group_path), NULL) < 0)
		w->group[0] = '\0';
}

static void close_cgroup(struct watch *w)
{
	if (w->cgroup_fd >= 0)
		close(TAKE_FD(w->cgroup_fd));
	if (w->memory_events >= 0)
		close(TAKE_FD(w->memory_events));
}

static int look_at(struct watch *w, const struct rt_state *state, struct error *err)
{
	int fd = state_open_cgroup(state, err);

	if (fd < 0)
		return fd;
	close_cgroup(w);
	w->cgroup_fd = fd;
	w->memory_events = openat(fd, "memory.events", O_RDONLY | O_CLOEXEC);
	snprintf(w->cgroup, sizeof(w->cgroup), "%s", state->cgroup);
	find_group(w);
	return cg_oom_kills(fd, &w->oom_kills, NULL) < 0 ? 0 : 1;
}

/* 1 when the container has gone to another CPU group since, and we with it. */
static int go_along(struct watch *w)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	int r = state_peek(w->ctx, w->id, &a, &state, NULL);

	if (r == 0 && strcmp(state.cgroup, w->cgroup) != 0)
		r = look_at(w, &state, NULL);
	arena_release(&a);
	return r;
}

static int on_interval(struct watch *w, struct error *err)
{
	struct error cause = ERROR_INIT;
	int moved = go_along(w);
	int r = emit_stats(w, &cause);

	/* It may have left between the two. */
	if (r == -ENODEV && moved <= 0 && go_along(w) > 0)
		return emit_stats(w, err);
	if (r < 0 && err)
		*err = cause;
	return r;
}

/* Reading arms the next notification. 0 to go on, 1: the cgroup has gone with its container. */
static int on_memory_event(struct watch *w, struct error *err)
{
	char text[512];

	if (pread(w->memory_events, text, sizeof(text), 0) < 0 && errno == ENODEV)
		return go_along(w) > 0 ? 0 : 1;
	return emit_oom(w, err);
}

static int follow(struct watch *w, int64_t interval_ns, struct error *err)
{
	int64_t next = now_ns() + interval_ns;

	for (;;) {
		struct pollfd p[] = { { .fd = w->pidfd, .events = POLLIN },
				      { .fd = w->memory_events, .events = POLLPRI },
				      { .fd = w->guest.fd, .events = POLLIN } };
		int64_t left_ms = (next - now_ns() + 999999) / 1000000;
		int r = poll(p, ARRAY_SIZE(p), left_ms > INT_MAX ? INT_MAX : left_ms > 0 ? (int)left_ms : 0);

		if (r < 0 && errno != EINTR)
			return error_set(err, errno, "wait for the container");
		if (r > 0 && p[1].revents) {
			r = on_memory_event(w, err);
			if (r != 0)
				return r < 0 ? r : 0;
			r = 1;
		}
		if (r > 0 && p[2].revents && (r = on_guest_event(w)) < 0)
			return r;
		if (r >= 0 && p[0].revents)
			return 0;
		if (now_ns() < next)
			continue;
		r = on_interval(w, err);
		if (r < 0)
			return r;
		next += interval_ns;
	}
}

int rt_events(const struct rt_context *ctx, const char *id, int64_t interval_ns, bool once,
	      int (*emit)(const char *line, void *data), void *data, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct watch w = WATCH_INIT;
	struct rt_state state;

	if (interval_ns <= 0)
		return error_rule(err, EINVAL, "duration interval must be greater than 0");

	int r = state_peek(ctx, id, &a, &state, err);

	if (r < 0)
		return r;
	if (state_status(ctx, -1, &state) == RT_STOPPED || !state.pid)
		return error_rule(err, ESRCH, TEXT_EVENTS_STOPPED, id);
	w.ctx = ctx;
	w.id = id;
	w.is_vm = state.is_vm;
	w.emit = emit;
	w.data = data;
	w.pidfd = state_pidfd(&state, NULL);
	r = look_at(&w, &state, err);
	if (r == 1 && !once && w.is_vm)
		watch_guest(&w);
	if (r == 1 && !once && w.pidfd >= 0)
		r = follow(&w, interval_ns, err);
	else if (r >= 0)
		r = emit_stats(&w, err);
	close_cgroup(&w);
	vm_client_end(&w.guest);
	cg_host_close(&w.host);
	if (w.pidfd >= 0)
		close(TAKE_FD(w.pidfd));
	return r;
}
