/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * layout - an image layout directory that is written to (image-spec, image-layout.md)
 *
 * At any moment it is what it was before, plus blobs that nothing names yet: a blob has no name at all until its bytes
 * are on the disk, and index.json, which names everything, is replaced by one rename at the end, under a lock.
 */

#include "overlay/libs.h"
#include "overlay/source.h"
#include "spec/base/json.h"

struct layout {
	const char *path; /* absolute */
	const char *tag;
	int fd, blobs_fd;
};

#define LAYOUT_INIT { .fd = -1, .blobs_fd = -1 }

/*
 * Reads "oci:DIR[:TAG]" (no tag: "latest"), and makes the directory when it is not there. -EINVAL for a bad tag, and for
 * a directory with something else in it.
 */
int layout_open(const char *target, struct arena *a, struct layout *ret, struct error *err);
void layout_close(struct layout *l);
#define auto_layout __attribute__((cleanup(layout_close)))

/* Is there a blob of that digest and size? size UINT64_MAX: of any; *ret_size says which (may be NULL). */
bool layout_has(const struct layout *l, const char *hex, uint64_t size, uint64_t *ret_size);

/*
 * A file that becomes a blob. It has no name before; where the file system knows no such files (NFS, vfat) it has one
 * that is no blob's, and goes away with auto_blob, or with the next command that makes one, when it is not ended.
 */
struct layout_blob {
	int fd, dir_fd; /* dir_fd is the layout's */
	char name[40]; /* "": none */
};
#define LAYOUT_BLOB_INIT { .fd = -1 }
int layout_begin_blob(const struct layout *l, struct layout_blob *ret, struct error *err);
/* Writes it to the disk and gives it its name. One that is there already and has that size stays. */
int layout_end_blob(const struct layout *l, const struct layout_blob *blob, const char *hex, struct error *err);
void layout_drop_blob(struct layout_blob *blob);
#define auto_blob __attribute__((cleanup(layout_drop_blob)))

/* Small ones at once; ret_hex gets the digest. */
int layout_put(const struct layout *l, const struct libs *libs, const void *bytes, size_t n,
	       char ret_hex[static OVL_HEX_BYTES], struct error *err);

/* index.json, or an empty object when there is none yet. */
int layout_index(const struct layout *l, struct arena *a, const struct json **ret, const char **ret_text,
		 struct error *err);

/* Puts the manifest into index.json under the layout's tag, in the place of what had it. */
int layout_publish(const struct layout *l, const char *hex, size_t size, struct arena *a, struct error *err);

#define LAYOUT_REF_NAME "org.opencontainers.image.ref.name"
