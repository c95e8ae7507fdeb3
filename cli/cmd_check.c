/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/check.h"
#include "cli/cli.h"

int cmd_check(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *format = cli_text(&cli->args, "format");
	struct check c = { .arena = cli->arena };

	check_kernel(&c);
	check_namespaces(&c);
	check_mounts(&c);
	check_cgroups(&c);
	check_security(&c);
	check_kvm(&c);
	check_programs(&c);

	if (format && !strcmp(format, "json"))
		check_json(&out, &c);
	else
		check_text(&out, &c);

	int r = cli_print(&out, err);

	return r < 0 ? r : !check_works(&c);
}
