/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See base.h.
 */
#include "overlay/base.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h> /* FICLONE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "overlay/layer_write.h"
#include "overlay/manifest.h"
#include "overlay/record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/log.h"
#include "spec/base/oom.h"

#define COPY_BYTES    (256u << 10)
#define SPOOL_BYTES   (64ull << 30)
#define MAX_IMAGES    10000 /* of the target that are looked at */

struct bringer {
	const struct ovl_store *store;
	const struct layout *target;
	const struct libs *libs;
	const struct ovl_commit *o;
	struct arena *a;
	const char *source; /* of the image; NULL: there is none */

	struct image_layer *known; /* what the target's images say */
	size_t n_known, cap_known;

	bool tried_source, has_source;
	struct source from;
	struct manifest manifest;
};

static enum ovl_compression compression_of(const unsigned char *b, size_t n)
{
	if (!stream_is_packed(b, n))
		return OVL_PLAIN;
	return b[0] == 0x1f ? OVL_GZIP : OVL_ZSTD;
}

/* ---- what the target has ---- */

static const char *text_of(const struct json *v)
{
	return v && v->type == JSON_STRING ? v->text : "";
}

static const struct json *read_blob(struct bringer *b, const struct json *descriptor)
{
	char hex[OVL_HEX_BYTES], *text;
	const struct json *v;
	size_t n;

	if (digest_parse(text_of(json_get(descriptor, "digest")), hex) < 0 ||
	    file_load_at(b->target->blobs_fd, hex, JSON_MAX_BYTES, b->a, &text, &n, NULL) < 0 ||
	    json_parse(text, n, hex, b->a, &v, NULL) < 0)
		return NULL;
	return v;
}

static void know(struct bringer *b, const struct json *layer, const struct json *id)
{
	const char *type = text_of(json_get(layer, "mediaType"));
	const struct json *size = json_get(layer, "size");
	struct image_layer l;

	if (digest_parse(text_of(id), l.diff) < 0 || digest_parse(text_of(json_get(layer, "digest")), l.blob) < 0 ||
	    !size || json_uint(size, INT64_MAX, &l.size, NULL) < 0)
		return;
	l.media_type = pack_media_type(strstr(type, "zstd") ? OVL_ZSTD : strstr(type, "gzip") ? OVL_GZIP : OVL_PLAIN);
	if (b->n_known == b->cap_known) {
		size_t cap = b->cap_known ? b->cap_known * 2 : 32;
		struct image_layer *more = arena_array(b->a, cap, sizeof(*more));

		if (b->n_known)
			memcpy(more, b->known, b->n_known * sizeof(*more));
		b->known = more;
		b->cap_known = cap;
	}
	b->known[b->n_known++] = l;
}

/* An image whose parts do not fit together is no help, and none of our business. */
static void know_image(struct bringer *b, const struct json *descriptor)
{
	const struct json *manifest = read_blob(b, descriptor);
	const struct json *layers = json_get(manifest, "layers");
	const struct json *config = layers ? read_blob(b, json_get(manifest, "config")) : NULL;
	const struct json *ids = json_get(json_get(config, "rootfs"), "diff_ids");

	if (!ids || ids->type != JSON_ARRAY || layers->type != JSON_ARRAY || ids->count != layers->count)
		return;

	const struct json *id = ids->first;

	json_each(layer, layers) {
		know(b, layer, id);
		id = id->next;
	}
}

static int know_target(struct bringer *b, struct error *err)
{
	const struct json *index;
	const char *text;
	int n = 0, r = layout_index(b->target, b->a, &index, &text, err);

	if (r < 0)
		return r;
	json_each(descriptor, json_get(index, "manifests")) {
		if (n++ < MAX_IMAGES)
			know_image(b, descriptor);
	}
	return 0;
}

static bool find_known(const struct bringer *b, const char *diff, struct image_layer *ret)
{
	for (size_t i = 0; i < b->n_known; i++) {
		const struct image_layer *l = &b->known[i];

		if (!strcmp(l->diff, diff) && layout_has(b->target, l->blob, l->size, NULL)) {
			*ret = *l;
			return true;
		}
	}
	return false;
}

