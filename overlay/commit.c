/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit - an image of what a container did, and its changes as an archive
 *
 *	1. the target is looked at, or made
 *	2. the layers below are brought there (base.h)
 *	3. the upper is read and becomes a blob; the container is frozen for this
 *	4. config and manifest, and at last index.json
 */
#include "overlay/changes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "overlay/base.h"
#include "overlay/layer_write.h"
#include "overlay/trees.h"
#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"

struct commit {
	const struct ovl_store *store;
	const struct ovl_sandbox *sb;
	const struct ovl_commit *o;
	struct arena *a;
	struct libs libs;
	struct layout target;
	struct base base;
	struct layer_stats stats;
};

#define MAX_SECONDS 253402300799 /* the end of the year 9999, and of RFC 3339 */

static int write_changes(struct commit *c, struct pack *pack, struct error *err)
{
	const struct layer_options o = { .log = c->o->log };
	auto_trees struct trees trees = TREES_INIT;
	int r = trees_open(&trees, c->store, c->sb, c->a, err);

	return r < 0 ? r : layer_archive(&trees.walk, pack, &o, &c->stats, err);
}

/* Whoever was frozen is thawed whatever happened, and the first error is the one that is told. */
static int write_frozen(struct commit *c, struct pack *pack, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = c->o->before ? c->o->before(c->o->data, err) : 0;

	if (r < 0)
		return r;
	r = write_changes(c, pack, err);

	int thawed = c->o->after ? c->o->after(c->o->data, &why) : 0;

	if (r == 0 && thawed < 0 && err)
		*err = why;
	return r < 0 ? r : thawed;
}

/* 1: there is a new layer. */
static int add_layer(struct commit *c, struct image_layer *ret, struct error *err)
{
	auto_blob struct layout_blob blob = LAYOUT_BLOB_INIT;
	auto_pack struct pack pack = { .fd = -1 };
	int r = layout_begin_blob(&c->target, &blob, err);

	if (r == 0)
		r = pack_begin(&pack, &c->libs, blob.fd, "the new layer", c->o->compression, c->o->level, err);
	if (r == 0)
		r = write_frozen(c, &pack, err);
	if (r == 0)
		r = pack_end(&pack, err);
	if (r < 0 || c->stats.entries == 0)
		return r;
	memcpy(ret->blob, pack.blob_hex, sizeof(ret->blob));
	memcpy(ret->diff, pack.diff_hex, sizeof(ret->diff));
	ret->size = pack.packed_bytes;
	ret->media_type = pack_media_type(pack.compression);
	r = layout_end_blob(&c->target, &blob, pack.blob_hex, err);
	return r < 0 ? r : 1;
}

static const char *created(const struct commit *c)
{
	struct timespec t = c->stats.newest;
	char text[RFC3339_BYTES];

	if (c->o->created)
		t.tv_sec = *c->o->created;
	else if (!c->stats.has_time)
		return NULL;
	if (t.tv_sec < 0)
		t.tv_sec = 0;
	if (t.tv_sec > MAX_SECONDS)
		t.tv_sec = MAX_SECONDS;
	return arena_strdup(c->a, rfc3339_seconds(&t, text));
}

static int publish(struct commit *c, bool has_new, char hex[static OVL_HEX_BYTES], struct error *err)
{
	auto_buf struct buf config = BUF_INIT, manifest = BUF_INIT;
	char config_hex[OVL_HEX_BYTES];
	const struct image_plan plan = {
		.base = c->base.config,
		.base_n = c->base.config_n,
		.n_base = c->base.n_image,
		.layers = c->base.layers,
		.n_layers = c->base.n + has_new,
		.has_new = has_new,
		.created = created(c),
		.o = c->o,
	};
	int r = image_config(&plan, c->a, &config, err);

	if (r == 0)
		r = layout_put(&c->target, &c->libs, config.data, config.len, config_hex, err);
	if (r < 0)
		return r;
	image_manifest(&plan, config_hex, config.len, &manifest);
	r = layout_put(&c->target, &c->libs, manifest.data, manifest.len, hex, err);
	return r < 0 ? r : layout_publish(&c->target, hex, manifest.len, c->a, err);
}

static int make_image(struct commit *c, struct ovl_committed *ret, struct error *err)
{
	char hex[OVL_HEX_BYTES];
	int r = libs_load(&c->libs, err);

	if (r == 0)
		r = layout_open(c->o->target, c->a, &c->target, err);
	if (r == 0)
		r = base_bring(c->store, c->sb, &c->target, &c->libs, c->o, c->a, &c->base, err);
	if (r < 0)
		return r;

	struct image_layer *layer = &c->base.layers[c->base.n];
	int has_new = add_layer(c, layer, err);

	r = has_new < 0 ? has_new : publish(c, has_new, hex, err);
	if (r < 0)
		return r;
	*ret = (struct ovl_committed){ .manifest = arena_printf(c->a, "sha256:%s", hex),
				       .n_entries = c->stats.entries };
	if (has_new) {
		ret->layer = arena_printf(c->a, "sha256:%s", layer->blob);
		ret->layer_bytes = layer->size;
	}
	return 0;
}

int ovl_commit(const struct ovl_store *store, const struct ovl_sandbox *sb, const struct ovl_commit *o, struct arena *a,
	       struct ovl_committed *ret, struct error *err)
{
	struct commit c = { .store = store, .sb = sb, .o = o, .a = a, .target = LAYOUT_INIT };
	int r = make_image(&c, ret, err);

	layout_close(&c.target);
	return r < 0 ? error_wrap(err, r, "cannot commit the sandbox \"%s\" to %s", sb->name, o->target) : 0;
}
