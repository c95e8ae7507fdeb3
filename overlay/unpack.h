/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * unpack - one layer's archive into one directory
 */

#include "overlay/inodes.h"
#include "overlay/libs.h"
#include "overlay/stream.h"

/* What is left of an image's bounds. Shrinks with every layer. */
struct budget {
	uint64_t bytes, entries;
	unsigned max_depth;
};

struct unpack {
	const struct libs *libs;
	struct stream *stream;
	int tree_fd; /* empty */
	struct budget *budget;
	const struct log *log;
	struct inodes *inodes; /* gets the digest of each file */
	void (*tick)(void *data); /* called after each entry and each block; may be NULL */
	void *data;
	bool has_root;
};

/*
 * Reads the tar from the stream up to its end mark and makes its files. The caller ends the stream, whose
 * error explains more when this one is -EIO.
 */
int unpack_tar(struct unpack *u, struct error *err);
