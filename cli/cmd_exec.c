/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"
#include "cli/exec_options.h"

int cmd_exec(struct cli *cli, struct error *err)
{
	struct rt_exec_options opt;
	int status = 0;

	if (!cli_id(cli, err))
		return -EINVAL;

	int r = cli_exec_options(&cli->args, cli->arena, &opt, err);

	if (r == 0)
		r = rt_exec(&cli->ctx, &opt, &status, err);
	return r < 0 ? r : status;
}
