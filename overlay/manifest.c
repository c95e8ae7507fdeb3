/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See manifest.h. Follows image-spec v1.1 (image-layout.md, image-index.md, manifest.md, config.md), and for
 * docker-archive the manifest.json of Docker's image save format v1.2.
 */
#include "overlay/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "overlay/machine.h"
#include "spec/base/buf.h"
#include "spec/base/json.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define MAX_NESTING 4 /* an index in an index: nobody writes more than one */
#define MAX_LAYERS 4096

struct reader {
	const struct source *s;
	const struct libs *libs;
	struct arena *a;
};

static const char *text_of(const struct json *v)
{
	return v && v->type == JSON_STRING ? v->text : "";
}

/* ---- blobs by descriptor ---- */

static int read_descriptor(const struct json *d, const char *what, char hex[static OVL_HEX_BYTES],
			   uint64_t *ret_size, struct error *err)
{
	const struct json *size = json_get(d, "size");

	if (digest_parse(text_of(json_get(d, "digest")), hex) < 0)
		return error_rule(err, EINVAL, "the descriptor of %s has no sha256 digest: \"%.100s\"", what,
				  text_of(json_get(d, "digest")));
	if (!size || json_uint(size, INT64_MAX, ret_size, err) < 0)
		return error_rule(err, EINVAL, "the descriptor of %s has no size", what);
	return 0;
}

static const char *blob_path(struct arena *a, const char *hex)
{
	return arena_printf(a, "blobs/sha256/%s", hex);
}

/* Reads a small blob and checks it against its descriptor. */
static int read_blob(const struct reader *rd, const struct json *d, const char *what, char **ret,
		     size_t *ret_n, char hex[static OVL_HEX_BYTES], struct error *err)
{
	char got[OVL_HEX_BYTES];
	uint64_t size = 0;
	int r = read_descriptor(d, what, hex, &size, err);

	if (r == 0)
		r = source_read(rd->s, blob_path(rd->a, hex), rd->a, ret, ret_n, err);
	if (r < 0)
		return error_wrap(err, r, "cannot read %s", what);
	if (*ret_n != size)
		return error_rule(err, EBADMSG, "%s has %zu bytes, its descriptor says %llu", what, *ret_n,
				  (unsigned long long)size);
	sha256_of(rd->libs, *ret, *ret_n, got);
	if (strcmp(got, hex) != 0)
		return error_rule(err, EBADMSG, "%s has the digest sha256:%s, not sha256:%s", what, got, hex);
	return 0;
}

static int parse(const struct reader *rd, const char *text, size_t n, const char *what,
		 const struct json **ret, struct error *err)
{
	int r = json_parse(text, n, what, rd->a, ret, err);

	return r < 0 ? error_wrap(err, r, "cannot read %s of %s", what, rd->s->ref.path) : 0;
}

/* ---- the config ---- */

static int take_config(const struct reader *rd, struct manifest *m, const char *text, size_t n,
		       struct error *err)
{
	const struct json *v, *ids;
	char hex[OVL_HEX_BYTES];
	int r = parse(rd, text, n, "the image's config", &v, err);

	if (r < 0)
		return r;
	if (json_get(v, "os") && strcmp(text_of(json_get(v, "os")), "linux") != 0)
		return error_rule(err, ENOTSUP, "the image is for %.40s, not for linux", text_of(json_get(v, "os")));
	ids = json_get(json_get(v, "rootfs"), "diff_ids");
	if (!ids || ids->type != JSON_ARRAY)
		return error_rule(err, EINVAL, "the image's config has no rootfs.diff_ids");
	if (ids->count != m->n_layers)
		return error_rule(err, EINVAL, "the image has %zu layers and its config %zu diff_ids", m->n_layers,
				  ids->count);

	size_t i = 0;

	json_each(id, ids) {
		if (digest_parse(text_of(id), m->layers[i].diff) < 0)
			return error_rule(err, EINVAL, "diff_ids %zu is no sha256 digest: \"%.100s\"", i, text_of(id));
		i++;
	}
	sha256_of(rd->libs, text, n, hex);
	m->config = text;
	m->config_n = n;
	m->config_digest = arena_printf(rd->a, "sha256:%s", hex);
	return 0;
}

static int begin_layers(const struct reader *rd, struct manifest *m, const struct json *layers,
			struct error *err)
{
	if (!layers || layers->type != JSON_ARRAY)
		return error_rule(err, EINVAL, "the image's manifest has no layers");
	if (layers->count > MAX_LAYERS)
		return error_rule(err, E2BIG, "the image has %zu layers, more than %d", layers->count, MAX_LAYERS);
	m->layers = arena_array(rd->a, layers->count + 1, sizeof(*m->layers));
	return 0;
}

