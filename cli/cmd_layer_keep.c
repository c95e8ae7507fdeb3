/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_layer_keep - the commands of `layer` that remove, clean up and check */

#include <errno.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/layer.h"
#include "cli/table.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

static int print_freed(const struct cli *cli, const struct ovl_freed *freed, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;

	if (cli_is_json(cli))
		layer_freed_json(&out, freed);
	else
		layer_freed_text(&out, freed, cli->arena);
	return cli_print(&out, err);
}

int cmd_layer_remove(struct cli *cli, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_freed all = { 0 };
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	for (char **name = cli->args.operands; r == 0 && *name; name++) {
		struct ovl_freed freed;

		r = ovl_image_remove(&store, *name, cli->arena, &freed, err);
		if (r < 0)
			return r;
		all.images += freed.images;
		all.layers += freed.layers;
		all.leftovers += freed.leftovers;
		all.bytes += freed.bytes;
	}
	return r < 0 ? r : print_freed(cli, &all, err);
}

int cmd_layer_gc(struct cli *cli, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_freed freed;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	/* First what the store is used by: runs that were killed left theirs. */
	rt_sweep(&cli->ctx);
	if (r == 0)
		r = ovl_gc(&store, cli->arena, &freed, err);
	return r < 0 ? r : print_freed(cli, &freed, err);
}

/* ---- verify ---- */

enum { SHOWN_CHANGES = 50 }; /* of a layer, as text; a layer that was swapped differs everywhere */

struct verdict {
	const struct cli *cli;
	struct buf out;
	struct json_w w;
	struct buf changes; /* of the layer that is being read: text, or members of an array */
	struct json_w changes_w;
	size_t n_changes;
	size_t n_layers;
};

static const char *const change_words[] = {
	[OVL_CHANGED] = "changed", [OVL_MISSING] = "missing", [OVL_ADDED] = "added"
};

static void note_change(void *data, const struct ovl_layer *layer, enum ovl_change what, const char *path)
{
	struct verdict *v = data;

	(void)layer;
	if (cli_is_json(v->cli)) {
		json_w_open(&v->changes_w, NULL, '{');
		json_w_str(&v->changes_w, "change", change_words[what]);
		json_w_str(&v->changes_w, "path", path);
		json_w_close(&v->changes_w, '}');
	} else if (v->n_changes < SHOWN_CHANGES) {
		buf_printf(&v->changes, "  %-8s %s\n", change_words[what], path);
	}
	v->n_changes++;
}

static void note_json(struct verdict *v, const struct ovl_layer *layer, const char *damage)
{
	json_w_open(&v->w, NULL, '{');
	json_w_str(&v->w, "diffId", arena_printf(v->cli->arena, "sha256:%s", layer->hex));
	json_w_bool(&v->w, "intact", !damage && !v->n_changes);
	if (damage)
		json_w_str(&v->w, "damage", damage);
	json_w_close(&v->changes_w, ']');
	json_w_raw(&v->w, "changes", v->changes.data, v->changes.len);
	json_w_close(&v->w, '}');
}

static void note_text(struct verdict *v, const struct ovl_layer *layer, size_t n_changes, const char *damage)
{
	buf_printf(&v->out, "sha256:%s  %s\n", layer->hex, damage ? damage : n_changes ? "changed" : "intact");
	if (v->changes.len)
		buf_add(&v->out, v->changes.data, v->changes.len);
	if (v->n_changes > SHOWN_CHANGES)
		buf_printf(&v->out, "  … and %zu more\n", v->n_changes - SHOWN_CHANGES);
}

static void begin_changes(struct verdict *v)
{
	buf_reset(&v->changes);
	v->n_changes = 0;
	v->changes_w = (struct json_w){ .out = &v->changes };
	if (cli_is_json(v->cli))
		json_w_open(&v->changes_w, NULL, '[');
}

static void note_layer(void *data, const struct ovl_layer *layer, size_t n_changes, const char *damage)
{
	struct verdict *v = data;

	if (cli_is_json(v->cli))
		note_json(v, layer, damage);
	else
		note_text(v, layer, n_changes, damage);
	v->n_layers++;
	begin_changes(v);
}

static int verify_all(const struct cli *cli, const struct ovl_store *store, struct verdict *v,
		      struct error *err)
{
	const struct ovl_verify o = { .changed = note_change, .layer = note_layer, .data = v };
	char **name = cli->args.operands;
	int bad = 0, r;

	do {
		r = ovl_verify(store, *name, &o, cli->arena, err);
		bad += r > 0 ? r : 0;
	} while (r >= 0 && *name && *++name);
	return r < 0 ? r : bad;
}

int cmd_layer_verify(struct cli *cli, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct verdict v = { .cli = cli, .out = BUF_INIT, .changes = BUF_INIT };
	int r = rt_need_libraries(&cli->ctx, "libnettle for digests", err);

	if (r == 0)
		r = cli_store_open(cli, OVL_EXISTING, &store, err);
	if (r < 0)
		return r;
	v.w = (struct json_w){ .out = &v.out };
	if (cli_is_json(cli))
		json_w_open(&v.w, NULL, '[');
	begin_changes(&v);
	r = verify_all(cli, &store, &v, err);

	int printed = 0;

	if (r >= 0) {
		if (cli_is_json(cli)) {
			json_w_close(&v.w, ']');
			buf_putc(&v.out, '\n');
		}
		printed = cli_print(&v.out, err);
	}
	buf_release(&v.out);
	buf_release(&v.changes);
	return r < 0 ? r : printed < 0 ? printed : r > 0;
}
