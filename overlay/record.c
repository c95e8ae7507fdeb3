/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - the store's JSON: one record an image, one a layer
 *
 * Read back with the same strictness as anything from outside: a disk can be full, a person can have an
 * editor.
 */
#include "overlay/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "overlay/libs.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"
#include "spec/base/json.h"
#include "spec/base/rfc3339.h"

#define SHA "sha256:"

static void put_digest(struct json_w *w, const char *name, const char *hex)
{
	char text[sizeof(SHA) + OVL_HEX_BYTES];

	snprintf(text, sizeof(text), SHA "%s", hex);
	json_w_str(w, name, text);
}

static int get_digest(const struct json *v, char ret[static OVL_HEX_BYTES], struct error *err)
{
	const char *text;
	int r = json_string(v, &text, err);

	if (r == 0 && digest_parse(text, ret) < 0)
		r = error_rule(err, EINVAL, "must be a sha256 digest, not \"%.80s\"", text);
	return r;
}

static int get_text(const struct json *from, const char *name, const char **ret, struct error *err)
{
	const struct json *v = json_get(from, name);

	return v ? json_string(v, ret, err) : error_rule(err, EINVAL, "has no member %s", name);
}

static int get_count(const struct json *from, const char *name, uint64_t *ret, struct error *err)
{
	const struct json *v = json_get(from, name);

	return v ? json_uint(v, UINT64_MAX, ret, err) : error_rule(err, EINVAL, "has no member %s", name);
}

static void put_layer(struct json_w *w, const struct ovl_layer *layer)
{
	json_w_open(w, NULL, '{');
	put_digest(w, "diffId", layer->hex);
	put_digest(w, "listing", layer->listing);
	json_w_uint(w, "entries", layer->entries);
	json_w_uint(w, "bytes", layer->bytes);
	json_w_bool(w, "hasRoot", layer->has_root);
	if (layer->is_known)
		json_w_bool(w, "hidesBelow", layer->hides_below);
	json_w_close(w, '}');
}

