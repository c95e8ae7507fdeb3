/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_layer - the commands of `layer` that make and look */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cpugroup.h"
#include "cli/image.h"
#include "cli/layer.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/parse.h"

int cmd_layer(struct cli *cli, struct error *err)
{
	const char *name = cli->args.operands[0];
	const char *nearest = cli_nearest_verb(cli->verb, name);
	int r = error_rule(err, ENOENT, "\"layer\" has no command \"%s\"", name);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
	return r;
}

int cli_store_open(const struct cli *cli, enum ovl_open how, struct ovl_store *ret, struct error *err)
{
	return ovl_store_open(cli->ctx.store ?: OVL_STORE_DEFAULT, how, ret, err);
}

/* ---- import ---- */

static int read_limits(const struct cli *cli, struct ovl_limits *ret, struct error *err)
{
	const char *size = cli_text(&cli->args, "max-size");
	int64_t bytes = 0;

	if (size && (parse_bytes(size, &bytes) < 0 || bytes <= 0))
		return error_rule(err, EINVAL, "--max-size must be a number of bytes, such as 20g, not \"%s\"",
				  size);
	ret->max_bytes = (uint64_t)bytes;
	ret->max_entries = cli_number(&cli->args, "max-entries");
	return 0;
}

static void import_text(struct buf *out, const struct ovl_image *image, size_t n_new)
{
	buf_printf(out, "%s: %zu layer%s, %zu new\n", image->name, image->n_layers,
		   image->n_layers == 1 ? "" : "s", n_new);
}

int cmd_layer_import(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_import o = {
		.source = cli->args.operands[0],
		.name = cli->args.operands[1],
	};
	struct ovl_image image;
	size_t n_new;
	int r = read_limits(cli, &o.limits, err);

	if (r == 0)
		r = rt_need_libraries(&cli->ctx, "libarchive for images", err);
	if (r == 0)
		r = cli_store_open(cli, OVL_MAKE, &store, err);
	if (r == 0)
		r = cli_image_import(cli, &store, &o, cli_flag(&cli->args, "quiet"), &image, &n_new, err);
	if (r < 0)
		return r;
	if (cli_is_json(cli))
		layer_image_json(&out, &image, n_new);
	else
		import_text(&out, &image, n_new);
	return cli_print(&out, err);
}

/* ---- list and show ---- */

static int list_layers(const struct cli *cli, const struct ovl_store *store, struct buf *out,
		       struct error *err)
{
	struct ovl_layer *v;
	size_t n;
	int r = ovl_layers(store, cli->arena, &v, &n, err);

	if (r < 0)
		return r;
	if (cli_is_json(cli))
		layer_layers_json(out, v, n);
	else if (!cli_flag(&cli->args, "quiet"))
		layer_layers_table(out, v, n, cli->arena);
	else
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "sha256:%s\n", v[i].hex);
	return 0;
}

static int list_images(const struct cli *cli, const struct ovl_store *store, struct buf *out,
		       struct error *err)
{
	struct ovl_image *v;
	size_t n;
	int r = ovl_images(store, cli->arena, &v, &n, err);

	if (r < 0)
		return r;
	if (cli_is_json(cli))
		layer_images_json(out, v, n);
	else if (!cli_flag(&cli->args, "quiet"))
		layer_images_table(out, v, n, cli->arena);
	else
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "%s\n", v[i].name);
	return 0;
}

int cmd_layer_list(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	auto_store struct ovl_store store = CLI_STORE_INIT;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	/* Nobody has imported anything yet: that is an empty list, unless a place was named. */
	if (r == -ENOENT && !cli_text(&cli->globals, "store")) {
		if (cli_is_json(cli))
			buf_puts(&out, "[]\n");
		return cli_print(&out, err);
	}
	if (r == 0)
		r = cli_flag(&cli->args, "layers") ? list_layers(cli, &store, &out, err) :
						     list_images(cli, &store, &out, err);
	return r < 0 ? r : cli_print(&out, err);
}

int cmd_layer_show(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_image image;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	if (r == 0)
		r = ovl_image_find(&store, cli->args.operands[0], cli->arena, &image, err);
	if (r < 0)
		return r;
	if (cli_flag(&cli->args, "config"))
		buf_add(&out, image.config, image.config_n);
	else if (cli_is_json(cli))
		layer_image_json(&out, &image, SIZE_MAX);
	else
		layer_image_text(&out, &image, cli->arena);
	return cli_print(&out, err);
}
