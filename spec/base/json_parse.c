/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to tree. yajl finds the tokens; the rules that make the document safe to
 * act on are here: size, depth, UTF-8, NUL, surrogates, duplicate members, and
 * the blanks that yajl takes and RFC 8259 does not. json.c reads the tree.
 *
 * yajl tells where a token ends and not where it begins (a string that reached
 * us may be an unescaped copy), so we keep the end of the last one and skip what
 * may stand between two tokens.
 */
#include "spec/base/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "spec/base/utf8.h"

/* Up to here a look at each earlier name is cheaper than sorting them. */
#define FEW_MEMBERS 16

struct level {
	struct json *container;
	struct json *last; /* newest child */
};

struct reader {
	const char *text;
	size_t n;
	const char *what;
	struct arena *arena;
	struct error *err;
	yajl_handle yajl;
	bool is_finishing;        /* yajl parses a blank of its own: offsets mean the end */
	int result;               /* -E… once a rule was broken */
	size_t done;              /* end of the last token */
	char *strings;            /* free part of the room for all strings */
	const char *name;         /* of the next member */
	struct json *root;
	unsigned depth;
	struct level levels[JSON_MAX_DEPTH];
};

static void *yajl_get(void *ctx, size_t size)
{
	size_t *p = arena_alloc(ctx, size + 16);

	*p = size;
	return (char *)p + 16;
}

