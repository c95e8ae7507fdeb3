/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"

static int no_topic(const struct cli_verb *of, const char *topic, struct error *err)
{
	const char *nearest = cli_nearest_verb(of, topic);
	int r = of ? error_rule(err, ENOENT, "No help topic for '%s %s'", of->name, topic)
		   : error_rule(err, ENOENT, "No help topic for '%s'", topic);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
	return r;
}

int cmd_help(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const struct cli_verb *verb = NULL; /* the program itself */

	for (char **topic = cli->args.operands; *topic; topic++) {
		const struct cli_verb *next =
			!verb || verb->n_subs ? cli_sub_find(verb, *topic) : NULL;

		if (!next)
			return no_topic(verb, *topic, err);
		verb = next;
	}
	if (verb)
		cli_help_verb(&out, verb);
	else
		cli_help_program(&out);
	return cli_print(&out, err);
}
