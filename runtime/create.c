/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create and run: one construction (build.h), two endings.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/attended.h"
#include "runtime/build.h"
#include "runtime/destroy.h"
#include "runtime/foreground.h"
#include "runtime/group_record.h"
#include "runtime/notify.h"
#include "runtime/oom_record.h"
#include "runtime/vm_gate.h"
#include "runtime/vm_record.h"
#include "spec/base/auto.h"

/*
 * Nobody in the container may look at the runtime or its child before the stub:
 * not ptrace it, not open its /proc entries (CVE-2016-9962).
 */
static void protect_self(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int rt_create(const struct rt_context *ctx, const struct rt_create_options *opt, struct error *err)
{
	static struct arena a = ARENA_INIT;
	static struct build b = BUILD_INIT;

	protect_self();
	b.ctx = ctx;
	b.opt = opt;
	b.arena = &a;
	b.detach = true;
	b.launch.gate = GATE_FIFO;

	int r = build_plan(&b, err);

	return r < 0 ? r : build_make(&b, err); /* and all descriptors end with the process */
}

static int start_program(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = 0;

	/* The guest has its own hooks of that kind. */
	if (!b->vm && build_has_hooks(b, SPEC_HOOK_START_CONTAINER))
		r = start_container_hooks(b->ctx, &b->state, b->spec, err);
	if (r == 0)
		r = b->vm ? wall_release(l, b->spec->process.args.v[0], err)
			  : launch_release(l, b->spec->process.args.v[0], err);
	trace_step(b->ctx->trace, "start");
	if (r == 0 && build_has_hooks(b, SPEC_HOOK_POSTSTART))
		r = build_poststart(b, err);
	if (r == 0)
		state_unlock(b->state_dir);
	return r;
}

static int run_to_start(struct build *b, struct foreground *f, struct error *err)
{
	int r = build_make(b, err);

	if (r < 0)
		return r;
	if (!b->detach) {
		foreground_cloned(f);
		if (b->console_master >= 0)
			r = foreground_terminal(f, TAKE_FD(b->console_master), err);
	}
	if (r == 0 && b->state.has_notify)
		f->notify_sock = r = notify_bind(b->state_dir, err);
	if (r >= 0)
		r = start_program(b, err);
	if (r < 0)
		build_undo(b);
	return r;
}

/*
 * Where it is now: a move to another CPU group may have taken it elsewhere since. NULL: somebody has deleted it
 * already, and the id may be another container's by now.
 */
static const struct rt_state *state_at_end(struct build *b, struct rt_state *space)
{
	char path[PATH_MAX];
	int r = state_noted_cgroup(b->state_dir, path, sizeof(path));

	/* In a directory that was removed is nothing. */
	if (r < 0 && !state_is_there(b->state_dir))
		return NULL;
	/* One that was cut short before it was noted: destroy_container() finds its record. */
	if (r == 0 && strcmp(path, b->cgroup) == 0)
		return &b->state;
	group_settle(b->ctx, b->state_dir, b->opt->id);
	return state_load(b->state_dir, b->opt->id, b->arena, space, NULL) == 0 ? space : &b->state;
}

static void tell_oom(const struct build *b, const struct rt_state *state)
{
	struct rt_oom oom;

	if (!oom_find(b->ctx, state, b->arena, &oom))
		return;
	oom_warn(b->ctx->log, b->opt->id, &oom, OOM_INIT);
	if (b->opt->keep)
		oom_keep(b->state_dir, &oom, NULL);
}

static void end_container(struct build *b, int status)
{
	bool killed = status == 128 + SIGKILL;
	struct error err = ERROR_INIT;
	struct rt_state moved;

	if (b->opt->keep && !killed)
		return;
	if (state_lock_own(b->state_dir, b->opt->id, NULL) < 0)
		return;

	const struct rt_state *state = state_at_end(b, &moved);

	if (!state)
		return;

	struct destroy d = {
		.ctx = b->ctx, .state_dir = b->state_dir, .state = state, .host = &b->host,
		.cgroup = state->cgroup, .unit = state->unit, .cgroup_fd = state == &b->state ? b->cgroup_fd : -1,
		.hooks = &b->spec->hooks, .store = &b->storage.store,
	};

	if (killed)
		tell_oom(b, state);
	if (killed && b->vm)
		vm_record_tell_death(b->ctx, state);
	if (!b->opt->keep && destroy_container(&d, &err) < 0) {
		char line[1024];

		error_line(&err, line, sizeof(line));
		log_warn(b->ctx->log, "%s", line);
	}
	if (b->opt->keep)
		state_unlock(b->state_dir);
}

static int finish_run(struct build *b, struct foreground *f, int *ret_status, struct error *err)
{
	int status = 0;
	int r = foreground_wait(f, b->launch.pid, b->launch.pidfd, &status, err);

	b->launch.pid = 0;
	foreground_end(f);
	trace_step(b->ctx->trace, "program");
	end_container(b, status);
	trace_step(b->ctx->trace, "delete");
	if (r == 0)
		*ret_status = status;
	return r;
}

static int run_attended(struct build *b, struct foreground *f, struct error *err)
{
	if (!b->opt->is_attended)
		return run_to_start(b, f, err);
	b->attended_fd = attended_begin(b->ctx, b->opt->id, err);
	return b->attended_fd < 0 ? b->attended_fd : run_to_start(b, f, err);
}

int rt_run(const struct rt_context *ctx, const struct rt_create_options *opt, int *ret_status,
	   struct error *err)
{
	static struct arena a = ARENA_INIT;
	static struct build b = BUILD_INIT;
	static struct foreground f = FOREGROUND_INIT;

	protect_self();
	b.ctx = ctx;
	b.opt = opt;
	b.arena = &a;
	b.detach = opt->detach;
	b.launch.gate = GATE_SOCKET;
	f.log = ctx->log;
	if (opt->is_attended)
		rt_sweep(ctx);

	int r = build_plan(&b, err);

	/* In a pid namespace of its own init gets the orphans, else we do. */
	if (r == 0 && !opt->no_subreaper && !(ns_kinds(b.ns) & 1u << SPEC_NS_PID))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (r == 0 && !b.detach)
		r = foreground_begin(&f, err);
	if (r == 0 && !b.detach && !b.spec->process.terminal)
		r = foreground_stdio(&f, &b.ctx->stdio, build_host_uid(&b), err);
	memcpy(b.child_stdio, f.child_stdio, sizeof(b.child_stdio));
	if (r == 0)
		r = run_attended(&b, &f, err);
	if (r == 0 && b.detach && f.notify_sock >= 0)
		r = notify_wait(f.notify_sock, b.launch.pid, b.launch.pidfd, ctx->log, err);
	if (r == 0 && b.detach)
		*ret_status = 0;
	else if (r == 0)
		r = finish_run(&b, &f, ret_status, err);
	console_restore_host(&f.host);
	attended_end(ctx, opt->id, b.attended_fd);
	return r;
}