int layer_write(int dir_fd, const struct ovl_layer *layer, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	struct json_w w = { .out = &text };
	auto_close int fd = openat(dir_fd, LAYER_RECORD, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, errno, "make " LAYER_RECORD);
	put_layer(&w, layer);
	buf_putc(&text, '\n');
	if (layer->has_root && mknodat(dir_fd, LAYER_HAS_ROOT, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return error_set(err, errno, "make " LAYER_HAS_ROOT);
	return file_write_all(fd, LAYER_RECORD, text.data, text.len, err);
}

static int layer_parse(const struct json *v, const char *hex, struct ovl_layer *ret, struct error *err)
{
	struct ovl_layer layer = { .is_known = json_get(v, "hidesBelow") };
	int r = get_digest(json_get(v, "diffId"), layer.hex, err);

	if (r == 0 && hex && strcmp(layer.hex, hex) != 0)
		r = error_rule(err, EINVAL, "is of another layer, sha256:%s", layer.hex);
	if (r == 0)
		r = get_digest(json_get(v, "listing"), layer.listing, err);
	if (r == 0)
		r = get_count(v, "entries", &layer.entries, err);
	if (r == 0)
		r = get_count(v, "bytes", &layer.bytes, err);
	if (r == 0)
		r = json_bool(json_get(v, "hasRoot"), &layer.has_root, err);
	if (r == 0 && layer.is_known)
		r = json_bool(json_get(v, "hidesBelow"), &layer.hides_below, err);
	if (r == 0)
		*ret = layer;
	return r;
}

int layer_read(int layers_fd, const char *hex, struct arena *a, struct ovl_layer *ret, struct error *err)
{
	char name[OVL_HEX_BYTES + sizeof(LAYER_RECORD) + 1], *text;
	const struct json *v;
	size_t n;

	snprintf(name, sizeof(name), "%s/" LAYER_RECORD, hex);

	int r = file_load_at(layers_fd, name, JSON_MAX_BYTES, a, &text, &n, err);

	if (r < 0)
		return error_wrap(err, r, "cannot find the layer " SHA "%s", hex);
	r = json_parse(text, n, name, a, &v, err);
	if (r == 0)
		r = layer_parse(v, hex, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read the record of the layer " SHA "%s", hex) : 0;
}

/*
 * Of a layer in an image's record one string: a run reads it, and 100 objects of six members take longer to parse
 * than 100 directories to open. "<diffID> <listing> <entries> <bytes> <flags>", flags: r has a root of its own,
 * o is opaque there, - ends them. Without the rest of it, image_fill() looks it up.
 */
static void put_known(struct json_w *w, const struct ovl_layer *layer)
{
	char text[sizeof(SHA) + 2 * OVL_HEX_BYTES + 64];

	snprintf(text, sizeof(text), SHA "%s %s %llu %llu %s%s-", layer->hex, layer->listing,
		 (unsigned long long)layer->entries, (unsigned long long)layer->bytes, layer->has_root ? "r" : "",
		 layer->hides_below ? "o" : "");
	json_w_str(w, NULL, text);
}

/* 64 hex digits and a blank. */
static bool take_hex(const char **at, char ret[static OVL_HEX_BYTES])
{
	size_t n = 0;

	for (const char *p = *at; n < OVL_HEX_BYTES - 1; n++)
		if (!((p[n] >= '0' && p[n] <= '9') || (p[n] >= 'a' && p[n] <= 'f')))
			return false;
	if ((*at)[n] != ' ')
		return false;
	memcpy(ret, *at, n);
	ret[n] = '\0';
	*at += n + 1;
	return true;
}

/* Digits and a blank. */
static bool take_count(const char **at, uint64_t *ret)
{
	const char *p = *at;
	uint64_t v = 0;

	while (*p >= '0' && *p <= '9')
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (unsigned)(*p++ - '0'), &v))
			return false;
	if (p == *at || *p != ' ')
		return false;
	*ret = v;
	*at = p + 1;
	return true;
}

static bool take_flag(const char **at, char flag)
{
	bool is_there = **at == flag;

	*at += is_there;
	return is_there;
}

static int get_known(const char *text, struct ovl_layer *ret, struct error *err)
{
	struct ovl_layer layer = { .is_known = true };
	const char *at = text + strlen(SHA);
	bool is_good = strncmp(text, SHA, strlen(SHA)) == 0 && take_hex(&at, layer.hex) && take_hex(&at, layer.listing) &&
		       take_count(&at, &layer.entries) && take_count(&at, &layer.bytes);

	if (is_good) {
		layer.has_root = take_flag(&at, 'r');
		layer.hides_below = take_flag(&at, 'o');
		is_good = strcmp(at, "-") == 0;
	}
	if (!is_good)
		return error_rule(err, EINVAL, "has a layer that cannot be read, \"%.80s\"", text);
	*ret = layer;
	return 0;
}

/* The config comes behind the record proper, on the lines that follow it: a run parses it, but only once. */
static void image_text(const struct ovl_image *image, struct buf *text)
{
	struct json_w w = { .out = text };

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "name", image->name);
	json_w_str(&w, "source", image->source);
	json_w_str(&w, "manifest", image->manifest);
	json_w_str(&w, "imported", image->imported);
	json_w_open(&w, "layers", '[');
	for (size_t i = 0; i < image->n_layers; i++) {
		if (image->layers[i].listing[0] && image->layers[i].is_known)
			put_known(&w, &image->layers[i]);
		else if (image->layers[i].listing[0])
			put_layer(&w, &image->layers[i]);
		else
			put_digest(&w, NULL, image->layers[i].hex);
	}
	json_w_close(&w, ']');
	json_w_str(&w, "configDigest", image->config_digest);
	json_w_close(&w, '}');
	buf_putc(text, '\n');
	buf_add(text, image->config, image->config_n);
	buf_putc(text, '\n');
}

int image_write(const struct ovl_store *store, const struct ovl_image *image, struct error *err)
{
	char file[NAME_MAX + 1];
	auto_buf struct buf text = BUF_INIT;
	auto_close int images = store_dir(store, "images", err);
	int r = images < 0 ? images : name_escape(image->name, file, err);

	if (r < 0)
		return r;
	image_text(image, &text);
	return store_put(store, images, file, text.data, text.len, err);
}

/* A digest alone is enough: image_fill() looks the rest up. Records of old have objects. */
static int get_layer(const struct json *v, struct ovl_layer *ret, struct error *err)
{
	if (v->type != JSON_STRING)
		return layer_parse(v, NULL, ret, err);
	return strchr(v->text, ' ') ? get_known(v->text, ret, err) : get_digest(v, ret->hex, err);
}

