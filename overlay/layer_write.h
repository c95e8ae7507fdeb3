/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * layer_write - what a walk tells, as the tar archive of a layer
 *
 * image-spec, layer.md: `.wh.NAME` deletes, `.wh..wh..opq` in a directory deletes what lower layers have in it. An
 * unchanged directory is an entry only when something below it is, so that whoever unpacks the layer by itself
 * gives it the right owner and mode. Sockets are left out, as everywhere; so is, with a warning, what the format
 * cannot say: a file whose own name begins with ".wh.".
 */

#include <stdint.h>

#include "overlay/pack.h"
#include "overlay/walk.h"

struct layer_stats {
	size_t entries;
	bool has_time;
	struct timespec newest; /* of the entries' mtimes */
};

struct layer_options {
	bool omit_root; /* no entry for the root directory itself */
	const struct log *log;
};

/*
 * Walks (w's tell, data and deleted_first are filled in here) and writes, the end of the archive included. pack has
 * been begun; the caller ends it.
 */
int layer_archive(struct walk *w, struct pack *pack, const struct layer_options *o, struct layer_stats *ret,
		  struct error *err);
