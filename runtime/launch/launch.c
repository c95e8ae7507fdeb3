/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's half of a launch: sockets, clone, gate, confirmation.
 */
#include "runtime/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/launch/diagnose.h"
#include "runtime/launch/stub/stub.h"
#include "runtime/launch/stub_image.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

/* How long an execve may take: it reads the program from whatever filesystem holds it. */
#define EXEC_TIMEOUT_MS 60000
#define DEATH_TIMEOUT_MS 10000
/* The parent runs hooks meanwhile; its death is an end of file, so this only bounds a parent that hangs. */
#define PARENT_TIMEOUT_MS (3600 * 1000)

static int make_fifo(int dir_fd, const char *name, struct error *err)
{
	if (mkfifoat(dir_fd, name, 0600) < 0)
		return error_set(err, errno, "make %s in the state directory", name);

	/* Both ends: opening never blocks, and the stub is its own writer, so it never sees an end of file. */
	int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_set(err, errno, "open %s in the state directory", name);
	return fd;
}

static int prepare_gate(struct launch *l, struct error *err)
{
	if (l->gate == GATE_FIFO) {
		l->stub_go = make_fifo(l->state_dir_fd, LAUNCH_GO_FIFO, err);
		if (l->stub_go < 0)
			return l->stub_go;
		l->stub_status = make_fifo(l->state_dir_fd, LAUNCH_STATUS_FIFO, err);
		return l->stub_status < 0 ? l->stub_status : 0;
	}

	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(err, errno, "make a socket pair for the stub");
	/* The child's end next to the one of the stages: both go with one call. */
	l->gate_fd = ends[1];
	l->stub_go = l->stub_status = ends[0];
	return 0;
}

int launch_prepare(struct launch *l, struct error *err)
{
	int r = stage_pair(l->sync, err);

	if (r == 0)
		r = prepare_gate(l, err);
	if (r == 0)
		l->stub_fd = r = stub_open(err);
	if (r < 0)
		return error_wrap(err, r, "cannot prepare the child");
	return 0;
}

/* Foreground commands block everything before they clone. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static long clone3_like_fork(uint64_t flags, int cgroup_fd, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* CLONE_PARENT brings the caller's along */
	};

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	return syscall(SYS_clone3, &args, sizeof(args));
}

static void describe_clone_flags(uint64_t flags, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (flags & spec_ns_flag(k) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 spec_ns_name(k));
}

static int clone_failed(const struct launch *l, int code, struct error *err)
{
	char kinds[128];

	describe_clone_flags(l->clone_flags, kinds, sizeof(kinds));

	int r = error_set(err, code, "clone a process with new namespaces (%s)%s",
			  kinds[0] ? kinds : "none", l->cgroup_fd >= 0 ? " into its cgroup" : "");

	if (code == EBUSY)
		error_hint(err, "the cgroup has controllers enabled for its children, so it cannot hold processes itself");
	else if (code == ENOSPC || code == EUSERS)
		error_hint(err, "a limit in /proc/sys/user/max_*_namespaces is reached");
	else if (code == EAGAIN)
		error_hint(err, "pids.max of a cgroup or RLIMIT_NPROC is reached");
	return r;
}

/* Our copies must go: the end of file on sync is the news we wait for. */
static void close_child_ends(struct launch *l)
{
	bool adjacent = l->stub_go == l->sync[1] + 1 && l->stub_status == l->stub_go;

	if (!adjacent || syscall(SYS_close_range, (unsigned)l->sync[1], (unsigned)l->stub_go, 0) < 0) {
		close(l->sync[1]);
		close(l->stub_go);
		if (l->stub_status != l->stub_go)
			close(l->stub_status);
	}
	l->sync[1] = l->stub_go = l->stub_status = -1;
}

/* Field 22 of proc_pid_stat(5) is this clock, in hundredths of a second (USER_HZ). Asks the vDSO, not the kernel. */
static uint64_t now_ticks(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 100 + (uint64_t)t.tv_nsec / 10000000;
}

int launch_clone(struct launch *l, void (*child)(struct launch *l, void *data), void *data,
		 struct error *err)
{
	uint64_t before = now_ticks();
	long pid = clone3_like_fork(l->clone_flags, l->cgroup_fd, &l->pidfd);

	if (pid < 0)
		return clone_failed(l, errno, err);
	if (pid == 0) {
		unblock_signals();
		child(l, data);
		_exit(255);
	}
	l->pid = (pid_t)pid;
	l->start_time = now_ticks() == before ? before : 0;
	close_child_ends(l);
	return 0;
}

