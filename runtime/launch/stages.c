/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between a command and its child: see stages.h for their order.
 */
#include "runtime/launch/stages.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"

struct wire {
	uint8_t stage;
	uint8_t pad[3];
	int32_t value;
	struct error error; /* STAGE_ERROR only: shorter messages end before it */
};

#define WIRE_SHORT offsetof(struct wire, error)

int stage_pair(int ends[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(err, errno, "make a socket pair for the child");
	return 0;
}

int stage_send(int sock, enum stage stage, int32_t value, int fd, struct error *err)
{
	struct wire w = { .stage = (uint8_t)stage, .value = value };
	struct iovec iov = { .iov_base = &w, .iov_len = WIRE_SHORT };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);

		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "send a stage message");
	return 0;
}

int stage_send_error(int sock, const struct error *err)
{
	struct wire w = { .stage = STAGE_ERROR, .error = *err };

	/* write(), not send(): the seccomp filter may be loaded by now. */
	return write(sock, &w, sizeof(w)) == (ssize_t)sizeof(w) ? 0 : -EPIPE;
}

static int wait_readable(int sock, int timeout_ms, const char *what, struct error *err)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	int64_t deadline = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };

		clock_gettime(CLOCK_MONOTONIC, &now);

		int64_t left = deadline - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
		int r = poll(&p, 1, left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return error_set(err, errno, "wait for %s", what);
		if (r == 0 && left <= 0)
			return error_rule(err, ETIMEDOUT, "%s did not happen within %d seconds", what,
					  timeout_ms / 1000);
	}
}

int stage_recv(int sock, int timeout_ms, const char *what, struct stage_msg *ret, struct error *err)
{
	struct wire w;
	struct iovec iov = { .iov_base = &w, .iov_len = sizeof(w) };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	auto_close int fd = -1;
	ssize_t n;

	int r = wait_readable(sock, timeout_ms, what, err);

	if (r < 0)
		return r;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return error_set(err, errno, "receive a stage message");

	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));

	if (n <= 0) {
		*ret = (struct stage_msg){ .stage = STAGE_EOF, .fd = -1 };
		return 0;
	}
	if (w.stage == STAGE_ERROR)
		return n == (ssize_t)sizeof(w) ? error_take(&w.error, err)
					       : error_set(err, EPROTO, "read the child's error report");

	/* runtime/process sends the listener with a single byte: all it may do under the filter. */
	if (n == 1)
		w = (struct wire){ .stage = STAGE_LISTENER };
	else if ((size_t)n != WIRE_SHORT || w.stage > STAGE_ERROR)
		return error_set(err, EPROTO, "read a stage message");
	*ret = (struct stage_msg){ .stage = w.stage, .value = w.value, .fd = TAKE_FD(fd) };
	return 0;
}
