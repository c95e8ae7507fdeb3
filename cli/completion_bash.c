/* SPDX-License-Identifier: Apache-2.0 */

/* completion_bash - needs bash alone, not the bash-completion package */

#include <stdio.h>

#include "cli/completion.h"
#include "cli/options.h"

static void add_names(struct buf *out, const struct cli_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(options[i].flags & (OPT_HIDDEN | OPT_OBSOLETE)))
			buf_printf(out, "--%s ", options[i].name);
	buf_puts(out, "--help");
}

static void add_verb_names(struct buf *out, const struct cli_verb *verbs, size_t n)
{
	for (size_t i = 0; i < n; i++)
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

/* An id or a group is offered wherever the command takes one: counting operands would need its options' arity. */
static void add_operands(struct buf *out, const struct cli_verb *verb)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	if (verb->n_subs)
		add_verb_names(out, verb->subs, verb->n_subs);
	if (cli_completion_takes(verb, OPERAND_COMMAND))
		add_verb_names(out, verbs, n);
	if (cli_completion_takes(verb, OPERAND_WORDS))
		cli_completion_words(out, verb->operands);
	if (cli_completion_takes(verb, OPERAND_ID))
		buf_puts(out, "$(bulkhead \"${root[@]}\" list -q 2>/dev/null)");
	if (cli_completion_takes(verb, OPERAND_ID) && cli_completion_takes(verb, OPERAND_GROUP))
		buf_putc(out, ' ');
	if (cli_completion_takes(verb, OPERAND_GROUP))
		buf_puts(out, "$(bulkhead \"${root[@]}\" cpugroup list -q 2>/dev/null)");
}

/* The name in the script: "state", "cpugroup-move". */
static const char *script_name(const struct cli_verb *verb, char buf[static 64])
{
	snprintf(buf, 64, "%s%s%s", verb->of ? verb->of : "", verb->of ? "-" : "", verb->name);
	return buf;
}

static void add_verb(struct buf *out, const struct cli_verb *verb)
{
	char name[64];

	buf_printf(out, "\t%s)\n\t\toptions=\"", script_name(verb, name));
	add_names(out, verb->options, verb->n_options);
	buf_puts(out, "\"\n\t\t[[ $cur == -* ]] || operands=\"");
	add_operands(out, verb);
	buf_puts(out, "\" ;;\n");
}

/* Finds the command among the words, and below `cpugroup` the command of that. */
static void add_search(struct buf *out, const struct cli_option *globals, size_t n_globals,
		       const struct cli_verb *verbs, size_t n_verbs)
{
	buf_puts(out, "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		      "\t\tcase ${COMP_WORDS[i]} in\n"
		      "\t\t--root|--cpu-group-base)\n"
		      "\t\t\to=${COMP_WORDS[i]}\n"
		      "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
		      "\t\t\troot+=(\"$o\" \"${COMP_WORDS[++i]}\") ;;\n"
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
		      "\tdone\n");
	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].n_subs)
			buf_printf(out,
				   "\t[[ $verb == %s ]] && ((i + 1 < COMP_CWORD)) && "
				   "verb+=-${COMP_WORDS[i+1]}\n"
				   "\t[[ $verb == help && $prev == %s ]] && verb=%s\n",
				   verbs[i].name, verbs[i].name, verbs[i].name);
}

void cli_completion_bash(struct buf *out)
{
	size_t n_globals, n_verbs;
	const struct cli_option *globals = cli_globals(&n_globals);
	const struct cli_verb *verbs = cli_verbs(&n_verbs);
	char name[64];

	buf_puts(out, "# bash completion for bulkhead: source <(bulkhead completion bash)\n"
		      "_bulkhead()\n"
		      "{\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		      "\tlocal verb= options= operands= i o\n"
		      "\tlocal -a root=()\n");
	add_search(out, globals, n_globals, verbs, n_verbs);
	buf_puts(out, "\tcase $verb:$prev in\n");
	add_values(out, "", globals, n_globals);
	for (size_t i = 0; i < n_verbs; i++) {
		add_values(out, verbs[i].name, verbs[i].options, verbs[i].n_options);
		for (size_t k = 0; k < verbs[i].n_subs; k++)
			add_values(out, script_name(&verbs[i].subs[k], name),
				   verbs[i].subs[k].options, verbs[i].subs[k].n_options);
	}
	buf_puts(out, "\tesac\n\tcase $verb in\n\t'')\n\t\toptions=\"");
	add_names(out, globals, n_globals);
	buf_puts(out, "\"\n\t\toperands=\"");
	add_verb_names(out, verbs, n_verbs);
	buf_puts(out, "\" ;;\n");
	for (size_t i = 0; i < n_verbs; i++) {
		add_verb(out, &verbs[i]);
		for (size_t k = 0; k < verbs[i].n_subs; k++)
			add_verb(out, &verbs[i].subs[k]);
	}
	buf_puts(out, "\tesac\n"
		      "\t[[ $cur == -* ]] && operands=$options\n"
		      "\tCOMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n"
		      "}\n"
		      "complete -o default -F _bulkhead bulkhead\n");
}
