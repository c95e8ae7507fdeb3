/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container is doing: never stored, always asked of the kernel.
 */
#include "runtime/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

static const char *const status_names[] = {
	[RT_CREATING] = "creating", [RT_CREATED] = "created", [RT_RUNNING] = "running",
	[RT_PAUSED] = "paused",	    [RT_STOPPED] = "stopped",
};

const char *state_status_name(enum rt_status status)
{
	return status_names[status];
}

/* When the machine was started, as far as its clock can tell. Asks the vDSO, not the kernel. */
int64_t state_boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec;
}

/*
 * pidfd numbers begin anew with each boot, so they only count within one. A clock
 * that was set since makes the slower comparison by start time necessary, not wrong.
 */
static bool is_same_boot(const struct rt_state *s)
{
	int64_t apart = state_boot_time() - s->boot_time;

	return apart > -60 && apart < 60;
}

static bool has_fifo(const struct rt_context *ctx, int dir_fd, const char *id)
{
	char path[PATH_MAX];

	if (dir_fd >= 0)
		return faccessat(dir_fd, STATE_EXEC_FIFO, F_OK, 0) == 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/" STATE_EXEC_FIFO, ctx->root, id) >= sizeof(path))
		return false;
	return access(path, F_OK) == 0; /* path-ok: host path */
}

static bool is_frozen(const struct rt_state *s)
{
	char path[PATH_MAX];
	char text[256];

	if (!s->cgroup_dir[0] ||
	    (size_t)snprintf(path, sizeof(path), "%s/cgroup.events", s->cgroup_dir) >= sizeof(path))
		return false;

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;

	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "frozen 1") != NULL;
}

bool state_is_alive_by(const struct rt_state *s, int pidfd)
{
	struct proc_stat st;

	if (s->pid <= 0 || pidfd < 0)
		return false;
	if (s->pidfd_id && is_same_boot(s))
		return proc_pidfd_is(pidfd, s->pidfd_id);
	return proc_stat(s->pid, &st) == 0 && st.start_time == s->start_time && st.state != 'Z' &&
	       st.state != 'X';
}

bool state_is_alive(const struct rt_state *s)
{
	auto_close int pidfd = s->pid > 0 ? proc_pidfd_open(s->pid) : -1;

	return state_is_alive_by(s, pidfd);
}

enum rt_status state_status_of_init(const struct rt_state *s, int pidfd)
{
	if (s->pid == 0)
		return RT_CREATING;
	if (pidfd >= 0 ? !state_is_alive_by(s, pidfd) : !state_is_alive(s))
		return RT_STOPPED;
	return is_frozen(s) ? RT_PAUSED : RT_RUNNING;
}

enum rt_status state_status(const struct rt_context *ctx, int dir_fd, const struct rt_state *s)
{
	enum rt_status status = state_status_of_init(s, -1);

	return status == RT_RUNNING && has_fifo(ctx, dir_fd, s->id) ? RT_CREATED : status;
}

/* By the path of create; when the tree is mounted elsewhere for us, by its place in the tree. */
int state_open_cgroup(const struct rt_state *s, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	int fd = openat(AT_FDCWD, s->cgroup_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return fd;

	int r = cg_host_open(&host, err);

	if (r < 0)
		return r;
	r = cg_open(&host, s->cgroup, err);
	cg_host_close(&host);
	return r;
}

int state_pidfd(const struct rt_state *s, struct error *err)
{
	auto_close int fd = s->pid > 0 ? proc_pidfd(s->pid, s->start_time, NULL) : -ESRCH;

	if (fd >= 0 && s->pidfd_id && is_same_boot(s) && proc_pidfd_id(fd) != s->pidfd_id)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);

	if (fd == -ESRCH)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (fd < 0)
		return error_set(err, -fd, "open a pidfd of process %d", (int)s->pid);
	return TAKE_FD(fd);
}

void state_document(const struct rt_state *s, enum rt_status status, struct spec_state *ret)
{
	*ret = (struct spec_state){
		.id = s->id,
		.status = state_status_name(status),
		.bundle = s->bundle,
		.pid = status == RT_STOPPED ? 0 : s->pid,
		.annotations = s->annotations,
		.n_annotations = s->n_annotations,
	};
}
