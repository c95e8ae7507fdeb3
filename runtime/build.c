/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's side of a construction, from the reservation on: see build.h for the order. build_plan.c comes before.
 */
#include "runtime/build.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/attended.h"
#include "runtime/caller.h"
#include "runtime/console.h"
#include "runtime/launch/hooks.h"
#include "runtime/inner_leaf.h"
#include "runtime/listener.h"
#include "runtime/notify.h"
#include "runtime/vm_wall.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

int build_reserve(struct build *b, struct error *err)
{
	b->state_dir = state_reserve(b->ctx, b->opt->id, err);
	if (b->state_dir < 0)
		return b->state_dir;
	b->reserved = true;

	int r = b->attended_fd >= 0 ? attended_note(b->state_dir, err) : 0;

	if (r == 0)
		r = state_note_cgroup(b->state_dir, b->cgroup, err);

	if (r == 0 && b->state.unit)
		r = state_note_unit(b->state_dir, b->state.unit, err);

	if (r == 0)
		r = state_note_config(b->state_dir, b->spec, err);
	if (r == 0)
		r = storage_note(b, err);
	if (r == 0 && b->state.has_notify)
		r = notify_make_dir(b, err);
	if (r == 0 && b->vm)
		r = wall_reserve(b, err);
	trace_step(b->ctx->trace, "reserve");
	return r < 0 ? error_wrap(err, r, "cannot write the container's state") : 0;
}

/* What only the parent may do to the child, while the child builds its root. */
static int serve_child(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = 0;

	if (b->n_device_insns)
		r = cg_device_attach(b->cgroup_fd, b->cgroup_made ? CG_FRESH : CG_USED, b->device_insns, b->n_device_insns, err);
	if (r == 0 && ns_needs_maps(b->ns)) {
		r = ns_write_maps(b->ns, l->pid, err);
		if (r == 0)
			r = stage_send(l->sync[0], STAGE_GO, 0, -1, err);
	}
	if (r == 0 && !ns_needs_second_clone(b->ns))
		r = ns_move_net_devices(b->ns, l->pid, err);
	return r;
}

/* While it is busy: all that there is to be known of init, and to be done to it, whatever it becomes. */
static void know_init(struct build *b)
{
	struct launch *l = &b->launch;
	struct proc_stat st;

	b->state.pidfd_id = proc_pidfd_id(l->pidfd);
	if (l->start_time && !b->spec->linux_.ns[SPEC_NS_TIME].listed)
		b->state.start_time = l->start_time;
	else if (proc_stat(l->pid, &st) == 0)
		b->state.start_time = st.start_time;
	proc_apply_affinity(&b->proc, l->pid, true, NULL);
}

int build_clone(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = cgroup_make(b, err);

	trace_step(b->ctx->trace, "cgroup");
	if (r == 0)
		r = storage_make(b, err);
	trace_step(b->ctx->trace, "storage");
	if (r == 0)
		r = ns_prepare(b->ns, err);
	if (r < 0)
		return r;
	if (b->spec->linux_.ns[SPEC_NS_USER].listed)
		stdio_give_pipes(&b->ctx->stdio, build_host_uid(b));
	l->state_dir_fd = b->state_dir;
	l->cgroup_fd = b->cgroup_fd;
	l->clone_flags = ns_needs_second_clone(b->ns) ? 0 : ns_clone_flags(b->ns);
	r = launch_prepare(l, err);
	if (r == 0)
		r = launch_clone(l, build_init_child, b, err);
	trace_step(b->ctx->trace, "clone");
	if (r == 0) {
		storage_warm(b);
		storage_give(b);
		b->state.pid = l->pid;
		b->state.ns_kinds = ns_kinds(b->ns);
		r = ns_restore_parent(b->ns, err);
	}
	if (r == 0)
		r = cgroup_settle(b, err);
	if (r == 0)
		r = serve_child(b, err);
	if (r == 0 && !ns_needs_second_clone(b->ns))
		know_init(b);
	trace_step(b->ctx->trace, "maps and devices");
	return r;
}

static int run_hooks(struct build *b, enum spec_hook_kind kind, enum rt_status status, struct error *err)
{
	struct spec_state doc;

	state_document(&b->state, status, &doc);

	struct hook_run run = {
		.hooks = &b->spec->hooks, .kind = kind, .state = &doc, .log = b->ctx->log, .trace = b->ctx->trace,
	};

	return hooks_run(&run, kind == SPEC_HOOK_POSTSTOP ? HOOK_KEEP_GOING : HOOK_STOP_ON_FAILURE, err);
}

static int on_root_built(struct build *b, struct error *err)
{
	int r = run_hooks(b, SPEC_HOOK_PRESTART, RT_CREATING, err);

	if (r == 0)
		r = run_hooks(b, SPEC_HOOK_CREATE_RUNTIME, RT_CREATING, err);
	if (r == 0)
		r = stage_send(b->launch.sync[0], STAGE_GO, 0, -1, err);
	return r;
}

