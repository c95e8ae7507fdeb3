/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * xattrs - the extended attributes of a file that are part of an image
 *
 * Left out: those of overlayfs itself (trusted.overlay.*, user.overlay.*), which say how a tree is put together and
 * not what is in it, and labels, which belong to the host's policy.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"

struct xattr {
	const char *name;
	const char *value;
	size_t n;
};

struct xattrs {
	struct xattr *v; /* sorted by name */
	size_t n;
	struct buf bytes;
};

#define XATTRS_INIT { .v = NULL, .n = 0, .bytes = BUF_INIT }

/* Of name in dir_fd, never followed. A file system without attributes has none. */
int xattrs_read(struct xattrs *x, int dir_fd, const char *name, struct error *err);
void xattrs_release(struct xattrs *x);
#define auto_xattrs __attribute__((cleanup(xattrs_release)))

bool xattrs_equal(const struct xattrs *a, const struct xattrs *b);

/* One attribute by name; its length, or -1 when it is not there. Never followed. */
ssize_t xattr_get(int dir_fd, const char *name, const char *attribute, void *value, size_t size);
