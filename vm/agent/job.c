/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - a request that may wait, served by a forked process
 *
 * The reply's payload comes through a pipe. What the agent itself must get, a terminal's master or the id of a
 * process, comes before that on a socket, in messages of stages.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/launch/stages.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/oom.h"
#include "vm/agent/agent.h"

static _Noreturn void run(struct agent *a, struct job *j, job_fn *fn, const void *payload, size_t n, int sock, int out)
{
	auto_buf struct buf reply = BUF_INIT;
	struct error err = ERROR_INIT;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The agent alone speaks on the channel. */
	close(TAKE_FD(a->channel));
	if (fn(a, j, payload, n, sock, &reply, &err) < 0) {
		buf_reset(&reply);
		wire_add_error(&reply, &err);
	}
	file_write_all(out, "the reply", reply.data, reply.len, NULL);
	_exit(0);
}

int job_start(struct agent *a, uint32_t id, job_fn *fn, struct process *process, const void *payload, size_t n,
	      struct error *err)
{
	int ends[2], out[2];
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		oom_die();
	*j = (struct job){ .id = id, .process = process, .at_out = -1, .at_sock = -1 };
	if (pipe2(out, O_CLOEXEC) < 0 || stage_pair(ends, err) < 0) {
		free(j);
		return error_set(err, EMFILE, "make the pipe of a job");
	}
	j->pid = fork();
	if (j->pid < 0) {
		int r = error_set(err, errno, "fork");

		for (int i = 0; i < 2; i++) {
			close(ends[i]);
			close(out[i]);
		}
		free(j);
		return r;
	}
	if (j->pid == 0) {
		close(out[0]);
		close(ends[0]);
		run(a, j, fn, payload, n, ends[1], out[1]);
	}
	close(out[1]);
	close(ends[1]);
	j->out = out[0];
	j->sock = ends[0];
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	j->next = a->jobs;
	a->jobs = j;
	return 0;
}

void job_watch(struct agent *a)
{
	for (struct job *j = a->jobs; j; j = j->next) {
		j->at_out = polls_add(&a->polls, j->out, POLLIN);
		j->at_sock = polls_add(&a->polls, j->sock, POLLIN);
	}
}

/* Takes one message of stages.h. False: there is none, and never will be. */
static bool take_stage(struct job *j)
{
	struct stage_msg msg;
	struct pollfd p = { .fd = j->sock, .events = POLLIN };

	if (j->sock < 0 || poll(&p, 1, 0) <= 0)
		return false;
	if (stage_recv(j->sock, 0, "a job", &msg, NULL) < 0 || msg.stage == STAGE_EOF || !j->process) {
		close(TAKE_FD(j->sock));
		return false;
	}
	if (msg.stage == STAGE_CONSOLE && msg.fd >= 0) {
		stream_take_master(&j->process->streams[0], TAKE_FD(msg.fd));
		if (j->process->has_size)
			ioctl(j->process->streams[0].fd, TIOCSWINSZ, &j->process->size);
	}
	if (msg.stage == STAGE_PID)
		j->process->pid = msg.value;
	if (msg.fd >= 0)
		close(msg.fd);
	return true;
}

/* False: the reply is whole. */
static bool take_reply(struct job *j)
{
	char bytes[4096];

	for (;;) {
		ssize_t n = read(j->out, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		if (j->reply.len + (size_t)n <= WIRE_MAX_REPLY)
			buf_add(&j->reply, bytes, (size_t)n);
	}
}

static void finish(struct agent *a, struct job *j)
{
	struct wire_item item;
	bool is_error;

	while (take_stage(j))
		;
	is_error = wire_find(j->reply.data, j->reply.len, WIRE_T_ERROR, &item);
	/* A pipe that ends without a word: it was killed. Some replies are empty, these say so by their end. */
	if (j->process && !j->reply.len) {
		struct error err = ERROR_INIT;

		error_rule(&err, ECHILD, "the agent's process for a request was killed");
		wire_add_error(&j->reply, &err);
		is_error = true;
	}

	size_t at = channel_begin(a, WIRE_REPLY, j->id);

	buf_add(&a->out, j->reply.data, j->reply.len);
	channel_send(a, at);
	if (a->container.start_id == j->id) {
		a->container.start_id = 0;
		/* A stub whose execve() failed has been looked at: it may go. */
		close(TAKE_FD(a->container.launch.gate_fd));
		if (!is_error)
			system_load_late(a);
	}
	if (j->process && is_error)
		process_free(a, j->process);
	else if (j->process)
		j->process->is_wanted = true;
	for (struct job **p = &a->jobs; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	close(j->out);
	if (j->sock >= 0)
		close(j->sock);
	buf_release(&j->reply);
	free(j);
}

void job_turn(struct agent *a)
{
	for (struct job *j = a->jobs, *next; j; j = next) {
		next = j->next;
		if (polls_events(&a->polls, j->at_sock))
			while (take_stage(j))
				;
		if (polls_events(&a->polls, j->at_out) && !take_reply(j))
			finish(a, j);
	}
}

bool job_reaped(struct agent *a, pid_t pid)
{
	for (struct job *j = a->jobs; j; j = j->next)
		if (j->pid == pid) {
			/* Its end is there, too, once all is read, unless a process that it left holds the pipe. */
			take_reply(j);
			finish(a, j);
			return true;
		}
	return false;
}
