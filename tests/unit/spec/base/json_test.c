/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct arena arena;
static struct error error;

static void fini(void)
{
	arena_release(&arena);
}

TestSuite(json, .fini = fini);

static int parse_n(const char *text, size_t n, const struct json **ret)
{
	/* A copy of exactly n bytes, so that a sanitizer sees a read beyond. */
	char *copy = malloc(n ? n : 1);

	memcpy(copy, text, n);
	error = ERROR_INIT;

	int r = json_parse(copy, n, "config.json", &arena, ret, &error);

	memset(copy, 'x', n);
	free(copy);
	return r;
}

static const struct json *parse(const char *text)
{
	const struct json *v = NULL;

	cr_assert_eq(parse_n(text, strlen(text), &v), 0, "%s: %s", text, error.text);
	cr_assert_not_null(v);
	return v;
}

static const char *refusal(const char *text, size_t n)
{
	const struct json *v = NULL;

	cr_assert_lt(parse_n(text, n, &v), 0, "%s was taken", text);
	cr_assert_null(v);
	return error.text;
}

Test(json, values_have_their_types)
{
	const struct json *v = parse(
		" { \"a\" : null, \"b\":true,\"c\":false, \"d\": -1.50e+3 ,"
		"\"e\":\"x\\ny\", \"f\":[1,[],{}], \"g\":{\"h\":\"\"} } ");

	cr_assert_eq(v->type, JSON_OBJECT);
	cr_assert_eq(v->count, 7);
	cr_assert_null(v->name);
	cr_assert_null(v->parent);
	cr_expect_eq(json_get(v, "a")->type, JSON_NULL);
	cr_expect_eq(json_get(v, "b")->type, JSON_BOOL);
	cr_expect(json_get(v, "b")->boolean);
	cr_expect_not(json_get(v, "c")->boolean);
	cr_expect_eq(json_get(v, "d")->type, JSON_NUMBER);
	cr_expect_str_eq(json_get(v, "d")->text, "-1.50e+3");
	cr_expect_eq(json_get(v, "d")->len, 8);
	cr_expect_str_eq(json_get(v, "e")->text, "x\ny");
	cr_expect_eq(json_get(v, "e")->len, 3);
	cr_expect_eq(json_get(v, "f")->count, 3);
	cr_expect_eq(json_get(v, "f")->first->next->type, JSON_ARRAY);
	cr_expect_null(json_get(v, "f")->first->name);
	cr_expect_eq(json_get(v, "f")->first->next->next->count, 0);
	cr_expect_str_eq(json_get(json_get(v, "g"), "h")->text, "");
	cr_expect_eq(json_get(json_get(v, "g"), "h")->parent, json_get(v, "g"));
}

Test(json, members_keep_their_order)
{
	const struct json *v = parse("{\"z\":1,\"a\":2,\"m\":3}");
	char order[8] = "";

	json_each(m, v)
		strncat(order, m->name, 1);
	cr_expect_str_eq(order, "zam");
}

Test(json, get_of_nothing_is_nothing)
{
	const struct json *v = parse("[{\"a\":1}]");

	cr_expect_null(json_get(NULL, "a"));
	cr_expect_null(json_get(v, "a"));
	cr_expect_null(json_get(v->first, "b"));
	cr_expect_null(json_get(json_get(v->first, "a"), "a"));
}

Test(json, a_scalar_is_a_document)
{
	cr_expect_eq(parse("null")->type, JSON_NULL);
	cr_expect_eq(parse(" true\n")->boolean, true);
	cr_expect_str_eq(parse("\"x\"")->text, "x");
	cr_expect_str_eq(parse("12")->text, "12");
	cr_expect_eq(parse("12")->end, 2);
	cr_expect_eq(parse(" 12 ")->begin, 1);
	cr_expect_eq(parse(" 12 ")->end, 3);
}

