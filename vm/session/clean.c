/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean - text that a guest had a hand in, for people
 *
 * A terminal obeys control characters, those of ISO 6429 in their eight-bit form as well, which UTF-8 has as U+0080
 * to U+009F. Bytes that are no UTF-8 may be either to some terminal.
 */
#include <string.h>

#include "spec/base/utf8.h"
#include "vm/session/core.h"

static bool is_control(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];

	return c < ' ' || c == 0x7f || (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void clean_text(char *text)
{
	size_t left = strlen(text);

	for (size_t n; left > 0; text += n, left -= n) {
		n = utf8_length(text, left);
		if (n == 0) {
			*text = '?';
			n = 1;
		} else if (is_control(text, n)) {
			memset(text, ' ', n);
		}
	}
}

void clean_error(struct error *err)
{
	/* The frames of a chain are separated by NULs. */
	for (size_t i = 0; i < err->used; i += strlen(err->text + i) + 1)
		clean_text(err->text + i);
	clean_text(err->at);
	clean_text(err->hint);
}
