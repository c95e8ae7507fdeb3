/* SPDX-License-Identifier: Apache-2.0 */

/* completion - what the scripts of the three shells have in common */

#include "cli/completion.h"

#include <string.h>

#include "cli/options.h"

static bool is_word(const char *word, size_t n, const char *other)
{
	return strlen(other) == n && !memcmp(word, other, n);
}

enum completion_operand cli_completion_operand(const struct cli_verb *verb, unsigned position)
{
	const char *word = verb->operands;
	size_t n = strcspn(word, " ");

	for (; position && word[n] == ' '; position--) {
		word += n + 1;
		n = strcspn(word, " ");
	}
	while (n && word[0] == '[') {
		word++;
		n--;
	}
	while (n && word[n - 1] == ']')
		n--;

	bool many = n > 3 && !memcmp(word + n - 3, "...", 3);

	if (!n || (position && !many))
		return OPERAND_NONE;
	n -= many ? 3 : 0;
	if (is_word(word, n, "ID"))
		return verb->flags & VERB_MAKES_ROOT ? OPERAND_NEW_ID : OPERAND_ID;
	if (is_word(word, n, "NAME") || is_word(word, n, "GROUP"))
		return OPERAND_GROUP;
	if (is_word(word, n, "FILE|-"))
		return OPERAND_FILE;
	/* "COMMAND" of exec and of cpugroup is another. */
	if (is_word(word, n, "COMMAND"))
		return verb->n_subs || verb->min ? OPERAND_OTHER : OPERAND_COMMAND;
	return memchr(word, '|', n) ? OPERAND_WORDS : OPERAND_OTHER;
}

bool cli_completion_takes(const struct cli_verb *verb, enum completion_operand kind)
{
	enum completion_operand k;

	for (unsigned i = 0; i < 4 && (k = cli_completion_operand(verb, i)) != OPERAND_NONE; i++)
		if (k == kind)
			return true;
	return false;
}

void cli_completion_words(struct buf *out, const char *words)
{
	for (; *words; words++)
		buf_putc(out, *words == '|' ? ' ' : *words);
}
