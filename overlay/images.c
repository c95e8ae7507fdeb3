/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images - finding, listing and removing what the store has
 */
#include "overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "overlay/libs.h"
#include "overlay/record.h"
#include "overlay/sandbox_end.h"
#include "overlay/source.h"
#include "overlay/store.h"
#include "spec/base/auto.h"

/* Records only. */
int images_read(const struct ovl_store *store, struct arena *a, struct ovl_image **ret,
		size_t *ret_n, struct error *err)
{
	char **names;
	size_t n;
	auto_close int images = store_dir(store, "images", err);
	int r = images < 0 ? images : dir_names(images, a, &names, &n, err);

	if (r < 0)
		return r;

	struct ovl_image *v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		r = image_read(images, names[i], a, &v[i], err);
		if (r < 0)
			return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int ovl_images(const struct ovl_store *store, struct arena *a, struct ovl_image **ret, size_t *ret_n,
	       struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_SH, err);
	int r = lock < 0 ? lock : images_read(store, a, ret, ret_n, err);

	for (size_t i = 0; r == 0 && i < *ret_n; i++)
		r = image_fill(store, &(*ret)[i], a, err);
	return r;
}

/* Its record has its name: the others need not be read. -ENOENT. */
static int image_by_name(const struct ovl_store *store, const char *name, struct arena *a, struct ovl_image *ret,
			 struct error *err)
{
	char file[NAME_MAX + 1];
	auto_close int images = store_dir(store, "images", err);

	if (images < 0)
		return images;
	if (name_escape(name, file, NULL) < 0)
		return -ENOENT;
	return image_read(images, file, a, ret, err);
}

/* The record, by name, else by source. */
int image_find(const struct ovl_store *store, const char *name, struct arena *a,
		       struct ovl_image *ret, struct error *err)
{
	struct ovl_image *v;
	size_t n;
	int r = image_by_name(store, name, a, ret, err);

	if (r != -ENOENT)
		return r;

	const char *source = source_canonical(name, a);

	r = images_read(store, a, &v, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; source && i < n; i++)
		if (!strcmp(v[i].source, source)) {
			*ret = v[i];
			return 0;
		}
	r = error_rule(err, ENOENT, "the layer store %s has no image \"%s\"", store->path, name);
	if (source)
		error_hint(err, "bring it in with: bulkhead layer import %s", name);
	return r;
}

int ovl_image_find(const struct ovl_store *store, const char *name, struct arena *a,
		   struct ovl_image *ret, struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_SH, err);
	int r = lock < 0 ? lock : image_find(store, name, a, ret, err);

	return r < 0 ? r : image_fill(store, ret, a, err);
}

int ovl_image_record(const struct ovl_store *store, const char *name, struct arena *a,
		     struct ovl_image *ret, struct error *err)
{
	/* A record is put in its place whole, by one rename; a look at all of them wants the lock. */
	int r = image_by_name(store, name, a, ret, err);

	if (r != -ENOENT)
		return r;

	auto_close int lock = store_lock(store, LOCK_SH, err);

	return lock < 0 ? lock : image_find(store, name, a, ret, err);
}

/* Names in layers/ that are layers. */
int layers_read(const struct ovl_store *store, struct arena *a, struct ovl_layer **ret,
		       size_t *ret_n, struct error *err)
{
	char **names;
	size_t n, found = 0;
	auto_close int layers = store_dir(store, "layers", err);
	int r = layers < 0 ? layers : dir_names(layers, a, &names, &n, err);

	if (r < 0)
		return r;

	struct ovl_layer *v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		if (!is_hex_digest(names[i]))
			continue;

		/* One that cannot be read is still a layer, which verify names and gc can remove. */
		if (layer_read(layers, names[i], a, &v[found], NULL) < 0)
			memcpy(v[found].hex, names[i], OVL_HEX_BYTES);
		found++;
	}
	*ret = v;
	*ret_n = found;
	return 0;
}

