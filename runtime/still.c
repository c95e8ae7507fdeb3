/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See still.h. The container's lock is not held: a delete that waits for the sandbox has it, and we have the sandbox.
 */
#include "runtime/still.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/group_record.h"
#include "runtime/state.h"
#include "runtime/vm_ask.h"
#include "spec/base/auto.h"

#define FREEZE_TIMEOUT_MS 10000
#define SYNC_TIMEOUT_MS 60000

/* The cgroup may be another one by now (a move between groups); one that is gone has nobody in it. */
static int open_cgroup(const struct still *s, struct error *err)
{
	struct rt_state state;
	int r;

	group_settle_unlocked(s->ctx, s->id);
	r = state_peek(s->ctx, s->id, s->a, &state, err);
	return r < 0 ? r : state_open_cgroup(&state, err);
}

static int thaw(const struct still *s, struct error *err)
{
	auto_close int fd = open_cgroup(s, err);

	return fd < 0 ? fd : cg_freeze(fd, false, FREEZE_TIMEOUT_MS, err);
}

/* A signal to our process group or a hangup of the terminal must not end the helper along with us. */
_Noreturn static void help(const struct still *s, int fd)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP };
	char byte;
	ssize_t n;

	setsid();
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		thaw(s, NULL);
	_exit(0);
}

static int start_helper(struct still *s, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe");
	s->helper = fork();
	if (s->helper == 0) {
		close(ends[1]);
		help(s, ends[0]);
	}

	int code = errno;

	close(ends[0]);
	s->pipe_fd = ends[1];
	if (s->helper > 0)
		return 0;
	close(ends[1]);
	return error_set(err, code, "start the process that thaws the container if this one is killed");
}

static void dismiss_helper(struct still *s)
{
	if (s->helper <= 0)
		return;
	if (write(s->pipe_fd, "", 1) < 0 && errno != EPIPE)
		kill(s->helper, SIGKILL);
	close(s->pipe_fd);
	while (waitpid(s->helper, NULL, 0) < 0 && errno == EINTR)
		;
	s->helper = 0;
}

/* A guest keeps for a while what its programs have written. */
static int sync_guest(const struct still *s, enum rt_status status, struct error *err)
{
	int r;

	if (status == RT_PAUSED) {
		r = error_rule(err, EAGAIN, "container \"%s\" is paused: what its guest still holds of written files cannot be had",
			       s->id);
		error_hint(err, "resume it first: this command freezes it by itself, once the guest has written");
		return r;
	}
	r = wall_tell(s->ctx, s->id, WIRE_SYNC, NULL, SYNC_TIMEOUT_MS, err);
	return r < 0 ? error_wrap(err, r, "cannot have the guest of container \"%s\" write its files", s->id) : 0;
}

int still_begin(void *still, struct error *err)
{
	struct still *s = still;
	struct rt_state state;

	if (!s->id)
		return 0;
	group_settle_unlocked(s->ctx, s->id);

	int r = state_peek(s->ctx, s->id, s->a, &state, err);

	if (r < 0)
		return r;

	enum rt_status status = state_status(s->ctx, -1, &state);

	if (status == RT_STOPPED)
		return 0;
	s->is_vm = state.is_vm;
	r = state.is_vm ? sync_guest(s, status, err) : 0;
	if (r < 0)
		return r;
	s->is_frozen = true;
	if (status == RT_PAUSED)
		return 0;

	auto_close int fd = state_open_cgroup(&state, err);

	if (fd < 0)
		return fd;
	r = start_helper(s, err);
	if (r < 0)
		return r;
	s->is_ours = true;
	r = cg_freeze(fd, true, FREEZE_TIMEOUT_MS, err);
	if (r < 0) {
		dismiss_helper(s);
		return error_wrap(err, r, "cannot freeze container \"%s\"", s->id);
	}
	return 0;
}

int still_end(void *still, struct error *err)
{
	struct still *s = still;

	if (!s->is_frozen)
		return 0;

	auto_close int fd = open_cgroup(s, NULL);
	int was_frozen = fd < 0 ? 1 : cg_is_frozen(fd);
	int r = s->is_ours ? thaw(s, err) : 0;

	/* Killed and gone meanwhile: nobody wrote, and nobody is left to be thawed. */
	if (fd < 0 || cg_is_populated(fd) == 0)
		r = 0;
	else if (s->is_ours && s->is_vm && r == 0)
		wall_resumed(s->ctx, s->id);
	if (s->is_ours)
		dismiss_helper(s);
	if (r < 0)
		return error_wrap(err, r, "cannot thaw container \"%s\"", s->id);
	if (was_frozen == 0)
		return error_rule(err, EAGAIN, "container \"%s\" was resumed while its files were read", s->id);
	return 0;
}
