/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * pack - a layer's blob, written once: diffID, compression, digest
 *
 * The other direction of stream.h. The same bytes with the same libraries give the same blob: no time, no name and no
 * thread count is in it.
 */

#include "overlay/changes.h"
#include "overlay/libs.h"

struct pack {
	const struct libs *libs;
	int fd;
	const char *name; /* of the file, for messages */
	enum ovl_compression compression;
	struct archive *archive; /* compressed: libarchive's filter */
	struct archive_entry *entry;
	struct sha256 packed, unpacked;
	uint64_t unpacked_bytes, packed_bytes;
	struct error why; /* of a write that libarchive only knows to have failed */
	char blob_hex[OVL_HEX_BYTES], diff_hex[OVL_HEX_BYTES]; /* after pack_end() */
};

int pack_begin(struct pack *p, const struct libs *libs, int fd, const char *name, enum ovl_compression c,
	       int level, struct error *err);
int pack_add(struct pack *p, const void *bytes, size_t n, struct error *err);
/* Writes what is left and takes the digests. */
int pack_end(struct pack *p, struct error *err);
/* Frees what pack_begin() took; after pack_end(), too. */
void pack_release(struct pack *p);
#define auto_pack __attribute__((cleanup(pack_release)))

/* The media type of a layer in this form (image-spec, layer.md). */
const char *pack_media_type(enum ovl_compression c);