/* ---- from the source ---- */

static bool open_source(struct bringer *b)
{
	struct source_ref ref;
	auto_close int work = b->tried_source || !b->source ? -1 : store_dir(b->store, "work", NULL);

	if (work < 0)
		return b->has_source;
	b->tried_source = true;
	b->from.fd = -1;
	b->has_source = source_parse(b->source, b->a, &ref, NULL) == 0 &&
			source_open(&b->from, b->libs, &ref, work, SPOOL_BYTES, b->a, NULL) == 0 &&
			manifest_read(&b->from, b->libs, b->a, &b->manifest, NULL) == 0;
	return b->has_source;
}

static int read_at(const struct blob *from, uint64_t at, void *to, size_t n, struct error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(from->fd, (char *)to + done, n - done, (off_t)(from->offset + at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(err, got < 0 ? errno : EBADMSG, "read %s", from->name);
		done += (size_t)got;
	}
	return 0;
}

/* Every byte is read whatever is shared: a source's file may have been written to since. */
static int copy_blob(const struct bringer *b, const struct blob *from, int to, struct sha256 *sha,
		     struct error *err)
{
	auto_free char *block = malloc(COPY_BYTES);
	struct blob shared = { .fd = to, .size = from->size, .name = "the blob" };
	struct stat st;
	bool is_shared = from->offset == 0 && fstat(from->fd, &st) == 0 && (uint64_t)st.st_size == from->size &&
			 ioctl(to, FICLONE, from->fd) == 0;
	int r = 0;

	if (!block)
		oom_die();
	for (uint64_t at = 0; r == 0 && at < from->size;) {
		size_t n = from->size - at < COPY_BYTES ? (size_t)(from->size - at) : COPY_BYTES;

		r = read_at(is_shared ? &shared : from, at, block, n, err);
		if (r == 0 && !is_shared)
			r = file_write_all(to, "a blob", block, n, err);
		sha256_add(b->libs, sha, block, n);
		at += n;
	}
	return r;
}

static int refuse_digest(const struct manifest_layer *ml, const char *hex, struct error *err)
{
	return error_rule(err, EBADMSG, "%s has the digest sha256:%s now", ml->member, hex);
}

static int take_packed(const struct bringer *b, const struct manifest_layer *ml, const struct blob *from,
		       const char *expected, struct image_layer *ret, struct error *err)
{
	auto_blob struct layout_blob to = LAYOUT_BLOB_INIT;
	struct sha256 sha;
	int r = layout_begin_blob(b->target, &to, err);

	sha256_begin(b->libs, &sha);
	if (r == 0)
		r = copy_blob(b, from, to.fd, &sha, err);
	if (r < 0)
		return r;
	sha256_end_hex(b->libs, &sha, ret->blob);
	if (strcmp(ret->blob, expected) != 0)
		return refuse_digest(ml, ret->blob, err);
	ret->size = from->size;
	return layout_end_blob(b->target, &to, ret->blob, err);
}

static int finish_pack(const struct bringer *b, struct pack *p, const struct layout_blob *to, struct image_layer *ret,
		       struct error *err)
{
	int r = pack_end(p, err);

	if (r == 0)
		r = layout_end_blob(b->target, to, p->blob_hex, err);
	if (r < 0)
		return r;
	memcpy(ret->blob, p->blob_hex, sizeof(ret->blob));
	memcpy(ret->diff, p->diff_hex, sizeof(ret->diff));
	ret->size = p->packed_bytes;
	ret->media_type = pack_media_type(p->compression);
	return 0;
}

/* `docker save` writes layers as they are; an image has them compressed, unless asked otherwise. */
static int take_plain(const struct bringer *b, const struct manifest_layer *ml, const struct blob *from,
		      struct image_layer *ret, struct error *err)
{
	auto_free char *block = malloc(COPY_BYTES);
	auto_blob struct layout_blob to = LAYOUT_BLOB_INIT;
	auto_pack struct pack p = { .fd = -1 };
	int r = layout_begin_blob(b->target, &to, err);

	if (r == 0)
		r = pack_begin(&p, b->libs, to.fd, "a blob", b->o->compression, b->o->level, err);

	if (!block)
		oom_die();
	for (uint64_t at = 0; r == 0 && at < from->size;) {
		size_t n = from->size - at < COPY_BYTES ? (size_t)(from->size - at) : COPY_BYTES;

		r = read_at(from, at, block, n, err);
		if (r == 0)
			r = pack_add(&p, block, n, err);
		at += n;
	}
	if (r == 0)
		r = pack_end(&p, err);
	if (r == 0 && strcmp(p.diff_hex, ml->diff) != 0)
		r = refuse_digest(ml, p.diff_hex, err);
	if (r == 0)
		r = layout_end_blob(b->target, &to, p.blob_hex, err);
	if (r < 0)
		return r;
	memcpy(ret->blob, p.blob_hex, sizeof(ret->blob));
	ret->size = p.packed_bytes;
	ret->media_type = pack_media_type(p.compression);
	return 0;
}

static int take_member(const struct bringer *b, const struct manifest_layer *ml, struct image_layer *ret,
		       struct error *err)
{
	unsigned char magic[8] = { 0 };
	struct blob from;
	int r = source_member(&b->from, ml->member, &from, err);

	if (r < 0)
		return r;

	auto_close int fd = from.fd;

	if (ml->size != UINT64_MAX && from.size != ml->size)
		return error_rule(err, EBADMSG, "%s has %llu bytes now", ml->member, (unsigned long long)from.size);
	r = read_at(&from, 0, magic, from.size < sizeof(magic) ? (size_t)from.size : sizeof(magic), err);
	if (r < 0)
		return r;

	enum ovl_compression c = compression_of(magic, sizeof(magic));

	ret->media_type = pack_media_type(c);
	if (b->from.ref.kind == SOURCE_DOCKER_ARCHIVE)
		return c == OVL_PLAIN ? take_plain(b, ml, &from, ret, err) :
					error_rule(err, ENOTSUP, "%s is compressed, and nothing says what its digest is", ml->member);
	if (!layout_has(b->target, ml->blob, from.size, NULL))
		return take_packed(b, ml, &from, ml->blob, ret, err);
	memcpy(ret->blob, ml->blob, sizeof(ret->blob));
	ret->size = from.size;
	return 0;
}

/* 1: it was there. 0: not, or not as it was; -ENOSPC and the like end the commit. */
static int from_source(struct bringer *b, const char *diff, struct image_layer *ret, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!open_source(b))
		return 0;
	for (size_t i = 0; i < b->manifest.n_layers; i++) {
		int r;

		if (strcmp(b->manifest.layers[i].diff, diff) != 0)
			continue;
		memcpy(ret->diff, diff, sizeof(ret->diff));
		r = take_member(b, &b->manifest.layers[i], ret, &why);
		if (r == 0)
			return 1;
		if (r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -EFBIG) {
			if (err)
				*err = why;
			return r;
		}
	}
	return 0;
}

