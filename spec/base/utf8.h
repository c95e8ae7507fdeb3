/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * utf8 - well-formed UTF-8 as Unicode 15 table 3-7 has it
 *
 * Shortest form only, no surrogates, nothing beyond U+10FFFF: an overlong NUL
 * or slash would be text to one reader and a separator to the next.
 */

#include <stddef.h>

/* Bytes of the well-formed sequence at s (n bytes are there), 0 when there is none. */
static inline size_t utf8_length(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;

	/* The second byte is where overlong forms, surrogates and the end of Unicode show. */
	if (p[0] < 0xe0) {
		len = 2;
	} else if (p[0] < 0xf0) {
		len = 3;
		if (p[0] == 0xe0)
			low = 0xa0;
		else if (p[0] == 0xed)
			high = 0x9f;
	} else {
		len = 4;
		if (p[0] == 0xf0)
			low = 0x90;
		else if (p[0] == 0xf4)
			high = 0x8f;
	}
	if (n < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}
