/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/completion.h"

int cmd_completion(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *shell = cli->args.operands[0];

	if (!strcmp(shell, "bash"))
		cli_completion_bash(&out);
	else if (!strcmp(shell, "zsh"))
		cli_completion_zsh(&out);
	else if (!strcmp(shell, "fish"))
		cli_completion_fish(&out);
	else
		return error_rule(err, EINVAL,
				  "no completion for \"%s\": it is one of bash, zsh, fish", shell);
	return cli_print(&out, err);
}
