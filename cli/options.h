/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * options - every command and option, once
 *
 * The table below feeds the parser, --help, the shell completion and the check
 * that each man page names exactly the options that exist. Add an option here
 * and read it in its command; nothing else lists options.
 */

#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

struct cli;

enum cli_kind {
	CLI_FLAG, /* --x, --x=true, --x=false */
	CLI_TEXT, /* any string */
	CLI_PATH, /* a file or socket */
	CLI_DIR,
	CLI_LIST, /* may be given many times; a comma never splits a value */
	CLI_NUMBER, /* 0 … 2^32-1 */
	CLI_CHOICE, /* one of the words in `arg`, which are separated by '|' */
};

enum {
	OPT_HIDDEN = 1, /* works, but --help and completion do not list it */
	OPT_OBSOLETE = 2, /* accepted for old callers; using it is warned about and does nothing */
};

struct cli_option {
	const char *name; /* without dashes */
	const char *alias; /* one letter, or NULL */
	enum cli_kind kind;
	const char *arg; /* how help names the value; NULL for a flag */
	const char *help;
	unsigned flags;
};

enum {
	VERB_ENDS_AT_ID = 1, /* what follows the first operand is never read as an option */
	VERB_UNPARSED = 2, /* every argument is taken and none is looked at */
	VERB_MAKES_ROOT = 4, /* may create the state root */
	VERB_EXECUTES = 8, /* programs: of the container, hooks, ps */
	VERB_JSON_ERRORS = 16, /* with --format json an error is JSON as well, on standard output */
};

struct cli_verb {
	const char *name;
	const char *alias; /* another name that nothing lists, or NULL */
	const char *of; /* name of the command that has this one among its subs, or NULL */
	const char *brief; /* one line, lower case */
	const char *operands; /* "ID [SIGNAL]" */
	int min, max; /* number of operands; max < 0: any */
	unsigned flags;
	const struct cli_option *options;
	size_t n_options;
	const struct cli_verb *subs; /* commands of their own: "cpugroup create" */
	size_t n_subs;
	const char *about; /* DESCRIPTION of the help text; NULL: none */
	const char *fails; /* what a message starts with: "bulkhead run failed"; NULL: nothing */
	int fail_status; /* exit status of a failure; 0: 1 */
	/* Returns the exit status, or -E… with *err set. */
	int (*run)(struct cli *cli, struct error *err);
};

/* The global options, and --help, which every command takes. */
const struct cli_option *cli_globals(size_t *ret_n);
extern const struct cli_option cli_help_option;

/* All commands in the order help lists them. */
const struct cli_verb *cli_verbs(size_t *ret_n);
const struct cli_verb *cli_verb_find(const char *name);
/* The command of that name or alias below `of`, or NULL; of NULL: the same as cli_verb_find(). */
const struct cli_verb *cli_sub_find(const struct cli_verb *of, const char *name);
/* The name nearest to a mistyped one there, or NULL. */
const char *cli_nearest_verb(const struct cli_verb *of, const char *name);
