/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * walk - what an upper directory changes, entry by entry
 *
 * Only the upper is walked. Of the rest just names that are in it are looked up: in the mount of the lowers (was there
 * something?), and in the view of the whole, which has the metadata and content, since there the kernel has followed
 * redirects and metacopies (filesystems/overlayfs.rst). Two kinds of directories have no lowers' entries showing
 * through at their place: opaque ones, and ones that were renamed to it (trusted.overlay.redirect). Below these the
 * view is walked: it is all new there.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "spec/base/error.h"

enum walk_kind { WALK_KEPT, WALK_ADDED, WALK_MODIFIED, WALK_DELETED };

struct walk_entry {
	enum walk_kind kind;
	const char *path;        /* relative; "" is the root */
	bool is_opaque;          /* a directory at whose place the lowers have one, of which nothing shows any more */
	bool is_covered;         /* lies below an opaque one: an archive has to say all that is there, WALK_KEPT too */
	int dir_fd;              /* of the view, the parent; -1 for what was deleted */
	const char *name;        /* in dir_fd; "." for the root */
	const struct stat *st;   /* NULL for what was deleted */
};

struct walk {
	int upper_fd;
	/*
	 * -1: nobody knows what is below. The tree stands for itself then (view_fd is upper_fd): every whiteout deletes, the
	 * rest is WALK_KEPT and covered; a redirect or metacopy, whose other half is elsewhere, is -ENOTSUP.
	 */
	int lower_fd;
	int view_fd;
	const struct stat *root; /* what the root was before; NULL: that of lower_fd */
	bool deleted_first;      /* within a directory, as image-spec's layer.md recommends; else by name */
	/* Depth first, names of a directory sorted by their bytes. < 0 with *err set ends the walk. */
	int (*tell)(void *data, const struct walk_entry *e, struct error *err);
	void *data;
};

#define WALK_MAX_DEPTH 256 /* as deep as an archive may be on its way in */

int walk_upper(const struct walk *w, struct error *err);