/* ---- OCI ---- */

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

/* Docker's types say ".tar.gzip", OCI's ".tar+gzip"; an encrypted layer has a further "+encrypted". */
static bool is_tar_type(const char *type)
{
	return ends_in(type, ".tar") || ends_in(type, ".tar+gzip") || ends_in(type, ".tar+zstd") ||
	       ends_in(type, ".tar.gzip") || ends_in(type, ".tar.zstd");
}

static int take_layer(const struct reader *rd, struct manifest *m, const struct json *d,
		      struct error *err)
{
	struct manifest_layer *layer = &m->layers[m->n_layers];
	const char *type = text_of(json_get(d, "mediaType"));
	char what[32];

	snprintf(what, sizeof(what), "layer %zu", ++m->n_layers);
	if (!is_tar_type(type))
		return error_rule(err, ENOTSUP, "%s has the media type \"%.100s\", which cannot be unpacked", what,
				  type);

	int r = read_descriptor(d, what, layer->blob, &layer->size, err);

	layer->member = blob_path(rd->a, layer->blob);
	return r;
}

static int take_manifest(const struct reader *rd, const struct json *v, struct manifest *m,
			 struct error *err)
{
	const struct json *layers = json_get(v, "layers");
	char hex[OVL_HEX_BYTES], *config;
	size_t n;
	int r = begin_layers(rd, m, layers, err);

	json_each(d, layers) {
		if (r == 0)
			r = take_layer(rd, m, d, err);
	}
	if (r == 0)
		r = read_blob(rd, json_get(v, "config"), "the image's config", &config, &n, hex, err);
	return r < 0 ? r : take_config(rd, m, config, n, err);
}

/* Lists what could have been chosen, for the message. */
static const char *offered_tags(const struct reader *rd, const struct json *manifests)
{
	struct buf b = BUF_INIT;

	json_each(d, manifests) {
		const char *tag = text_of(json_get(json_get(d, "annotations"), REF_NAME));

		if (*tag && b.len < 300)
			buf_printf(&b, "%s%s", b.len ? ", " : "", tag);
	}

	const char *text = b.len ? arena_strdup(rd->a, b.data) : "none";

	buf_release(&b);
	return text;
}

static int choose_by_tag(const struct reader *rd, const struct json *manifests, const char *tag,
			 const struct json **ret, struct error *err)
{
	json_each(d, manifests) {
		const char *name = text_of(json_get(json_get(d, "annotations"), REF_NAME));

		if (tag ? !strcmp(name, tag) : manifests->count == 1) {
			*ret = d;
			return 0;
		}
	}

	int r = tag ? error_rule(err, ENOENT, "%s has no image with the tag \"%s\"", rd->s->ref.path, tag) :
		      error_rule(err, EINVAL, "%s has %zu images: say which one by its tag", rd->s->ref.path,
				 manifests->count);

	error_hint(err, "its tags: %s", offered_tags(rd, manifests));
	return r;
}

static int choose_by_platform(const struct json *manifests, const struct json **ret, struct error *err)
{
	json_each(d, manifests) {
		const struct json *platform = json_get(d, "platform");

		if (!strcmp(text_of(json_get(platform, "os")), "linux") &&
		    !strcmp(text_of(json_get(platform, "architecture")), MACHINE)) {
			*ret = d;
			return 0;
		}
	}
	return error_rule(err, ENOENT, "the image index has nothing for linux/" MACHINE);
}

static int read_oci(const struct reader *rd, struct manifest *m, struct error *err)
{
	const struct json *v = NULL, *chosen = NULL;
	char *text, hex[OVL_HEX_BYTES];
	size_t n;
	int r = source_read(rd->s, "index.json", rd->a, &text, &n, err);

	if (r == 0)
		r = parse(rd, text, n, "index.json", &v, err);
	for (int depth = 0; r == 0; depth++) {
		const struct json *manifests = json_get(v, "manifests");

		/* Index for one reader, manifest for another: CVE-2021-41190. */
		if (manifests && (json_get(v, "layers") || json_get(v, "config")))
			return error_rule(err, EINVAL, "%s has an image index that is a manifest, too",
					  rd->s->ref.path);
		if (!manifests && depth > 0)
			break;
		if (!manifests || manifests->type != JSON_ARRAY)
			return error_rule(err, EINVAL, "index.json of %s has no manifests", rd->s->ref.path);
		if (depth > MAX_NESTING)
			return error_rule(err, ELOOP, "the image index of %s has no end", rd->s->ref.path);
		r = depth == 0 ? choose_by_tag(rd, manifests, rd->s->ref.tag, &chosen, err) :
				 choose_by_platform(manifests, &chosen, err);
		if (r == 0)
			r = read_blob(rd, chosen, "the image's manifest", &text, &n, hex, err);
		if (r == 0)
			r = parse(rd, text, n, "the image's manifest", &v, err);
	}
	if (r < 0)
		return r;
	m->digest = arena_printf(rd->a, "sha256:%s", hex);
	return take_manifest(rd, v, m, err);
}

