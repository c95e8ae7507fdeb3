/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure - jobs about what the container is and uses: processes, numbers, limits, its files on their way to the host
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/kernfile.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/agent/agent.h"

enum { COMMAND_MOST = 2048, PS_MOST = 8192 };

#define IGNORE_REQUEST (void)j, (void)payload, (void)n, (void)sock

/* ---- processes ---- */

struct seen {
	pid_t pid, parent;
	struct wire_ps ps;
};

static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n;
}

static uint64_t boot_ms(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (uint64_t)((now.tv_sec - up.tv_sec) * 1000LL + (now.tv_nsec - up.tv_nsec) / 1000000);
}

/* proc_pid_stat(5): what follows the name, which may hold anything, field 3 on. */
static bool read_stat(struct seen *s)
{
	char text[1024];
	const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long long utime, stime, started, threads;
	long long rss;
	int parent, tty;

	if (read_proc(s->pid, "stat", text, sizeof(text)) <= 0)
		return false;

	char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open ||
	    sscanf(close + 1, " %c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %llu %*d %llu %*u %lld",
		   &s->ps.state, &parent, &tty, &utime, &stime, &threads, &started, &rss) != 8)
		return false;
	s->parent = parent;
	*close = '\0';
	snprintf(s->ps.name, sizeof(s->ps.name), "%s", open + 1);
	s->ps.threads = (uint32_t)threads;
	s->ps.cpu_ms = (utime + stime) * 1000 / ticks;
	s->ps.start_ms = boot_ms() + started * 1000 / ticks;
	s->ps.rss = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
	/* Terminals of the Unix 98 kind have majors from 136 on (Documentation/admin-guide/devices.txt). */
	unsigned major = (unsigned)tty >> 8 & 0xfff, minor = ((unsigned)tty & 0xff) | ((unsigned)tty >> 12 & 0xfff00);

	if (major >= 136 && major <= 143)
		snprintf(s->ps.tty, sizeof(s->ps.tty), "pts/%u", (major - 136) * 256 + minor);
	else
		snprintf(s->ps.tty, sizeof(s->ps.tty), "?");
	return true;
}

static bool read_status(struct seen *s)
{
	char text[4096];

	if (read_proc(s->pid, "status", text, sizeof(text)) <= 0)
		return false;

	char *uid = strstr(text, "\nUid:"), *pids = strstr(text, "\nNSpid:");

	if (uid)
		s->ps.uid = (uint32_t)strtoul(uid + 5, NULL, 10);
	s->ps.pid = (uint32_t)s->pid;
	if (pids) {
		pids[1 + strcspn(pids + 1, "\n")] = '\0';

		char *last = strrchr(pids, '\t');

		s->ps.pid = last ? (uint32_t)strtoul(last, NULL, 10) : s->ps.pid;
	}
	return true;
}

static void add_process(struct buf *reply, const struct seen *s)
{
	char item[sizeof(s->ps) + COMMAND_MOST];
	ssize_t n;

	memcpy(item, &s->ps, sizeof(s->ps));
	n = read_proc(s->pid, "cmdline", item + sizeof(s->ps), COMMAND_MOST);
	if (n > 0 && item[sizeof(s->ps) + (size_t)n - 1] == '\0')
		n--;
	wire_add(reply, WIRE_T_PS, item, sizeof(s->ps) + (n > 0 ? (size_t)n : 0));
}

/* A parent of which the container knows nothing is 0, as its kernel says it. */
static uint32_t parent_inside(const struct seen *all, size_t n, pid_t parent)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == parent)
			return all[i].ps.pid;
	return 0;
}

int job_ps(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
	   struct error *err)
{
	static struct arena arena = ARENA_INIT;
	pid_t *pids;
	size_t n_pids, count = 0;
	int r = cg_pids(a->container.cgroup_fd, &arena, &pids, &n_pids, err);

	IGNORE_REQUEST;
	if (r < 0)
		return r;

	struct seen *seen = ARENA_NEW_N(&arena, struct seen, n_pids + 1);

	for (size_t i = 0; i < n_pids && count < PS_MOST; i++) {
		seen[count] = (struct seen){ .pid = pids[i] };
		if (read_stat(&seen[count]) && read_status(&seen[count]))
			count++;
	}
	for (size_t i = 0; i < count && reply->len < WIRE_MAX_REPLY - 2 * COMMAND_MOST; i++) {
		seen[i].ps.ppid = parent_inside(seen, count, seen[i].parent);
		add_process(reply, &seen[i]);
	}
	return 0;
}

/* ---- numbers ---- */

static uint64_t number(int cgroup_fd, const char *file)
{
	uint64_t v;

	return cg_read_number(cgroup_fd, file, &v) < 0 ? UINT64_MAX : v;
}

static uint64_t counter(const char *text, const char *key)
{
	uint64_t v;

	return cg_flat_value(text, key, &v) ? v : UINT64_MAX;
}

/* A line "MemTotal:  123 kB", in bytes. */
static uint64_t meminfo(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? strtoull(line + strlen(key), NULL, 10) << 10 : UINT64_MAX;
}

int job_stats(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
	      struct error *err)
{
	int fd = a->container.cgroup_fd;
	char stat[8192] = "", events[512] = "", memory[4096] = "";

	IGNORE_REQUEST;
	(void)err;
	cg_read(fd, "memory.stat", stat, sizeof(stat));
	cg_read(fd, "memory.events", events, sizeof(events));
	file_read_at(AT_FDCWD, "/proc/meminfo", memory, sizeof(memory), NULL);

	struct wire_stats s = {
		.memory_current = number(fd, "memory.current"),
		.memory_peak = number(fd, "memory.peak"),
		.memory_limit = number(fd, "memory.max"),
		.memory_file = counter(stat, "file"),
		.memory_anon = counter(stat, "anon"),
		.swap_current = number(fd, "memory.swap.current"),
		.oom = counter(events, "oom"),
		.oom_kill = counter(events, "oom_kill"),
		.failcnt = counter(events, "max"),
		.pids_current = number(fd, "pids.current"),
		.pids_limit = number(fd, "pids.max"),
		.guest_total = meminfo(memory, "MemTotal:"),
		.guest_available = meminfo(memory, "MemAvailable:"),
	};

	wire_add(reply, WIRE_T_STATS, &s, sizeof(s));
	return 0;
}

/* ---- limits ---- */

int job_update(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
	       struct error *err)
{
	static struct arena arena = ARENA_INIT;
	struct spec_resources *res;
	struct wire_item item;
	struct cg_plan plan;

	(void)j;
	(void)sock;
	(void)reply;
	if (!wire_find(payload, n, WIRE_T_RESOURCES, &item))
		return error_set(err, EPROTO, "find the resources in the request");

	int r = spec_parse_resources(arena_strndup(&arena, item.bytes, item.n), item.n, &arena, &a->log, &res, err);

	if (r < 0)
		return r;
	agent_adapt_resources(res);
	if (!system_has_swap())
		agent_limit_swap(res);
	r = cg_plan_make(res, &arena, &a->log, &plan, err);
	return r == 0 ? cg_apply(a->container.cgroup_fd, &plan, err) : r;
}

/* ---- files ---- */

int job_sync(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
	     struct error *err)
{
	IGNORE_REQUEST;
	(void)reply;
	for (size_t i = 0; i < ARRAY_SIZE(a->container.shares); i++) {
		if (a->container.shares[i] < 0)
			continue;

		/* That of the mount is a path only. */
		auto_close int fd = openat(a->container.shares[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || syncfs(fd) < 0)
			return error_set(err, errno, "write what is cached of the container's files");
	}
	return 0;
}
