/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/update_options.h"
#include "spec/spec.h"

static int read_resources(struct cli *cli, const char *file, struct spec_resources **ret,
			  struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	int r = cli_read_file(file, &text, err);

	if (r < 0)
		return r;
	r = spec_parse_resources(text.data ? text.data : "", text.len, cli->arena, &cli->log, ret,
				 err);
	if (r < 0)
		return error_wrap(err, r, "cannot read the resources in %s",
				  strcmp(file, "-") ? file : "standard input");
	return 0;
}

int cmd_update(struct cli *cli, struct error *err)
{
	const char *file = cli_text(&cli->args, "resources");
	const char *id = cli_id(cli, err);
	struct spec_resources options;
	struct spec_resources *res = &options;

	if (!id)
		return -EINVAL;

	int r = rt_hand_over(&cli->ctx, id, err);

	if (r == 0)
		r = file ? read_resources(cli, file, &res, err)
			 : cli_update_options(&cli->args, cli->arena, &options, err);
	return r < 0 ? r : rt_update(&cli->ctx, id, res, err);
}
