/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stream - bytes between guest memory and a descriptor. Never waits where the descriptor allows that; who makes a port
 * gives it one that does (virtio_console_attach()).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum stream_kind {
	STREAM_NONBLOCK, /* has O_NONBLOCK */
	STREAM_SOCKET,
	STREAM_FILE,     /* a regular file: ready at all times */
	STREAM_BLOCKING, /* a pipe or a terminal whose flags are another's: asked before each call, which may wait nevertheless */
};

enum stream_kind stream_kind_of(int fd);

/*
 * Writes what it can of the iovecs from byte `offset` on, or reads into them. Returns the number of
 * bytes, 0 at end of file (reading), or -E…: -EAGAIN when it would have to wait.
 */
ssize_t stream_write(int fd, enum stream_kind kind, const struct iovec *iov, unsigned n, size_t offset);
ssize_t stream_read(int fd, enum stream_kind kind, const struct iovec *iov, unsigned n);
