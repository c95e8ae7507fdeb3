/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_commit - an image of what a container did */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/layer.h"
#include "cli/out.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"
#include "spec/base/parse.h"

enum ovl_compression out_compression(const struct cli *cli, enum ovl_compression otherwise)
{
	const char *word = cli_text(&cli->args, "compression");

	if (!word)
		return otherwise;
	return !strcmp(word, "gzip") ? OVL_GZIP : !strcmp(word, "zstd") ? OVL_ZSTD : OVL_PLAIN;
}

/* The variable is that of reproducible builds (reproducible-builds.org/specs/source-date-epoch). */
static int read_created(const struct cli *cli, int64_t *seconds, const int64_t **ret, struct error *err)
{
	const char *option = cli_text(&cli->args, "created");
	const char *text = option ? option : getenv("SOURCE_DATE_EPOCH");

	*ret = NULL;
	if (!text || !*text)
		return 0;
	if (parse_i64(text, seconds) < 0 || *seconds < 0)
		return error_rule(err, EINVAL, "%s must be a number of seconds since 1970, not \"%s\"",
				  option ? "--created" : "SOURCE_DATE_EPOCH", text);
	*ret = seconds;
	return 0;
}

static int print_json(const struct cli *cli, const struct ovl_committed *c, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	(void)cli;
	json_w_open(&w, NULL, '{');
	json_w_str(&w, "manifest", c->manifest);
	if (c->layer) {
		json_w_str(&w, "layer", c->layer);
		json_w_uint(&w, "layerBytes", c->layer_bytes);
	}
	json_w_uint(&w, "entries", c->n_entries);
	json_w_close(&w, '}');
	buf_putc(&out, '\n');
	return cli_print(&out, err);
}

static int print_text(const struct cli *cli, const struct ovl_committed *c, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;

	(void)cli;
	buf_printf(&out, "%s\n", c->manifest);
	return cli_print(&out, err);
}

int cmd_commit(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);
	struct ovl_commit o = {
		.target = cli->args.operands[1],
		.compression = out_compression(cli, OVL_GZIP),
		.level = (int)cli_number(&cli->args, "level"),
		.author = cli_text(&cli->args, "author"),
		.comment = cli_text(&cli->args, "message"),
		.log = &cli->log,
	};
	struct ovl_committed committed;
	int64_t created;
	size_t n;
	char **changes = cli_list(&cli->args, "change", cli->arena, &n);
	int r = id ? out_image_change(changes, n, cli->arena, &o.config, err) : -EINVAL;

	if (r == 0 && o.level > (o.compression == OVL_ZSTD ? 19 : 9))
		r = error_rule(err, EINVAL, "--level must be 1 to %d", o.compression == OVL_ZSTD ? 19 : 9);
	if (r == 0)
		r = read_created(cli, &created, &o.created, err);
	if (r == 0)
		r = rt_need_libraries(&cli->ctx, "libarchive for images", err);
	if (r == 0)
		r = rt_commit(&cli->ctx, id, &o, cli->arena, &committed, err);
	if (r < 0)
		return r;
	return cli_is_json(cli) ? print_json(cli, &committed, err) : print_text(cli, &committed, err);
}