static void yajl_drop(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

static void *yajl_grow(void *ctx, void *p, size_t size)
{
	size_t had = p ? *(size_t *)((char *)p - 16) : 0;

	if (p && size <= had)
		return p;

	void *bigger = yajl_get(ctx, size);

	if (p)
		memcpy(bigger, p, had);
	return bigger;
}

/* Sets the error "config.json:3:14: …" for byte `at`. Returns 0, which stops yajl. */
__attribute__((format(printf, 3, 4))) static int refuse(struct reader *r, size_t at,
							  const char *fmt, ...)
{
	char why[256];
	size_t line = 1, column = 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);

	for (size_t i = 0; i < at && i < r->n; i++) {
		if (r->text[i] == '\n') {
			line++;
			column = 1;
		} else if ((r->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	r->result = error_rule(r->err, EINVAL, "%s:%zu:%zu: %s", r->what, line, column, why);
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The first byte at or after the last token that is no blank, comma or colon. */
static size_t next_begin(const struct reader *r)
{
	size_t i = r->done;

	while (i < r->n && (is_blank(r->text[i]) || r->text[i] == ',' || r->text[i] == ':'))
		i++;
	return i;
}

/*
 * The bytes of the token yajl is calling about, which become r->done. False
 * when there was a vertical tab or form feed before it: white to yajl alone.
 */
static bool take_token(struct reader *r, size_t *begin, size_t *end)
{
	*begin = next_begin(r);
	*end = r->is_finishing ? r->n : yajl_get_bytes_consumed(r->yajl);
	r->done = *end;
	if (*begin < r->n && (r->text[*begin] == '\v' || r->text[*begin] == '\f'))
		return refuse(r, *begin, "control character 0x%02x outside of a string",
			      (unsigned)r->text[*begin]);
	return true;
}

static struct json *add(struct reader *r, enum json_type type, size_t begin, size_t end)
{
	struct json *v = ARENA_NEW(r->arena, struct json);

	v->type = type;
	v->begin = (uint32_t)begin;
	v->end = (uint32_t)end;
	if (r->depth == 0) {
		r->root = v;
		return v;
	}

	struct level *l = &r->levels[r->depth - 1];

	v->parent = l->container;
	v->name = r->name;
	r->name = NULL;
	if (l->last)
		l->last->next = v;
	else
		l->container->first = v;
	l->last = v;
	l->container->count++;
	return v;
}

/*
 * Copies into the common room, which is as large as the document: a string's
 * two quotes pay for its NUL, and so does the byte after a number.
 */
static const char *keep(struct reader *r, const void *bytes, size_t n)
{
	char *s = r->strings;

	memcpy(s, bytes, n);
	r->strings += n + 1;
	return s;
}

static unsigned hex4(const char *s)
{
	unsigned n = 0;

	for (int i = 0; i < 4; i++)
		n = n << 4 | (unsigned)(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
	return n;
}

static bool is_high_surrogate(unsigned unit)
{
	return (unit & 0xfc00) == 0xd800;
}

static bool is_low_surrogate(unsigned unit)
{
	return (unit & 0xfc00) == 0xdc00;
}

/*
 * yajl checked that escapes are well-formed, but turns a lone surrogate into
 * "?" or into bytes that are no UTF-8. [begin, end) includes the quotes.
 */
static bool check_escapes(struct reader *r, size_t begin, size_t end)
{
	const char *s = r->text;

	for (size_t i = begin + 1; i + 1 < end; i++) {
		if (s[i] != '\\' || s[++i] != 'u')
			continue;

		unsigned unit = hex4(s + i + 1);

		if (unit == 0)
			return refuse(r, i - 1, "NUL in a string");
		if (is_high_surrogate(unit) && end - i > 11 && s[i + 5] == '\\' &&
		    s[i + 6] == 'u' && is_low_surrogate(hex4(s + i + 7)))
			i += 10;
		else if (is_high_surrogate(unit) || is_low_surrogate(unit))
			return refuse(r, i - 1, "half a surrogate pair in a string");
		else
			i += 4;
	}
	return true;
}

static int on_null(void *ctx)
{
	struct reader *r = ctx;
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;
	add(r, JSON_NULL, begin, end);
	return 1;
}

static int on_boolean(void *ctx, int value)
{
	struct reader *r = ctx;
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;
	add(r, JSON_BOOL, begin, end)->boolean = value;
	return 1;
}

static int on_number(void *ctx, const char *text, size_t n)
{
	struct reader *r = ctx;
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;

	/* At the end of the document yajl looks at one blank more: trust the length. */
	struct json *v = add(r, JSON_NUMBER, begin, begin + n);

	r->done = begin + n;
	v->text = keep(r, text, n);
	v->len = n;
	return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t n)
{
	struct reader *r = ctx;
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;
	if (end - begin != n + 2 && !check_escapes(r, begin, end))
		return 0;

	struct json *v = add(r, JSON_STRING, begin, end);

	v->text = keep(r, text, n);
	v->len = n;
	return 1;
}

static int on_name(void *ctx, const unsigned char *text, size_t n)
{
	struct reader *r = ctx;
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;
	if (end - begin != n + 2 && !check_escapes(r, begin, end))
		return 0;
	r->name = keep(r, text, n);

	const struct json *object = r->levels[r->depth - 1].container;

	if (object->count >= FEW_MEMBERS)
		return 1; /* check_many() has the last word */
	json_each(m, object)
		if (strcmp(m->name, r->name) == 0)
			return refuse(r, begin, "member \"%s\" is there twice", r->name);
	return 1;
}

static int by_name(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a;
	const struct json *y = *(const struct json *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

/* A sort instead of a hash: no document makes it quadratic, and there is no seed to keep. */
static bool check_many(struct reader *r, const struct json *object)
{
	const struct json **sorted = ARENA_NEW_N(r->arena, const struct json *, object->count);
	size_t n = 0;

	json_each(m, object)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			return refuse(r, sorted[i]->begin, "member \"%s\" is there twice",
				      sorted[i]->name);
	return true;
}

static int open_container(struct reader *r, enum json_type type)
{
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;
	if (r->depth == JSON_MAX_DEPTH)
		return refuse(r, begin, "nested more than %d deep", JSON_MAX_DEPTH);

	struct json *v = add(r, type, begin, end);

	r->levels[r->depth++] = (struct level){ .container = v };
	return 1;
}

static int close_container(struct reader *r)
{
	size_t begin, end;

	if (!take_token(r, &begin, &end))
		return 0;

	struct json *v = r->levels[--r->depth].container;

	v->end = (uint32_t)end;
	if (v->type == JSON_OBJECT && v->count > FEW_MEMBERS)
		return check_many(r, v);
	return 1;
}

static int on_open_object(void *ctx)
{
	return open_container(ctx, JSON_OBJECT);
}

static int on_open_array(void *ctx)
{
	return open_container(ctx, JSON_ARRAY);
}

static int on_close(void *ctx)
{
	return close_container(ctx);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_open_object,
	.yajl_map_key = on_name,
	.yajl_end_map = on_close,
	.yajl_start_array = on_open_array,
	.yajl_end_array = on_close,
};

/*
 * Where the text that yajl did not like begins, from its words: it stands behind
 * a token, behind a byte that begins none, or on the bad byte of a string.
 */
static size_t place_of(const struct reader *r, const char *why, bool is_token)
{
	size_t begin = next_begin(r);
	size_t at = yajl_get_bytes_consumed(r->yajl);

	if (r->is_finishing)
		return r->n;
	if (at == 0 || strstr(why, "inside"))
		return at;
	if (is_token)
		return strchr(",:[]{}", r->text[at - 1]) ? at - 1 : begin;
	return begin < at && !strstr(why, "invalid char") ? begin : at - 1;
}

/* Turns yajl's "parse error: premature EOF\n" into ours, with the place. */
static void refuse_syntax(struct reader *r)
{
	char *words = (char *)yajl_get_error(r->yajl, 0, NULL, 0);
	char *why = strstr(words, ": ");
	bool is_token = strncmp(words, "parse", 5) == 0;

	why = why ? why + 2 : words;

	size_t n = strcspn(why, "\n");

	if (n > 0 && why[n - 1] == '.')
		n--;
	why[n] = '\0';
	refuse(r, place_of(r, why, is_token), "%s", why);
}

/* Before yajl, which lets overlong forms and surrogates through. */
static bool check_utf8(struct reader *r)
{
	for (size_t i = 0; i < r->n;) {
		uint64_t word;

		/* Almost all of a config is ASCII: eight bytes a look. */
		if (r->n - i >= sizeof(word)) {
			memcpy(&word, r->text + i, sizeof(word));
			if (!(word & UINT64_C(0x8080808080808080))) {
				i += sizeof(word);
				continue;
			}
		}

		size_t len = utf8_length(r->text + i, r->n - i);

		if (len == 0)
			return refuse(r, i, "invalid UTF-8 (byte 0x%02x)",
				      (unsigned)(unsigned char)r->text[i]);
		i += len;
	}
	return true;
}

static int read_document(struct reader *r)
{
	yajl_alloc_funcs memory = {
		.malloc = yajl_get,
		.realloc = yajl_grow,
		.free = yajl_drop,
		.ctx = r->arena,
	};

	if (!check_utf8(r))
		return r->result;

	r->strings = arena_alloc(r->arena, r->n + 1);
	r->yajl = yajl_alloc(&callbacks, &memory, r);
	yajl_config(r->yajl, yajl_dont_validate_strings, 1); /* check_utf8() is stricter */

	yajl_status status = yajl_parse(r->yajl, (const unsigned char *)r->text, r->n);

	if (status == yajl_status_ok) {
		r->is_finishing = true;
		status = yajl_complete_parse(r->yajl);
	}
	if (status == yajl_status_error)
		refuse_syntax(r);
	if (r->result < 0)
		return r->result;

	for (size_t i = r->done; i < r->n; i++) {
		if (!is_blank(r->text[i])) {
			refuse(r, i, "something follows the document");
			return r->result;
		}
	}
	return 0;
}

int json_parse(const char *text, size_t n, const char *what, struct arena *a,
	       const struct json **ret, struct error *err)
{
	struct reader r = { .text = text, .n = n, .what = what, .arena = a, .err = err };
	size_t blanks = 0;

	if (n > JSON_MAX_BYTES)
		return error_rule(err, EFBIG, "%s is larger than %u bytes", what, JSON_MAX_BYTES);
	while (blanks < n && is_blank(text[blanks]))
		blanks++;
	if (blanks == n)
		return error_rule(err, EINVAL, "%s is empty", what);

	int result = read_document(&r);

	if (result < 0)
		return result;
	*ret = r.root;
	return 0;
}
