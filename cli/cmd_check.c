/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/check.h"
#include "cli/cli.h"

int cmd_check(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *format = cli_text(&cli->args, "format");
	struct check c = { .arena = cli->arena, .cpu_group_base = cli->ctx.cpu_group_base,
			   .store = cli->ctx.store };

	cli_check_kernel(&c);
	cli_check_namespaces(&c);
	cli_check_mounts(&c);
	cli_check_storage(&c);
	cli_check_cgroups(&c);
	cli_check_security(&c);
	cli_check_kvm(&c);
	cli_check_programs(&c);

	if (format && !strcmp(format, "json"))
		cli_check_json(&out, &c);
	else
		cli_check_text(&out, &c);

	int r = cli_print(&out, err);

	return r < 0 ? r : !cli_check_works(&c);
}
