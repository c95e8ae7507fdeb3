/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/texts.h"
#include "runtime/vm_record.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define CONNECT_TIMEOUT_S 2

int wall_connect(const struct rt_context *ctx, const char *id, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = CONNECT_TIMEOUT_S };
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", ctx->root, id) >= sizeof(path))
		return error_set(err, ENAMETOOLONG, "build the path of container \"%s\"", id);

	auto_close int dir = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (dir < 0 || fd < 0)
		return error_set(err, errno, "open the state of container \"%s\"", id);
	/* A listener that accepts nobody blocks who connects. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" VM_SOCKET, dir);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return TAKE_FD(fd);
	if (errno == ECONNREFUSED || errno == ENOENT)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (errno == EAGAIN)
		return error_rule(err, ETIMEDOUT, "the virtual machine of container \"%s\" does not answer", id);
	return error_set(err, errno, "connect to the virtual machine of container \"%s\"", id);
}

int wall_meet(const struct rt_context *ctx, const char *id, int timeout_ms, struct vm_client *ret, struct error *err)
{
	int fd = wall_connect(ctx, id, err);

	return fd < 0 ? fd : vm_client_begin(ret, fd, timeout_ms, err);
}

int wall_tell(const struct rt_context *ctx, const char *id, enum wire_type type, const struct buf *items, int timeout_ms,
	      struct error *err)
{
	auto_client struct vm_client c = VM_CLIENT_INIT;
	const void *reply;
	size_t n;
	int r = wall_meet(ctx, id, timeout_ms, &c, err);

	return r < 0 ? r : vm_client_ask(&c, type, items, NULL, 0, timeout_ms, &reply, &n, err);
}

int wall_signal(const struct rt_context *ctx, const char *id, int signo, enum rt_kill_scope scope, struct error *err)
{
	auto_buf struct buf items = BUF_INIT;

	wire_add_u32(&items, WIRE_T_PROCESS, 0);
	wire_add_u32(&items, WIRE_T_SIGNAL, (uint32_t)signo);
	if (scope == RT_KILL_ALL)
		wire_add(&items, WIRE_T_ALL, NULL, 0);
	return wall_tell(ctx, id, WIRE_SIGNAL, &items, WALL_ASK_MS, err);
}

int wall_stats(const struct rt_context *ctx, const char *id, int timeout_ms, struct wire_stats *ret, struct error *err)
{
	auto_client struct vm_client c = VM_CLIENT_INIT;
	struct wire_item item;
	const void *reply;
	size_t n;
	int r = wall_meet(ctx, id, timeout_ms, &c, err);

	if (r == 0)
		r = vm_client_ask(&c, WIRE_STATS, NULL, NULL, 0, timeout_ms, &reply, &n, err);
	if (r < 0)
		return r;
	if (!wire_find(reply, n, WIRE_T_STATS, &item) || item.n != sizeof(*ret))
		return error_rule(err, EPROTO, "the guest's answer holds no statistics");
	memcpy(ret, item.bytes, sizeof(*ret));
	return 0;
}

void wall_resumed(const struct rt_context *ctx, const char *id)
{
	struct error err = ERROR_INIT;
	char line[512];

	if (wall_tell(ctx, id, WIRE_RESUMED, NULL, WALL_BRIEF_MS, &err) == 0)
		return;
	error_line(&err, line, sizeof(line));
	log_debug(ctx->log, "the guest's clock was not told of the pause: %s", line);
}

/*
 * What its program wrote into a sandbox may be in the guest's memory still (FUSE_WRITEBACK_CACHE). So the program is killed
 * first, and the machine ends by itself when all is written, or is not waited for.
 */
bool wall_let_end(const struct rt_context *ctx, const struct rt_state *state)
{
	auto_client struct vm_client c = VM_CLIENT_INIT;
	auto_buf struct buf items = BUF_INIT;

	if (!state->is_vm || !state->sandbox || state->sandbox->slots[0] != 'w' ||
	    state_status(ctx, -1, state) != RT_RUNNING)
		return false;

	auto_close int pidfd = state_pidfd(state, NULL);

	wire_add_u32(&items, WIRE_T_PROCESS, 0);
	wire_add_u32(&items, WIRE_T_SIGNAL, SIGKILL);
	return pidfd >= 0 && wall_meet(ctx, state->id, WALL_LAST_WORD_MS, &c, NULL) == 0 &&
	       vm_client_ask(&c, WIRE_SIGNAL, &items, NULL, 0, WALL_LAST_WORD_MS, NULL, NULL, NULL) == 0 &&
	       proc_pidfd_wait(pidfd, WALL_LAST_WRITE_MS) == 0;
}
