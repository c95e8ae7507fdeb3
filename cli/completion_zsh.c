/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/completion.h"
#include "cli/options.h"

/* Inside '…' of the shell and inside […] or :…: of _arguments. */
static void add_quoted(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			buf_puts(out, "'\\''");
		else if (strchr("[]:\\", *s))
			buf_printf(out, "\\%c", *s);
		else
			buf_putc(out, *s);
	}
}

static void add_value(struct buf *out, const struct cli_option *o)
{
	if (o->kind == CLI_FLAG)
		return;
	buf_puts(out, ":");
	add_quoted(out, o->arg);
	buf_puts(out, ":");
	switch (o->kind) {
	case CLI_CHOICE:
		buf_putc(out, '(');
		cli_completion_words(out, o->arg);
		buf_putc(out, ')');
		break;
	case CLI_DIR:
		buf_puts(out, "_files -/");
		break;
	case CLI_PATH:
		buf_puts(out, "_files");
		break;
	default:
		break;
	}
}

static void add_option(struct buf *out, const struct cli_option *o, const char *indent)
{
	const char *many = o->kind == CLI_LIST ? "*" : "";

	buf_printf(out, "%s'%s--%s[", indent, many, o->name);
	add_quoted(out, o->help);
	buf_putc(out, ']');
	add_value(out, o);
	buf_puts(out, "' \\\n");
	if (!o->alias)
		return;
	buf_printf(out, "%s'%s-%s[", indent, many, o->alias);
	add_quoted(out, o->help);
	buf_putc(out, ']');
	add_value(out, o);
	buf_puts(out, "' \\\n");
}

static void add_options(struct buf *out, const struct cli_option *options, size_t n,
			const char *indent)
{
	for (size_t i = 0; i < n; i++)
		if (!(options[i].flags & (OPT_HIDDEN | OPT_OBSOLETE)))
			add_option(out, &options[i], indent);
	add_option(out, &cli_help_option, indent);
}

static void add_operand(struct buf *out, const struct cli_verb *verb, unsigned position)
{
	const char *at = verb->max < 0 && position + 1 >= (unsigned)verb->min ? "*" : NULL;
	char number[16];

	snprintf(number, sizeof(number), "%u", position + 1);
	switch (cli_completion_operand(verb, position)) {
	case OPERAND_ID:
		/* Only the first is an id: what follows it belongs to a program. */
		buf_printf(out, "'%s:id:_bulkhead_ids'%s", number,
			   verb->max < 0 ? " '*::argument:_default'" : "");
		break;
	case OPERAND_NEW_ID:
		buf_printf(out, "'%s:new id:'", number);
		break;
	case OPERAND_GROUP:
		buf_printf(out, "'%s:group:_bulkhead_groups'", at ? at : number);
		break;
	case OPERAND_COMMAND:
		buf_puts(out,
			 "'1:command:_bulkhead_commands' '2:command:_bulkhead_cpugroup_commands'");
		break;
	case OPERAND_FILE:
		buf_printf(out, "'%s:file:_files'", number);
		break;
	case OPERAND_WORDS:
		buf_printf(out, "'%s:word:(", number);
		cli_completion_words(out, verb->operands);
		buf_puts(out, ")'");
		break;
	case OPERAND_NONE:
	case OPERAND_OTHER:
		buf_printf(out, "'%s:nothing:'", position ? number : "*");
		break;
	}
}

static void add_operands(struct buf *out, const struct cli_verb *verb)
{
	unsigned n = 0;

	if (verb->n_subs) {
		buf_printf(out, "'1:command:_bulkhead_%s_commands' '*::argument:_bulkhead_%s'",
			   verb->name, verb->name);
		return;
	}
	do {
		if (n)
			buf_putc(out, ' ');
		add_operand(out, verb, n++);
	} while (verb->max > 0 && n < (unsigned)verb->max &&
		 cli_completion_operand(verb, n) != OPERAND_NONE &&
		 !cli_completion_takes(verb, OPERAND_COMMAND));
}