/* Each value's slice is a document of its own and means the same. */
static void check_slices(const char *text, const struct json *v)
{
	size_t n = v->end - v->begin;
	const struct json *again = NULL;

	cr_assert_lt(v->begin, v->end);
	cr_assert_leq(v->end, strlen(text));
	cr_assert_eq(parse_n(text + v->begin, n, &again), 0, "%.*s: %s", (int)n, text + v->begin,
		     error.text);
	cr_assert_eq(again->begin, 0, "%.*s begins with a blank", (int)n, text + v->begin);
	cr_assert_eq(again->end, n, "%.*s ends with a blank", (int)n, text + v->begin);
	cr_assert_eq(again->type, v->type);
	cr_assert_eq(again->count, v->count);
	if (v->text)
		cr_assert_str_eq(again->text, v->text);
	json_each(child, v)
		check_slices(text, child);
}

Test(json, a_value_knows_its_bytes)
{
	static const char *const texts[] = {
		"{\"a\":1}",
		" \n{ \"a\" : 1 , \"b\"\t:\r\n[ 1 ,2, 3 ] , \"c\" : { } , \"d\":[ ] }\n ",
		"[\"\\u00e4\\\"\\\\\", \"\xc3\xa4\" , \"a,:b\" ,null , true,false,-0.5e-10]",
		"{\"x\":{\"y\":{\"z\":[[[ 1]] ]}},\"\":\"\" , \"last\" : 7}",
		"[[],{},[{}],\"\",0]",
		"  42  ",
	};

	for (size_t i = 0; i < N(texts); i++)
		check_slices(texts[i], parse(texts[i]));

	const struct json *v = parse(texts[1]);
	const struct json *b = json_get(v, "b");

	cr_expect_eq(strncmp(texts[1] + b->begin, "[ 1 ,2, 3 ]", b->end - b->begin), 0);
	cr_expect_eq(b->end - b->begin, 11);
}

