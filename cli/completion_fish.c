/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/completion.h"
#include "cli/options.h"

static void add_quoted(struct buf *out, const char *s)
{
	buf_putc(out, '\'');
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *s);
	}
	buf_putc(out, '\'');
}

static void add_option(struct buf *out, const char *when, const struct cli_option *o)
{
	buf_printf(out, "complete -c bulkhead -n '%s' -l %s", when, o->name);
	if (o->alias)
		buf_printf(out, " -s %s", o->alias);
	switch (o->kind) {
	case CLI_FLAG:
		break;
	case CLI_CHOICE:
		buf_puts(out, " -x -a '");
		cli_completion_words(out, o->arg);
		buf_putc(out, '\'');
		break;
	case CLI_DIR:
		buf_puts(out, " -x -a '(__fish_complete_directories)'");
		break;
	case CLI_PATH:
		buf_puts(out, " -r -F");
		break;
	default:
		buf_puts(out, " -x");
		break;
	}
	buf_puts(out, " -d ");
	add_quoted(out, o->help);
	buf_putc(out, '\n');
}

static void add_options(struct buf *out, const char *when, const struct cli_option *options,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(options[i].flags & (OPT_HIDDEN | OPT_OBSOLETE)))
			add_option(out, when, &options[i]);
	add_option(out, when, &cli_help_option);
}

static void add_operand(struct buf *out, const char *when, const struct cli_verb *verb)
{
	switch (cli_completion_operand(verb)) {
	case OPERAND_ID:
		buf_printf(out,
			   "complete -c bulkhead -n '%s' -a '(bulkhead list -q 2>/dev/null)'\n",
			   when);
		break;
	case OPERAND_WORDS:
		buf_printf(out, "complete -c bulkhead -n '%s' -a '", when);
		cli_completion_words(out, verb->operands);
		buf_puts(out, "'\n");
		break;
	default:
		break;
	}
}

void cli_completion_fish(struct buf *out)
{
	static const char none_yet[] = "__fish_use_subcommand";
	size_t n_globals, n_verbs;
	const struct cli_option *globals = cli_globals(&n_globals);
	const struct cli_verb *verbs = cli_verbs(&n_verbs);

	buf_puts(out, "# fish completion for bulkhead: bulkhead completion fish | source\n"
		      "complete -c bulkhead -f\n");
	add_options(out, none_yet, globals, n_globals);
	for (size_t i = 0; i < n_verbs; i++) {
		char when[80];

		if (verbs[i].flags & VERB_HIDDEN)
			continue;
		buf_printf(out, "complete -c bulkhead -n '%s' -a %s -d ", none_yet, verbs[i].name);
		add_quoted(out, verbs[i].brief);
		buf_putc(out, '\n');
		if (strcmp(verbs[i].name, "help") != 0)
			buf_printf(out,
				   "complete -c bulkhead -n '__fish_seen_subcommand_from help' -a "
				   "%s\n",
				   verbs[i].name);
		snprintf(when, sizeof(when), "__fish_seen_subcommand_from %s", verbs[i].name);
		add_options(out, when, verbs[i].options, verbs[i].n_options);
		add_operand(out, when, &verbs[i]);
	}
}
