/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

int cmd_help(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *topic = cli->args.operands[0]; /* NULL: the program itself */
	const struct cli_verb *verb = topic ? cli_verb_find(topic) : NULL;

	if (topic && !verb) {
		const char *nearest = cli_nearest_verb(topic);
		int r = error_rule(err, ENOENT, "No help topic for '%s'", topic);

		if (nearest)
			error_hint(err, "did you mean \"%s\"?", nearest);
		return r;
	}
	if (verb)
		cli_help_verb(&out, verb);
	else
		cli_help_program(&out);
	return cli_print(&out, err);
}