Test(json, escapes_and_surrogate_pairs_become_utf8)
{
	cr_expect_str_eq(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")->text, "\"\\/\b\f\n\r\t");
	cr_expect_str_eq(parse("\"\\u00e4\\u20AC\\ud83d\\uDE00\"")->text,
			 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	cr_expect_str_eq(parse("\"\\\\u0000\"")->text, "\\u0000");
	cr_expect_str_eq(parse("\"\\ud83d\\ude00\\ud83d\\ude00x\\u0041\"")->text,
			 "\xf0\x9f\x98\x80\xf0\x9f\x98\x80xA");
	cr_expect_str_eq(parse("{\"\\u0061\":1}")->first->name, "a");
}

Test(json, what_is_no_json_is_refused)
{
	static const char *const texts[] = {
		"{",	       "}",
		"[",	       "]",
		"{]",	       "[}",
		"[1,]",	       "{\"a\":1,}",
		"[,1]",	       "[1 2]",
		"[1,,2]",      "{1:2}",
		"{\"a\"}",     "{\"a\":}",
		"{\"a\" 1}",   "{\"a\"::1}",
		"{a:1}",       "{'a':1}",
		"tru",	       "nul",
		"True",	       "NaN",
		"Infinity",    "-",
		"+1",	       "01",
		"-01",	       "1.",
		".5",	       "1e",
		"1e+",	       "0x1",
		"1 2",	       "[1]]",
		"{}{}",	       "[] x",
		"\"a",	       "\"\\x\"",
		"\"\\u12g4\"", "\"\\u12\"",
		"\"a\nb\"",    "\"a\tb\"",
		"// c\n1",     "/* c */1",
		"[1]//",       "\xef\xbb\xbf{}",
		"\v1",	       "1\f",
		"[\v1]",       "[1,\f2]",
		"[1\v]",       "{\v}",
		"{\"a\"\f:1}", "\"\x7f",
		"[\x01]",      "[1]\v",
		"'a'",	       "\\",
		":",	       ",",
	};

	for (size_t i = 0; i < N(texts); i++) {
		refusal(texts[i], strlen(texts[i]));
		cr_expect_eq(error.code, EINVAL, "%s", texts[i]);
		cr_expect_eq(strncmp(error.text, "config.json:", 12), 0, "%s: %s", texts[i],
			     error.text);
	}
}

Test(json, bytes_after_the_document_are_refused)
{
	cr_expect_str_eq(refusal("{}\n{}", 5), "config.json:2:1: trailing garbage");
	refusal("{}\0", 3);
	refusal("1\0", 2);
	refusal("\0", 1);
}

Test(json, an_empty_document_is_called_empty)
{
	cr_expect_str_eq(refusal("", 0), "config.json is empty");
	cr_expect_str_eq(refusal(" \n\t\r ", 5), "config.json is empty");
}

Test(json, nul_in_a_string_is_refused)
{
	cr_expect_str_eq(refusal("[\"a\\u0000b\"]", 12), "config.json:1:4: NUL in a string");
	cr_expect_str_eq(refusal("{\"\\u0000\":1}", 12), "config.json:1:3: NUL in a string");
	refusal("[\"a\0b\"]", 7);
	refusal("[\"\\\\\\u0000\"]", 12);
}

Test(json, half_a_surrogate_pair_is_refused)
{
	static const char *const texts[] = {
		"\"\\ud800\"",		"\"\\udc00\"",	      "\"\\ud800x\"",	"\"\\ud800\\n\"",
		"\"\\ud800\\u0041\"",	"\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"",
		"\"\\ud83d\\ude00\\ude00\"", "{\"\\udfff\":1}",    "\"\\ud800\\\\udc00\"",
	};

	for (size_t i = 0; i < N(texts); i++) {
		refusal(texts[i], strlen(texts[i]));
		cr_expect(strstr(error.text, "half a surrogate pair"), "%s: %s", texts[i],
			  error.text);
	}
}

Test(json, invalid_utf8_is_refused)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xc3",
		"\xc3(",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xe2\x82",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xff",
		"\xfe",
		"\xf0\x9f\x98",
	};
	static const char *const good[] = {
		"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	};
	char text[64];

	for (size_t i = 0; i < N(bad); i++) {
		/* Both at an odd place and where eight bytes are looked at in one go. */
		snprintf(text, sizeof(text), "[\"%s\"]", bad[i]);
		refusal(text, strlen(text));
		cr_expect(strstr(error.text, "config.json:1:3: invalid UTF-8"), "%zu: %s", i,
			  error.text);
		snprintf(text, sizeof(text), "[\"0123456789abcdef%s0123456789abcdef\"]", bad[i]);
		refusal(text, strlen(text));
		cr_expect(strstr(error.text, "config.json:1:19: invalid UTF-8"), "%zu: %s", i,
			  error.text);
	}
	for (size_t i = 0; i < N(good); i++) {
		snprintf(text, sizeof(text), "\"%s\"", good[i]);
		cr_expect_str_eq(parse(text)->text, good[i]);
	}
}

Test(json, the_message_has_line_and_column)
{
	static const struct {
		const char *text, *where;
	} t[] = {
		{ "{\n  \"a\": 1,\n  \"a\": 2\n}", "config.json:3:3: member \"a\" is there twice" },
		{ "{\n\"a\": tru\n}", "config.json:2:6: invalid string in json text" },
		{ "[\n  1, 2.x]", "config.json:2:6: malformed number" },
		{ "[\"ab\\x\"]", "config.json:1:6: " },
		{ "[1] x", "config.json:1:5: trailing garbage" },
		{ "[1,\n 2\n 3]", "config.json:3:2: " },
		{ "{\"a\" \"b\"}", "config.json:1:6: " },
		{ "[1,,2]", "config.json:1:4: " },
		{ "{\"\xc3\xa4\": x}", "config.json:1:7: " },
		{ "[1", "config.json:1:3: " },
		{ "[1,\n2,\n", "config.json:3:1: " },
		{ "[\"a\nb\"]", "config.json:1:4: " },
		{ "{\"a\":1}}", "config.json:1:8: " },
	};

	for (size_t i = 0; i < N(t); i++) {
		refusal(t[i].text, strlen(t[i].text));
		cr_expect_eq(strncmp(error.text, t[i].where, strlen(t[i].where)), 0,
			     "%s: %s, not %s", t[i].text, error.text, t[i].where);
		cr_expect_null(strchr(error.text, '\n'));
	}
}

