/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * base - the layers below a sandbox, as blobs in a layout
 *
 * Looked for in this order: in the target, by the images that it has; at the source the image was imported from; and
 * made again from the tree in the store. Made again a layer has another diffID than it had, since a tar archive says
 * more than its tree: the order of its entries, for one.
 */

#include "overlay/image_config.h"
#include "overlay/layout.h"
#include "overlay/sandbox.h"

struct base {
	const char *config; /* of the image; NULL: there is none */
	size_t config_n;
	size_t n_image; /* layers that are the image's; further ones lie on them */
	struct image_layer *layers; /* lowest first; with room for one more */
	size_t n;
};

int base_bring(const struct ovl_store *store, const struct ovl_sandbox *sb, const struct layout *target,
	       const struct libs *libs, const struct ovl_commit *o, struct arena *a, struct base *ret,
	       struct error *err);
