/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "cli/cli.h"
#include "spec/base/parse.h"

int cmd_kill(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);
	const char *name = cli->args.operands[1]; /* NULL: not given */
	int signo = SIGTERM;

	if (!id)
		return -EINVAL;
	if (cli->args.n_operands > 1 && parse_signal(name, &signo) < 0)
		return error_rule(err, EINVAL, "unknown signal \"%s\"", name);
	return rt_kill(&cli->ctx, id, signo,
		       cli_flag(&cli->args, "all") ? RT_KILL_ALL : RT_KILL_INIT, err);
}
