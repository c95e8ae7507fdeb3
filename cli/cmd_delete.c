/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

int cmd_delete(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);

	if (!id)
		return -EINVAL;
	return rt_delete(&cli->ctx, id,
			 cli_flag(&cli->args, "force") ? RT_DELETE_FORCE : RT_DELETE_STOPPED, err);
}
