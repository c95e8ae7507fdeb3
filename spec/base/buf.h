/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * buf - a growing byte string
 *
 *	auto_buf struct buf b = BUF_INIT;
 *	buf_printf(&b, "%s=%d", key, n);
 *
 * data is always NUL-terminated once anything was added. Running out of memory
 * ends the process, as in arena.h.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool is_borrowed; /* data is the caller's array, see BUF_ON */
};

#define BUF_INIT { .data = NULL, .len = 0, .cap = 0 }
/* Begins in an array of the caller's and goes to the heap only when that is full. */
#define BUF_ON(array) { .data = (array), .len = 0, .cap = sizeof(array), .is_borrowed = true }

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_putu(struct buf *b, uint64_t n); /* in decimal digits */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Makes room for n more bytes and returns where they go; the caller adds to len. */
char *buf_reserve(struct buf *b, size_t n);
void buf_reset(struct buf *b); /* empties, keeps the memory */
void buf_release(struct buf *b);

static inline void auto_bufp(struct buf *b)
{
	buf_release(b);
}
#define auto_buf __attribute__((cleanup(auto_bufp)))