int ovl_layers(const struct ovl_store *store, struct arena *a, struct ovl_layer **ret, size_t *ret_n,
	       struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_SH, err);
	int r = lock < 0 ? lock : layers_read(store, a, ret, ret_n, err);

	return r < 0 ? r : users_count(store, *ret, *ret_n, a, NULL, err);
}

/* Moves each of the layers that nobody uses out of layers/. The caller has the store's lock alone. */
static int collect(const struct ovl_store *store, const struct ovl_layer *only, size_t n_only,
		   struct arena *a, struct ovl_freed *freed, struct error *err)
{
	struct ovl_layer *v;
	size_t n;
	auto_close int layers = store_dir(store, "layers", err);
	int r = layers < 0 ? layers : sandboxes_sweep(store, a, err);

	if (r == 0)
		r = layers_read(store, a, &v, &n, err);
	if (r == 0)
		r = users_count(store, v, n, a, &freed->leftovers, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (v[i].users ||
		    (only && !bsearch(&v[i], only, n_only, sizeof(*only), layer_by_hex)))
			continue;
		r = store_move_away(store, layers, v[i].hex, err);
		if (r == 0) {
			freed->layers++;
			freed->bytes += v[i].bytes;
		}
	}
	return r;
}

/* What takes long, removing the files, is done when the lock is free again. */
static int sweep_after(const struct ovl_store *store, struct ovl_freed *freed, struct error *err)
{
	size_t swept = 0;
	int r = store_sweep_work(store, &swept, err);

	freed->leftovers += swept > freed->layers ? swept - freed->layers : 0;
	return r;
}

static int collect_locked(const struct ovl_store *store, const struct ovl_layer *only, size_t n_only,
			  struct arena *a, struct ovl_freed *freed, struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_EX, err);

	return lock < 0 ? lock : collect(store, only, n_only, a, freed, err);
}

int layers_collect(const struct ovl_store *store, const struct ovl_layer *only, size_t n_only,
		   struct ovl_freed *freed, struct arena *a, struct error *err)
{
	int r = collect_locked(store, only, n_only, a, freed, err);

	return r < 0 ? r : sweep_after(store, freed, err);
}

static int remove_record(const struct ovl_store *store, const char *name, struct arena *a,
			 struct ovl_freed *freed, struct error *err)
{
	char file[NAME_MAX + 1];
	struct ovl_image image;
	auto_close int images = store_dir(store, "images", err);
	auto_close int lock = images < 0 ? images : store_lock(store, LOCK_EX, err);
	int r = lock < 0 ? lock : image_find(store, name, a, &image, err);

	if (r == 0)
		r = name_escape(image.name, file, err);
	if (r < 0)
		return r;
	if (unlinkat(images, file, 0) < 0)
		return error_set(err, errno, "remove %s/images/%s", store->path, file);
	freed->images = 1;

	struct ovl_layer *once = arena_array(a, image.n_layers + 1, sizeof(*once));

	return collect(store, once, layers_once(image.layers, image.n_layers, once), a, freed, err);
}

int ovl_image_remove(const struct ovl_store *store, const char *name, struct arena *a,
		     struct ovl_freed *ret, struct error *err)
{
	struct ovl_freed freed = { 0 };
	int r = remove_record(store, name, a, &freed, err);

	if (r == 0)
		r = sweep_after(store, &freed, err);
	if (r == 0)
		*ret = freed;
	return r;
}

int ovl_gc(const struct ovl_store *store, struct arena *a, struct ovl_freed *ret, struct error *err)
{
	struct ovl_freed freed = { 0 };
	int r = layers_collect(store, NULL, 0, &freed, a, err);

	if (r == 0)
		*ret = freed;
	return r;
}

int ovl_layer_open(const struct ovl_store *store, const char *hex, struct error *err)
{
	auto_close int layers = store_dir(store, "layers", err);
	auto_close int dir = layers < 0 ? layers : openat(layers, hex, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (layers < 0)
		return layers;

	int fd = dir < 0 ? dir : openat(dir, LAYER_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_set(err, errno, "open the layer sha256:%s", hex) : fd;
}
