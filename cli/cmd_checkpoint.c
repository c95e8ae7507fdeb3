/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

int cmd_checkpoint(struct cli *cli, struct error *err)
{
	(void)cli;
	return error_rule(err, ENOTSUP, "checkpoint and restore are not supported yet");
}