/* { "m0":0, "m1":0, … } with `twice` once more at the end. */
static char *many_members(unsigned n, int twice)
{
	char *text = malloc(32 * (size_t)n + 64);
	size_t len = 0;

	text[len++] = '{';
	for (unsigned i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s\"m%u\":%u", i ? "," : "", i, i);
	if (twice >= 0)
		len += (size_t)sprintf(text + len, ",\"m%d\":0", twice);
	sprintf(text + len, "}");
	return text;
}

Test(json, a_member_that_is_there_twice_is_refused_in_objects_of_any_size)
{
	for (unsigned n = 1; n < 40; n++) {
		for (unsigned twice = 0; twice < n; twice++) {
			char *text = many_members(n, (int)twice);
			char want[64];

			refusal(text, strlen(text));
			snprintf(want, sizeof(want), "member \"m%u\" is there twice", twice);
			cr_expect(strstr(error.text, want), "%s: %s", text, error.text);
			free(text);
		}

		char *text = many_members(n, -1);

		cr_expect_eq(parse(text)->count, n);
		free(text);
	}
}

Test(json, twice_means_the_decoded_name_within_one_object)
{
	refusal("{\"a\":1,\"\\u0061\":2}", 18);
	refusal("{\"\":1,\"\":2}", 11);
	cr_expect_eq(parse("{\"a\":{\"a\":{\"a\":1}},\"A\":1,\"aa\":2}")->count, 3);
	cr_expect_eq(parse("[{\"a\":1},{\"a\":1}]")->count, 2);
}

Test(json, a_hundred_thousand_members_take_no_square, .timeout = 5)
{
	char *text = many_members(100000, -1);

	cr_expect_eq(parse(text)->count, 100000);
	free(text);
	text = many_members(100000, 50000);
	refusal(text, strlen(text));
	cr_expect(strstr(error.text, "\"m50000\" is there twice"), "%s", error.text);
	free(text);
}

Test(json, depth_is_64_and_no_more)
{
	char text[512];

	for (int objects = 0; objects < 2; objects++) {
		for (int depth = 60; depth < 70; depth++) {
			const struct json *v = NULL;
			size_t n = 0;

			for (int i = 0; i < depth; i++) {
				memcpy(text + n, objects ? "{\"\":" : "[", objects ? 4 : 1);
				n += objects ? 4 : 1;
			}
			text[n++] = '1';
			memset(text + n, objects ? '}' : ']', (size_t)depth);
			n += (size_t)depth;
			cr_expect_eq(parse_n(text, n, &v), depth <= 64 ? 0 : -EINVAL, "%d", depth);
			if (depth > 64)
				cr_expect(strstr(error.text, "nested more than 64 deep"), "%s",
					  error.text);
		}
	}
}

Test(json, a_million_brackets_are_refused_at_the_65th)
{
	size_t n = 1000000;
	char *text = malloc(n);

	memset(text, '[', n);
	cr_expect_str_eq(refusal(text, n), "config.json:1:65: nested more than 64 deep");
	free(text);
}

Test(json, four_mebibytes_are_the_limit)
{
	size_t n = JSON_MAX_BYTES + 1;
	char *text = malloc(n);
	const struct json *v = NULL;

	memset(text, 'a', n);
	text[0] = '"';
	text[JSON_MAX_BYTES - 1] = '"';
	cr_expect_eq(parse_n(text, JSON_MAX_BYTES, &v), 0);
	cr_expect_eq(v->len, JSON_MAX_BYTES - 2);
	text[JSON_MAX_BYTES] = '\n';
	v = NULL;
	cr_expect_eq(parse_n(text, n, &v), -EFBIG);
	cr_expect_null(v);
	cr_expect_str_eq(error.text, "config.json is larger than 4194304 bytes");
	free(text);
}

