/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

int cmd_create(struct cli *cli, struct error *err)
{
	struct rt_create_options opt;
	int r = cli_create_options(cli, &opt, err);

	return r < 0 ? r : rt_create(&cli->ctx, &opt, err);
}
