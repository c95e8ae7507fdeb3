/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * record - what the store writes down about images, layers and their users
 */

#include "overlay/overlay.h"

/* layers/<hex>/layer.json */
#define LAYER_RECORD "layer.json"
#define LAYER_LISTING "listing"
#define LAYER_TREE "tree"
#define LAYER_HAS_ROOT "has-root" /* an empty file, there if layer.json says so: one question for each of many layers */

/* Reads the record of a layer. -ENOENT: there is no such layer. */
int layer_read(int layers_fd, const char *hex, struct arena *a, struct ovl_layer *ret, struct error *err);
/* Writes it into the directory of a layer that is being made. */
int layer_write(int dir_fd, const struct ovl_layer *layer, struct error *err);

/* Writes the image's record, with what is known of its layers; the caller has the store's lock alone. */
int image_write(const struct ovl_store *store, const struct ovl_image *image, struct error *err);
/* Reads the record file of that name in images/; layers may have their diffIDs alone. */
/* Would image_write()'s record be read again? An image must not make a store that nobody can list. */
int image_check(const struct ovl_image *image, struct arena *a, struct error *err);
int image_read(int images_fd, const char *file, struct arena *a, struct ovl_image *ret, struct error *err);
/* By name, else by source; all of them; all layers. The caller has the store's lock. */
int image_find(const struct ovl_store *store, const char *name, struct arena *a, struct ovl_image *ret,
	       struct error *err);
int images_read(const struct ovl_store *store, struct arena *a, struct ovl_image **ret, size_t *ret_n,
		struct error *err);
int layers_read(const struct ovl_store *store, struct arena *a, struct ovl_layer **ret, size_t *ret_n,
		struct error *err);
/*
 * Fills in what layer.json says, unless the record has it already, so that an image of a hundred layers is one file to
 * read. -ENOENT with the layer that is gone.
 */
int image_fill(const struct ovl_store *store, struct ovl_image *image, struct arena *a,
	       struct error *err);
/* Sorted by hex, without those that are there twice. ret may be layers. */
size_t layers_once(const struct ovl_layer *layers, size_t n, struct ovl_layer *ret);

/*
 * A hold for as long as this command lives: its file is locked, and whoever finds the lock free removes it.
 * The caller has the store's lock, shared at least.
 */
struct hold {
	int fd; /* -1: none */
	int refs_fd;
	char name[64];
};
#define HOLD_NONE { .fd = -1, .refs_fd = -1 }
int hold_begin(const struct ovl_store *store, const char *what, const struct ovl_layer *layers, size_t n,
	       struct hold *ret, struct error *err);
void hold_end(struct hold *hold);
#define auto_hold __attribute__((cleanup(hold_end)))

/*
 * Counts, for each of n layers sorted by hex, the images and holds that name it. The caller has the
 * store's lock; with it alone, *ret_stale holds whose taker is gone are removed and counted (NULL: kept).
 */
int users_count(const struct ovl_store *store, struct ovl_layer *layers, size_t n, struct arena *a,
		size_t *ret_stale, struct error *err);
int layer_by_hex(const void *a, const void *b);

/*
 * Removes those of the layers (sorted by hex; NULL: of all) that nothing uses, and adds to *freed. Takes
 * the store's lock alone.
 */
int layers_collect(const struct ovl_store *store, const struct ovl_layer *only, size_t n_only,
		   struct ovl_freed *freed, struct arena *a, struct error *err);