Test(json, long_strings_with_escapes_survive)
{
	/* Larger than any first allocation of the tokeniser, so that it has to grow. */
	size_t n = 600000;
	char *text = malloc(n + 2);

	text[0] = '"';
	for (size_t i = 1; i < n; i += 6)
		memcpy(text + i, "\\u0041", 6);
	size_t end = 1 + (n - 1 + 5) / 6 * 6;

	if (end > n)
		end -= 6;
	text[end] = '"';

	const struct json *v = NULL;

	cr_assert_eq(parse_n(text, end + 1, &v), 0, "%s", error.text);
	cr_assert_eq(v->len, (end - 1) / 6);
	cr_assert_eq(strspn(v->text, "A"), v->len);
	free(text);
}

static const char sample[] =
	"{\"ociVersion\": \"1.0.2\", \"process\": {\"terminal\": false, \"args\": [\"sh\", \"-c\","
	" \"echo \\\"\\u00e4\\ud83d\\ude00\\\"\"], \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", "
	"\"hard\":"
	" 18446744073709551615}]}, \"linux\": {\"a\": null, \"b\": -1.5e3, \"c\": [[], {}, true]}}";

Test(json, every_prefix_of_a_document_is_refused)
{
	size_t n = strlen(sample);
	const struct json *v = NULL;

	cr_assert_eq(parse_n(sample, n, &v), 0, "%s", error.text);
	for (size_t i = 0; i < n; i++) {
		v = NULL;
		cr_expect_eq(parse_n(sample, i, &v), -EINVAL, "%zu bytes", i);
		cr_expect_null(v);
	}
}

Test(json, no_single_changed_byte_breaks_the_reader)
{
	size_t n = strlen(sample);
	char *text = strdup(sample);
	unsigned taken = 0, refused = 0;

	for (size_t i = 0; i < n; i++) {
		for (unsigned c = 0; c < 256; c++) {
			const struct json *v = NULL;

			text[i] = (char)c;
			if (parse_n(text, n, &v) == 0) {
				taken++;
				cr_assert_eq(v->end - v->begin, n);
			} else {
				refused++;
				cr_assert_null(v);
			}
			arena_release(&arena);
		}
		text[i] = sample[i];
	}
	free(text);
	cr_expect_gt(taken, n);
	cr_expect_gt(refused, n);
}

Test(json, pointers_name_values)
{
	const struct json *v = parse("{\"a\":[{\"b/c\":{\"~\":[0,1,2]}}],\"\":1}");
	const struct json *deep = json_get(v, "a")->first->first->first->first->next->next;
	char buf[64];

	cr_expect_str_eq(json_pointer(v, buf, sizeof(buf)), "");
	cr_expect_str_eq(json_pointer(deep, buf, sizeof(buf)), "/a/0/b~1c/~0/2");
	cr_expect_str_eq(json_pointer(json_get(v, ""), buf, sizeof(buf)), "/");
	cr_expect_str_eq(json_pointer(deep, buf, 5), "/a/0");
	cr_expect_str_eq(json_pointer(deep, buf, 1), "");
}

Test(json, pointers_reach_the_deepest_value)
{
	char text[2 * JSON_MAX_DEPTH + 2], want[2 * JSON_MAX_DEPTH + 1],
		buf[2 * JSON_MAX_DEPTH + 1];
	const struct json *v;

	memset(text, '[', JSON_MAX_DEPTH);
	text[JSON_MAX_DEPTH] = '1';
	memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH);
	text[sizeof(text) - 1] = '\0';
	for (v = parse(text); v->first; v = v->first)
		;
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		memcpy(want + 2 * (size_t)i, "/0", 3);
	cr_expect_str_eq(json_pointer(v, buf, sizeof(buf)), want);
}

