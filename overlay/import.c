/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import - an image into the store
 *
 *	1. the source's index, manifest and config are read and checked
 *	2. a hold on all of the image's layers, those to come included: no gc takes one away meanwhile
 *	3. each layer that is missing: unpacked in work/, checked, listed, on the disk, renamed
 *	4. the image's record, and the hold goes
 *
 * Killed in any of them the store has some more complete layers, which gc removes, and something in work/,
 * which the next sweep does. An import that is refused removes what it brought itself.
 */
#include "overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "overlay/libs.h"
#include "overlay/listing.h"
#include "overlay/manifest.h"
#include "overlay/parts.h"
#include "overlay/record.h"
#include "overlay/source.h"
#include "overlay/store.h"
#include "overlay/unpack.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/log.h"
#include "spec/base/rfc3339.h"

#define DEFAULT_MAX_BYTES (64ull << 30)
#define DEFAULT_MAX_ENTRIES (4ull << 20)
#define DEFAULT_MAX_DEPTH 256
#define SAME_LAYER_SECONDS 600
#define TICK_MS 100

struct import {
	const struct ovl_store *store;
	const struct ovl_import *o;
	struct arena *a;
	struct libs libs;
	struct budget budget;
	struct manifest manifest;
	struct source source;
	int layers_fd, work_fd;
	size_t n_new;
	struct ovl_layer *fresh; /* that we made, to be taken back when the rest goes wrong */

	struct stream *stream; /* of the layer that is being read */
	struct ovl_progress progress;
	uint64_t told_ms;
};

/* ---- progress ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void tell(struct import *im)
{
	if (im->o->progress)
		im->o->progress(im->o->data, &im->progress);
}

static void tick(void *data)
{
	struct import *im = data;
	uint64_t now = im->o->progress ? now_ms() : 0;

	if (!im->o->progress || now - im->told_ms < TICK_MS)
		return;
	im->told_ms = now;
	im->progress.done = stream_position(im->stream);
	tell(im);
}

/* ---- one layer ---- */

