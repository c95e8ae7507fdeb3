/* SPDX-License-Identifier: Apache-2.0 */

/* completion_bash - needs bash alone, not the bash-completion package */

#include <string.h>

#include "cli/completion.h"
#include "cli/options.h"

enum completion_operand cli_completion_operand(const struct cli_verb *verb)
{
	if (!strncmp(verb->operands, "ID", 2))
		return verb->flags & VERB_MAKES_ROOT ? OPERAND_NEW_ID : OPERAND_ID;
	if (!strcmp(verb->operands, "[COMMAND]"))
		return OPERAND_COMMAND;
	return *verb->operands ? OPERAND_WORDS : OPERAND_NONE;
}

void cli_completion_words(struct buf *out, const char *words)
{
	for (; *words; words++)
		buf_putc(out, *words == '|' ? ' ' : *words);
}

static void add_names(struct buf *out, const struct cli_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(options[i].flags & (OPT_HIDDEN | OPT_OBSOLETE)))
			buf_printf(out, "--%s ", options[i].name);
	buf_puts(out, "--help");
}

static void add_verb_names(struct buf *out)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++)
		if (!(verbs[i].flags & VERB_HIDDEN))
			buf_printf(out, "%s%s", i ? " " : "", verbs[i].name);
}

/* "verb:--name|verb:-n) …;;": what may follow each option that takes a value. */
static void add_values(struct buf *out, const char *verb, const struct cli_option *options,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct cli_option *o = &options[i];

		if (o->kind == CLI_FLAG || o->flags & (OPT_HIDDEN | OPT_OBSOLETE))
			continue;
		buf_printf(out, "\t%s:--%s", verb, o->name);
		if (o->alias)
			buf_printf(out, "|%s:-%s", verb, o->alias);
		buf_puts(out, ")\n\t\t");
		if (o->kind == CLI_CHOICE) {
			buf_puts(out, "COMPREPLY=($(compgen -W \"");
			cli_completion_words(out, o->arg);
			buf_puts(out, "\" -- \"$cur\")); ");
		} else if (o->kind == CLI_DIR || o->kind == CLI_PATH) {
			buf_printf(out, "COMPREPLY=($(compgen -%c -- \"$cur\")); ",
				   o->kind == CLI_DIR ? 'd' : 'f');
		}
		buf_puts(out, "return ;;\n");
	}
}

static void add_operand(struct buf *out, const struct cli_verb *verb)
{
	switch (cli_completion_operand(verb)) {
	case OPERAND_ID:
		buf_puts(out, "$(bulkhead \"${root[@]}\" list -q 2>/dev/null)");
		break;
	case OPERAND_COMMAND:
		add_verb_names(out);
		break;
	case OPERAND_WORDS:
		cli_completion_words(out, verb->operands);
		break;
	case OPERAND_NONE:
	case OPERAND_NEW_ID:
		break;
	}
}

void cli_completion_bash(struct buf *out)
{
	size_t n_globals, n_verbs;
	const struct cli_option *globals = cli_globals(&n_globals);
	const struct cli_verb *verbs = cli_verbs(&n_verbs);

	buf_puts(out, "# bash completion for bulkhead: source <(bulkhead completion bash)\n"
		      "_bulkhead()\n"
		      "{\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		      "\tlocal verb= options= operands= i\n"
		      "\tlocal -a root=()\n"
		      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		      "\t\tcase ${COMP_WORDS[i]} in\n"
		      "\t\t--root)\n"
		      "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
		      "\t\t\troot=(--root \"${COMP_WORDS[++i]}\") ;;\n"
		      "\t\t--help");
	for (size_t i = 0; i < n_globals; i++)
		if (globals[i].kind == CLI_FLAG)
			buf_printf(out, "|--%s", globals[i].name);
	buf_puts(out, ") ;;\n"
		      "\t\t-*)\n"
		      "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
		      "\t\t\t((i++)) ;;\n"
		      "\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
		      "\t\tesac\n"
		      "\tdone\n"
		      "\tcase $verb:$prev in\n");
	add_values(out, "", globals, n_globals);
	for (size_t i = 0; i < n_verbs; i++)
		add_values(out, verbs[i].name, verbs[i].options, verbs[i].n_options);

	buf_puts(out, "\tesac\n\tcase $verb in\n\t'')\n\t\toptions=\"");
	add_names(out, globals, n_globals);
	buf_puts(out, "\"\n\t\toperands=\"");
	add_verb_names(out);
	buf_puts(out, "\" ;;\n");
	for (size_t i = 0; i < n_verbs; i++) {
		if (verbs[i].flags & VERB_HIDDEN)
			continue;
		buf_printf(out, "\t%s)\n\t\toptions=\"", verbs[i].name);
		add_names(out, verbs[i].options, verbs[i].n_options);
		buf_puts(out, "\"\n\t\t[[ $cur == -* ]] || operands=\"");
		add_operand(out, &verbs[i]);
		buf_puts(out, "\" ;;\n");
	}
	buf_puts(out, "\tesac\n"
		      "\t[[ $cur == -* ]] && operands=$options\n"
		      "\tCOMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n"
		      "}\n"
		      "complete -o default -F _bulkhead bulkhead\n");
}
