/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init - the child of create and run, from its birth to the stub
 *
 * It is born in the container's new namespaces (see ns_clone_flags()), in its
 * cgroup, with the host's root still in view, and knows the whole build by memory. It
 * applies the plan of namespaces/, speaks to the parent where stages.h says so,
 * and ends in become.c.
 */
#include "runtime/init.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/guard.h"
#include "runtime/launch/hooks.h"
#include "runtime/vm_wall.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

int init_run_hooks(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	struct spec_state doc;

	if (build_has_runtime_hooks(b)) {
		int r = stage_send(l->sync[1], STAGE_ROOT_BUILT, 0, -1, err);

		if (r == 0)
			r = launch_wait_for_go(l, "its hooks had run", err);
		if (r < 0)
			return r;
	}
	if (!build_has_hooks(b, SPEC_HOOK_CREATE_CONTAINER))
		return 0;
	b->state.pid = getpid(); /* a hook inside sees the pid that is valid inside */
	state_document(&b->state, RT_CREATING, &doc);

	struct hook_run run = {
		.hooks = &b->spec->hooks,
		.kind = SPEC_HOOK_CREATE_CONTAINER,
		.state = &doc,
		.log = b->ctx->log,
		.trace = b->ctx->trace,
	};

	return hooks_run(&run, HOOK_STOP_ON_FAILURE, err);
}

static int open_console(struct build *b, int *ret_peer, struct error *err)
{
	auto_close int master = -1;
	auto_close int peer = -1;
	int r = ns_console(b->ns, &b->spec->process, &master, &peer, err);

	if (r == 0)
		r = stage_send(b->launch.sync[1], STAGE_CONSOLE, 0, master, err);
	if (r < 0)
		return error_wrap(err, r, "cannot set up the container's terminal");
	*ret_peer = TAKE_FD(peer);
	return 0;
}

int init_enter_namespaces(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = ns_join(b->ns, err);

	if (r == 0 && ns_needs_second_clone(b->ns))
		r = launch_clone_again(l, ns_clone_flags(b->ns), err);
	/* The clone is in the session of the process before it, which leads it. */
	if (r == 0 && ns_needs_second_clone(b->ns) && setsid() < 0)
		r = error_set(err, errno, "make a session of its own");
	if (r == 0 && ns_needs_maps(b->ns))
		r = launch_wait_for_go(l, "the id maps were written", err);
	if (r == 0)
		r = ns_become_root(b->ns, err);
	return r < 0 ? error_wrap(err, r, "cannot enter the container's namespaces") : 0;
}

/*
 * A working directory that the image lacks, while the root can still be written.
 * Whether it can be entered is become.c's to say.
 */
void init_make_cwd(const struct build *b)
{
	const char *cwd = b->spec->process.cwd;
	auto_close int fd = strcmp(cwd, "/") != 0 ? path_mkdirs(ns_root_fd(b->ns), cwd, 0755, NULL) : -1;
}

static int init(struct build *b, int *ret_peer, struct error *err)
{
	/* A session of its own: no way back to the caller's terminal (TIOCSTI, CVE-2017-5226). */
	if (setsid() < 0)
		return error_set(err, errno, "make a session of its own");

	int r = init_enter_namespaces(b, err);

	trace_step(b->ctx->trace, "namespaces");
	if (r < 0)
		return r;
	r = ns_build_root(b->ns, err);
	trace_step(b->ctx->trace, "root filesystem");
	if (r < 0)
		return error_wrap(err, r, "cannot set up the root filesystem");
	init_make_cwd(b);
	r = init_run_hooks(b, err);
	if (r == 0 && b->spec->process.terminal)
		r = open_console(b, ret_peer, err);
	trace_step(b->ctx->trace, "hooks and terminal");
	if (r < 0)
		return r;
	r = ns_enter_root(b->ns, err);
	trace_step(b->ctx->trace, "enter root");
	return r < 0 ? error_wrap(err, r, "cannot enter the root filesystem") : 0;
}

void build_init_child(struct launch *l, void *data)
{
	struct build *b = data;
	struct error err = ERROR_INIT;
	int peer = -1;

	trace_process(b->ctx->trace, "container's first process");
	if (b->state.may_be_traced)
		guard_forget_environment();
	if (b->vm)
		wall_child(l, b);
	if (init(b, &peer, &err) < 0)
		launch_fail(l, &err);

	const struct spec_process *process = &b->spec->process;
	bool labelled = process->apparmor_profile || process->selinux_label;
	struct launch_program program = {
		.process = process,
		.plan = &b->proc,
		.extra_env = b->extra_env,
		.preserve_fds = b->preserve_fds,
		.root_fd = ns_root_fd(b->ns),
		.procfs_fd = labelled ? ns_procfs_fd(b->ns) : -1,
		.stdio = { b->child_stdio[0], b->child_stdio[1], b->child_stdio[2] },
		.terminal = peer >= 0,
		.facts = &b->ctx->stdio,
		.init = true,
		.starts_later = l->gate == GATE_FIFO,
	};

	if (peer >= 0)
		program.stdio[0] = program.stdio[1] = program.stdio[2] = peer;
	launch_become(l, &program);
}
