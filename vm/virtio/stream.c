/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stream.h. SIGPIPE is the caller's to block: sockets are written to with MSG_NOSIGNAL, pipes know
 * no such flag.
 */
#include "vm/virtio/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { BATCH = 64 };

enum stream_kind stream_kind_of(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		return STREAM_SOCKET;
	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return STREAM_FILE;
	return flags >= 0 && (flags & O_NONBLOCK) ? STREAM_NONBLOCK : STREAM_BLOCKING;
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1;
}

/* The part of the iovecs from `offset` on, as far as a batch holds it. */
static unsigned take(const struct iovec *iov, unsigned n, size_t offset, struct iovec *part)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n && count < BATCH; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part[count].iov_base = (char *)iov[i].iov_base + offset;
		part[count++].iov_len = iov[i].iov_len - offset;
		offset = 0;
	}
	return count;
}

ssize_t stream_write(int fd, enum stream_kind kind, const struct iovec *iov, unsigned n, size_t offset)
{
	struct iovec part[BATCH];
	unsigned count = take(iov, n, offset, part);
	ssize_t done;

	if (count == 0)
		return 0;
	if (kind == STREAM_BLOCKING) {
		/* A pipe that is writable has room for PIPE_BUF bytes (pipe(7)), unless another writes meanwhile. */
		if (!is_ready(fd, POLLOUT))
			return -EAGAIN;
		count = 1;
		if (part[0].iov_len > PIPE_BUF)
			part[0].iov_len = PIPE_BUF;
	}
	do {
		struct msghdr m = { .msg_iov = part, .msg_iovlen = count };

		done = kind == STREAM_SOCKET ? sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)
					     : writev(fd, part, (int)count);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

ssize_t stream_read(int fd, enum stream_kind kind, const struct iovec *iov, unsigned n)
{
	struct iovec part[BATCH];
	unsigned count = take(iov, n, 0, part);
	ssize_t done;

	if (kind == STREAM_BLOCKING && !is_ready(fd, POLLIN))
		return -EAGAIN;
	do {
		struct msghdr m = { .msg_iov = part, .msg_iovlen = count };

		done = kind == STREAM_SOCKET ? recvmsg(fd, &m, MSG_DONTWAIT)
					     : readv(fd, part, (int)count);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}