static bool has_layer(const struct import *im, const char *hex)
{
	struct stat st;

	return fstatat(im->layers_fd, hex, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * Makes and locks the layer's directory in work/. Somebody else who has it is importing the same
 * layer: then its directory gets renamed under us, and the layer is there. 0: it is; else the descriptor.
 */
static int claim(const struct import *im, const char *hex, int *ret_fd, struct error *err)
{
	char what[OVL_HEX_BYTES + 64];

	snprintf(what, sizeof(what), "the layer sha256:%.12s, which another command imports,", hex);
	for (;;) {
		struct stat mine, there;

		if (mkdirat(im->work_fd, hex, 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "make %s/work/%s", im->store->path, hex);

		auto_close int fd = openat(im->work_fd, hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return error_set(err, errno, "open %s/work/%s", im->store->path, hex);

		int r = lock_within(fd, LOCK_EX, SAME_LAYER_SECONDS, what, err);

		if (r < 0)
			return r;
		if (fstat(fd, &mine) == 0 && fstatat(im->work_fd, hex, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    mine.st_ino == there.st_ino) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
		if (has_layer(im, hex)) {
			*ret_fd = -1;
			return 0;
		}
	}
}

/* What an import that was killed left, and the empty tree. */
static int prepare(int dir_fd, struct error *err)
{
	static const char *const parts[] = { LAYER_TREE, LAYER_LISTING, LAYER_RECORD, LAYER_HAS_ROOT };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = remove_tree(dir_fd, parts[i], err);
	if (r < 0)
		return r;
	if (mkdirat(dir_fd, LAYER_TREE, 0755) < 0)
		return error_set(err, errno, "make the directory of a layer");

	int fd = openat(dir_fd, LAYER_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	/* The umask is the caller's and the mode is part of the layer. */
	if (fd < 0 || fchmod(fd, 0755) < 0)
		r = error_set(err, errno, "open the directory of a layer");
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int check_digests(const struct manifest_layer *ml, const struct stream *s, struct error *err)
{
	if (*ml->blob && strcmp(ml->blob, s->blob_hex) != 0)
		return error_rule(err, EBADMSG, "the blob %s has the digest sha256:%s", ml->member, s->blob_hex);
	if (strcmp(ml->diff, s->diff_hex) != 0)
		return error_rule(err, EBADMSG, "the layer unpacks to the diffID sha256:%s", s->diff_hex);
	return 0;
}

static int unpack_blob(struct import *im, const struct manifest_layer *ml, int tree_fd,
		       struct inodes *inodes, bool *ret_has_root, struct error *err)
{
	struct blob blob;
	struct stream stream;
	int r = source_member(&im->source, ml->member, &blob, err);

	if (r < 0)
		return r;

	auto_close int fd = blob.fd;

	if (ml->size != UINT64_MAX && ml->size != blob.size)
		return error_rule(err, EBADMSG, "the blob %s has %llu bytes, its descriptor says %llu", ml->member,
				  (unsigned long long)blob.size, (unsigned long long)ml->size);
	r = stream_begin(&stream, &im->libs, &blob, im->budget.bytes, err);
	if (r < 0)
		return r;
	im->stream = &stream;
	im->progress.size = blob.size;

	struct unpack u = { .libs = &im->libs, .stream = &stream, .tree_fd = tree_fd, .budget = &im->budget,
			    .log = im->o->log, .inodes = inodes, .tick = tick, .data = im };
	struct error why = ERROR_INIT;
	uint64_t budget = im->budget.bytes;

	r = unpack_tar(&u, err);

	int ended = stream_end(&stream, r == 0, &why);

	im->stream = NULL;
	*ret_has_root = u.has_root;
	if (why.code && (r == 0 || r == -EIO) && err)
		*err = why; /* the tar ended early because its blob did */
	if (r == 0)
		r = ended;

	/* Headers and what follows the end mark count as well: an image can have thousands of layers. */
	budget -= stream.unpacked_bytes < budget ? stream.unpacked_bytes : budget;
	if (budget < im->budget.bytes)
		im->budget.bytes = budget;
	return r < 0 ? r : check_digests(ml, &stream, err);
}

static int write_listing(int dir_fd, const struct buf *text, struct error *err)
{
	auto_close int fd = openat(dir_fd, LAYER_LISTING, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, errno, "make the layer's listing");
	return file_write_all(fd, "the layer's listing", text->data, text->len, err);
}

static int describe(struct import *im, int dir_fd, int tree_fd, struct inodes *inodes,
		    struct ovl_layer *layer, struct error *err)
{
	struct listing l = { .libs = &im->libs, .inodes = inodes, .text = BUF_INIT };
	int r = listing_make(&l, tree_fd, err);

	if (r == 0) {
		sha256_of(&im->libs, l.text.data, l.text.len, layer->listing);
		layer->entries = l.entries;
		layer->bytes = l.bytes;
		r = write_listing(dir_fd, &l.text, err);
	}
	if (r == 0)
		r = layer_write(dir_fd, layer, err);
	buf_release(&l.text);
	return r;
}

static int publish(const struct import *im, int dir_fd, const char *hex, struct error *err)
{
	/* One call for all of the layer's files: a rename must not reach the disk before them. */
	if (syncfs(dir_fd) < 0)
		return error_set(err, errno, "write the layer to the disk");
	if (rename_new(im->work_fd, hex, im->layers_fd, hex) < 0)
		return error_set(err, errno, "rename %s/work/%s", im->store->path, hex);
	if (fsync(im->layers_fd) < 0)
		return error_set(err, errno, "write %s/layers to the disk", im->store->path);
	return 0;
}

static int make_layer(struct import *im, const struct manifest_layer *ml, int dir_fd, struct error *err)
{
	struct ovl_layer layer = { 0 };
	auto_inodes struct inodes inodes = { 0 };
	auto_close int tree = prepare(dir_fd, err);
	int r = tree < 0 ? tree : unpack_blob(im, ml, tree, &inodes, &layer.has_root, err);

	memcpy(layer.hex, ml->diff, sizeof(layer.hex));
	if (r == 0)
		r = describe(im, dir_fd, tree, &inodes, &layer, err);
	if (r == 0)
		r = publish(im, dir_fd, ml->diff, err);
	if (r == 0)
		im->fresh[im->n_new++] = layer;
	else
		remove_tree(im->work_fd, ml->diff, NULL);
	return r;
}

static int bring_layer(struct import *im, size_t i, struct error *err)
{
	const struct manifest_layer *ml = &im->manifest.layers[i];
	auto_close int dir = -1;
	int r = 0;

	im->progress = (struct ovl_progress){ .layer = (unsigned)i + 1,
					      .n_layers = (unsigned)im->manifest.n_layers,
					      .is_present = has_layer(im, ml->diff) };
	memcpy(im->progress.hex, ml->diff, sizeof(ml->diff));
	if (!im->progress.is_present) {
		r = claim(im, ml->diff, &dir, err);
		im->progress.is_present = r == 0 && dir < 0;
	}
	if (r == 0 && dir >= 0)
		r = make_layer(im, ml, dir, err);
	if (r < 0)
		return error_wrap(err, r, "cannot import layer %zu of %zu (sha256:%.12s)", i + 1,
				  im->manifest.n_layers, ml->diff);
	im->progress.done = im->progress.size;
	tell(im);
	return 0;
}

/* ---- the image ---- */

static int check_name(const char *name, struct error *err)
{
	char file[NAME_MAX + 1];

	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			return error_rule(err, EINVAL, "an image name is made of visible ASCII characters");
	return name_escape(name, file, err);
}

/* The caller has the lock. */
static int check_free(const struct import *im, const struct ovl_image *image, struct error *err)
{
	char file[NAME_MAX + 1];
	struct ovl_image old;
	struct stat st;
	auto_close int images = store_dir(im->store, "images", err);
	int r = images < 0 ? images : name_escape(image->name, file, err);

	if (r < 0 || fstatat(images, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return r;
	r = image_read(images, file, im->a, &old, err);
	if (r < 0 || !strcmp(old.source, image->source))
		return r;
	r = error_rule(err, EEXIST, "the name \"%s\" belongs to the image from %s", image->name, old.source);
	error_hint(err, "remove that one first, or choose another name");
	return r;
}

static int begin(struct import *im, const struct ovl_image *image, struct hold *hold, struct error *err)
{
	auto_close int lock = store_lock(im->store, LOCK_SH, err);
	int r = lock < 0 ? lock : check_free(im, image, err);

	return r < 0 ? r : hold_begin(im->store, "import", image->layers, image->n_layers, hold, err);
}

/* What a mount would have to ask of each layer is in the image's record. */
static int look_at_roots(const struct import *im, struct ovl_image *image, struct error *err)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		auto_close int tree = ovl_layer_open(im->store, image->layers[i].hex, err);

		if (tree < 0)
			return tree;
		image->layers[i].hides_below = tree_hides_below(tree);
		image->layers[i].is_known = true;
	}
	return 0;
}

static int commit(struct import *im, struct ovl_image *image, struct error *err)
{
	auto_close int lock = store_lock(im->store, LOCK_EX, err);
	int r = lock < 0 ? lock : check_free(im, image, err);

	if (r == 0)
		r = image_fill(im->store, image, im->a, err);
	if (r == 0)
		r = look_at_roots(im, image, err);
	return r < 0 ? r : image_write(im->store, image, err);
}

static int bring_layers(struct import *im, struct ovl_image *image, struct error *err)
{
	auto_hold struct hold hold = HOLD_NONE;
	int r = begin(im, image, &hold, err);

	for (size_t i = 0; r == 0 && i < im->manifest.n_layers; i++)
		r = bring_layer(im, i, err);
	return r < 0 ? r : commit(im, image, err);
}

static int describe_image(struct import *im, struct ovl_image *image, struct error *err)
{
	char stamp[RFC3339_BYTES];
	struct timespec now;
	const struct manifest *m = &im->manifest;

	clock_gettime(CLOCK_REALTIME, &now);
	*image = (struct ovl_image){
		.source = source_canonical(im->o->source, im->a),
		.manifest = m->digest,
		.imported = arena_strdup(im->a, rfc3339_seconds(&now, stamp)),
		.config = m->config,
		.config_n = m->config_n,
		.config_digest = m->config_digest,
		.layers = arena_array(im->a, m->n_layers + 1, sizeof(*image->layers)),
		.n_layers = m->n_layers,
	};
	image->name = im->o->name ? im->o->name : image->source;
	for (size_t i = 0; i < m->n_layers; i++)
		memcpy(image->layers[i].hex, m->layers[i].diff, OVL_HEX_BYTES);
	im->fresh = arena_array(im->a, m->n_layers + 1, sizeof(*im->fresh));

	int r = check_name(image->name, err);

	if (r < 0 && !im->o->name)
		error_hint(err, "the source cannot serve as a name here: give one after it");
	return r < 0 ? r : image_check(image, im->a, err);
}

static int import_image(struct import *im, struct ovl_image *image, struct error *err)
{
	struct source_ref ref;
	int r = source_parse(im->o->source, im->a, &ref, err);

	if (r == 0)
		r = source_open(&im->source, &im->libs, &ref, im->work_fd, im->budget.bytes, im->a, err);
	if (r == 0)
		r = manifest_read(&im->source, &im->libs, im->a, &im->manifest, err);
	if (r == 0)
		r = describe_image(im, image, err);
	if (r < 0)
		return r;
	r = bring_layers(im, image, err);
	if (r < 0 && im->n_new) {
		struct ovl_freed freed = { 0 };
		size_t n = layers_once(im->fresh, im->n_new, im->fresh);

		layers_collect(im->store, im->fresh, n, &freed, im->a, NULL);
	}
	return r < 0 ? r : image_fill(im->store, image, im->a, err);
}

int ovl_import(const struct ovl_store *store, const struct ovl_import *o, struct arena *a,
	       struct ovl_image *ret, size_t *ret_new, struct error *err)
{
	const struct ovl_limits *l = &o->limits;
	struct ovl_image image;
	struct import im = {
		.store = store, .o = o, .a = a, .layers_fd = -1, .work_fd = -1, .source = { .fd = -1 },
		.budget = { .bytes = l->max_bytes ? l->max_bytes : DEFAULT_MAX_BYTES,
			    .entries = l->max_entries ? l->max_entries : DEFAULT_MAX_ENTRIES,
			    .max_depth = l->max_depth && l->max_depth < DEFAULT_MAX_DEPTH ?
						 l->max_depth : DEFAULT_MAX_DEPTH },
	};
	size_t swept = 0;
	int r = libs_load(&im.libs, err);

	if (r == 0)
		r = store_sweep_work(store, &swept, err);
	if (r == 0)
		r = im.layers_fd = store_dir(store, "layers", err);
	if (r >= 0)
		r = im.work_fd = store_dir(store, "work", err);
	if (r >= 0)
		r = import_image(&im, &image, err);
	source_close(&im.source);
	auto_closep(&im.layers_fd);
	auto_closep(&im.work_fd);
	if (r < 0)
		return error_wrap(err, r, "cannot import %s", o->source);
	*ret = image;
	*ret_new = im.n_new;
	return 0;
}
