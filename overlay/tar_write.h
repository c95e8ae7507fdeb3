/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * tar_write - the headers of a tar archive, byte by byte
 *
 * POSIX.1-2001 pax interchange format: a ustar header, and before it, only where that cannot say it, an extended one. A
 * library's writer would do, but it may change its mind from one version to the next about which records to write and
 * in what order; an image's digest hangs on these bytes.
 */

#include <stdint.h>
#include <sys/stat.h>

#include "overlay/xattrs.h"
#include "spec/base/buf.h"

#define TAR_BLOCK 512

struct tar_entry {
	const char *path; /* relative; a directory's without the slash at the end; "" is the root */
	const char *link; /* target of a hard or symbolic link; else NULL */
	bool is_hardlink;
	const struct stat *st;
	const struct xattrs *xattrs; /* NULL: none */
};

/* Appends the headers of an entry. st_size bytes of content follow when it is a regular file and no hard link. */
void tar_header(struct buf *out, const struct tar_entry *e);

/* Appends the entry of an empty file that is root's and of 1970: a whiteout. */
void tar_marker(struct buf *out, const char *path);

/* How many zeros fill the last block of n bytes. */
size_t tar_padding(uint64_t n);

/* Appends the two blocks of zeros that end an archive. */
void tar_end(struct buf *out);
