/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process - the container's processes that the host knows by a number
 *
 * An end is told when the process was reaped, its output is at the host, and its ports are closed; the end of the
 * first one when all others have been told.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/oom.h"
#include "vm/agent/agent.h"

struct process *process_find(struct agent *a, uint32_t id)
{
	for (struct process *p = a->processes; p; p = p->next)
		if (p->id == id)
			return p;
	return NULL;
}

static int begin_streams(struct process *p, const uint32_t ports[4], uint32_t uid, struct error *err)
{
	p->is_terminal = ports[3] == 1;
	if (p->is_terminal) {
		if (ports[0])
			stream_begin_terminal(&p->streams[0], ports[0]);
		return 0;
	}
	for (int i = 0; i < PROCESS_STREAMS; i++) {
		int r = ports[i] ? stream_begin(&p->streams[i], ports[i], i, &p->child_fds[i], err) : 0;

		if (r < 0)
			return r;
		/* So that it may open /dev/stdout again; from inside a user namespace nobody could give it that. */
		if (ports[i] && uid != 0 && fchown(p->child_fds[i], uid, (gid_t)-1) < 0)
			return error_set(err, errno, "give a pipe to uid %u", uid);
	}
	return 0;
}

int process_new(struct agent *a, uint32_t id, const void *payload, size_t n, uint32_t uid, struct process **ret,
		struct error *err)
{
	struct wire_item item;
	uint32_t ports[4] = { 0 };
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		oom_die();
	p->id = id;
	for (int i = 0; i < PROCESS_STREAMS; i++)
		p->child_fds[i] = -1;
	if (wire_find(payload, n, WIRE_T_STDIO, &item) && item.n == sizeof(ports))
		memcpy(ports, item.bytes, sizeof(ports));

	int r = process_find(a, id) ? error_rule(err, EEXIST, "the guest has a process %u already", id)
				    : begin_streams(p, ports, uid, err);

	p->next = a->processes;
	a->processes = p;
	if (r < 0) {
		process_free(a, p);
		return r;
	}
	*ret = p;
	return 0;
}

void process_close_child_fds(struct process *p)
{
	for (int i = 0; i < PROCESS_STREAMS; i++)
		if (p->child_fds[i] >= 0)
			close(TAKE_FD(p->child_fds[i]));
}

