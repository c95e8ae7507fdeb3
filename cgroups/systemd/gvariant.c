/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/internal.h"

/*
 * The part of the GVariant Text Format that properties are written in: true, 42,
 * 0x2a, 1.5, 'text', "text", ['a', 'b'], uint64 42, @as []. What is left out of the format
 * (tuples, dictionaries, bytestrings, maybe types) is refused, not guessed at.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define LIST_MAX 64

struct reader {
	const char *start, *s;
	struct arena *a;
};

__attribute__((format(printf, 3, 4))) static int refuse(const struct reader *r, struct error *err,
							const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_rule(err, EINVAL, "%s at byte %zu of %.100s", text, (size_t)(r->s - r->start) + 1, r->start);
}

static void skip_blanks(struct reader *r)
{
	r->s += strspn(r->s, " \t");
}

/* Takes word when it stands here as a whole. */
static bool take_word(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(r->s, word, n) != 0 || isalnum((unsigned char)r->s[n]) || r->s[n] == '_')
		return false;
	r->s += n;
	return true;
}

/* The byte that an escape stands for; 0 for one that is not known. Control characters are not let in this way either. */
static char unescape(char c)
{
	return c == '\\' || c == '\'' || c == '"' ? c : '\0';
}

static int read_string(struct reader *r, const char **ret, struct error *err)
{
	char quote = *r->s;
	char *text;
	size_t n = 0;

	if (quote != '\'' && quote != '"')
		return refuse(r, err, "expected a quoted string");
	r->s++;
	text = arena_alloc(r->a, strlen(r->s) + 1);
	for (; *r->s != quote; r->s++) {
		unsigned char c = (unsigned char)*r->s;

		if (c == '\0')
			return refuse(r, err, "the string has no end");
		if (c < 0x20 || c == 0x7f)
			return refuse(r, err, "a control character");
		if (c == '\\') {
			c = (unsigned char)unescape(*++r->s);
			if (!c)
				return refuse(r, err, "an escape other than \\\\, \\' and \\\"");
		}
		text[n++] = (char)c;
	}
	r->s++;
	*ret = text;
	return 0;
}

static int read_list(struct reader *r, struct gvalue *v, struct error *err)
{
	const char **list = ARENA_NEW_N(r->a, const char *, LIST_MAX);

	r->s++;
	skip_blanks(r);
	for (v->n = 0; *r->s != ']'; v->n++) {
		if (v->n == LIST_MAX)
			return refuse(r, err, "more than %d strings", LIST_MAX);

		int k = read_string(r, &list[v->n], err);

		if (k < 0)
			return k;
		skip_blanks(r);
		if (*r->s == ',') {
			r->s++;
			skip_blanks(r);
		} else if (*r->s != ']') {
			return refuse(r, err, "expected ',' or ']'");
		}
	}
	r->s++;
	v->list = list;
	return 0;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* The magnitude. Decimal by the strict reader; hexadecimal here. A leading zero would be octal: refused. */
static int read_magnitude(const char *digits, uint64_t *ret)
{
	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
		uint64_t v = 0;

		digits += 2;
		if (!*digits || strlen(digits) > 16)
			return -EINVAL;
		for (; *digits; digits++) {
			if (!isxdigit((unsigned char)*digits))
				return -EINVAL;
			v = v << 4 | (unsigned)hex_digit(*digits);
		}
		*ret = v;
		return 0;
	}
	return digits[0] == '0' && digits[1] ? -EINVAL : parse_u64(digits, ret);
}

/* "1.5": whole part and fraction, each strict; no exponent, no "inf". */
static int read_real(const char *digits, double *ret)
{
	char *end;

	if (strspn(digits, "0123456789.") != strlen(digits) || !isdigit((unsigned char)digits[0]) ||
	    strchr(digits, '.') != strrchr(digits, '.') || strlen(digits) > 32)
		return -EINVAL;
	*ret = strtod(digits, &end);
	return *end ? -EINVAL : 0;
}