int launch_clone_again(struct launch *l, uint64_t flags, struct error *err)
{
	int unused = -1;
	long pid = clone3_like_fork(flags | CLONE_PARENT, -1, &unused);

	if (pid < 0)
		return error_set(err, errno, "clone the container's process once more");
	if (pid == 0)
		return 0;

	if (stage_send(l->sync[1], STAGE_PID, (int32_t)pid, -1, err) < 0)
		launch_fail(l, err);
	_exit(0);
}

int launch_take_over(struct launch *l, pid_t pid, struct error *err)
{
	siginfo_t si;

	/* Who says so may be in the container's hands: it can be nobody but a child of ours. */
	if (pid <= 0 || pid == l->pid || waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
		return error_set(err, EPROTO, "take over process %d", (int)pid);

	int pidfd = proc_pidfd_open(pid);

	if (pidfd < 0)
		return error_set(err, -pidfd, "open a pidfd of process %d", (int)pid);

	/* The first one has nothing left to do but to end. */
	proc_pidfd_wait(l->pidfd, DEATH_TIMEOUT_MS);
	waitpid(l->pid, NULL, WNOHANG);
	close(l->pidfd);
	l->pid = pid;
	l->start_time = 0;
	l->pidfd = pidfd;
	return 0;
}

int launch_wait_for_go(struct launch *l, const char *what, struct error *err)
{
	struct stage_msg msg;

	/* Our copy of the parent's end: with it open we would never notice that the parent died. */
	if (l->sync[0] >= 0)
		close(TAKE_FD(l->sync[0]));

	int r = stage_recv(l->sync[1], PARENT_TIMEOUT_MS, what, &msg, err);

	if (r < 0)
		return r;
	if (msg.stage != STAGE_GO)
		return error_rule(err, EPIPE, "the runtime went away before %s", what);
	return 0;
}

_Noreturn void launch_fail(struct launch *l, const struct error *err)
{
	stage_send_error(l->sync[1], err);
	_exit(255);
}

/* SIGKILL alone proves nothing: the cgroup counts what the OOM killer did. */
static bool was_oom_killed(const struct launch *l, int status)
{
	uint64_t kills = 0;

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && l->cgroup_fd >= 0 &&
	       cg_oom_kills(l->cgroup_fd, &kills, NULL) == 0 && kills > 0;
}

/* The child is dying or dead: how? */
static int explain_death(struct launch *l, struct error *err)
{
	int status;

	proc_pidfd_wait(l->pidfd, DEATH_TIMEOUT_MS);
	if (waitpid(l->pid, &status, WNOHANG) != l->pid)
		return error_rule(err, ECHILD, "the container's process disappeared while it was set up");

	l->pid = 0;
	if (was_oom_killed(l, status))
		return error_rule(err, ENOMEM, LAUNCH_TEXT_OOM);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		int r = error_rule(err, EPERM, "the seccomp filter killed the container's process before its program ran");

		error_at(err, "/linux/seccomp");
		error_hint(err, "the profile must at least allow read, fcntl, write, execve, execveat and exit_group");
		return r;
	}
	if (WIFSIGNALED(status))
		return error_rule(err, ECHILD, "the container's process was killed by signal %d while it was set up",
				  WTERMSIG(status));
	return error_rule(err, ECHILD, "the container's process ended with status %d while it was set up",
			  WEXITSTATUS(status));
}

int launch_wait_for_word(struct launch *l, int timeout_ms, struct error *err)
{
	struct pollfd p[] = { { .fd = l->sync[0], .events = POLLIN }, { .fd = l->pidfd, .events = POLLIN } };

	while (poll(p, 2, timeout_ms) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "wait for the container's process");
	if (!p[1].revents || p[0].revents)
		return 0;
	/* What it said before it ended came after the first look, if at all. */
	return poll(p, 1, 0) > 0 ? 0 : explain_death(l, err);
}

int launch_verify(struct launch *l, const struct proc_plan *plan, struct error *err)
{
	struct proc_facts facts = { 0 };
	int r = proc_verify(plan, l->pid, &facts, err);

	if (r == -ESRCH || r == -ENOENT)
		return explain_death(l, err);
	if (r == 0)
		l->reset_signals = facts.ignored_signals != 0;
	return r;
}

int launch_release(struct launch *l, const char *program, struct error *err)
{
	char go = l->reset_signals ? STUB_GO_RESET : STUB_GO;

	if (send(l->gate_fd, &go, 1, MSG_NOSIGNAL) < 0)
		return error_set(err, errno, "release the container's first process");
	return diagnose_wait(l->gate_fd, l->pid, l->pidfd, program, EXEC_TIMEOUT_MS, err);
}

void launch_abort(struct launch *l)
{
	if (l->pidfd >= 0) {
		proc_pidfd_send(l->pidfd, SIGKILL);
		proc_pidfd_wait(l->pidfd, 10000);
	}
	if (l->pid > 0)
		waitpid(l->pid, NULL, WNOHANG);
	l->pid = 0;
}
