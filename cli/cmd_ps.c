/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/host_ps.h"

static void add_json(struct buf *out, const pid_t *pids, size_t n)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%d", i ? "," : "", pids[i]);
	buf_puts(out, "]\n");
}

int cmd_ps(struct cli *cli, struct error *err)
{
	auto_buf struct buf table = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	const char *format = cli_text(&cli->args, "format");
	const char *id = cli_id(cli, err);
	pid_t *pids;
	size_t n;

	if (!id)
		return -EINVAL;

	int r = rt_pids(&cli->ctx, id, cli->arena, &pids, &n, err);

	if (r < 0)
		return r;
	if (format && !strcmp(format, "json")) {
		add_json(&out, pids, n);
		return cli_print(&out, err);
	}
	r = cli_ps_run(cli->args.operands + 1, cli->arena, &table, err);
	if (r == 0)
		r = cli_ps_filter(table.data ? table.data : "", pids, n, &out, err);
	return r < 0 ? r : cli_print(&out, err);
}