static int read_number(struct reader *r, struct gvalue *v, struct error *err)
{
	char digits[64];
	size_t n;

	v->is_negative = *r->s == '-';
	if (*r->s == '-' || *r->s == '+')
		r->s++;
	n = strspn(r->s, "0123456789abcdefABCDEFxX.");
	if (n == 0 || n >= sizeof(digits))
		return refuse(r, err, "expected a value");
	memcpy(digits, r->s, n);
	digits[n] = '\0';
	if (strchr(digits, '.') || v->type[0] == 'd') {
		if (read_real(digits, &v->real) < 0)
			return refuse(r, err, "\"%s\" is no number", digits);
		if (v->is_negative)
			v->real = -v->real;
		if (!v->has_type)
			memcpy(v->type, "d", 2);
	} else {
		if (read_magnitude(digits, &v->number) < 0)
			return refuse(r, err, "\"%s\" is no number of 64 bits", digits);
		if (!v->has_type)
			memcpy(v->type, "i", 2);
	}
	r->s += n;
	return 0;
}

static void read_type(struct reader *r, struct gvalue *v)
{
	static const struct {
		const char *word, *type;
	} types[] = {
		{ "boolean", "b" }, { "byte", "y" },   { "int16", "n" },  { "uint16", "q" }, { "int32", "i" },
		{ "uint32", "u" },  { "int64", "x" },  { "uint64", "t" }, { "double", "d" }, { "string", "s" },
		{ "@b", "b" },	    { "@y", "y" },     { "@n", "n" },	  { "@q", "q" },     { "@i", "i" },
		{ "@u", "u" },	    { "@x", "x" },     { "@t", "t" },	  { "@d", "d" },     { "@s", "s" },
		{ "@as", "as" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (take_word(r, types[i].word)) {
			memcpy(v->type, types[i].type, strlen(types[i].type) + 1);
			v->has_type = true;
			skip_blanks(r);
			return;
		}
}

/* Does an integer fit its type? */
static bool in_range(const struct gvalue *v)
{
	static const struct {
		char type;
		uint64_t max, min; /* min: magnitude of the lowest */
	} ranges[] = {
		{ 'y', UINT8_MAX, 0 },	{ 'n', INT16_MAX, 1u << 15 },	 { 'q', UINT16_MAX, 0 },
		{ 'u', UINT32_MAX, 0 }, { 'x', INT64_MAX, UINT64_C(1) << 63 }, { 't', UINT64_MAX, 0 },
		{ 'i', INT32_MAX, 1u << 31 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (ranges[i].type == v->type[0])
			return v->number <= (v->is_negative ? ranges[i].min : ranges[i].max);
	return true;
}

static bool is_type(const struct gvalue *v, const char *type)
{
	return !v->has_type || strcmp(v->type, type) == 0;
}

static int read_value(struct reader *r, struct gvalue *v, struct error *err)
{
	if (take_word(r, "true") || take_word(r, "false")) {
		v->number = r->s[-2] == 'u'; /* tr-u-e, fal-s-e */
		if (!is_type(v, "b"))
			return refuse(r, err, "a boolean where a value of type %s was announced", v->type);
		memcpy(v->type, "b", 2);
		return 0;
	}
	if (*r->s == '\'' || *r->s == '"') {
		if (!is_type(v, "s"))
			return refuse(r, err, "a string where a value of type %s was announced", v->type);
		memcpy(v->type, "s", 2);
		return read_string(r, &v->text, err);
	}
	if (*r->s == '[') {
		if (!is_type(v, "as"))
			return refuse(r, err, "an array where a value of type %s was announced", v->type);
		memcpy(v->type, "as", 3);
		return read_list(r, v, err);
	}
	if (v->has_type && strchr("bsa", v->type[0]))
		return refuse(r, err, "no value of type %s", v->type);

	int k = read_number(r, v, err);

	/* What has no type may turn out to be wanted as a wider one: the caller knows. */
	if (k == 0 && v->has_type && !in_range(v))
		return refuse(r, err, "the number is beyond type %s", v->type);
	return k;
}

int gvariant_parse(const char *text, struct arena *a, struct gvalue *ret, struct error *err)
{
	struct reader r = { .start = text, .s = text, .a = a };
	struct gvalue v = { .type = "" };

	skip_blanks(&r);
	read_type(&r, &v);

	int k = read_value(&r, &v, err);

	if (k < 0)
		return k;
	skip_blanks(&r);
	if (*r.s)
		return refuse(&r, err, "something after the value");
	*ret = v;
	return 0;
}