Test(json, typed_access_takes_the_right_type_only)
{
	const struct json *v = parse("{\"s\":\"x\",\"b\":true,\"i\":-5,\"u\":18446744073709551615,"
				     "\"f\":1.0,\"e\":1e3,\"n\":null,\"l\":[1,\"2\"]}");
	const char *s = NULL;
	bool b = false;
	int64_t i = 0;
	uint64_t u = 0;

	cr_expect_eq(json_string(json_get(v, "s"), &s, NULL), 0);
	cr_expect_str_eq(s, "x");
	cr_expect_eq(json_bool(json_get(v, "b"), &b, NULL), 0);
	cr_expect(b);
	cr_expect_eq(json_int(json_get(v, "i"), -5, 5, &i, NULL), 0);
	cr_expect_eq(i, -5);
	cr_expect_eq(json_uint(json_get(v, "u"), UINT64_MAX, &u, NULL), 0);
	cr_expect_eq(u, UINT64_MAX);

	i = 77;
	u = 77;
	s = NULL;
	cr_expect_eq(json_string(json_get(v, "n"), &s, &error), -EINVAL);
	cr_expect_str_eq(error.text, "n must be a string");
	cr_expect_str_eq(error.at, "/n");
	cr_expect_null(s);
	cr_expect_eq(json_bool(json_get(v, "s"), &b, &error), -EINVAL);
	cr_expect_str_eq(error.text, "s must be true or false");
	cr_expect_eq(json_int(json_get(v, "f"), 0, 5, &i, &error), -EINVAL);
	cr_expect_str_eq(error.text, "f must be an integer");
	cr_expect_eq(json_int(json_get(v, "e"), 0, 5000, &i, &error), -EINVAL);
	cr_expect_eq(json_int(json_get(v, "l")->first->next, 0, 5, &i, &error), -EINVAL);
	cr_expect_str_eq(error.text, "l[1] must be an integer");
	cr_expect_str_eq(error.at, "/l/1");
	cr_expect_eq(json_int(json_get(v, "i"), 0, 5, &i, &error), -EINVAL);
	cr_expect_str_eq(error.text, "i must be between 0 and 5, not -5");
	cr_expect_eq(json_int(json_get(v, "u"), INT64_MIN, INT64_MAX, &i, &error), -EINVAL);
	cr_expect_eq(json_uint(json_get(v, "i"), 10, &u, &error), -EINVAL);
	cr_expect_str_eq(error.text, "i must be between 0 and 10, not -5");
	cr_expect_eq(json_uint(json_get(v, "s"), 10, &u, &error), -EINVAL);
	cr_expect_eq(json_uint(json_get(v, "f"), 10, &u, &error), -EINVAL);
	cr_expect_eq(i, 77);
	cr_expect_eq(u, 77);
	cr_expect_eq(json_string(NULL, &s, &error), -EINVAL);
	cr_expect_eq(json_string(v, &s, &error), -EINVAL);
	cr_expect_str_eq(error.text, "the document must be a string");
}

Test(json, integers_do_not_wrap)
{
	static const char *const texts[] = {
		"18446744073709551616", "36893488147419103232", "-18446744073709551617",
		"99999999999999999999999999999999999999999999999999999999999999",
	};

	for (size_t i = 0; i < N(texts); i++) {
		int64_t n = 77;
		uint64_t u = 77;

		cr_expect_eq(json_int(parse(texts[i]), INT64_MIN, INT64_MAX, &n, &error), -EINVAL);
		cr_expect(strstr(error.text, "must be between"), "%s", error.text);
		cr_expect_eq(json_uint(parse(texts[i]), UINT64_MAX, &u, &error), -EINVAL);
		cr_expect(strstr(error.text, "must be between"), "%s", error.text);
		cr_expect_eq(n, 77);
		cr_expect_eq(u, 77);
	}
}

Test(json, a_small_document_needs_no_heap)
{
	char text[4096] = "[";

	for (int i = 0; i < 60; i++)
		strcat(text, "{\"name\":\"value\"},");
	strcat(text, "\"\\u0041\"]");
	parse(text);
	cr_expect_null(arena.blocks);
}
