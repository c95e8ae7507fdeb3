/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See image_config.h.
 */
#include "overlay/image_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "overlay/machine.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

#define CREATED_BY "bulkhead commit"

/* A parsed document and the text its values span. */
struct doc {
	const struct json *v; /* NULL: none */
	const char *text;
};

static int read_object(const char *text, size_t n, const char *what, struct arena *a, struct doc *ret,
		       struct error *err)
{
	int r;

	if (!text)
		return 0;
	r = json_parse(text, n, what, a, &ret->v, err);
	if (r < 0)
		return r;
	ret->text = text;
	return ret->v->type == JSON_OBJECT ? 0 : error_rule(err, EINVAL, "%s is no object", what);
}

static void add_raw(struct json_w *w, const char *name, const struct json *v, const char *text)
{
	json_w_raw(w, name, text + v->begin, v->end - v->begin);
}

static bool is_object(const struct json *v)
{
	return v && v->type == JSON_OBJECT;
}

static const char *text_of(const struct json *v, const char *otherwise)
{
	return v && v->type == JSON_STRING ? v->text : otherwise;
}

static bool is_array(const struct json *v)
{
	return v && v->type == JSON_ARRAY;
}

/* ---- "config", with changes over it ---- */

static bool is_same_variable(const struct json *a, const struct json *b)
{
	size_t n;

	if (a->type != JSON_STRING || b->type != JSON_STRING)
		return false;
	n = strcspn(a->text, "=");
	return n == strcspn(b->text, "=") && !strncmp(a->text, b->text, n);
}

static const struct json *find_variable(const struct json *list, const struct json *like)
{
	const struct json *found = NULL;

	json_each(v, list) {
		if (is_same_variable(v, like))
			found = v; /* the last one counts */
	}
	return found;
}

/* Variables that are set anew stay in their places. */
static void merge_env(struct json_w *w, const struct json *base, const char *base_text,
		      const struct json *change, const char *change_text)
{
	json_w_open(w, "Env", '[');
	json_each(v, base) {
		const struct json *other = find_variable(change, v);

		add_raw(w, NULL, other ? other : v, other ? change_text : base_text);
	}
	json_each(v, change) {
		if (!find_variable(base, v) && find_variable(change, v) == v)
			add_raw(w, NULL, v, change_text);
	}
	json_w_close(w, ']');
}

/* Labels, ports and volumes: sets that a change adds to. */
static void merge_set(struct json_w *w, const char *name, const struct json *base, const char *base_text,
		      const struct json *change, const char *change_text)
{
	json_w_open(w, name, '{');
	json_each(v, base) {
		const struct json *other = json_get(change, v->name);

		add_raw(w, v->name, other ? other : v, other ? change_text : base_text);
	}
	json_each(v, change) {
		if (!json_get(base, v->name))
			add_raw(w, v->name, v, change_text);
	}
	json_w_close(w, '}');
}

static void merge_member(struct json_w *w, const struct json *v, const char *text, const struct json *change,
			 const char *change_text)
{
	if (!change)
		add_raw(w, v->name, v, text);
	else if (change->type == JSON_NULL)
		return;
	else if (!strcmp(v->name, "Env") && is_array(v) && is_array(change))
		merge_env(w, v, text, change, change_text);
	else if (is_object(v) && is_object(change))
		merge_set(w, v->name, v, text, change, change_text);
	else
		add_raw(w, v->name, change, change_text);
}

static void add_container_config(struct json_w *w, const struct json *base, const char *text,
				 const struct doc *change)
{
	json_w_open(w, "config", '{');
	json_each(v, is_object(base) ? base : NULL) {
		merge_member(w, v, text, json_get(change->v, v->name), change->text);
	}
	json_each(v, change->v) {
		if (v->type != JSON_NULL && !(is_object(base) && json_get(base, v->name)))
			add_raw(w, v->name, v, change->text);
	}
	json_w_close(w, '}');
}

/* ---- "rootfs" and "history" ---- */

static void add_digest(struct json_w *w, const char *name, const char *hex)
{
	char text[OVL_HEX_BYTES + 8];

	snprintf(text, sizeof(text), "sha256:%s", hex);
	json_w_str(w, name, text);
}

static void add_rootfs(struct json_w *w, const struct image_plan *p)
{
	json_w_open(w, "rootfs", '{');
	json_w_str(w, "type", "layers");
	json_w_open(w, "diff_ids", '[');
	for (size_t i = 0; i < p->n_layers; i++)
		add_digest(w, NULL, p->layers[i].diff);
	json_w_close(w, ']');
	json_w_close(w, '}');
}

static size_t count_layers(const struct json *history)
{
	size_t n = 0;

	json_each(v, history) {
		const struct json *empty = json_get(v, "empty_layer");

		n += !(empty && empty->type == JSON_BOOL && empty->boolean);
	}
	return n;
}

