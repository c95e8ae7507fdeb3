/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* completion - scripts that let a shell complete our command line, made from the option table */

#include "spec/base/buf.h"

void cli_completion_bash(struct buf *out);
void cli_completion_zsh(struct buf *out);
void cli_completion_fish(struct buf *out);

/*
 * What the operand of a command is, from how help spells it: an id that exists,
 * a new id, one of our commands, or one of the given words.
 */
enum completion_operand {
	OPERAND_NONE,
	OPERAND_ID,
	OPERAND_NEW_ID,
	OPERAND_COMMAND,
	OPERAND_WORDS
};
struct cli_verb;
enum completion_operand cli_completion_operand(const struct cli_verb *verb);

/* Appends the words of "a|b|c" with blanks between them. */
void cli_completion_words(struct buf *out, const char *words);
