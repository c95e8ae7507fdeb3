/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec - a job: one more process in the container. It is the agent's child once the job has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/launch/stages.h"
#include "runtime/launch/stdio.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/agent/agent.h"

struct exec {
	struct agent *a;
	struct job *job;
	int sock;
	struct arena *arena;
	struct spec_process *process;
	struct proc_seccomp seccomp;
	struct proc_plan plan;
	char **extra_env;
	struct launch launch;
	bool clone_late, cloned_late; /* into the pid namespace (launch.h); done */
};

static int plan(struct exec *x, const void *payload, size_t n, struct error *err)
{
	struct container *c = &x->a->container;
	struct wire_item item;
	int r;

	if (!wire_find(payload, n, WIRE_T_PROCESS_JSON, &item) ||
	    agent_read_filter(payload, n, x->arena, &x->seccomp) < 0)
		return error_set(err, EPROTO, "read the process of a request");
	r = spec_parse_process(arena_strndup(x->arena, item.bytes, item.n), item.n, x->arena, &x->a->log,
			       &x->process, err);
	if (r < 0)
		return r;
	agent_read_bytes(payload, n, x->arena, x->process);
	agent_adapt_process(x->process);
	/* So that it may open /dev/stdout again; from inside a user namespace nobody could give it that. */
	for (int i = 0; i < PROCESS_STREAMS; i++)
		if (x->job->process->child_fds[i] >= 0 &&
		    fchown(x->job->process->child_fds[i], x->process->user.uid, (gid_t)-1) < 0)
			return error_set(err, errno, "give a pipe to uid %u", x->process->user.uid);
	x->extra_env = agent_read_env(payload, n, x->arena);

	struct proc_options opt = {
		.linux_ = &c->spec->linux_,
		.seccomp = x->seccomp.insns ? &x->seccomp : NULL,
		.in_user_namespace = c->kinds & 1u << SPEC_NS_USER,
		.is_exec = true,
		.keyring = c->keyring,
		.log = &x->a->log,
	};

	r = proc_plan_make(x->process, &opt, x->arena, &x->plan, err);
	x->clone_late = r == 0 && launch_may_be_traced(c->spec) && launch_can_clone_late(&x->plan);
	return r;
}

static int open_terminal(struct exec *x, struct launch_program *p, struct error *err)
{
	auto_close int master = -1;
	int peer = -1;
	int r = ns_open_pty(p->root_fd, p->process, &master, &peer, err);

	if (r == 0)
		r = launch_set_terminal(&x->launch, p, master, peer, err);
	return r < 0 ? error_wrap(err, r, "cannot set up the terminal") : 0;
}

static int enter(struct exec *x, struct launch_program *p, struct error *err)
{
	struct container *c = &x->a->container;
	int r = setsid() < 0 ? error_set(err, errno, "make a session of its own") : 0;

	if (r == 0 && x->clone_late)
		r = ns_exec_parent(c->launch.pidfd, c->kinds, err);
	if (r == 0)
		r = ns_exec_child(c->launch.pidfd, c->kinds, err);
	if (r < 0)
		return error_wrap(err, r, "cannot enter the container's namespaces");
	return x->process->terminal ? open_terminal(x, p, err) : 0;
}

static void child(struct launch *l, void *data)
{
	struct exec *x = data;
	const struct process *process = x->job->process;
	struct error err = ERROR_INIT;
	struct launch_program program = {
		.process = x->process,
		.plan = &x->plan,
		.extra_env = x->extra_env,
		.root_fd = AT_FDCWD, /* the root just entered is the working directory */
		.procfs_fd = -1,
		.stdio = { process->child_fds[0], process->child_fds[1], process->child_fds[2] },
		.facts = &agent_stdio,
		.clone_late = x->clone_late,
	};

	if (enter(x, &program, &err) < 0)
		launch_fail(l, &err);
	launch_become(l, &program);
}

