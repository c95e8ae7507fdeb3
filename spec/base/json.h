/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * json - bounded, strict JSON in; correct JSON out
 *
 * Reading: yajl tokenises, we build a tree in an arena and refuse what RFC 8259
 * allows but a security boundary must not: duplicate members, depth beyond
 * JSON_MAX_DEPTH, documents beyond JSON_MAX_BYTES, NUL in strings (they end up
 * as C strings), bytes after the document. Numbers keep their text, so a uint64
 * never passes through a double.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"

#define JSON_MAX_BYTES (4u << 20)
#define JSON_MAX_DEPTH 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	bool boolean;              /* JSON_BOOL */
	const char *name;          /* member name when inside an object, else NULL */
	const char *text;          /* JSON_STRING: value; JSON_NUMBER: as written. NUL-terminated */
	size_t len;                /* of text */
	size_t count;              /* elements or members */
	struct json *first;        /* elements or members in order */
	struct json *next;         /* sibling */
	struct json *parent;
	uint32_t begin, end;       /* bytes of the document this value spans, [begin, end) */
};

/*
 * Parses n bytes. On failure the message has line and column and `what` (a file
 * name) for the reader. The tree lives in `a` and keeps no pointer into text.
 */
int json_parse(const char *text, size_t n, const char *what, struct arena *a,
	       const struct json **ret, struct error *err);

/* The member of an object, or NULL (also when obj is NULL or no object). */
const struct json *json_get(const struct json *obj, const char *name);

/* "/linux/devices/3/path" of a value; for error_at(). Written to buf, cut when too long. */
const char *json_pointer(const struct json *v, char *buf, size_t size);

#define json_each(it, container) \
	for (const struct json *it = (container) ? (container)->first : NULL; it; it = it->next)

/*
 * Typed access. Each checks type and range, and on failure sets a rule error
 * such as "must be a string" with the pointer of the value. -EINVAL.
 */
int json_string(const struct json *v, const char **ret, struct error *err);
int json_bool(const struct json *v, bool *ret, struct error *err);
int json_int(const struct json *v, int64_t min, int64_t max, int64_t *ret, struct error *err);
int json_uint(const struct json *v, uint64_t max, uint64_t *ret, struct error *err);

/*
 * Writing. json_w tracks commas, nesting and indentation; strings are escaped
 * (invalid UTF-8 becomes U+FFFD). indent is the text per level, NULL for one line.
 *
 *	struct json_w w = { .out = &b, .indent = "  " };
 *	json_w_open(&w, NULL, '{');
 *	json_w_str(&w, "id", id);
 *	json_w_close(&w, '}');
 */
struct json_w {
	struct buf *out;
	const char *indent;
	unsigned depth;
	bool has_member; /* something was written at this level: a comma is due */
};

void json_w_open(struct json_w *w, const char *name, char bracket);
void json_w_close(struct json_w *w, char bracket);
void json_w_str(struct json_w *w, const char *name, const char *value);
void json_w_int(struct json_w *w, const char *name, int64_t value);
void json_w_uint(struct json_w *w, const char *name, uint64_t value);
void json_w_bool(struct json_w *w, const char *name, bool value);
void json_w_null(struct json_w *w, const char *name);
/* Writes text that is JSON already. */
void json_w_raw(struct json_w *w, const char *name, const char *text, size_t n);
/* Appends s as a quoted and escaped string. */
void json_escape(struct buf *b, const char *s, size_t n);
