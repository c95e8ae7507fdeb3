/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/storage_options.h"

/* NULL: not given. */
static char *const *list(const struct cli *cli, const char *name)
{
	size_t n;

	return cli_given(&cli->args, name) ? cli_list(&cli->args, name, cli->arena, &n) : NULL;
}

void cli_sandbox_options(const struct cli *cli, struct rt_storage *ret)
{
	const struct cli_args *args = &cli->args;

	*ret = (struct rt_storage){
		.sandbox = cli_text(args, "sandbox"),
		.sandbox_size = cli_text(args, "sandbox-size"),
		.sandbox_inodes = cli_number(args, "sandbox-inodes"),
		.mount_images = list(cli, "mount-image"),
		.volumes = list(cli, "volume"),
	};
}

void cli_storage_options(const struct cli *cli, struct rt_storage *ret)
{
	cli_sandbox_options(cli, ret);
	ret->image = cli_text(&cli->args, "image");
	ret->layers = list(cli, "layer");
}
