/* SPDX-License-Identifier: Apache-2.0 */
/* Values to text. The caller keeps the order; this file keeps commas, indentation and escapes. */
#include "spec/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/utf8.h"

static void put_escaped(struct buf *b, unsigned char c)
{
	static const char names[] = "btn\0fr"; /* 0x08 … 0x0d, without \v, which JSON lacks */

	if (c == '"' || c == '\\') {
		buf_putc(b, '\\');
		buf_putc(b, (char)c);
	} else if (c >= 0x08 && c <= 0x0d && names[c - 0x08]) {
		buf_putc(b, '\\');
		buf_putc(b, names[c - 0x08]);
	} else {
		buf_printf(b, "\\u%04x", c);
	}
}

void json_escape(struct buf *b, const char *s, size_t n)
{
	buf_putc(b, '"');
	for (size_t i = 0, plain = 0;; i++) {
		unsigned char c = i < n ? (unsigned char)s[i] : 0;
		size_t len = i >= n ? 0 : c >= 0x20 && c < 0x80 ? 1 : utf8_length(s + i, n - i);

		/* DEL and the rest of ASCII go as they are, in one piece as long as possible. */
		if (len >= 1 && c >= 0x20 && c != '"' && c != '\\') {
			i += len - 1;
			continue;
		}
		buf_add(b, s + plain, i - plain);
		if (i >= n)
			break;
		if (len == 0)
			buf_puts(b, "\xef\xbf\xbd");
		else
			put_escaped(b, c);
		plain = i + 1;
	}
	buf_putc(b, '"');
}

static void new_line(struct json_w *w)
{
	if (!w->indent)
		return;
	buf_putc(w->out, '\n');
	for (unsigned i = 0; i < w->depth; i++)
		buf_puts(w->out, w->indent);
}

/* What stands before a value: a comma when due, a line of its own, the name. */
static void begin_value(struct json_w *w, const char *name)
{
	if (w->has_member)
		buf_putc(w->out, ',');
	if (w->depth > 0)
		new_line(w);
	if (name) {
		json_escape(w->out, name, strlen(name));
		buf_puts(w->out, w->indent ? ": " : ":");
	}
	w->has_member = true;
}

void json_w_open(struct json_w *w, const char *name, char bracket)
{
	begin_value(w, name);
	buf_putc(w->out, bracket);
	w->depth++;
	w->has_member = false;
}

void json_w_close(struct json_w *w, char bracket)
{
	w->depth--;
	if (w->has_member)
		new_line(w);
	buf_putc(w->out, bracket);
	w->has_member = true;
}

void json_w_str(struct json_w *w, const char *name, const char *value)
{
	begin_value(w, name);
	json_escape(w->out, value, strlen(value));
}

void json_w_int(struct json_w *w, const char *name, int64_t value)
{
	begin_value(w, name);
	if (value < 0)
		buf_putc(w->out, '-');
	buf_putu(w->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_w_uint(struct json_w *w, const char *name, uint64_t value)
{
	begin_value(w, name);
	buf_putu(w->out, value);
}

void json_w_bool(struct json_w *w, const char *name, bool value)
{
	begin_value(w, name);
	buf_puts(w->out, value ? "true" : "false");
}

void json_w_null(struct json_w *w, const char *name)
{
	begin_value(w, name);
	buf_puts(w->out, "null");
}

void json_w_raw(struct json_w *w, const char *name, const char *text, size_t n)
{
	begin_value(w, name);
	buf_add(w->out, text, n);
}
