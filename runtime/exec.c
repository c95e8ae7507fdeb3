/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: another process in a container that runs. The child enters all of init's
 * namespaces with one setns(), is born in its cgroup, and ends like init does
 * (become.c). Nothing is mounted and nothing of the host is changed. Into a container
 * that may trace it is cloned once more at the very end (guard.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "namespaces/namespaces.h"
#include "runtime/caller.h"
#include "runtime/exec_process.h"
#include "runtime/foreground.h"
#include "runtime/group_record.h"
#include "runtime/guard.h"
#include "runtime/inner_leaf.h"
#include "runtime/launch/launch.h"
#include "runtime/listener.h"
#include "runtime/lsm.h"
#include "runtime/seccomp_cache.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "runtime/vm_ask.h"
#include "runtime/vm_exec.h"
#include "runtime/vm_stdio.h"
#include "runtime/vm_gate.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "spec/base/proc.h"

/* --ignore-paused: as long as somebody may leave a container paused on purpose. */
#define PAUSED_TIMEOUT_MS (24 * 3600 * 1000)

struct exec {
	const struct rt_context *ctx;
	const struct rt_exec_options *opt;
	struct arena *arena;
	struct rt_state state;
	struct exec_source source;    /* process and the container's saved config */
	struct proc_seccomp seccomp;
	struct proc_plan plan;
	bool clone_late, cloned_late; /* see guard.h */
	int init_pidfd;
	int vm_socket;                /* of a virtual machine; -1 */
	int console_master;
	char **extra_env;
	uint32_t preserve_fds;
	int child_stdio[3];
	struct launch launch;
};

#define EXEC_INIT \
	{ .init_pidfd = -1, .vm_socket = -1, .console_master = -1, .child_stdio = { -1, -1, -1 }, \
	  .launch = LAUNCH_INIT }

static int check_status(const struct exec *x, struct error *err)
{
	switch (state_status_of_init(&x->state, x->init_pidfd)) {
	case RT_STOPPED:
		return error_rule(err, ESRCH, TEXT_EXEC_STOPPED);
	case RT_PAUSED:
		return x->opt->ignore_paused ? 0 : error_rule(err, EAGAIN, TEXT_EXEC_PAUSED);
	case RT_CREATING:
		return error_rule(err, EAGAIN, "cannot exec in a container in the creating state");
	default:
		return 0;
	}
}

static int check_terminal(const struct exec *x, struct error *err)
{
	bool terminal = x->source.process->terminal;

	if (x->opt->detach && terminal && !x->opt->console_socket)
		return error_rule(err, EINVAL, TEXT_CONSOLE_MISSING);
	if (x->opt->console_socket && (!x->opt->detach || !terminal))
		return error_rule(err, EINVAL, TEXT_CONSOLE_UNUSED);
	return 0;
}

static int plan(struct exec *x, struct error *err)
{
	const struct spec_linux *lx = x->source.linux_;
	int r = 0;

	if (lx->seccomp) {
		auto_close int cache = seccomp_cache_open(x->ctx);

		r = proc_seccomp_get(lx->seccomp, cache, x->arena, x->ctx->log, &x->seccomp, err);
	}
	if (r == 0 && !x->state.is_vm && x->state.sandbox && x->state.sandbox->keeps_projects)
		r = proc_seccomp_keep_projects(&x->seccomp, x->arena, err);
	if (r < 0)
		return error_wrap(err, r, "cannot prepare the seccomp filter");
	if (x->state.is_vm) /* the rest is planned in the guest */
		return 0;

	struct proc_options opt = {
		.linux_ = lx,
		.seccomp = &x->seccomp,
		.in_user_namespace = x->state.ns_kinds & 1u << SPEC_NS_USER,
		.is_exec = true,
		.keyring = x->state.keyring[0] ? x->state.keyring : NULL,
		.log = x->ctx->log,
	};

	return proc_plan_make(x->source.process, &opt, x->arena, &x->plan, err);
}

/* What a guest cannot be asked for. */
static int check_vm(const struct exec *x, struct error *err)
{
	if (x->preserve_fds)
		return error_rule(err, ENOTSUP, "a virtual machine cannot be given descriptors but standard input and output (--preserve-fds, LISTEN_FDS)");
	if (x->opt->cgroup)
		return error_rule(err, ENOTSUP, "--cgroup: the cgroups of a virtual machine's processes are the guest's own");
	return wall_check_process(x->source.process, "/process", err);
}

static int prepare(struct exec *x, struct error *err)
{
	/* Before anything is opened: see build_plan(). */
	int r = caller_descriptors(x->opt->preserve_fds, x->ctx->log, x->arena, &x->preserve_fds,
				   &x->extra_env, err);

	if (r == 0) {
		group_settle_unlocked(x->ctx, x->opt->id);
		r = state_peek(x->ctx, x->opt->id, x->arena, &x->state, err);
	}

	/* The pidfd first: what is true of its process then is true of the one that is entered. */
	if (r == 0 && x->state.pid)
		x->init_pidfd = proc_pidfd_open(x->state.pid);
	if (r == 0)
		r = check_status(x, err);
	if (r == 0 && x->init_pidfd < 0)
		r = error_rule(err, ESRCH, TEXT_EXEC_STOPPED);
	if (r == 0 && x->state.may_be_traced)
		r = guard_seal_self(x->ctx, x->preserve_fds, err);
	if (r == 0)
		r = exec_source(x->ctx, x->opt, &x->state, x->arena, &x->source, err);
	if (r == 0)
		r = check_terminal(x, err);
	if (r == 0)
		r = x->state.is_vm ? check_vm(x, err) : lsm_check(x->source.process, err);
	if (r == 0)
		r = plan(x, err);
	if (r == 0)
		x->clone_late = x->state.may_be_traced && launch_can_clone_late(&x->plan);
	return r;
}

/* The sub-cgroup that --cgroup names: below the container's own, wherever links or ".." would lead. */
static int sub_cgroup(const struct exec *x, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	char clean[PATH_MAX];
	char path[PATH_MAX];
	int r = path_clean(x->opt->cgroup, clean, sizeof(clean));

	if (r < 0 || strstr(x->opt->cgroup, ".."))
		return error_rule(err, EINVAL, "--cgroup %s is not a path below the container's cgroup",
				  x->opt->cgroup);
	snprintf(path, sizeof(path), "%s%s", x->state.cgroup, strcmp(clean, "/") == 0 ? "" : clean);
	r = cg_host_open(&host, err);
	if (r == 0)
		r = cg_open(&host, path, err);
	cg_host_close(&host);
	return r < 0 ? error_wrap(err, r, "cannot use --cgroup %s", x->opt->cgroup) : r;
}

/* The container's, or the one its program started in. */
static int own_cgroup(const struct exec *x, struct error *err)
{
	const char *name = inner_leaf_name(x->state.annotations, x->state.n_annotations);
	auto_close int fd = state_open_cgroup(&x->state, err);
	int inner = fd >= 0 && name ? inner_leaf_open(fd, name) : -1;

	return inner >= 0 ? inner : TAKE_FD(fd);
}

/* Where init is now: a container that manages its own cgroup has moved it to a leaf below the one we made. */
static int cgroup_of_init(const struct exec *x, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	char path[PATH_MAX];
	size_t n = strlen(x->state.cgroup);
	int r = cg_path_of_pid(x->state.pid, path, sizeof(path), err);

	/* Only a program with rights on the host can have taken it elsewhere: no limit of the container's holds there. */
	if (r == 0 && (strncmp(path, x->state.cgroup, n) != 0 || (path[n] && path[n] != '/')))
		r = error_rule(err, EBUSY, "the container's first process is in cgroup /%s, outside of the container's /%s", path,
			       x->state.cgroup);
	if (r == 0)
		r = cg_host_open(&host, err);
	if (r == 0)
		r = cg_open(&host, path, err);
	cg_host_close(&host);
	return r;
}

static void exec_child(struct launch *l, void *data);

/*
 * The container was moved to another CPU group after we had read where it is, and its old leaf is gone. Waits for the
 * end of the move. False when that is not it.
 */
static bool was_moved(struct exec *x)
{
	struct rt_state now;

	group_settle_unlocked(x->ctx, x->opt->id);
	if (state_peek(x->ctx, x->opt->id, x->arena, &now, NULL) < 0 || now.pid != x->state.pid ||
	    strcmp(now.cgroup, x->state.cgroup) == 0)
		return false;
	x->state.cgroup = now.cgroup;
	x->state.cgroup_dir = now.cgroup_dir;
	return true;
}

static int clone_where_it_is(struct exec *x, struct error *err)
{
	struct launch *l = &x->launch;

	l->cgroup_fd = x->opt->cgroup ? sub_cgroup(x, err) : own_cgroup(x, err);
	if (l->cgroup_fd < 0)
		return l->cgroup_fd;

	int r = launch_clone(l, exec_child, x, err);

	/* cgroup.md "no internal processes"; with an explicit --cgroup the caller gets what it asked for. */
	if (r != -EBUSY || x->opt->cgroup)
		return r;
	l->cgroup_fd = cgroup_of_init(x, err);
	return l->cgroup_fd < 0 ? l->cgroup_fd : launch_clone(l, exec_child, x, err);
}

static int clone_into_cgroup(struct exec *x, struct error *err)
{
	for (int tries = 0;; tries++) {
		struct error cause = ERROR_INIT;
		int r = clone_where_it_is(x, &cause);

		if (r == 0)
			return 0;
		/* clone3() of a cgroup that has been removed is -ENODEV, and -ENOENT to find it so by its name. */
		if ((r == -ENODEV || r == -ENOENT) && tries < 5 && was_moved(x)) {
			if (x->launch.cgroup_fd >= 0)
				close(TAKE_FD(x->launch.cgroup_fd));
			continue;
		}
		if (err)
			*err = cause;
		return r;
	}
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
	if (setsid() < 0)
		return error_set(err, errno, "make a session of its own");

	int r = x->clone_late ? ns_exec_parent(x->init_pidfd, x->state.ns_kinds, err) : 0;

	if (r == 0)
		r = ns_exec_child(x->init_pidfd, x->state.ns_kinds, err);
	if (r < 0)
		return error_wrap(err, r, "cannot enter the container's namespaces");
	p->root_fd = AT_FDCWD; /* the root just entered is the working directory: as good as a descriptor of it */
	if (x->source.process->apparmor_profile || x->source.process->selinux_label) {
		p->procfs_fd = procfs_open(PROCFS_PIDS, err);
		if (p->procfs_fd < 0)
			return p->procfs_fd;
	}
	return p->process->terminal ? open_terminal(x, p, err) : 0;
}

_Noreturn static void become_proxy(struct launch *l, const struct exec *x)
{
	struct wall_proxy proxy = {
		.ctx = x->ctx,
		.id = x->opt->id,
		.socket_fd = x->vm_socket,
		.process = x->source.process,
		.filter = &x->seccomp,
		.stdio = { x->child_stdio[0], x->child_stdio[1], x->child_stdio[2] },
	};

	wall_proxy(l, &proxy);
}

static void exec_child(struct launch *l, void *data)
{
	struct exec *x = data;
	struct error err = ERROR_INIT;
	struct launch_program program = {
		.process = x->source.process,
		.plan = &x->plan,
		.extra_env = x->extra_env,
		.preserve_fds = x->preserve_fds,
		.procfs_fd = -1,
		.stdio = { x->child_stdio[0], x->child_stdio[1], x->child_stdio[2] },
		.facts = &x->ctx->stdio,
		.clone_late = x->clone_late,
	};

	trace_process(x->ctx->trace, "process of exec");
	if (x->state.is_vm)
		become_proxy(l, x);
	if (x->state.may_be_traced)
		guard_forget_environment();
	if (enter(x, &program, &err) < 0)
		launch_fail(l, &err);
	launch_become(l, &program);
}

static int on_stage(struct exec *x, struct stage_msg *msg, struct error *err)
{
	auto_close int fd = TAKE_FD(msg->fd);

	if (msg->stage == STAGE_CONSOLE && fd >= 0) {
		if (x->opt->console_socket)
			return console_send(x->opt->console_socket, fd, err);
		x->console_master = TAKE_FD(fd);
		return 0;
	}
	if (msg->stage == STAGE_PID && x->clone_late && !x->cloned_late) {
		int r = launch_take_over(&x->launch, msg->value, err);

		x->cloned_late = r == 0;
		return r < 0 ? r : stage_send(x->launch.sync[0], STAGE_GO, 0, -1, err);
	}
	if (msg->stage == STAGE_LISTENER && fd >= 0)
		return listener_send(x->source.linux_->seccomp, &x->state, RT_RUNNING, x->launch.pid,
				     fd, err);
	return error_set(err, EPROTO, "read a stage message");
}

static int supervise(struct exec *x, struct error *err)
{
	/* Born frozen, it sets itself up when the container is resumed. */
	int timeout_ms = x->opt->ignore_paused ? PAUSED_TIMEOUT_MS : STAGE_TIMEOUT_MS;

	for (;;) {
		struct stage_msg msg;
		int r = 0;

		if (x->clone_late && !x->cloned_late)
			r = launch_wait_for_word(&x->launch, timeout_ms, err);
		if (r == 0)
			r = stage_recv(x->launch.sync[0], timeout_ms, "entering the container", &msg, err);
		if (r < 0)
			return r;
		if (msg.stage == STAGE_EOF)
			return 0;
		r = on_stage(x, &msg, err);
		if (r < 0)
			return r;
	}
}

static int finish(struct exec *x, struct error *err)
{
	struct launch *l = &x->launch;
	int r = x->state.is_vm ? 0 : launch_verify(l, &x->plan, err);

	if (r == 0 && !x->state.is_vm)
		r = proc_apply_outside(&x->plan, l->pid, err);
	if (r == 0 && !x->state.is_vm)
		r = proc_apply_affinity(&x->plan, l->pid, true, err);
	if (r == 0 && x->opt->pidfd_socket)
		r = console_send_pidfd(x->opt->pidfd_socket, l->pidfd, "setns", err);
	if (r == 0 && x->opt->pid_file)
		r = caller_write_pid(x->opt->pid_file, l->pid, err);
	return r;
}

static uint32_t host_uid(const struct exec *x)
{
	return spec_host_id(&x->source.linux_->uid_maps, x->source.process->user.uid);
}

/* A frozen cgroup freezes the child at birth: whoever asked for --ignore-paused knows, and gets it at resume. */
static int make_ready(struct exec *x, struct error *err)
{
	if (x->state.is_vm) {
		wall_take_stdio(&x->ctx->stdio, x->child_stdio);
		x->vm_socket = wall_connect(x->ctx, x->opt->id, err);
		return x->vm_socket < 0 ? x->vm_socket : 0;
	}

	int r = proc_apply_affinity(&x->plan, 0, false, err);

	if (x->source.linux_->uid_maps.n)
		stdio_give_pipes(&x->ctx->stdio, host_uid(x));
	return r == 0 && !x->clone_late ? ns_exec_parent(x->init_pidfd, x->state.ns_kinds, err) : r;
}

static int start(struct exec *x, struct foreground *f, struct error *err)
{
	struct launch *l = &x->launch;
	int r = make_ready(x, err);

	if (r == 0)
		r = launch_prepare(l, err);
	if (r == 0)
		r = clone_into_cgroup(x, err);
	trace_step(x->ctx->trace, "clone");
	if (r < 0)
		return r;
	if (!x->opt->detach)
		foreground_cloned(f);
	r = supervise(x, err);
	trace_step(x->ctx->trace, "stages");
	if (r == 0)
		r = finish(x, err);
	if (r == 0 && x->console_master >= 0)
		r = foreground_terminal(f, TAKE_FD(x->console_master), err);
	if (r == 0)
		r = x->state.is_vm ? wall_release(l, x->source.process->args.v[0], err)
				   : launch_release(l, x->source.process->args.v[0], err);
	trace_step(x->ctx->trace, "start");
	if (r < 0)
		launch_abort(l);
	return r;
}

int rt_exec(const struct rt_context *ctx, const struct rt_exec_options *opt, int *ret_status,
	    struct error *err)
{
	static struct arena a = ARENA_INIT;
	static struct exec x = EXEC_INIT;
	static struct foreground f = FOREGROUND_INIT;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	x.ctx = ctx;
	x.opt = opt;
	x.arena = &a;
	f.log = ctx->log;

	int r = prepare(&x, err);

	trace_step(ctx->trace, "plan");
	/* With a pid namespace of its own, init gets the orphans. */
	if (r == 0 && !opt->no_subreaper && !(x.state.ns_kinds & 1u << SPEC_NS_PID))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

	if (r == 0 && !opt->detach) {
		r = foreground_begin(&f, err);
		if (r == 0 && !x.source.process->terminal)
			r = foreground_stdio(&f, &x.ctx->stdio, host_uid(&x), err);
		memcpy(x.child_stdio, f.child_stdio, sizeof(x.child_stdio));
	}
	if (r == 0)
		r = start(&x, &f, err);
	if (r == 0 && opt->detach)
		*ret_status = 0;
	else if (r == 0)
		r = foreground_wait(&f, x.launch.pid, x.launch.pidfd, ret_status, err);
	console_restore_host(&f.host);
	return r; /* and all descriptors end with the process */
}
