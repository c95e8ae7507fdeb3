/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Freezing and thawing (cgroup-v2.rst, cgroup.freeze). The write only asks: tasks
 * stop one by one, later, and cgroup.events says when all have.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"

/* What cgroup.events says now, through an fd that poll() reports changes on. -errno. */
static int read_frozen(int events_fd)
{
	char text[256];
	uint64_t v;
	ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return cg_flat_value(text, "frozen", &v) ? v != 0 : -EPROTO;
}

/*
 * Waits until the group is as asked. The kernel sends at most one notification
 * per 10 ms, so the first looks come by the clock. -ETIMEDOUT.
 */
static int wait_frozen(int events_fd, bool freeze, int timeout_ms)
{
	int64_t deadline = cg_now_ms() + timeout_ms;

	for (long us = 50;; us = us * 2 > 10000 ? 10000 : us * 2) {
		int frozen = read_frozen(events_fd);

		if (frozen < 0 || frozen == freeze)
			return frozen < 0 ? frozen : 0;
		if (cg_now_ms() >= deadline)
			return -ETIMEDOUT;

		struct pollfd p = { .fd = events_fd, .events = POLLPRI };
		struct timespec t = { .tv_nsec = us * 1000 };

		ppoll(&p, 1, &t, NULL);
	}
}

/* Is a cgroup above this one frozen? Then it cannot be thawed alone. */
static bool is_frozen_from_above(int cg_fd)
{
	char name[512] = "..";

	for (size_t len = 2; len + sizeof("/cgroup.freeze") < sizeof(name) - 3; len += 3) {
		uint64_t v;

		memcpy(name + len, "/cgroup.freeze", sizeof("/cgroup.freeze"));
		/* The root has no such file. */
		if (cg_read_number(cg_fd, name, &v) < 0)
			return false;
		if (v)
			return true;
		memcpy(name + len, "/..", sizeof("/.."));
	}
	return false;
}

static int not_reached(int cg_fd, bool freeze, int code, int timeout_ms, struct error *err)
{
	char who[192];

	if (!freeze && is_frozen_from_above(cg_fd))
		return error_rule(err, EBUSY, "the cgroup cannot be thawed: one above it is frozen");

	cg_culprit(cg_fd, freeze ? CG_NOT_FROZEN : CG_ANYONE, who, sizeof(who));
	return error_set(err, code, "%s the cgroup within %d ms%s%s", freeze ? "freeze" : "thaw", timeout_ms,
			 *who ? ", it waits for " : "", who);
}

int cg_freeze(int cg_fd, bool freeze, int timeout_ms, struct error *err)
{
	auto_close int events_fd = openat(cg_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (events_fd < 0)
		return error_set(err, errno, "open cgroup.events");

	int r = cg_write_text(cg_fd, "cgroup.freeze", freeze ? "1" : "0");

	if (r < 0)
		return error_set(err, -r, "write %d to cgroup.freeze", freeze);
	if (!freeze && read_frozen(events_fd) == 1 && is_frozen_from_above(cg_fd))
		return not_reached(cg_fd, false, EBUSY, timeout_ms, err);

	r = wait_frozen(events_fd, freeze, timeout_ms);
	if (r == 0)
		return 0;

	r = not_reached(cg_fd, freeze, -r, timeout_ms, err);
	/* Half-frozen is worse than running: whoever asked was told no. */
	if (freeze)
		cg_write_text(cg_fd, "cgroup.freeze", "0");
	return r;
}