/* Records of old have it as a member. Whoever wants what is in it parses it. */
static int find_config(const struct json *v, const char *text, size_t head, size_t n, struct ovl_image *ret,
		       struct error *err)
{
	const struct json *config = json_get(v, "config");

	if (config) {
		ret->config = text + config->begin;
		ret->config_n = config->end - config->begin;
		return 0;
	}
	if (n < head + 2 || text[n - 1] != '\n')
		return error_rule(err, EINVAL, "has no config");
	ret->config = text + head;
	ret->config_n = n - head - 1;
	return 0;
}

/* The line that is JSON, and what follows it. */
static int image_parse(const char *text, size_t n, const char *what, struct arena *a, struct ovl_image *ret,
		       struct error *err)
{
	const char *line = memchr(text, '\n', n);
	size_t head = line ? (size_t)(line - text) + 1 : n;
	const struct json *v;
	int parsed = json_parse(text, head, what, a, &v, err);

	if (parsed < 0)
		return parsed;

	const struct json *layers = json_get(v, "layers");
	struct ovl_image image = { 0 };
	int r = get_text(v, "name", &image.name, err);

	if (r == 0)
		r = get_text(v, "source", &image.source, err);
	if (r == 0)
		r = get_text(v, "manifest", &image.manifest, err);
	if (r == 0)
		r = get_text(v, "imported", &image.imported, err);
	if (r == 0)
		r = get_text(v, "configDigest", &image.config_digest, err);
	if (r == 0 && (!layers || layers->type != JSON_ARRAY))
		r = error_rule(err, EINVAL, "has no layers");
	if (r == 0)
		r = find_config(v, text, head, n, &image, err);
	if (r < 0)
		return r;
	image.layers = arena_array(a, layers->count + 1, sizeof(*image.layers));
	json_each(layer, layers) {
		r = get_layer(layer, &image.layers[image.n_layers++], err);
		if (r < 0)
			return r;
	}
	*ret = image;
	return 0;
}

int image_check(const struct ovl_image *image, struct arena *a, struct error *err)
{
	struct ovl_image again;
	auto_buf struct buf text = BUF_INIT;
	const struct json *v;

	/* As `layer show` tells it: a member of something larger. */
	buf_putc(&text, '[');
	buf_add(&text, image->config, image->config_n);
	buf_putc(&text, ']');

	int r = json_parse(text.data, text.len, "the image's config", a, &v, err);

	buf_reset(&text);
	image_text(image, &text);
	if (r == 0 && text.len > JSON_MAX_BYTES)
		r = error_rule(err, EFBIG, "the image's record is larger than %u bytes", JSON_MAX_BYTES);
	if (r == 0)
		r = image_parse(text.data, text.len, "the image's record", a, &again, err);
	return r < 0 ? error_wrap(err, r, "the image's config cannot be kept") : 0;
}

int image_read(int images_fd, const char *file, struct arena *a, struct ovl_image *ret, struct error *err)
{
	char *text;
	size_t n;
	int r = file_load_at(images_fd, file, JSON_MAX_BYTES, a, &text, &n, err);

	if (r == 0)
		r = image_parse(text, n, file, a, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read the image record images/%s", file) : 0;
}

int image_fill(const struct ovl_store *store, struct ovl_image *image, struct arena *a,
	       struct error *err)
{
	auto_close int layers = store_dir(store, "layers", err);
	int r = layers < 0 ? layers : 0;

	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		struct ovl_layer *layer = &image->layers[i];

		/* Is it there at all? What reads it, if it is not, has the message. */
		if (!layer->listing[0] || faccessat(layers, layer->hex, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			r = layer_read(layers, layer->hex, a, layer, err);
	}
	if (r < 0)
		return error_wrap(err, r, "image %s is incomplete", image->name);

	struct ovl_layer *once = arena_array(a, image->n_layers + 1, sizeof(*once));
	size_t n = layers_once(image->layers, image->n_layers, once);

	image->bytes = 0;
	for (size_t i = 0; i < n; i++)
		image->bytes += once[i].bytes;
	return 0;
}

size_t layers_once(const struct ovl_layer *layers, size_t n, struct ovl_layer *ret)
{
	size_t kept = 0;

	if (n && ret != layers)
		memcpy(ret, layers, n * sizeof(*ret));
	qsort(ret, n, sizeof(*ret), layer_by_hex);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(ret[kept - 1].hex, ret[i].hex) != 0)
			ret[kept++] = ret[i];
	return kept;
}
