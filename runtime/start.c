/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: opens the gate that create left closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "namespaces/namespaces.h"
#include "runtime/destroy.h"
#include "runtime/launch/diagnose.h"
#include "runtime/launch/hooks.h"
#include "runtime/launch/launch.h"
#include "runtime/notify.h"
#include "runtime/seccomp_cache.h"
#include "runtime/state.h"
#include "runtime/launch/stub/stub.h"
#include "runtime/texts.h"
#include "runtime/vm_gate.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define EXEC_TIMEOUT_MS 60000
#define KILL_TIMEOUT_MS 10000

struct container_entry {
	int init_pidfd;
	unsigned kinds;
	struct proc_plan plan;
};

/* In the forked hook: everything the container's process will be. */
static int enter_container(void *data, struct error *err)
{
	struct container_entry *entry = data;
	int r = ns_exec_child(entry->init_pidfd, entry->kinds, err);

	if (r == 0)
		r = proc_apply(&entry->plan, -1, NULL, err);
	return r;
}

/*
 * A hook of the image is under the filter like the program. One that notifies is left
 * out: its listener waits for the program's process, not for hooks before it.
 */
static int hook_filter(const struct rt_context *ctx, const struct spec_seccomp *profile, struct arena *a,
		       struct proc_seccomp *ret, struct error *err)
{
	auto_close int cache = seccomp_cache_open(ctx);
	int r = proc_seccomp_get(profile, cache, a, ctx->log, ret, err);

	if (r == 0 && ret->notifies)
		*ret = (struct proc_seccomp){ 0 };
	return r;
}

int start_container_hooks(const struct rt_context *ctx, const struct rt_state *state,
			  const struct spec *spec, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct container_entry entry = { .kinds = state->ns_kinds };
	struct proc_seccomp filter = { 0 };
	struct proc_options opt = {
		.linux_ = &spec->linux_,
		.in_user_namespace = state->ns_kinds & 1u << SPEC_NS_USER,
		.log = ctx->log,
	};
	struct spec_state doc;
	auto_close int pidfd = state_pidfd(state, err);
	int r = pidfd;

	if (r >= 0 && spec->linux_.seccomp)
		r = hook_filter(ctx, spec->linux_.seccomp, &a, &filter, err);
	if (r >= 0 && state->sandbox && state->sandbox->keeps_projects)
		r = proc_seccomp_keep_projects(&filter, &a, err);
	if (filter.insns)
		opt.seccomp = &filter;
	if (r >= 0)
		r = proc_plan_make(&spec->process, &opt, &a, &entry.plan, err);

	auto_close int own = openat(AT_FDCWD, "/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	if (r >= 0 && own < 0)
		r = error_set(err, errno, "open /proc/self/ns/pid");
	if (r >= 0)
		r = ns_exec_parent(pidfd, state->ns_kinds, err);
	if (r < 0)
		return r;
	entry.init_pidfd = pidfd;
	state_document(state, RT_CREATED, &doc);
	if (state->ns_kinds & 1u << SPEC_NS_PID)
		doc.pid = 1; /* as the hook sees it */

	struct hook_run run = {
		.hooks = &spec->hooks,
		.kind = SPEC_HOOK_START_CONTAINER,
		.state = &doc,
		.enter = enter_container,
		.data = &entry,
		.default_env = spec->process.env.v,
		.log = ctx->log,
		.trace = ctx->trace,
	};

	r = hooks_run(&run, HOOK_STOP_ON_FAILURE, err);
	/* Later hooks are the host's again. */
	if (setns(own, CLONE_NEWPID) < 0 && r == 0)
		r = error_set(err, errno, "return to the runtime's pid namespace");
	return r;
}

static int check_status(const struct rt_context *ctx, int dir_fd, const struct rt_state *state,
			struct error *err)
{
	enum rt_status status = state_status(ctx, dir_fd, state);

	switch (status) {
	case RT_CREATED:
		return 0;
	case RT_RUNNING:
		return error_rule(err, EINVAL, TEXT_START_RUNNING);
	case RT_STOPPED:
		return error_rule(err, EINVAL, TEXT_START_STOPPED);
	default:
		return error_rule(err, EINVAL, TEXT_START_OTHER, state_status_name(status));
	}
}

static void remove_fifos(int dir_fd)
{
	unlinkat(dir_fd, STATE_EXEC_FIFO, 0);
	unlinkat(dir_fd, STATE_STATUS_FIFO, 0);
}

static int open_gate(int dir_fd, const struct rt_state *state, int pidfd, const char *program,
		     struct error *err)
{
	char go = state->reset_signals ? STUB_GO_RESET : STUB_GO;
	/* Non-blocking: without the stub at the other end there is nobody to start. */
	auto_close int gate = openat(dir_fd, STATE_EXEC_FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (gate < 0 && errno == ENXIO) {
		/* An earlier start was killed between the release and this clean-up. */
		remove_fifos(dir_fd);
		return error_rule(err, EINVAL, TEXT_START_RUNNING);
	}

	auto_close int status = openat(dir_fd, STATE_STATUS_FIFO, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (gate < 0 || status < 0)
		return error_set(err, errno, "open the gate of the container");
	if (write(gate, &go, 1) != 1)
		return error_set(err, errno, "release the container's first process");

	int r = state->is_vm ? wall_verdict(status, pidfd, program, err)
			     : diagnose_wait(status, state->pid, pidfd, program, EXEC_TIMEOUT_MS, err);

	remove_fifos(dir_fd);
	return r;
}

static int run_poststart(const struct rt_context *ctx, const struct rt_state *state,
			 const struct spec *spec, struct error *err)
{
	struct spec_state doc;

	state_document(state, RT_RUNNING, &doc);

	struct hook_run run = { .hooks = &spec->hooks, .kind = SPEC_HOOK_POSTSTART, .state = &doc,
				.log = ctx->log, .trace = ctx->trace };

	return hooks_run(&run, HOOK_STOP_ON_FAILURE, err);
}

int rt_start(const struct rt_context *ctx, const char *id, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	struct spec *spec = NULL;
	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, err);

	if (dir_fd < 0)
		return dir_fd;

	int r = state_load(dir_fd, id, &a, &state, err);

	if (r == -ENOENT)
		return error_rule(err, EAGAIN, TEXT_START_OTHER, "creating");
	if (r == 0)
		r = check_status(ctx, dir_fd, &state, err);
	if (r == 0 && state.has_hooks)
		r = state_load_config(dir_fd, &a, &spec, err);
	if (r < 0)
		return r;

	auto_close int pidfd = state_pidfd(&state, err);

	if (pidfd < 0)
		return pidfd;

	auto_close int notify = state.has_notify ? notify_bind(dir_fd, err) : -1;

	if (state.has_notify && notify < 0)
		return notify;
	trace_step(ctx->trace, "state");
	if (spec) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (!state.is_vm) /* the guest runs its own */
			r = start_container_hooks(ctx, &state, spec, err);
	}
	if (r == 0)
		r = open_gate(dir_fd, &state, pidfd, state.program, err);
	trace_step(ctx->trace, "start");
	if (r == 0 && spec)
		r = run_poststart(ctx, &state, spec, err);
	if (r < 0) {
		/* Whatever failed, the program must not run, or not go on (runtime.md Lifecycle). */
		proc_pidfd_send(pidfd, SIGKILL);
		proc_pidfd_wait(pidfd, KILL_TIMEOUT_MS);
		return r;
	}
	return notify >= 0 ? notify_wait(notify, state.pid, pidfd, ctx->log, err) : 0;
}
