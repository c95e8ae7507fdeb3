/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/*
 * A whole group at once: freeze, thaw, kill, wait. Each is one write to the
 * group's directory; the kernel carries it to everybody below, those that are born
 * meanwhile included (cgroup-v2.rst, cgroup.freeze and cgroup.kill).
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMED_AT_MOST 3 /* of those a wait was in vain for */

int cpg_freeze(struct cpg *cpg, const char *name, bool freeze, int timeout_ms, struct error *err)
{
	auto_close int fd = cpg_open(cpg, name, false, err);
	struct error cause = ERROR_INIT;
	char path[PATH_MAX];
	char above[PATH_MAX];

	if (fd < 0)
		return fd;

	int r = cpg_path(cpg, name, NULL, path, sizeof(path), err);

	if (r == 0 && freeze)
		r = cpg_refuse_own(path, err);
	if (r < 0)
		return error_wrap(err, r, "cannot freeze CPU group %s", name);
	r = cg_freeze(fd, freeze, timeout_ms, &cause);
	if (r == 0) {
		log_at(cpg->log, LOG_INFO, "CPU group %s: %s", name, freeze ? "frozen" : "thawed");
		return 0;
	}
	if (r == -EBUSY && !freeze && cpg_frozen_above(cpg, path, above, sizeof(above), NULL) == 0 &&
	    *above) {
		r = error_rule(err, EBUSY, "CPU group %s cannot be thawed: %s above it is frozen", name, above);
		error_hint(err, "thaw %s first", above);
		return r;
	}
	if (err)
		*err = cause;
	return error_wrap(err, r, "cannot %s CPU group %s", freeze ? "freeze" : "thaw", name);
}

int cpg_kill(struct cpg *cpg, const char *name, struct error *err)
{
	auto_close int fd = cpg_open(cpg, name, false, err);

	if (fd < 0)
		return fd;

	int r = cg_kill(fd, err);

	if (r < 0)
		return error_wrap(err, r, "cannot kill CPU group %s", name);
	log_at(cpg->log, LOG_INFO, "CPU group %s: every process killed", name);
	return 0;
}

/* "web, job7 and 3 more": who still lives in the group. */
static void name_those_left(struct cpg *cpg, const char *name, struct buf *out)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct cpg_member *m;
	size_t n;
	size_t left = 0;

	if (cpg_members(cpg, name, true, a, &m, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!m[i].populated)
			continue;
		if (left++ < NAMED_AT_MOST)
			buf_printf(out, "%s%s", left > 1 ? ", " : "", m[i].id);
	}
	if (left > NAMED_AT_MOST)
		buf_printf(out, " and %zu more", left - NAMED_AT_MOST);
}

static int still_alive(struct cpg *cpg, const char *name, int timeout_ms, struct error *err)
{
	auto_buf struct buf who = BUF_INIT;

	name_those_left(cpg, name, &who);
	return error_rule(err, ETIMEDOUT, "CPU group %s is not empty after %d ms: %s", name, timeout_ms,
			  who.len ? who.data : "somebody lives in it");
}

int cpg_wait(struct cpg *cpg, const char *name, int timeout_ms, struct error *err)
{
	auto_close int fd = cpg_open(cpg, name, false, err);

	if (fd < 0)
		return fd;

	auto_close int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t deadline = cg_now_ms() + timeout_ms;

	if (events_fd < 0)
		return error_set(err, errno, "open cgroup.events of CPU group %s", name);
	for (;;) {
		char text[256];
		uint64_t populated = 0;
		ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);

		if (n < 0 && errno == ENODEV)
			return 0; /* removed: nobody can be in it */
		if (n < 0)
			return error_set(err, errno, "read cgroup.events of CPU group %s", name);
		text[n] = '\0';
		if (!cg_flat_value(text, "populated", &populated))
			return error_rule(err, EPROTO, "cgroup.events of CPU group %s has no line \"populated\"", name);
		if (!populated)
			return 0;

		int64_t left = timeout_ms < 0 ? -1 : deadline - cg_now_ms();

		if (timeout_ms >= 0 && left <= 0)
			return still_alive(cpg, name, timeout_ms, err);

		/* Readable for ever, as every file: only POLLPRI says that something changed. */
		struct pollfd p = { .fd = events_fd, .events = POLLPRI };

		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return error_set(err, errno, "poll cgroup.events of CPU group %s", name);
	}
}

/* "gold" for a cgroup in the base, "/system.slice" for one outside. */
static void say_where(const struct cpg *cpg, const char *path, char *buf, size_t size)
{
	size_t n = strlen(cpg->base);

	if (strncmp(path, cpg->base, n) == 0 && path[n] == '/')
		snprintf(buf, size, "%s", path + n + 1);
	else
		snprintf(buf, size, "/%s", path);
}

int cpg_frozen_above(struct cpg *cpg, const char *cgroup_path, char *buf, size_t size, struct error *err)
{
	char path[PATH_MAX];
	char *slash;

	cgroup_path += strspn(cgroup_path, "/");
	if (strlen(cgroup_path) >= sizeof(path))
		return error_rule(err, ENAMETOOLONG, "the cgroup path is longer than %zu bytes", sizeof(path) - 1);
	snprintf(path, sizeof(path), "%s", cgroup_path);

	int r = *path ? cg_path_check(path, err) : 0;

	if (r < 0)
		return r;
	if (size)
		buf[0] = '\0';
	while ((slash = strrchr(path, '/'))) {
		uint64_t frozen;

		*slash = '\0';

		auto_close int fd = cg_open_below(cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);

		if (fd < 0 && fd != -ENOENT)
			return error_set(err, -fd, "open cgroup /%s", path);
		if (fd >= 0 && cg_read_number(fd, "cgroup.freeze", &frozen) == 0 && frozen) {
			say_where(cpg, path, buf, size);
			return 0;
		}
	}
	return 0;
}
