/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/oom.h"

char *buf_reserve(struct buf *b, size_t n)
{
	if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		oom_die();
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 256;

		while (cap < b->len + n + 1)
			cap *= 2;

		char *data = realloc(b->is_borrowed ? NULL : b->data, cap);

		if (!data)
			oom_die();
		if (b->is_borrowed && b->len)
			memcpy(data, b->data, b->len + 1);
		b->is_borrowed = false;
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

/* Most of what is added is a few bytes: sizes that are constant become single moves, and no call. */
static void copy(char *to, const char *from, size_t n)
{
	if (n > 16) {
		memcpy(to, from, n);
	} else if (n >= 8) {
		char last[8];

		memcpy(last, from + n - 8, 8);
		memcpy(to, from, 8);
		memcpy(to + n - 8, last, 8);
	} else if (n >= 4) {
		char last[4];

		memcpy(last, from + n - 4, 4);
		memcpy(to, from, 4);
		memcpy(to + n - 4, last, 4);
	} else if (n > 0) {
		to[0] = from[0];
		to[n / 2] = from[n / 2];
		to[n - 1] = from[n - 1];
	}
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	copy(b->len + n < b->cap ? b->data + b->len : buf_reserve(b, n), bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	if (b->len + 1 >= b->cap)
		buf_reserve(b, 1);
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

void buf_putu(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(buf_reserve(b, 128), 129, fmt, ap);

	if (n < 0)
		oom_die();
	if (n > 128)
		vsnprintf(buf_reserve(b, (size_t)n), (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_release(struct buf *b)
{
	if (!b->is_borrowed)
		free(b->data);
	*b = (struct buf)BUF_INIT;
}
