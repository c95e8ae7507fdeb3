/* SPDX-License-Identifier: Apache-2.0 */

/* layer_format - what the commands of `layer` print */

#include <string.h>

#include "cli/layer.h"
#include "cli/table.h"
#include "spec/base/json.h"

enum { SHORT_HEX = 12 };

static const char *digest_of(const char *hex, struct arena *a)
{
	return arena_printf(a, "sha256:%s", hex);
}

void layer_images_table(struct buf *out, const struct ovl_image *v, size_t n, struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 5, .right = 1 << 1 | 1 << 2, .gap = 3 };

	cli_table_cells(&t, (const char *const[]){ "NAME", "LAYERS", "SIZE", "IMPORTED", "SOURCE" });
	for (size_t i = 0; i < n; i++)
		cli_table_cells(&t, (const char *const[]){ v[i].name, arena_printf(a, "%zu", v[i].n_layers),
							   cli_bytes(v[i].bytes, a), v[i].imported,
							   v[i].source });
	cli_table_print(&t, out);
}

void layer_layers_table(struct buf *out, const struct ovl_layer *v, size_t n, struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 4, .right = 7 << 1, .gap = 3 };

	cli_table_cells(&t, (const char *const[]){ "LAYER", "SIZE", "ENTRIES", "USERS" });
	for (size_t i = 0; i < n; i++)
		cli_table_cells(&t, (const char *const[]){
					    digest_of(v[i].hex, a), cli_bytes(v[i].bytes, a),
					    arena_printf(a, "%llu", (unsigned long long)v[i].entries),
					    arena_printf(a, "%u", v[i].users) });
	cli_table_print(&t, out);
}

static void add_digest(struct json_w *w, const char *name, const char *hex)
{
	char text[sizeof("sha256:") + OVL_HEX_BYTES];

	snprintf(text, sizeof(text), "sha256:%s", hex);
	json_w_str(w, name, text);
}

/* users < 0: not counted. */
static void add_layer(struct json_w *w, const struct ovl_layer *layer, int users)
{
	json_w_open(w, NULL, '{');
	add_digest(w, "diffId", layer->hex);
	add_digest(w, "listing", layer->listing);
	json_w_uint(w, "entries", layer->entries);
	json_w_uint(w, "bytes", layer->bytes);
	if (users >= 0)
		json_w_int(w, "users", users);
	json_w_close(w, '}');
}

static void add_image_members(struct json_w *w, const struct ovl_image *image)
{
	json_w_str(w, "name", image->name);
	json_w_str(w, "source", image->source);
	json_w_str(w, "imported", image->imported);
	if (*image->manifest)
		json_w_str(w, "manifest", image->manifest);
	json_w_str(w, "configDigest", image->config_digest);
	json_w_uint(w, "bytes", image->bytes);
}

void layer_images_json(struct buf *out, const struct ovl_image *v, size_t n)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++) {
		json_w_open(&w, NULL, '{');
		add_image_members(&w, &v[i]);
		json_w_open(&w, "layers", '[');
		for (size_t k = 0; k < v[i].n_layers; k++)
			add_digest(&w, NULL, v[i].layers[k].hex);
		json_w_close(&w, ']');
		json_w_close(&w, '}');
	}
	json_w_close(&w, ']');
	buf_putc(out, '\n');
}

void layer_layers_json(struct buf *out, const struct ovl_layer *v, size_t n)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++)
		add_layer(&w, &v[i], (int)v[i].users);
	json_w_close(&w, ']');
	buf_putc(out, '\n');
}

void layer_image_text(struct buf *out, const struct ovl_image *image, struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 4, .right = 3 << 2, .gap = 2, .empty = "" };

	buf_printf(out, "name      %s\nsource    %s\nimported  %s\n", cli_harmless(image->name, a),
		   cli_harmless(image->source, a), image->imported);
	if (*image->manifest)
		buf_printf(out, "manifest  %s\n", image->manifest);
	buf_printf(out, "config    %s\nsize      %s\nlayers    %zu, the lowest first:\n", image->config_digest,
		   cli_bytes(image->bytes, a), image->n_layers);
	for (size_t i = 0; i < image->n_layers; i++)
		cli_table_cells(&t, (const char *const[]){
					    "", digest_of(image->layers[i].hex, a),
					    cli_bytes(image->layers[i].bytes, a),
					    arena_printf(a, "%llu entries",
							 (unsigned long long)image->layers[i].entries) });
	cli_table_print(&t, out);
}

void layer_image_json(struct buf *out, const struct ovl_image *image, size_t n_new)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	add_image_members(&w, image);
	json_w_open(&w, "layers", '[');
	for (size_t i = 0; i < image->n_layers; i++)
		add_layer(&w, &image->layers[i], -1);
	json_w_close(&w, ']');
	if (n_new != SIZE_MAX)
		json_w_uint(&w, "newLayers", n_new);
	else
		json_w_raw(&w, "config", image->config, image->config_n);
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}

static void add_count(struct buf *out, size_t n, const char *what)
{
	if (n)
		buf_printf(out, "%s%zu %s%s", out->len ? ", " : "removed ", n, what, n == 1 ? "" : "s");
}

void layer_freed_text(struct buf *out, const struct ovl_freed *freed, struct arena *a)
{
	add_count(out, freed->images, "image");
	add_count(out, freed->layers, "layer");
	add_count(out, freed->leftovers, "leftover");
	if (freed->layers)
		buf_printf(out, " (%s)", cli_bytes(freed->bytes, a));
	buf_puts(out, out->len ? "\n" : "nothing to remove\n");
}

void layer_freed_json(struct buf *out, const struct ovl_freed *freed)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	json_w_uint(&w, "images", freed->images);
	json_w_uint(&w, "layers", freed->layers);
	json_w_uint(&w, "leftovers", freed->leftovers);
	json_w_uint(&w, "bytes", freed->bytes);
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}

void layer_progress_line(struct buf *out, const struct ovl_progress *p, struct arena *a)
{
	buf_printf(out, "layer %u/%u  %.*s  ", p->layer, p->n_layers, SHORT_HEX, p->hex);
	if (p->is_present)
		buf_puts(out, "is there");
	else if (p->size)
		buf_printf(out, "%3llu%%  %s", (unsigned long long)(p->done * 100 / p->size),
			   cli_bytes(p->size, a));
}
