/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * listing - a layer's tree as text, a line for each entry
 *
 *	PATH TYPE MODE UID GID SECONDS.NANOSECONDS [SIZE DIGEST | TARGET | MAJOR:MINOR] [ATTRIBUTE=HEX …]
 *	PATH h PATH-OF-THE-FIRST-NAME
 *
 * TYPE is f, d, l, c, b, p, or h for a further name of a file that was listed. Depth first, the names of a
 * directory sorted by their bytes. A byte that is no visible ASCII, or a backslash, is written \ooo. Two
 * trees with equal listings are equal in everything but inode numbers, access times and change times.
 */

#include "overlay/inodes.h"
#include "overlay/libs.h"
#include "spec/base/buf.h"

#define LISTING_MAX_DEPTH 260 /* more than place.h makes */
#define LISTING_MAX_BYTES (1ul << 30) /* a listing is made in memory */

struct listing {
	const struct libs *libs;
	struct inodes *inodes; /* digests that are known; the rest is read from the files */
	struct buf text;
	uint64_t entries, bytes;
	void (*tick)(void *data);
	void *data;
};

/* Lists the directory tree_fd. */
int listing_make(struct listing *l, int tree_fd, struct error *err);

/* Counts the differences of two listings and names each: before is what was, after what is. */
size_t listing_compare(const struct buf *before, const struct buf *after,
		       void (*changed)(void *data, enum ovl_change what, const char *path), void *data);
