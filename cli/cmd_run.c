/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

int cmd_run(struct cli *cli, struct error *err)
{
	struct rt_create_options opt;
	int status = 0;
	int r = cli_create_options(cli, &opt, err);

	if (r < 0)
		return r;
	opt.detach = cli_flag(&cli->args, "detach");
	opt.keep = cli_flag(&cli->args, "keep");
	opt.no_subreaper = cli_flag(&cli->args, "no-subreaper");

	r = rt_run(&cli->ctx, &opt, &status, err);
	return r < 0 ? r : status;
}