void process_free(struct agent *a, struct process *p)
{
	process_close_child_fds(p);
	for (int i = 0; i < PROCESS_STREAMS; i++)
		stream_end(&p->streams[i]);
	for (struct process **at = &a->processes; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	if (a->container.init == p)
		a->container.init = NULL;
	free(p);
}

void process_watch(struct agent *a)
{
	for (struct process *p = a->processes; p; p = p->next) {
		for (int i = 0; i < PROCESS_STREAMS; i++)
			stream_watch(&p->streams[i], &a->polls);
		if (p->has_exited)
			polls_hurry(&a->polls, 20);
	}
}

static uint32_t exit_code(int status)
{
	return WIFSIGNALED(status) ? 128u + (uint32_t)WTERMSIG(status) : (uint32_t)WEXITSTATUS(status);
}

static void tell_exit(struct agent *a, struct process *p)
{
	for (int i = 0; i < PROCESS_STREAMS; i++)
		stream_end(&p->streams[i]);
	/* The cause before the effect. */
	container_tell_oom(a);

	size_t at = channel_begin(a, WIRE_EXITED, 0);

	wire_add_u32(&a->out, WIRE_T_PROCESS, p->id);
	wire_add_u32(&a->out, WIRE_T_STATUS, exit_code(p->status));
	channel_send(a, at);
}

static bool is_drained(struct process *p)
{
	bool all = true;

	for (int i = 0; i < PROCESS_STREAMS; i++)
		all &= stream_drain(&p->streams[i]);
	return all;
}

void process_turn(struct agent *a)
{
	for (struct process *p = a->processes, *next; p; p = next) {
		next = p->next;
		for (int i = 0; i < PROCESS_STREAMS; i++)
			stream_turn(&p->streams[i], &a->polls);
		if (!p->has_exited || !p->is_wanted || !is_drained(p))
			continue;
		if (p == a->container.init && (a->processes->next || a->container.start_id))
			continue;
		tell_exit(a, p);
		process_free(a, p);
	}
}

static void on_exit_of(struct agent *a, struct process *p, int status)
{
	p->has_exited = true;
	p->status = status;
	log_debug(&a->log, "process %u (%d) ended with %u", p->id, (int)p->pid, exit_code(status));
	/* Without a pid namespace nobody else ends what the first process leaves behind. */
	if (p == a->container.init && a->container.cgroup_fd >= 0)
		cg_kill(a->container.cgroup_fd, NULL);
}

void process_reap(struct agent *a)
{
	for (;;) {
		siginfo_t si = { .si_pid = 0 };
		struct process *p = a->processes;
		int status = 0;

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		/* A job that ended may have left a process of ours, of which it says so first. */
		bool is_job = job_reaped(a, si.si_pid);

		waitpid(si.si_pid, &status, WNOHANG);
		if (is_job)
			continue;
		while (p && p->pid != si.si_pid)
			p = p->next;
		if (p)
			on_exit_of(a, p, status);
	}
}

int process_signal(struct agent *a, const void *payload, size_t n, struct error *err)
{
	struct container *c = &a->container;
	struct wire_item item;
	uint32_t id = 0, signo;

	if (wire_get_u32(payload, n, WIRE_T_SIGNAL, &signo) < 0 || signo > 64)
		return error_set(err, EPROTO, "read the signal of a request");
	if (wire_find(payload, n, WIRE_T_ALL, &item)) {
		auto_free struct arena *arena = calloc(1, sizeof(*arena));
		pid_t *pids;
		size_t n_pids;

		if (signo == SIGKILL)
			return cg_kill(c->cgroup_fd, err);
		if (!arena)
			return error_set(err, ENOMEM, "list the container's processes");

		int r = cg_pids(c->cgroup_fd, arena, &pids, &n_pids, err);

		for (size_t i = 0; r == 0 && i < n_pids; i++)
			if (kill(pids[i], (int)signo) < 0 && errno != ESRCH)
				r = error_set(err, errno, "signal %u to process %d", signo, (int)pids[i]);
		arena_release(arena);
		return r;
	}
	wire_get_u32(payload, n, WIRE_T_PROCESS, &id);

	struct process *p = process_find(a, id);

	if (!p || !p->pid || p->has_exited)
		return error_rule(err, ESRCH, "process %u of the guest has ended", id);
	return kill(p->pid, (int)signo) < 0 ? error_set(err, errno, "signal %u to process %u of the guest", signo, id) : 0;
}

int process_resize(struct agent *a, const void *payload, size_t n, struct error *err)
{
	uint32_t id = 0, rows = 0, columns = 0;

	wire_get_u32(payload, n, WIRE_T_PROCESS, &id);
	wire_get_u32(payload, n, WIRE_T_ROWS, &rows);
	wire_get_u32(payload, n, WIRE_T_COLUMNS, &columns);

	struct process *p = process_find(a, id);

	if (!p || !p->is_terminal)
		return error_rule(err, ENOTTY, "process %u of the guest has no terminal", id);
	p->size = (struct winsize){ .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	p->has_size = true;
	if (p->streams[0].fd >= 0 && ioctl(p->streams[0].fd, TIOCSWINSZ, &p->size) < 0)
		return error_set(err, errno, "resize the terminal of process %u", id);
	return 0;
}

void process_input_ended(struct agent *a, uint32_t port)
{
	for (struct process *p = a->processes; p; p = p->next)
		for (int i = 0; i < PROCESS_STREAMS; i++)
			if (p->streams[i].port == port)
				p->streams[i].host_ended = true;
}
