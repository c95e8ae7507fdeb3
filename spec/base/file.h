/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * file - whole files and kernel interface files, relative to a directory fd
 *
 * For paths of the host only (state directory, cgroupfs, procfs handles). A
 * path inside a container goes through path.h and nowhere else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"

struct buf;

/* Writes text to dir_fd/name with one write(), the way kernel interface files want it. */
int file_write_at(int dir_fd, const char *name, const char *text, struct error *err);

/*
 * Reads dir_fd/name into buf and NUL-terminates. Returns the length. A file
 * that does not fit in size - 1 bytes is -EFBIG, never silently cut.
 */
ssize_t file_read_at(int dir_fd, const char *name, char *buf, size_t size, struct error *err);

/*
 * Appends the whole of an open file to b, at most max bytes (more is -EFBIG).
 * name is for the message only.
 */
int file_read_fd(int fd, const char *name, size_t max, struct buf *b, struct error *err);

/*
 * Reads the whole of the regular file dir_fd/name into the arena, NUL-terminated: at most
 * max bytes (-EFBIG beyond), -EINVAL for a fifo or device (never waited for). name is a host path.
 */
int file_load_at(int dir_fd, const char *name, size_t max, struct arena *a, char **ret, size_t *ret_n,
		 struct error *err);

/* Opens a regular file for reading and never blocks on a fifo or a device: -EINVAL for those. */
int file_open_regular(int dir_fd, const char *name, struct error *err);

/*
 * Replaces dir_fd/name by n bytes: writes ".name.tmp" beside it and renames, so
 * that a reader sees the old or the new file and never half of one. Whatever has
 * that other name is removed unread, be it a fifo or a link.
 */
int file_replace_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n,
		    struct error *err);

/* Writes all n bytes, going on after short writes and EINTR. name is for the message only. */
int file_write_all(int fd, const char *name, const void *data, size_t n, struct error *err);
