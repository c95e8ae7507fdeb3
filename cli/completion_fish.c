/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
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

static void add_operands(struct buf *out, const char *when, const struct cli_verb *verb)
{
	if (cli_completion_takes(verb, OPERAND_ID))
		buf_printf(out,
			   "complete -c bulkhead -n '%s' -a '(bulkhead list -q 2>/dev/null)'\n",
			   when);
	if (cli_completion_takes(verb, OPERAND_GROUP))
		buf_printf(out,
			   "complete -c bulkhead -n '%s' -a '(bulkhead cpugroup list -q "
			   "2>/dev/null)'\n",
			   when);
	if (cli_completion_takes(verb, OPERAND_FILE))
		buf_printf(out, "complete -c bulkhead -n '%s' -F\n", when);
	if (cli_completion_takes(verb, OPERAND_WORDS)) {
		buf_printf(out, "complete -c bulkhead -n '%s' -a '", when);
		cli_completion_words(out, verb->operands);
		buf_puts(out, "'\n");
	}
}

static void add_name(struct buf *out, const char *when, const struct cli_verb *verb)
{
	buf_printf(out, "complete -c bulkhead -n '%s' -a %s -d ", when, verb->name);
	add_quoted(out, verb->brief);
	buf_putc(out, '\n');
}

/* The commands below one: offered after its name, and each with its own options and operands. */
static void add_subs(struct buf *out, const struct cli_verb *verb)
{
	auto_buf struct buf none_yet = BUF_INIT;

	buf_printf(&none_yet, "__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from",
		   verb->name);
	for (size_t i = 0; i < verb->n_subs; i++)
		buf_printf(&none_yet, " %s", verb->subs[i].name);
	for (size_t i = 0; i < verb->n_subs; i++) {
		const struct cli_verb *sub = &verb->subs[i];
		char when[120];

		add_name(out, none_yet.data, sub);
		snprintf(when, sizeof(when),
			 "__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s",
			 verb->name, sub->name);
		add_options(out, when, sub->options, sub->n_options);
		add_operands(out, when, sub);
	}
}

/* The condition that this command was given; one of that name below another does not count. */
static void add_when(struct buf *out, const struct cli_verb *verb, const struct cli_verb *verbs,
		     size_t n)
{
	buf_printf(out, "__fish_seen_subcommand_from %s", verb->name);
	for (size_t i = 0; i < n; i++)
		if (&verbs[i] != verb && cli_sub_find(&verbs[i], verb->name))
			buf_printf(out, "; and not __fish_seen_subcommand_from %s", verbs[i].name);
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
		auto_buf struct buf when = BUF_INIT;

		add_name(out, none_yet, &verbs[i]);
		if (strcmp(verbs[i].name, "help") != 0)
			buf_printf(out,
				   "complete -c bulkhead -n '__fish_seen_subcommand_from help' -a "
				   "%s\n",
				   verbs[i].name);
		add_when(&when, &verbs[i], verbs, n_verbs);
		add_options(out, when.data, verbs[i].options, verbs[i].n_options);
		add_operands(out, when.data, &verbs[i]);
		add_subs(out, &verbs[i]);
	}
}
