/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of a command in the foreground: see foreground.h.
 */
#include "runtime/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/notify.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

/* After the end of the process, this long without any output ends the copying: another process may hold the pipe. */
#define DRAIN_SILENCE_MS 20

int foreground_begin(struct foreground *f, struct error *err)
{
	proc_block_signals(0);
	f->signal_fd = proc_signal_fd();
	return f->signal_fd < 0 ? error_set(err, -f->signal_fd, "make a signal descriptor") : 0;
}

static int pipe_for(struct foreground *f, int fd, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe for descriptor %d", fd);
	f->child_stdio[fd] = ends[fd == 0 ? 0 : 1];
	f->copy[fd] = (struct foreground_copy){
		.from = fd == 0 ? 0 : ends[0],
		.to = fd == 0 ? ends[1] : fd,
		.owns_from = fd != 0,
		.owns_to = fd == 0,
	};
	return 0;
}

int foreground_stdio(struct foreground *f, const struct stdio_facts *facts, uint32_t host_uid,
		     struct error *err)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (!facts->is_terminal[fd] && !(host_uid != 0 && facts->is_file[fd]))
			continue;

		int r = pipe_for(f, fd, err);

		if (r < 0)
			return r;
		/* The host's to give: inside a user namespace nobody may. */
		if (host_uid != 0 && fchown(f->child_stdio[fd], host_uid, (gid_t)-1) < 0)
			return error_set(err, errno, "give the pipe of descriptor %d to uid %u", fd, host_uid);
	}
	return 0;
}

void foreground_cloned(struct foreground *f)
{
	for (int fd = 0; fd <= 2; fd++)
		if (f->child_stdio[fd] >= 0)
			close(TAKE_FD(f->child_stdio[fd]));
}

int foreground_terminal(struct foreground *f, int master, struct error *err)
{
	f->master = master;

	int r = console_take_host(&f->host, master, err);

	if (r < 0)
		return r;
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	f->copy[0] = (struct foreground_copy){ .from = 0, .to = master };
	f->copy[1] = (struct foreground_copy){ .from = master, .to = 1 };
	return 0;
}

static void end_copy(struct foreground_copy *c)
{
	if (c->owns_from && c->from >= 0)
		close(c->from);
	if (c->owns_to && c->to >= 0)
		close(c->to);
	c->from = c->to = -1;
	c->begin = c->end = 0;
}

static bool is_full(const struct foreground_copy *c)
{
	return c->begin < c->end;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void fill(struct foreground_copy *c)
{
	ssize_t n = read(c->from, c->data, sizeof(c->data));

	if (n < 0 && would_block())
		return;
	/* A pty master answers EIO once the last peer is closed: its end of file. */
	if (n <= 0) {
		end_copy(c);
		return;
	}
	c->begin = 0;
	c->end = (size_t)n;
}

static void drain(struct foreground_copy *c)
{
	ssize_t n = write(c->to, c->data + c->begin, c->end - c->begin);

	if (n < 0 && would_block())
		return;
	if (n < 0)
		end_copy(c); /* the reader is gone: the container gets EPIPE or EOF in turn */
	else
		c->begin += (size_t)n;
}

static void forward_signal(struct foreground *f, int pidfd)
{
	struct signalfd_siginfo si;

	while (read(f->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int signo = (int)si.ssi_signo;

		if (signo == SIGWINCH && f->master >= 0)
			console_resize(&f->host, f->master);
		if (signo == SIGCHLD || signo == SIGURG || signo == SIGWINCH)
			continue;
		/* Our own write to a closed pipe is no message to the container. */
		if (signo == SIGPIPE && si.ssi_pid == (uint32_t)getpid())
			continue;
		proc_pidfd_send(pidfd, signo);
	}
}

/* As a subreaper we get orphans of the container. Ours is left for the end. */
static void reap_orphans(pid_t pid)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0 || si.si_pid == pid)
			return;
		waitpid(si.si_pid, NULL, WNOHANG);
	}
}

enum { POLL_PID, POLL_SIGNAL, POLL_NOTIFY, POLL_COPY, POLL_MAX = POLL_COPY + 3 };

static void prepare_poll(const struct foreground *f, int pidfd, struct pollfd *p)
{
	p[POLL_PID] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	p[POLL_SIGNAL] = (struct pollfd){ .fd = f->signal_fd, .events = POLLIN };
	p[POLL_NOTIFY] = (struct pollfd){ .fd = f->notify_sock, .events = POLLIN };
	for (int i = 0; i < 3; i++) {
		const struct foreground_copy *c = &f->copy[i];

		p[POLL_COPY + i] = is_full(c) ? (struct pollfd){ .fd = c->to, .events = POLLOUT }
					      : (struct pollfd){ .fd = c->from, .events = POLLIN };
	}
}

static void copy_ready(struct foreground *f, const struct pollfd *p)
{
	for (int i = 0; i < 3; i++) {
		if (!p[POLL_COPY + i].revents || f->copy[i].from < 0)
			continue;
		if (is_full(&f->copy[i]))
			drain(&f->copy[i]);
		else
			fill(&f->copy[i]);
	}
}

/* What the process wrote before it ended is still in the pipes. Input is of no use any more. */
static void drain_output(struct foreground *f)
{
	end_copy(&f->copy[0]);
	for (;;) {
		struct pollfd p[POLL_MAX];

		prepare_poll(f, -1, p);
		if (f->copy[1].from < 0 && f->copy[2].from < 0)
			return;
		if (poll(p + POLL_COPY, 3, DRAIN_SILENCE_MS) <= 0)
			return;
		copy_ready(f, p);
	}
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int foreground_wait(struct foreground *f, pid_t pid, int pidfd, int *ret_status, struct error *err)
{
	int status = 0;

	for (;;) {
		struct pollfd p[POLL_MAX];

		prepare_poll(f, pidfd, p);
		if (poll(p, POLL_MAX, -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_set(err, errno, "wait for the container");
		}
		if (p[POLL_SIGNAL].revents) {
			forward_signal(f, pidfd);
			reap_orphans(pid);
		}
		if (p[POLL_NOTIFY].revents && notify_forward(f->notify_sock, pid, f->log))
			close(TAKE_FD(f->notify_sock));
		copy_ready(f, p);
		if (p[POLL_PID].revents)
			break;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "learn how process %d ended", (int)pid);
	drain_output(f);
	*ret_status = exit_code(status);
	return 0;
}

void foreground_end(struct foreground *f)
{
	console_restore_host(&f->host);
	for (int i = 0; i < 3; i++) {
		end_copy(&f->copy[i]);
		if (f->child_stdio[i] >= 0)
			close(TAKE_FD(f->child_stdio[i]));
	}
	if (f->master >= 0)
		close(TAKE_FD(f->master));
	if (f->notify_sock >= 0)
		close(TAKE_FD(f->notify_sock));
}