/* Init is the child of the first child, born as our child. */
static int on_pid(struct build *b, pid_t pid, struct error *err)
{
	struct launch *l = &b->launch;

	waitpid(l->pid, NULL, 0);
	close(l->pidfd);
	l->pid = b->state.pid = pid;
	l->start_time = 0;
	l->pidfd = proc_pidfd_open(pid);
	if (l->pidfd < 0)
		return error_set(err, -l->pidfd, "open a pidfd of process %d", (int)pid);
	know_init(b);
	return ns_move_net_devices(b->ns, pid, err);
}

static int on_stage(struct build *b, struct stage_msg *msg, struct error *err)
{
	auto_close int fd = TAKE_FD(msg->fd);

	switch (msg->stage) {
	case STAGE_PID:
		return on_pid(b, msg->value, err);
	case STAGE_ROOT_BUILT:
		return on_root_built(b, err);
	case STAGE_CONSOLE:
		if (fd < 0)
			break;
		if (b->opt->console_socket)
			return console_send(b->opt->console_socket, fd, err);
		b->console_master = TAKE_FD(fd);
		return 0;
	case STAGE_LISTENER:
		if (fd < 0)
			break;
		return listener_send(b->spec->linux_.seccomp, &b->state, RT_CREATING, b->launch.pid, fd, err);
	default:
		break;
	}
	return error_set(err, EPROTO, "read a stage message");
}

int build_supervise(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int timeout_ms = (b->vm ? WALL_TIMEOUT_MS : STAGE_TIMEOUT_MS) +
			 (int)b->spec->hooks.n[SPEC_HOOK_CREATE_CONTAINER] * HOOK_TIMEOUT_S * 1000;

	for (;;) {
		struct stage_msg msg;
		int r = stage_recv(l->sync[0], timeout_ms, "setting up the container", &msg, err);

		if (r < 0)
			return r;
		if (msg.stage == STAGE_EOF) {
			trace_step(b->ctx->trace, "stages");
			return 0;
		}
		log_debug(b->ctx->log, "stage %d of init reached", msg.stage);
		r = on_stage(b, &msg, err);
		if (r < 0)
			return r;
	}
}

uint32_t build_host_uid(const struct build *b)
{
	const struct spec_linux *lx = &b->spec->linux_;
	uint32_t uid = b->spec->process.user.uid;

	return lx->ns[SPEC_NS_USER].listed ? spec_host_id(&lx->uid_maps, uid) : uid;
}

/* The program's own cgroup (inner_leaf.h), then both to the container's user. Those of a machine are the guest's to give. */
static int delegate(struct build *b, struct error *err)
{
	const char *name = inner_leaf_name(b->spec->annotations, b->spec->n_annotations);
	auto_close int inner = name ? inner_leaf_enter(b->cgroup_fd, name, b->launch.pid, err) : -1;
	int r = name && inner < 0 ? inner : 0;

	if (r < 0 || b->vm || !spec_wants_cgroup(b->spec))
		return r;
	r = cg_delegate(b->cgroup_fd, build_host_uid(b), (gid_t)-1, err);
	return r == 0 && name ? cg_delegate(inner, build_host_uid(b), (gid_t)-1, err) : r;
}

int build_finish(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = b->vm ? wall_verify(b, err) : launch_verify(l, &b->proc, err);

	if (r == 0)
		r = proc_apply_outside(&b->proc, l->pid, err);
	if (r == 0)
		r = delegate(b, err);
	if (r < 0)
		return r;
	b->state.reset_signals = l->reset_signals;
	r = state_save(b->state_dir, &b->state, err);
	if (r < 0)
		return error_wrap(err, r, "cannot write the container's state");
	if (b->opt->pidfd_socket)
		r = console_send_pidfd(b->opt->pidfd_socket, l->pidfd, "standard", err);
	if (r == 0 && b->opt->pid_file) {
		r = caller_write_pid(b->opt->pid_file, l->pid, err);
		b->wrote_pid_file = r == 0;
	}
	trace_step(b->ctx->trace, "finish");
	return r;
}

int build_poststart(struct build *b, struct error *err)
{
	return run_hooks(b, SPEC_HOOK_POSTSTART, RT_RUNNING, err);
}

void build_undo(struct build *b)
{
	struct error err = ERROR_INIT;
	char line[1024];

	if (b->cgroup_made && b->cgroup_fd >= 0)
		cg_kill(b->cgroup_fd, NULL);
	launch_abort(&b->launch);
	if (b->wrote_pid_file)
		unlink(b->opt->pid_file); /* path-ok: host path */
	cgroup_unmake(b);
	if (!b->reserved)
		return;
	storage_undo(b);
	run_hooks(b, SPEC_HOOK_POSTSTOP, RT_STOPPED, NULL);
	if (state_remove(b->ctx, b->state_dir, b->opt->id, &err) < 0) {
		error_line(&err, line, sizeof(line));
		log_warn(b->ctx->log, "%s", line);
	}
	b->reserved = false;
}

int build_make(struct build *b, struct error *err)
{
	int r = build_reserve(b, err);

	if (r == 0)
		r = build_clone(b, err);
	if (r == 0)
		r = build_supervise(b, err);
	if (r == 0)
		r = build_finish(b, err);
	if (r < 0)
		build_undo(b);
	return r;
}
