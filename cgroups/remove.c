/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Removing a cgroup and what is below it. The usual case is one rmdir. A killed
 * process keeps its cgroup busy until the kernel has reaped it, so EBUSY is
 * retried until the deadline, and then somebody is named.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define MAX_DEPTH 64 /* of nested cgroups: recursion stays bounded whatever a container built */

/* A short file of /proc/<pid>, without its newline; "" when it cannot be read. */
static void read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if (cg_read(AT_FDCWD, path, buf, size) < 0)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* Where a frozen task stands: do_freezer_trap(), which compilers put into its caller (kernel/signal.c). */
static bool is_frozen(pid_t pid)
{
	char wchan[64];

	read_proc(pid, "wchan", wchan, sizeof(wchan));
	return strcmp(wchan, "do_freezer_trap") == 0 || strcmp(wchan, "get_signal") == 0;
}

/* The first process of a cgroup.procs to blame; 0 when there is none, or none that this pid namespace can see. */
static pid_t first_process(int dir_fd, enum cg_blame blame)
{
	char text[CG_FILE_MAX];

	if (cg_read(dir_fd, "cgroup.procs", text, sizeof(text)) <= 0)
		return 0;
	for (const char *s = text; *s; s += *s == '\n') {
		pid_t pid = 0;

		for (; *s >= '0' && *s <= '9'; s++)
			pid = pid * 10 + (*s - '0');
		if (pid <= 0 || *s != '\n')
			continue;
		if (blame == CG_ANYONE || !is_frozen(pid))
			return pid;
	}
	return 0;
}

static DIR *open_children(int dir_fd)
{
	/* A description of its own: the position of the caller's fd is not ours to move. */
	int fd = cg_open_below(dir_fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static bool is_child(const struct dirent *e)
{
	return e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static pid_t find_process(int dir_fd, enum cg_blame blame, unsigned depth)
{
	pid_t pid = first_process(dir_fd, blame);
	auto_closedir DIR *dir = pid || depth > MAX_DEPTH ? NULL : open_children(dir_fd);

	for (const struct dirent *e; dir && !pid && (e = readdir(dir));) {
		if (!is_child(e))
			continue;

		auto_close int fd = cg_open_below(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY);

		if (fd >= 0)
			pid = find_process(fd, blame, depth + 1);
	}
	return pid;
}

const char *cg_culprit(int cg_fd, enum cg_blame blame, char *buf, size_t size)
{
	pid_t pid = find_process(cg_fd, blame, 0);
	struct proc_stat st;
	char comm[32];
	char wchan[64];

	buf[0] = '\0';
	if (pid <= 0 || proc_stat(pid, &st) < 0)
		return buf;

	/* The name is the process's own choice: it must not reach a terminal raw. */
	read_proc(pid, "comm", comm, sizeof(comm));
	for (char *s = comm; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
	read_proc(pid, "wchan", wchan, sizeof(wchan));
	snprintf(buf, size, "process %d (%s, state %c%s%s)", pid, comm, st.state,
		 *wchan && strcmp(wchan, "0") != 0 ? ", in " : "",
		 *wchan && strcmp(wchan, "0") != 0 ? wchan : "");
	return buf;
}

/* rmdir of dir_fd/name and everything below, children first. 0 or -errno. */
static int remove_below(int dir_fd, const char *name, unsigned depth)
{
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY || depth > MAX_DEPTH)
		return -errno;

	auto_close int fd = cg_open_below(dir_fd, name, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;

	auto_closedir DIR *dir = open_children(fd);
	bool had_children = false;

	for (const struct dirent *e; dir && (e = readdir(dir));) {
		if (!is_child(e))
			continue;
		had_children = true;

		int r = remove_below(fd, e->d_name, depth + 1);

		if (r < 0)
			return r;
	}
	if (!had_children)
		return -EBUSY;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int busy_error(const struct cg_host *host, const char *path, int timeout_ms, struct error *err)
{
	auto_close int fd = cg_open_below(host->root_fd, path, O_RDONLY | O_DIRECTORY);
	char who[192] = "";

	if (fd >= 0)
		cg_culprit(fd, CG_ANYONE, who, sizeof(who));
	return error_set(err, EBUSY, "remove cgroup /%s: after %d ms it still holds %s", path, timeout_ms,
			 *who ? who : "something no process list shows");
}

int cg_remove(const struct cg_host *host, const char *path, int timeout_ms, struct error *err)
{
	int r = cg_path_check(path, err);

	if (r < 0)
		return r;
	r = remove_below(host->root_fd, path, 0);
	if (r == 0)
		return 0;

	int64_t deadline = cg_now_ms() + timeout_ms;

	for (unsigned us = 100; r == -EBUSY && cg_now_ms() < deadline;) {
		cg_back_off(&us);
		r = remove_below(host->root_fd, path, 0);
	}
	if (r == -EBUSY)
		return busy_error(host, path, timeout_ms, err);
	return r < 0 ? error_set(err, -r, "remove cgroup /%s", path) : 0;
}

bool cg_wait_gone(const struct cg_host *host, const char *path, int timeout_ms)
{
	int64_t deadline = cg_now_ms() + timeout_ms;

	for (unsigned us = 100;; cg_back_off(&us)) {
		auto_close int fd = cg_open(host, path, NULL);

		if (fd < 0)
			return true;
		if (cg_now_ms() >= deadline)
			return false;
	}
}
