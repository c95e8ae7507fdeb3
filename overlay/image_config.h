/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * image_config - the config and the manifest of a committed image (image-spec, config.md and manifest.md)
 *
 * Pure: JSON in, JSON out. What the base image's config says stays as it is, member by member, but for what a commit is
 * about.
 */

#include "overlay/changes.h"
#include "spec/base/buf.h"

/* A layer of the image, in the target. */
struct image_layer {
	char diff[OVL_HEX_BYTES], blob[OVL_HEX_BYTES];
	uint64_t size;
	const char *media_type;
};

struct image_plan {
	const char *base; /* the base image's config; NULL: there is none */
	size_t base_n;
	size_t n_base; /* layers of that image: the first ones below */
	const struct image_layer *layers; /* lowest first */
	size_t n_layers;
	bool has_new; /* the last one is what the container changed */
	const char *created; /* RFC 3339; NULL: when the base was */
	const struct ovl_commit *o;
};

/* Appends the config. -EINVAL for a base or change that is none. */
int image_config(const struct image_plan *p, struct arena *a, struct buf *out, struct error *err);

/* Appends the manifest; digest and size are those of the config. */
void image_manifest(const struct image_plan *p, const char *config_hex, size_t config_n, struct buf *out);