/* ---- from a tree ---- */

static int open_tree_of(const struct bringer *b, const struct ovl_lower *lower, bool *ret_omit_root,
			struct error *err)
{
	if (lower->hex) {
		auto_close int layers = store_dir(b->store, "layers", err);
		struct ovl_layer layer;
		int r = layers < 0 ? layers : layer_read(layers, lower->hex, b->a, &layer, err);

		*ret_omit_root = r == 0 && !layer.has_root;
		return r < 0 ? r : ovl_layer_open(b->store, lower->hex, err);
	}

	int fd = open(lower->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* path-ok: the administrator's own */

	return fd < 0 ? error_set(err, errno, "open the directory %s", lower->dir) : fd;
}

static int from_tree(const struct bringer *b, const struct ovl_lower *lower, struct image_layer *ret,
		     struct error *err)
{
	struct layer_options o = { .log = b->o->log };
	struct layer_stats stats;
	auto_pack struct pack p = { .fd = -1 };
	auto_close int tree = open_tree_of(b, lower, &o.omit_root, err);
	auto_blob struct layout_blob to = LAYOUT_BLOB_INIT;
	struct walk w = { .upper_fd = tree, .lower_fd = -1, .view_fd = tree };
	int r = tree < 0 ? tree : layout_begin_blob(b->target, &to, err);

