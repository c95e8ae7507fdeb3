/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* completion - scripts that let a shell complete our command line, made from the option table */

#include <stdbool.h>

#include "spec/base/buf.h"

void cli_completion_bash(struct buf *out);
void cli_completion_zsh(struct buf *out);
void cli_completion_fish(struct buf *out);

/* What an operand of a command is, from how help spells it. */
enum completion_operand {
	OPERAND_NONE, /* there is no such operand */
	OPERAND_ID, /* of a container that is there: ID */
	OPERAND_NEW_ID,
	OPERAND_GROUP, /* NAME, GROUP */
	OPERAND_COMMAND, /* one of our commands */
	OPERAND_FILE,
	OPERAND_WORDS, /* a|b|c */
	OPERAND_OTHER,
};
struct cli_verb;
/* position counts from 0; "NAME..." is at every position from its own on. */
enum completion_operand cli_completion_operand(const struct cli_verb *verb, unsigned position);
/* Is one of the operands of that kind? */
bool cli_completion_takes(const struct cli_verb *verb, enum completion_operand kind);

/* Appends the words of "a|b|c" with blanks between them. */
void cli_completion_words(struct buf *out, const char *words);