static void add_event(struct json_w *w, const char *created, const char *by, const struct image_plan *p,
		      bool is_empty)
{
	json_w_open(w, NULL, '{');
	json_w_str(w, "created", created);
	json_w_str(w, "created_by", by);
	if (p && p->o->author)
		json_w_str(w, "author", p->o->author);
	if (p && p->o->comment)
		json_w_str(w, "comment", p->o->comment);
	if (is_empty)
		json_w_bool(w, "empty_layer", true);
	json_w_close(w, '}');
}

/* Tools pair the entries that are not empty with the layers: a history that does not add up is begun anew. */
static void add_history(struct json_w *w, const struct image_plan *p, const struct json *base,
			const char *text, const char *created)
{
	size_t known = is_array(base) ? count_layers(base) : 0, others = p->n_layers - p->has_new;

	json_w_open(w, "history", '[');
	if (known > p->n_base)
		known = 0;
	else
		json_each(v, is_array(base) ? base : NULL)
			add_raw(w, NULL, v, text);
	for (size_t i = known; i < others; i++)
		add_event(w, created, i < p->n_base ? "unknown" : "bulkhead commit (a directory below)", NULL, false);
	add_event(w, created, CREATED_BY, p, !p->has_new);
	json_w_close(w, ']');
}

/* ---- the config ---- */

static bool is_ours(const char *name)
{
	static const char *const names[] = { "created", "author", "config", "rootfs", "history" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void add_machine(struct json_w *w, const struct json *base)
{
	if (!json_get(base, "architecture"))
		json_w_str(w, "architecture", MACHINE);
	if (!json_get(base, "os"))
		json_w_str(w, "os", "linux");
}

static bool says_nothing_new(const struct image_plan *p, const struct doc *base)
{
	const struct json *ids = json_get(json_get(base->v, "rootfs"), "diff_ids");
	size_t i = 0;

	if (p->has_new || p->o->config || p->o->author || p->o->comment || p->o->created || !ids ||
	    ids->count != p->n_layers)
		return false;
	json_each(id, ids) {
		if (id->type != JSON_STRING || strncmp(id->text, "sha256:", 7) != 0 ||
		    strcmp(id->text + 7, p->layers[i++].diff) != 0)
			return false;
	}
	return true;
}

int image_config(const struct image_plan *p, struct arena *a, struct buf *out, struct error *err)
{
	struct doc base = { 0 }, change = { 0 };
	struct json_w w = { .out = out };
	const char *created;
	int r = read_object(p->base, p->base_n, "the base image's config", a, &base, err);

	if (r == 0)
		r = read_object(p->o->config, p->o->config ? strlen(p->o->config) : 0, "the change of the config", a,
				&change, err);
	if (r < 0)
		return r;
	if (base.v && says_nothing_new(p, &base)) {
		buf_add(out, p->base, p->base_n);
		return 0;
	}
	created = p->created ? p->created : text_of(json_get(base.v, "created"), "1970-01-01T00:00:00Z");
	json_w_open(&w, NULL, '{');
	json_w_str(&w, "created", created);
	if (p->o->author)
		json_w_str(&w, "author", p->o->author);
	else if (json_get(base.v, "author"))
		add_raw(&w, "author", json_get(base.v, "author"), base.text);
	json_each(v, base.v) {
		if (!is_ours(v->name))
			add_raw(&w, v->name, v, base.text);
	}
	add_machine(&w, base.v);
	add_container_config(&w, json_get(base.v, "config"), base.text, &change);
	add_rootfs(&w, p);
	add_history(&w, p, json_get(base.v, "history"), base.text, created);
	json_w_close(&w, '}');
	return 0;
}

/* ---- the manifest ---- */

static void add_descriptor(struct json_w *w, const char *name, const char *type, const char *hex, uint64_t size)
{
	json_w_open(w, name, '{');
	json_w_str(w, "mediaType", type);
	add_digest(w, "digest", hex);
	json_w_uint(w, "size", size);
	json_w_close(w, '}');
}

void image_manifest(const struct image_plan *p, const char *config_hex, size_t config_n, struct buf *out)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	json_w_int(&w, "schemaVersion", 2);
	json_w_str(&w, "mediaType", "application/vnd.oci.image.manifest.v1+json");
	add_descriptor(&w, "config", "application/vnd.oci.image.config.v1+json", config_hex, config_n);
	json_w_open(&w, "layers", '[');
	for (size_t i = 0; i < p->n_layers; i++)
		add_descriptor(&w, NULL, p->layers[i].media_type, p->layers[i].blob, p->layers[i].size);
	json_w_close(&w, ']');
	json_w_close(&w, '}');
}