	if (r == 0)
		r = pack_begin(&p, b->libs, to.fd, "a blob", b->o->compression, b->o->level, err);
	if (r == 0)
		r = layer_archive(&w, &p, &o, &stats, err);
	return r < 0 ? r : finish_pack(b, &p, &to, ret, err);
}

/* ---- all of them ---- */

static int bring(struct bringer *b, const struct ovl_lower *lower, struct image_layer *ret, struct error *err)
{
	int r = 0;

	if (lower->hex && find_known(b, lower->hex, ret))
		return 0;
	if (lower->hex)
		r = from_source(b, lower->hex, ret, err);
	if (r == 0) {
		if (lower->hex && b->source)
			log_warn(b->o->log,
				 "the layer sha256:%.12s is no longer at %s: it is made again, with another diffID",
				 lower->hex, b->source);
		r = from_tree(b, lower, ret, err);
	}
	if (r < 0)
		return error_wrap(err, r, "cannot bring the layer %s%.*s to %s", lower->hex ? "sha256:" : "",
				  lower->hex ? 12 : 4096, lower->hex ? lower->hex : lower->dir, b->target->path);
	return 0;
}

static bool is_before(const struct ovl_layer *layers, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(layers[k].hex, layers[i].hex))
			return true;
	return false;
}

static bool is_after(const struct ovl_layer *layers, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n; k++)
		if (!strcmp(layers[k].hex, layers[i].hex))
			return true;
	return false;
}

/*
 * Of how many of the sandbox's lowers is this the image? A layer that an image has twice is one lower, where its first
 * or its last place is. 0: of none.
 */
static size_t count_image(const struct ovl_image *image, const struct ovl_sandbox *sb)
{
	for (int last = 0; last < 2; last++) {
		size_t n = 0, i = 0;

		for (; i < image->n_layers; i++) {
			if (last ? is_after(image->layers, image->n_layers, i) : is_before(image->layers, i))
				continue;
			if (n == sb->n_lowers || !sb->lowers[n].hex || strcmp(sb->lowers[n].hex, image->layers[i].hex) != 0)
				break;
			n++;
		}
		if (i == image->n_layers)
			return n;
	}
	return 0;
}

/* The sandbox's lowers with the image's repetitions back in. */
static struct ovl_lower *plan(struct bringer *b, const struct ovl_sandbox *sb, struct base *base)
{
	struct ovl_image image;
	struct ovl_lower *v;
	size_t n_image = 0;

	if (sb->image && ovl_image_find(b->store, sb->image, b->a, &image, NULL) == 0)
		n_image = count_image(&image, sb);
	if (n_image == 0) {
		if (sb->image)
			log_warn(b->o->log, "the image %s is not in the store any more: its config is lost", sb->image);
		base->n = sb->n_lowers;
		return sb->lowers;
	}
	b->source = image.source;
	base->config = image.config;
	base->config_n = image.config_n;
	base->n_image = image.n_layers;
	base->n = image.n_layers + sb->n_lowers - n_image;
	v = arena_array(b->a, base->n + 1, sizeof(*v));
	for (size_t i = 0; i < image.n_layers; i++)
		v[i].hex = image.layers[i].hex;
	for (size_t i = n_image; i < sb->n_lowers; i++)
		v[image.n_layers + i - n_image] = sb->lowers[i];
	return v;
}

int base_bring(const struct ovl_store *store, const struct ovl_sandbox *sb, const struct layout *target,
	       const struct libs *libs, const struct ovl_commit *o, struct arena *a, struct base *ret,
	       struct error *err)
{
	struct bringer b = { .store = store, .target = target, .libs = libs, .o = o, .a = a, .from = { .fd = -1 } };
	struct base base = { 0 };
	struct ovl_lower *lowers = plan(&b, sb, &base);
	int r = know_target(&b, err);

	base.layers = arena_array(a, base.n + 1, sizeof(*base.layers));
	for (size_t i = 0; r == 0 && i < base.n; i++)
		r = bring(&b, &lowers[i], &base.layers[i], err);
	source_close(&b.from);
	if (r == 0)
		*ret = base;
	return r;
}
