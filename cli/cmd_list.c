/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/list_format.h"

int cmd_list(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *format = cli_text(&cli->args, "format");
	struct rt_summary *v;
	size_t n;
	int r = rt_list(&cli->ctx, cli->arena, &v, &n, err);

	if (r < 0)
		return r;
	if (cli_flag(&cli->args, "quiet"))
		cli_list_ids(&out, v, n);
	else if (format && !strcmp(format, "json"))
		cli_list_json(&out, v, n, cli->arena);
	else
		cli_list_table(&out, v, n, cli->arena);
	return cli_print(&out, err);
}