static int on_stage(struct exec *x, struct stage_msg *msg, struct error *err)
{
	auto_close int fd = TAKE_FD(msg->fd);

	if (msg->stage == STAGE_CONSOLE && fd >= 0)
		return stage_send(x->sock, STAGE_CONSOLE, 0, fd, err);
	if (msg->stage == STAGE_PID && x->clone_late && !x->cloned_late) {
		int r = launch_take_over(&x->launch, msg->value, err);

		x->cloned_late = r == 0;
		return r < 0 ? r : stage_send(x->launch.sync[0], STAGE_GO, 0, -1, err);
	}
	return error_set(err, EPROTO, "read a stage message");
}

static int supervise(struct exec *x, struct error *err)
{
	for (;;) {
		struct stage_msg msg;
		int r = 0;

		if (x->clone_late && !x->cloned_late)
			r = launch_wait_for_word(&x->launch, STAGE_TIMEOUT_MS, err);
		if (r == 0)
			r = stage_recv(x->launch.sync[0], STAGE_TIMEOUT_MS, "entering the container", &msg, err);
		if (r < 0 || msg.stage == STAGE_EOF)
			return r;
		r = on_stage(x, &msg, err);
		if (r < 0)
			return r;
	}
}

/* The last number of NSpid: its own namespace's. */
static uint32_t pid_inside(pid_t pid)
{
	char path[48], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0)
		return 0;

	char *line = strstr(text, "\nNSpid:");
	char *end = line ? strchr(line + 1, '\n') : NULL;

	if (!end)
		return 0;
	*end = '\0';
	char *last = strrchr(line, '\t');

	return last ? (uint32_t)strtoul(last, NULL, 10) : 0;
}

/* Where init is now: a container that manages its own cgroup has moved it to a leaf below the one we made. */
static int cgroup_of_init(struct container *c, struct error *err)
{
	char path[PATH_MAX];
	int r = cg_path_of_pid(c->launch.pid, path, sizeof(path), err);

	return r == 0 ? cg_open(&c->host, path, err) : r;
}

static int clone_child(struct exec *x, struct error *err)
{
	struct container *c = &x->a->container;
	struct error cause = ERROR_INIT;

	x->launch.cgroup_fd = c->cgroup_fd;

	int r = launch_clone(&x->launch, child, x, &cause);

	if (r == -EBUSY) { /* cgroup-v2.rst, "no internal processes" */
		x->launch.cgroup_fd = cgroup_of_init(c, err);
		return x->launch.cgroup_fd < 0 ? x->launch.cgroup_fd : launch_clone(&x->launch, child, x, err);
	}
	if (r < 0)
		*err = cause;
	return r;
}

static int launch_it(struct exec *x, uint32_t *ret_pid, struct error *err)
{
	struct container *c = &x->a->container;
	struct launch *l = &x->launch;
	int r = x->clone_late ? 0 : ns_exec_parent(c->launch.pidfd, c->kinds, err);

	if (r == 0)
		r = launch_prepare(l, err);
	if (r == 0)
		r = clone_child(x, err);
	if (r < 0)
		return r;
	process_close_child_fds(x->job->process);
	r = supervise(x, err);
	if (r == 0)
		r = launch_verify(l, &x->plan, err);
	if (r == 0)
		r = proc_apply_outside(&x->plan, l->pid, err);
	*ret_pid = pid_inside(l->pid);
	/* Before the program runs: it may end before this job does. */
	if (r == 0)
		r = stage_send(x->sock, STAGE_PID, (int32_t)l->pid, -1, err);
	if (r == 0)
		r = launch_release(l, x->process->args.v[0], err);
	if (r < 0)
		launch_abort(l);
	return r;
}

int job_exec(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
	     struct error *err)
{
	static struct arena arena = ARENA_INIT;
	struct exec x = { .a = a, .job = j, .sock = sock, .arena = &arena, .launch = LAUNCH_INIT };
	uint32_t pid = 0;
	int r = plan(&x, payload, n, err);

	if (r == 0)
		r = launch_it(&x, &pid, err);
	if (r < 0)
		return r;
	wire_add_u32(reply, WIRE_T_PROCESS, j->process->id);
	wire_add_u32(reply, WIRE_T_GUEST_PID, pid);
	return 0;
}
