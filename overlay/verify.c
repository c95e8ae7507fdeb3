/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify - proof that layers are what was imported
 *
 * Every byte is read again and listed as at the import; the listing of then, whose digest layer.json
 * has, says what has to come out.
 */
#include "overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "overlay/listing.h"
#include "overlay/record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

struct check {
	const struct ovl_store *store;
	const struct ovl_verify *o;
	struct arena *a;
	struct libs libs;
	struct ovl_layer layer; /* that is being checked */
};

static void changed(void *data, enum ovl_change what, const char *path)
{
	const struct check *c = data;

	if (c->o->changed)
		c->o->changed(c->o->data, &c->layer, what, path);
}

static int read_listing(const struct check *c, int layers_fd, struct buf *text, struct error *err)
{
	char name[OVL_HEX_BYTES + 16], hex[OVL_HEX_BYTES];

	snprintf(name, sizeof(name), "%s/" LAYER_LISTING, c->layer.hex);

	auto_close int fd = file_open_regular(layers_fd, name, err);
	int r = fd < 0 ? fd : file_read_fd(fd, name, LISTING_MAX_BYTES, text, err);

	if (r < 0)
		return r;
	sha256_of(&c->libs, text->data, text->len, hex);
	if (strcmp(hex, c->layer.listing) != 0)
		return error_rule(err, EBADMSG, "its listing was changed");
	return 0;
}

static int compare(struct check *c, int layers_fd, size_t *ret_changes, struct error *err)
{
	auto_buf struct buf before = BUF_INIT;
	auto_inodes struct inodes inodes = { 0 };
	struct listing now = { .libs = &c->libs, .inodes = &inodes, .text = BUF_INIT };
	char hex[OVL_HEX_BYTES];

	memcpy(hex, c->layer.hex, sizeof(hex));

	int r = layer_read(layers_fd, hex, c->a, &c->layer, err);

	if (r == 0)
		r = read_listing(c, layers_fd, &before, err);

	auto_close int tree = r < 0 ? r : ovl_layer_open(c->store, c->layer.hex, err);

	if (tree < 0)
		return tree;
	r = listing_make(&now, tree, err);
	if (r == 0)
		*ret_changes = listing_compare(&before, &now.text, changed, c);
	buf_release(&now.text);
	return r;
}

static int check_layer(struct check *c, int layers_fd)
{
	struct error err = ERROR_INIT;
	char damage[512];
	size_t n = 0;
	int r = compare(c, layers_fd, &n, &err);

	if (r < 0)
		error_line(&err, damage, sizeof(damage));
	if (c->o->layer)
		c->o->layer(c->o->data, &c->layer, n, r < 0 ? damage : NULL);
	return r < 0 || n > 0;
}

/* The layers of the image, or all layers there are or should be. The caller has the lock. */
static int choose(struct check *c, const char *name, struct ovl_layer **ret, size_t *ret_n,
		  struct error *err)
{
	struct ovl_image one, *images = &one;
	struct ovl_layer *layers = NULL, *v;
	size_t n_images = 1, n_layers = 0, n = 0;
	int r = name ? image_find(c->store, name, c->a, &one, err) :
		       images_read(c->store, c->a, &images, &n_images, err);

	if (r == 0 && !name)
		r = layers_read(c->store, c->a, &layers, &n_layers, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_images; i++)
		n += images[i].n_layers;
	v = arena_array(c->a, n + n_layers + 1, sizeof(*v));
	n = 0;
	for (size_t i = 0; i < n_images; i++)
		for (size_t k = 0; k < images[i].n_layers; k++)
			v[n++] = images[i].layers[k];
	for (size_t i = 0; i < n_layers; i++)
		v[n++] = layers[i];
	*ret = v;
	*ret_n = layers_once(v, n, v);
	return 0;
}

/* A hold on what is to be read: a gc meanwhile must not look like damage. */
static int begin(struct check *c, const char *name, struct ovl_layer **ret, size_t *ret_n,
		 struct hold *hold, struct error *err)
{
	auto_close int lock = store_lock(c->store, LOCK_SH, err);
	int r = lock < 0 ? lock : choose(c, name, ret, ret_n, err);

	return r < 0 ? r : hold_begin(c->store, "verify", *ret, *ret_n, hold, err);
}

int ovl_verify(const struct ovl_store *store, const char *name, const struct ovl_verify *o,
	       struct arena *a, struct error *err)
{
	struct check c = { .store = store, .o = o, .a = a };
	auto_hold struct hold hold = HOLD_NONE;
	struct ovl_layer *v = NULL;
	size_t n = 0;
	int bad = 0;
	int r = libs_load(&c.libs, err);

	if (r == 0)
		r = begin(&c, name, &v, &n, &hold, err);

	auto_close int layers = r < 0 ? r : store_dir(store, "layers", err);

	if (layers < 0)
		return layers;
	for (size_t i = 0; i < n; i++) {
		c.layer = v[i];
		bad += check_layer(&c, layers);
	}
	return bad;
}
