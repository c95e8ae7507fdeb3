/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

int cmd_state(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *id = cli_id(cli, err);

	if (!id)
		return -EINVAL;

	int r = rt_state(&cli->ctx, id, &out, err);

	return r < 0 ? r : cli_print(&out, err);
}
