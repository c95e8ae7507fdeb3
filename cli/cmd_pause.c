/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

int cmd_pause(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);

	return id ? rt_pause(&cli->ctx, id, err) : -EINVAL;
}
