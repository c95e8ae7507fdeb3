/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * child - a process to try a plan on
 *
 * child_start() forks, applies the plan and then either calls a function or executes
 * cat(1), which waits on its standard input: the state after an exec that proc_verify()
 * is about. What proc_apply() said comes back through a pipe.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/process/process.h"

struct child {
	pid_t pid;
	int stdin_; /* closing it ends cat */
	struct error err;
	int applied; /* what proc_apply() returned */
};

struct child_how {
	int (*instead)(void *data); /* its result is the exit status */
	void *data;
	int notify_sock;
	unsigned long unshare; /* flags, before the plan */
};

/* Root of a user namespace that was made without privilege: setgroups is denied. */
static inline int child_map_self(struct error *err)
{
	const char *files[] = { "setgroups", "uid_map", "gid_map" };
	const char *texts[] = { "deny", "0 0 1", "0 0 1" };
	char path[64];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);

		int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, texts[i], strlen(texts[i])) < 0)
			return error_set(err, errno, "write %s", path);
		close(fd);
	}
	return 0;
}

static inline struct child child_start(const struct proc_plan *plan, const struct child_how *how)
{
	struct child c = { .err = ERROR_INIT };
	int in[2], report[2];

	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC) == 0);
	c.pid = fork();
	cr_assert(c.pid >= 0);
	if (c.pid == 0) {
		struct error err = ERROR_INIT;
		int r = 0;

		dup2(in[0], 0);
		if (how && how->unshare)
			r = unshare(how->unshare) < 0 ? error_set(&err, errno, "unshare") : 0;
		if (r == 0 && how && how->unshare & CLONE_NEWUSER)
			r = child_map_self(&err);
		if (r == 0)
			r = proc_apply(plan, how ? how->notify_sock : -1, NULL, &err);
		if (r < 0) {
			if (error_send(report[1], &err))
				_exit(98);
			_exit(99);
		}
		if (how && how->instead) {
			close(report[1]);
			_exit(how->instead(how->data));
		}
		execl("/bin/cat", "cat", (char *)NULL);
		error_set(&err, errno, "exec cat");
		error_send(report[1], &err);
		_exit(97);
	}
	close(in[0]);
	close(report[1]);
	/* End of file: the exec, or close() before `instead`. */
	c.applied = error_recv(report[0], &c.err);
	close(report[0]);
	c.stdin_ = in[1];
	return c;
}

/* Exit status, or minus the signal. */
static inline int child_finish(struct child *c)
{
	int status;

	close(c->stdin_);
	cr_assert(waitpid(c->pid, &status, 0) == c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The rest of the line "name:" of /proc/<pid>/status. */
static inline const char *child_status(pid_t pid, const char *name)
{
	static char line[256];
	char path[64];
	size_t n = strlen(name);

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	cr_assert(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, n) == 0 && line[n] == ':') {
			fclose(f);
			line[strcspn(line, "\n")] = '\0';
			return line + n + 1 + strspn(line + n + 1, "\t ");
		}
	}
	fclose(f);
	cr_assert_fail("no %s", name);
	return "";
}
