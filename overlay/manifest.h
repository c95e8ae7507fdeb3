/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * manifest - what a source says about an image: its config, and which blob is which layer
 */

#include "overlay/source.h"

struct manifest_layer {
	const char *member; /* of the source */
	char blob[OVL_HEX_BYTES]; /* its digest; "": the source does not say */
	uint64_t size; /* what a descriptor says; UINT64_MAX: nothing does */
	char diff[OVL_HEX_BYTES];
};

struct manifest {
	const char *digest; /* "sha256:…", or "" */
	const char *config; /* the bytes */
	size_t config_n;
	const char *config_digest; /* "sha256:…" */
	struct manifest_layer *layers; /* lowest first */
	size_t n_layers;
};

/*
 * Reads it, with every digest checked. -EINVAL when the source has several images and no tag chooses
 * one; -ENOENT when none has that tag or fits this machine.
 */
int manifest_read(const struct source *s, const struct libs *libs, struct arena *a, struct manifest *ret,
		  struct error *err);
