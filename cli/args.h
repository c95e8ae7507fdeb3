/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * args - the grammar of the command line
 *
 *   --name value   --name=value   -name value   -n value   -n=value
 *   --flag         --flag=true    --flag=false
 *   --             ends the options
 *
 * One letter or a word, one dash or two, make no difference: engines written in
 * Go send both. Letters are not joined ("-it"), because "-it" is a word here.
 */

#include <stdbool.h>

#include "cli/options.h"
#include "spec/base/arena.h"
#include "spec/base/error.h"

enum cli_order {
	CLI_PERMUTE, /* options before and after the operands */
	CLI_STOP_AT_FIRST, /* the first operand ends the options */
};

struct cli_given {
	const struct cli_option *option;
	const char *value; /* of a flag: "true" or "false" */
};

struct cli_args {
	const struct cli_option *options;
	size_t n_options;
	struct cli_given *given; /* in the order of the command line */
	size_t n_given;
	char **operands; /* NULL-terminated */
	int n_operands;
	bool help; /* --help was met; the rest was not looked at */
};

/*
 * Parses argv (NULL-terminated, without the program's or the command's name).
 * -EINVAL names the option that is unknown, lacks its value, or has a bad one.
 */
int cli_parse(const struct cli_option *options, size_t n_options, enum cli_order order, char **argv,
	      struct arena *a, struct cli_args *ret, struct error *err);

/*
 * What was given. Each takes the option's full name, which must be in the table
 * that was parsed with; the last one given wins.
 */
bool cli_given(const struct cli_args *args, const char *name);
const char *cli_text(const struct cli_args *args, const char *name); /* NULL: not given */
bool cli_flag(const struct cli_args *args, const char *name);
uint32_t cli_number(const struct cli_args *args, const char *name); /* 0: not given */
/* Every value of a list option, NULL-terminated. */
char **cli_list(const struct cli_args *args, const char *name, struct arena *a, size_t *ret_n);

/* Is word one of the words of "a|b|c"? */
bool cli_is_choice(const char *words, const char *word);
