/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * source - where an image comes from: a layout directory or an archive
 *
 * Both are a set of named members here. An archive is indexed once; its members are then read in place, by
 * offset. A compressed one is first unpacked into a file without a name in the store's work/.
 */

#include "overlay/libs.h"
#include "overlay/stream.h"

enum source_kind { SOURCE_OCI, SOURCE_OCI_ARCHIVE, SOURCE_DOCKER_ARCHIVE };

struct source_ref {
	enum source_kind kind;
	const char *path; /* absolute */
	const char *tag; /* or docker reference; NULL: none given */
};

/* Reads "oci:DIR[:TAG]" and so on. -EINVAL. */
int source_parse(const char *text, struct arena *a, struct source_ref *ret, struct error *err);

/* The same source in one spelling, or NULL when text is none. */
const char *source_canonical(const char *text, struct arena *a);

struct source_member {
	const char *name; /* cleaned: no "./" */
	const char *target; /* of a link: the member it stands for; else NULL */
	uint64_t offset, size;
	size_t number; /* the how many-th of the archive */
};

struct source {
	struct source_ref ref;
	int fd; /* the directory, or the archive, plain */
	struct source_member *members; /* sorted; NULL for a directory */
	size_t n_members;
};

/* spool_fd: a directory for the file that a compressed archive is unpacked into, of at most max_bytes. */
int source_open(struct source *s, const struct libs *libs, const struct source_ref *ref, int spool_fd,
		uint64_t max_bytes, struct arena *a, struct error *err);
void source_close(struct source *s);

/* Opens a member; the caller closes blob.fd. -ENOENT. */
int source_member(const struct source *s, const char *name, struct blob *ret, struct error *err);

/* Reads a member of at most JSON_MAX_BYTES. */
int source_read(const struct source *s, const char *name, struct arena *a, char **ret, size_t *ret_n,
		struct error *err);