/* ---- docker save ---- */

/* "web", "library/web" and "docker.io/library/web" are one image: the short one (Docker's reference rules). */
static const char *familiar(const char *ref)
{
	static const char *const prefixes[] = { "index.docker.io/", "docker.io/", "library/" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(ref, prefixes[i], strlen(prefixes[i])))
			ref += strlen(prefixes[i]);
	return ref;
}

static bool is_tagged(const struct json *image, const char *ref)
{
	ref = familiar(ref);
	json_each(tag, json_get(image, "RepoTags")) {
		const char *text = familiar(text_of(tag));
		size_t n = strlen(ref);

		if (!strncmp(text, ref, n) && (!text[n] || !strcmp(text + n, ":latest")))
			return true;
	}
	return false;
}

static const char *offered_refs(const struct reader *rd, const struct json *images)
{
	struct buf b = BUF_INIT;

	json_each(image, images) {
		json_each(tag, json_get(image, "RepoTags")) {
			if (b.len < 300)
				buf_printf(&b, "%s%s", b.len ? ", " : "", text_of(tag));
		}
	}

	const char *text = b.len ? arena_strdup(rd->a, b.data) : "none";

	buf_release(&b);
	return text;
}

static int choose_docker(const struct reader *rd, const struct json *v, const struct json **ret,
			 struct error *err)
{
	const char *ref = rd->s->ref.tag;

	if (v->type != JSON_ARRAY || v->count == 0)
		return error_rule(err, EINVAL, "manifest.json of %s lists no images", rd->s->ref.path);
	json_each(image, v) {
		if (ref ? is_tagged(image, ref) : v->count == 1) {
			*ret = image;
			return 0;
		}
	}

	int r = ref ? error_rule(err, ENOENT, "%s has no image \"%s\"", rd->s->ref.path, ref) :
		      error_rule(err, EINVAL, "%s has %zu images: say which one by its name", rd->s->ref.path,
				 v->count);

	error_hint(err, "its images: %s", offered_refs(rd, v));
	return r;
}

/* Docker names files by their digest: "<hex>.json", "blobs/sha256/<hex>". "": the name says nothing. */
static void digest_in_name(const char *name, char ret[static OVL_HEX_BYTES])
{
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;

	ret[0] = '\0';
	if (strspn(base, "0123456789abcdef") == 64 && (!base[64] || !strcmp(base + 64, ".json")))
		snprintf(ret, OVL_HEX_BYTES, "%.64s", base);
}

static int read_docker(const struct reader *rd, struct manifest *m, struct error *err)
{
	const struct json *v, *image = NULL;
	char *text, hex[OVL_HEX_BYTES];
	size_t n;
	int r = source_read(rd->s, "manifest.json", rd->a, &text, &n, err);

	if (r == 0)
		r = parse(rd, text, n, "manifest.json", &v, err);
	if (r == 0)
		r = choose_docker(rd, v, &image, err);
	if (r == 0)
		r = begin_layers(rd, m, json_get(image, "Layers"), err);
	if (r < 0)
		return r;
	json_each(layer, json_get(image, "Layers")) {
		struct manifest_layer *to = &m->layers[m->n_layers++];

		*to = (struct manifest_layer){ .member = text_of(layer), .size = UINT64_MAX };
		digest_in_name(to->member, to->blob);
	}
	m->digest = "";
	digest_in_name(text_of(json_get(image, "Config")), hex);
	r = source_read(rd->s, text_of(json_get(image, "Config")), rd->a, &text, &n, err);
	if (r == 0)
		r = take_config(rd, m, text, n, err);
	if (r == 0 && *hex && strcmp(hex, m->config_digest + strlen("sha256:")) != 0)
		r = error_rule(err, EBADMSG, "the image's config has the digest %s, not sha256:%s",
			       m->config_digest, hex);
	return r;
}

int manifest_read(const struct source *s, const struct libs *libs, struct arena *a, struct manifest *ret,
		  struct error *err)
{
	const struct reader rd = { .s = s, .libs = libs, .a = a };
	struct manifest m = { 0 };
	int r = s->ref.kind == SOURCE_DOCKER_ARCHIVE ? read_docker(&rd, &m, err) : read_oci(&rd, &m, err);

	if (r == 0)
		*ret = m;
	return r;
}
