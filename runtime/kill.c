/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill, pause and resume.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/group.h"
#include "runtime/group_record.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "runtime/vm_ask.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define FREEZE_TIMEOUT_MS 10000

/*
 * Without a pid namespace of its own, init's death does not take the others
 * along, so SIGKILL means all of them (also when init is dead already).
 */
static int kill_cgroup(const struct rt_state *state, struct error *err)
{
	auto_close int fd = state_open_cgroup(state, err);

	return fd < 0 ? fd : cg_kill(fd, err);
}

static int signal_all(const struct rt_state *state, int signo, struct arena *a, struct error *err)
{
	auto_close int fd = state_open_cgroup(state, err);
	pid_t *pids;
	size_t n;

	if (fd < 0)
		return fd;
	if (signo == SIGKILL)
		return cg_kill(fd, err);

	int r = cg_pids(fd, a, &pids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_close int pidfd = proc_pidfd_open(pids[i]);

		if (pidfd >= 0)
			proc_pidfd_send(pidfd, signo);
	}
	return r;
}

/*
 * The machine's process passes on what it gets, but SIGSTOP is not passed to anybody: it would stop the machine, and
 * the guest's clock with it. All of the processes are known to the guest alone.
 */
static bool is_for_guest(const struct rt_state *state, int signo, enum rt_kill_scope scope)
{
	return signo != SIGKILL && (signo == SIGSTOP || scope == RT_KILL_ALL) && state_is_alive(state);
}

int rt_kill(const struct rt_context *ctx, const char *id, int signo, enum rt_kill_scope scope,
	    struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	int r;

	group_settle_unlocked(ctx, id);
	r = state_peek(ctx, id, &a, &state, err);
	if (r < 0)
		return r;
	if (state.is_vm && state.pid && is_for_guest(&state, signo, scope)) {
		r = wall_signal(ctx, id, signo, scope, err);
		return r == -ESRCH && scope == RT_KILL_ALL ? 0 : r;
	}
	if (signo == SIGKILL && state.pid && wall_let_end(ctx, &state))
		return 0;
	if (scope == RT_KILL_ALL) {
		/* Sent by engines as a matter of course: a container that is gone already is no error. */
		r = state.pid ? signal_all(&state, signo, &a, err) : 0;
		return r == -ENOENT ? 0 : r;
	}
	bool all = signo == SIGKILL && state.pid && !(state.ns_kinds & 1u << SPEC_NS_PID);
	auto_close int pidfd = state_pidfd(&state, err);

	if (all && kill_cgroup(&state, NULL) == 0 && pidfd >= 0)
		return 0;
	if (pidfd < 0)
		return pidfd;
	if (!state_is_alive(&state)) /* a zombie: the engine has not reaped it yet */
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	r = proc_pidfd_send(pidfd, signo);
	if (r == -ESRCH)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	return r < 0 ? error_set(err, -r, "send signal %d to process %d", signo, (int)state.pid) : 0;
}

static int set_frozen(const struct rt_context *ctx, const char *id, bool freeze, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, err);

	if (dir_fd < 0)
		return dir_fd;

	int r = state_load(dir_fd, id, &a, &state, err);

	if (r == -ENOENT)
		return error_rule(err, EAGAIN, TEXT_PAUSE_OTHER, "creating");
	if (r < 0)
		return r;

	enum rt_status status = state_status(ctx, dir_fd, &state);

	if (!freeze && status != RT_PAUSED)
		return error_rule(err, EINVAL, TEXT_NOT_PAUSED);
	if (!freeze) {
		/* The kernel would take the write and thaw nobody (cgroup.md, cgroup.freeze). */
		r = group_check_thawed(ctx, &state, err);
		if (r < 0)
			return error_wrap(err, r, "cannot resume container \"%s\"", id);
	}
	if (freeze && status == RT_STOPPED)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (freeze && status != RT_RUNNING && status != RT_CREATED)
		return error_rule(err, EINVAL, TEXT_PAUSE_OTHER, state_status_name(status));

	auto_close int cgroup_fd = state_open_cgroup(&state, err);

	if (cgroup_fd < 0)
		return cgroup_fd;
	r = cg_freeze(cgroup_fd, freeze, FREEZE_TIMEOUT_MS, err);
	if (r == 0 && !freeze && state.is_vm)
		wall_resumed(ctx, id);
	return r < 0 ? error_wrap(err, r, "cannot %s container \"%s\"", freeze ? "pause" : "resume", id) : 0;
}

int rt_pause(const struct rt_context *ctx, const char *id, struct error *err)
{
	return set_frozen(ctx, id, true, err);
}

int rt_resume(const struct rt_context *ctx, const char *id, struct error *err)
{
	return set_frozen(ctx, id, false, err);
}
