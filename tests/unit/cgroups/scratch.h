/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * scratch - places to test in
 *
 * A scratch cgroup is a real one in this host's v2 tree, named after the test's
 * process. A fake cgroup is a directory with ordinary files of the same names: it
 * answers what a kernel without that controller here would.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "cgroups/internal.h"
#include "spec/base/auto.h"

struct scratch {
	struct cg_host host;
	char path[64];
	int fd;
};

static inline const char *line_of(const struct error *err)
{
	static char text[2048];

	error_line(err, text, sizeof(text));
	return text;
}

#define assert_ok(call) \
	do { \
		int r_ = (call); \
		cr_assert(r_ >= 0, "%s: %s", #call, line_of(&err)); \
	} while (0)

/* Needs root and a v2 tree; anything else is a reason to skip, said aloud. */
static inline void scratch_open(struct scratch *s)
{
	struct error err = ERROR_INIT;
	bool made;

	if (geteuid() != 0)
		cr_skip_test("creating cgroups needs root");
	if (cg_host_open(&s->host, &err) < 0)
		cr_skip_test("no cgroup v2 tree on this host");
	/* Orphans of the members come to us, not to a busy init. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(s->path, sizeof(s->path), "bulkhead-test-%d", getpid());
	s->fd = cg_create(&s->host, s->path, NULL, &made, &err);
	cr_assert(s->fd >= 0, "%s", line_of(&err));
	cr_assert(made);
}

static inline void scratch_close(struct scratch *s)
{
	struct error err = ERROR_INIT;

	cg_kill(s->fd, NULL);
	close(s->fd);
	while (waitpid(-1, NULL, 0) > 0)
		;
	cr_assert_eq(cg_remove(&s->host, s->path, 5000, &err), 0, "%s", line_of(&err));
	cg_host_close(&s->host);
}

/* A child in the cgroup that runs `body` and exits with its result. It has joined when this returns. */
static inline pid_t scratch_fork(const struct scratch *s, int (*body)(void))
{
	int fds[2];
	char byte;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);

	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		/* A test that fails leaves nobody behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cg_write_text(s->fd, "cgroup.procs", "0") < 0)
			_exit(99);
		close(fds[0]);
		close(fds[1]);
		_exit(body());
	}
	close(fds[1]);
	cr_assert_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	return pid;
}

static inline int wait_status(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Waits until n processes live in the cgroup. */
static inline void wait_for_members(int cg_fd, size_t n)
{
	static struct arena a = ARENA_INIT;

	for (int i = 0; i < 2000; i++) {
		pid_t *pids;
		size_t have;

		cr_assert_eq(cg_pids(cg_fd, &a, &pids, &have, NULL), 0);
		arena_release(&a);
		if (have >= n)
			return;
		usleep(1000);
	}
	cr_assert_fail("the cgroup never had %zu members", n);
}

static inline int fake_open(char *path)
{
	strcpy(path, "/tmp/bulkhead-fake-XXXXXX");
	cr_assert_not_null(mkdtemp(path));

	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert(fd >= 0);
	return fd;
}

static inline void fake_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* The first line of a fake file: a shorter value leaves the tail of a longer one behind it. */
static inline const char *fake_line(int dir_fd, const char *name)
{
	static char text[4][4096];
	static unsigned turn;
	char *buf = text[turn++ % 4];

	cr_assert(cg_read(dir_fd, name, buf, sizeof(text[0])) >= 0, "%s", name);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static inline void fake_close(int dir_fd, const char *path)
{
	char command[128];

	close(dir_fd);
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	cr_assert_eq(system(command), 0);
}
