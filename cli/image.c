/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/layer.h"
#include "overlay/sandbox.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

/* ---- into the store ---- */

/* The line on the terminal that is written again and again. */
struct ticker {
	struct arena *arena;
	bool is_shown;
};

static void show_progress(void *data, const struct ovl_progress *p)
{
	struct ticker *t = data;
	auto_buf struct buf line = BUF_INIT;

	buf_puts(&line, "\r\033[K");
	layer_progress_line(&line, p, t->arena);
	t->is_shown = true;
	file_write_all(STDERR_FILENO, "standard error", line.data, line.len, NULL);
}

int cli_image_import(const struct cli *cli, const struct ovl_store *store, struct ovl_import *o, bool is_quiet,
		     struct ovl_image *ret, size_t *ret_new, struct error *err)
{
	struct ticker ticker = { .arena = cli->arena };

	o->log = &cli->log;
	o->progress = !is_quiet && isatty(STDERR_FILENO) ? show_progress : NULL;
	o->data = &ticker;

	int r = ovl_import(store, o, cli->arena, ret, ret_new, err);

	if (ticker.is_shown)
		file_write_all(STDERR_FILENO, "standard error", "\r\033[K", 4, NULL);
	return r;
}

bool cli_is_image_source(const char *image)
{
	static const char *const kinds[] = { "oci:", "oci-archive:", "docker-archive:" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(image, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* ---- out of the store ---- */

static int bring_in(const struct cli *cli, const char *source, bool is_quiet, struct ovl_image *ret, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_import o = { .source = source };
	size_t n_new;
	int r = rt_need_libraries(&cli->ctx, "libarchive for images", err);

	if (r == 0)
		r = cli_store_open(cli, OVL_MAKE, &store, err);
	if (r == 0)
		r = cli_image_import(cli, &store, &o, is_quiet, ret, &n_new, err);
	if (r == 0 && !is_quiet && isatty(STDERR_FILENO)) {
		auto_buf struct buf line = BUF_INIT;

		buf_printf(&line, CLI_NAME ": %s is in the layer store now, and stays there until `" CLI_NAME
			   " layer remove`\n", ret->name);
		file_write_all(STDERR_FILENO, "standard error", line.data, line.len, NULL);
	}
	return r;
}

static int find(const struct cli *cli, const char *image, struct ovl_image *ret, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	return r < 0 ? r : ovl_image_record(&store, image, cli->arena, ret, err);
}

int cli_image_get(const struct cli *cli, const char *image, bool is_quiet, struct cli_image *ret, struct error *err)
{
	struct error none = ERROR_INIT;
	int r = find(cli, image, &ret->found, &none);

	if (r == -ENOENT && cli_is_image_source(image))
		r = bring_in(cli, image, is_quiet, &ret->found, err);
	else if (r < 0) {
		*err = none;
		if (r == -ENOENT && !err->hint[0])
			error_hint(err, "an image comes from, for example, oci:DIR:TAG; `" CLI_NAME " layer list` shows those "
					"that are here");
	}
	if (r == 0)
		r = spec_image_parse(ret->found.config, ret->found.config_n, cli->arena, &ret->config, err);
	return r < 0 ? error_wrap(err, r, "cannot use image \"%s\"", image) : 0;
}

/* ---- its users ---- */

/* One layer is its own root. Of several only the kernel can say which file is to be seen. */
static int open_root(const struct cli *cli, const struct ovl_image *image, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_lower *lowers = ARENA_NEW_N(cli->arena, struct ovl_lower, image->n_layers);
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	if (r < 0)
		return r;
	if (image->n_layers == 1)
		return ovl_layer_open(&store, image->layers[0].hex, err);
	for (size_t i = 0; i < image->n_layers; i++)
		lowers[i] = (struct ovl_lower){ .hex = image->layers[i].hex, .layer = &image->layers[i] };
	return ovl_lowers_mount(&store, lowers, image->n_layers, -1, err);
}

int cli_image_user(const struct cli *cli, const struct cli_user_files *files, const char *text, struct spec_user *ret,
		   struct error *err)
{
	auto_close int root = -1;

	if (rt_user_needs_files(text)) {
		root = files->image ? open_root(cli, files->image, err) :
				      open(files->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			return files->image ? root : error_set(err, errno, "open %s", files->dir);
	}

	int r = rt_user_resolve(root, text, cli->arena, ret, err);

	return r < 0 ? error_wrap(err, r, "cannot find out who user \"%.100s\" is", text) : 0;
}
