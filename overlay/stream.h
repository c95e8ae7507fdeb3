/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stream - a layer's blob, read once: digest, decompression, diffID, bounds
 *
 * A thread reads the blob, takes its digest, decompresses it and takes the diffID, while the caller takes
 * the tar apart and writes files. Decompressing is what takes longest; with the two side by side it is all
 * that an import takes. The bytes go through a ring of chunks.
 */

#include <pthread.h>
#include <stdbool.h>

#include "overlay/libs.h"

/* Part of a file: a blob in a layout directory, or a member of an archive. */
struct blob {
	int fd;
	uint64_t offset, size;
	char name[160]; /* for messages */
};

#define STREAM_CHUNKS 8
#define STREAM_CHUNK_BYTES (256u << 10)

struct stream_chunk {
	size_t n;
	unsigned char bytes[STREAM_CHUNK_BYTES];
};

struct stream {
	const struct libs *libs;
	struct blob blob;
	uint64_t max_bytes; /* unpacked */

	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct stream_chunk *chunks;
	unsigned head, tail; /* chunks filled and emptied so far; the first is head - tail full ones ahead */
	bool ended; /* the thread will fill no more */
	bool abandoned; /* nobody will empty more */
	bool has_taken; /* a chunk is in the caller's hands */
	uint64_t read; /* bytes of the blob, for the progress */

	/* The thread's own until it has ended. */
	struct sha256 packed, unpacked;
	bool is_plain;
	uint64_t unpacked_bytes;
	char blob_hex[OVL_HEX_BYTES], diff_hex[OVL_HEX_BYTES];
	int result;
	struct error err;
	unsigned char *input;
};

/* Starts the thread. blob.fd is used until stream_end(). */
int stream_begin(struct stream *s, const struct libs *libs, const struct blob *blob, uint64_t max_bytes,
		 struct error *err);

/* The next bytes, valid until the next call: their number, 0 at the end, -1 when the thread met an error. */
ssize_t stream_next(struct stream *s, const void **ret);

uint64_t stream_position(struct stream *s);

/*
 * Ends the thread; reads the rest first when is_whole. Returns its result: with 0, blob_hex and diff_hex
 * are those of everything. -E2BIG: more than max_bytes. Frees what stream_begin() took.
 */
int stream_end(struct stream *s, bool is_whole, struct error *err);

/* Do these bytes begin something that this can decompress? */
bool stream_is_packed(const unsigned char *bytes, size_t n);
