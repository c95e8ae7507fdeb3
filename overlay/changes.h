/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * changes - what a container did to its files, and an image made of it
 *
 * Only the upper is walked: the time depends on what changed, not on the image. An entry of the upper is compared with
 * the mount of the lowers (was it there?) and read through the view of the whole (ovl_sandbox_view()), in which the
 * kernel has followed redirects and metacopies. A directory that is opaque or redirected is compared by name with what
 * was below it.
 */

#include "overlay/sandbox.h"

enum ovl_change_kind { OVL_DIFF_ADDED, OVL_DIFF_MODIFIED, OVL_DIFF_DELETED };

struct ovl_diff {
	enum ovl_change_kind kind;
	const char *path; /* absolute in the container; valid during the call */
	mode_t mode;      /* 0 when deleted */
	uint64_t size;    /* of a regular file */
};

/*
 * Calls tell for every change, sorted by path (bytes), a directory before what is in it. A directory that only
 * has changed entries is a change when its own metadata differ. The root is none. tell returns < 0 to stop.
 */
int ovl_diff(const struct ovl_store *store, const struct ovl_sandbox *sb,
	     int (*tell)(void *data, const struct ovl_diff *d), void *data, struct arena *a, struct error *err);

enum ovl_compression { OVL_GZIP, OVL_ZSTD, OVL_PLAIN };

struct ovl_commit {
	const char *target;        /* oci:DIR[:TAG]; made when it is not there, another tag is added when it is */
	enum ovl_compression compression;
	int level;                 /* 0: the library's default */
	const char *author, *comment; /* of the history entry; NULL: none */
	const int64_t *created;    /* seconds; NULL: the newest mtime of the layer, so equal content has equal bytes */
	/*
	 * What docker's --change changes; NULL: as the image has it. JSON of an image config's "config" object, merged
	 * over it: null removes a member, "Env" is merged by variable, objects (Labels …) by member.
	 */
	const char *config;
	const struct log *log;
	/*
	 * Called around the reading of the upper, when the layers below are in the target already: a running container is
	 * frozen in between and no longer. after() is called whenever before() returned 0, and may fail, too: somebody
	 * thawed it meanwhile, say. NULL: nobody writes.
	 */
	int (*before)(void *data, struct error *err);
	int (*after)(void *data, struct error *err);
	void *data;
};

struct ovl_committed {
	const char *manifest;      /* "sha256:…" */
	const char *layer;         /* digest of the new layer's blob; NULL: nothing changed, no layer was added */
	uint64_t layer_bytes;
	size_t n_entries;          /* of the new layer */
};

/*
 * Writes an image: the layers the sandbox stands on, and one more of its changes (image-spec layer.md: whiteouts,
 * opaque directories; PAX, sorted, ids as the container sees them, no access times). Blobs that the target has are not
 * written again; those of the lowers come from the source they were imported from when it is still there (linked,
 * reflinked or copied, and checked), else are made again from their trees. A blob is written beside its name and renamed,
 * index.json last: after a kill or a full disk the target is as before, plus blobs at most.
 */
int ovl_commit(const struct ovl_store *store, const struct ovl_sandbox *sb, const struct ovl_commit *o, struct arena *a,
	       struct ovl_committed *ret, struct error *err);

/* The upper alone as a tar archive in image-spec form to fd, and back into an empty or emptied sandbox nobody uses. */
int ovl_sandbox_export(const struct ovl_store *store, const struct ovl_sandbox *sb, int fd, enum ovl_compression c,
		       struct arena *a, struct error *err);
int ovl_sandbox_import(const struct ovl_store *store, const struct ovl_sandbox *sb, int fd, const struct ovl_limits *limits,
		       struct arena *a, struct error *err);