/* "_bulkhead_commands", "_bulkhead_cpugroup_commands": the names with what they do. */
static void add_names(struct buf *out, const char *of, const struct cli_verb *verbs, size_t n)
{
	buf_printf(out,
		   "_bulkhead_%s%scommands()\n"
		   "{\n"
		   "\tlocal -a commands=(\n",
		   of, *of ? "_" : "");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\t\t'%s:", verbs[i].name);
		add_quoted(out, verbs[i].brief);
		buf_puts(out, "'\n");
	}
	buf_puts(out, "\t)\n"
		      "\t_describe command commands\n"
		      "}\n");
}

static void add_cases(struct buf *out, const char *word, const struct cli_verb *verbs, size_t n)
{
	buf_printf(out, "\tcase %s in\n", word);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\t%s)\n\t\t_arguments \\\n", verbs[i].name);
		add_options(out, verbs[i].options, verbs[i].n_options, "\t\t\t");
		buf_puts(out, "\t\t\t");
		add_operands(out, &verbs[i]);
		buf_puts(out, " ;;\n");
	}
	buf_puts(out, "\tesac\n");
}

/* '*::argument:' has made words begin with the command's own name. */
static void add_subs(struct buf *out, const struct cli_verb *verb)
{
	add_names(out, verb->name, verb->subs, verb->n_subs);
	buf_printf(out,
		   "_bulkhead_%s()\n"
		   "{\n",
		   verb->name);
	add_cases(out, "$words[1]", verb->subs, verb->n_subs);
	buf_puts(out, "}\n");
}

static const char lists[] =
	"_bulkhead_ids()\n"
	"{\n"
	"\tlocal -a ids\n"
	"\tids=(${(f)\"$(bulkhead $bulkhead_root list -q 2>/dev/null)\"})\n"
	"\tcompadd -a ids\n"
	"}\n"
	"_bulkhead_groups()\n"
	"{\n"
	"\tlocal -a groups\n"
	"\tgroups=(${(f)\"$(bulkhead $bulkhead_root cpugroup list -q 2>/dev/null)\"})\n"
	"\tcompadd -a groups\n"
	"}\n";

void cli_completion_zsh(struct buf *out)
{
	size_t n_globals, n_verbs;
	const struct cli_option *globals = cli_globals(&n_globals);
	const struct cli_verb *verbs = cli_verbs(&n_verbs);

	buf_puts(out, "#compdef bulkhead\n"
		      "# zsh completion for bulkhead: source <(bulkhead completion zsh)\n");
	buf_puts(out, lists);
	add_names(out, "", verbs, n_verbs);
	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].n_subs)
			add_subs(out, &verbs[i]);
	buf_puts(out, "_bulkhead()\n"
		      "{\n"
		      "\tlocal context state line\n"
		      "\tlocal -a bulkhead_root\n"
		      "\ttypeset -A opt_args\n"
		      "\t_arguments -C \\\n");
	add_options(out, globals, n_globals, "\t\t");
	buf_puts(out, "\t\t'1:command:_bulkhead_commands' '*::argument:->argument'\n"
		      "\t[[ $state == argument ]] || return\n"
		      "\t[[ -n $opt_args[--root] ]] && bulkhead_root=(--root $opt_args[--root])\n"
		      "\t[[ -n $opt_args[--cpu-group-base] ]] && "
		      "bulkhead_root+=(--cpu-group-base $opt_args[--cpu-group-base])\n");
	add_cases(out, "$line[1]", verbs, n_verbs);
	buf_puts(out, "}\n"
		      "if [[ $funcstack[1] == _bulkhead ]]; then\n"
		      "\t_bulkhead \"$@\"\n"
		      "else\n"
		      "\tcompdef _bulkhead bulkhead\n"
		      "fi\n");
}
