/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/json.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static void write_sample(struct json_w *w)
{
	json_w_open(w, NULL, '{');
	json_w_str(w, "id", "a\"b");
	json_w_int(w, "min", INT64_MIN);
	json_w_uint(w, "max", UINT64_MAX);
	json_w_bool(w, "yes", true);
	json_w_null(w, "nothing");
	json_w_open(w, "none", '{');
	json_w_close(w, '}');
	json_w_open(w, "list", '[');
	json_w_str(w, NULL, "x");
	json_w_open(w, NULL, '[');
	json_w_close(w, ']');
	json_w_raw(w, NULL, "{\"r\":1}", 7);
	json_w_close(w, ']');
	json_w_bool(w, "after", false);
	json_w_close(w, '}');
}

Test(json_write, one_line_has_no_blanks)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };

	write_sample(&w);
	cr_expect_str_eq(b.data,
			 "{\"id\":\"a\\\"b\",\"min\":-9223372036854775808,"
			 "\"max\":18446744073709551615,\"yes\":true,\"nothing\":null,\"none\":{},"
			 "\"list\":[\"x\",[],{\"r\":1}],\"after\":false}");
	cr_expect_eq(w.depth, 0);
}

Test(json_write, indented_text_has_a_line_for_each_member)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b, .indent = "  " };

	write_sample(&w);
	cr_expect_str_eq(b.data, "{\n"
				 "  \"id\": \"a\\\"b\",\n"
				 "  \"min\": -9223372036854775808,\n"
				 "  \"max\": 18446744073709551615,\n"
				 "  \"yes\": true,\n"
				 "  \"nothing\": null,\n"
				 "  \"none\": {},\n"
				 "  \"list\": [\n"
				 "    \"x\",\n"
				 "    [],\n"
				 "    {\"r\":1}\n"
				 "  ],\n"
				 "  \"after\": false\n"
				 "}");
}

static const char *escape(struct buf *b, const char *s, size_t n)
{
	buf_reset(b);
	json_escape(b, s, n);
	return b->data;
}

Test(json_write, strings_are_escaped)
{
	auto_buf struct buf b = BUF_INIT;

	cr_expect_str_eq(escape(&b, "", 0), "\"\"");
	cr_expect_str_eq(escape(&b, "a\"\\/", 4), "\"a\\\"\\\\/\"");
	cr_expect_str_eq(escape(&b, "\b\f\n\r\t", 5), "\"\\b\\f\\n\\r\\t\"");
	cr_expect_str_eq(escape(&b, "\0\x01\x0b\x1f\x7f", 5),
			 "\"\\u0000\\u0001\\u000b\\u001f\x7f\"");
	cr_expect_str_eq(escape(&b, "\xc3\xa4\xf0\x9f\x98\x80", 6), "\"\xc3\xa4\xf0\x9f\x98\x80\"");
}

Test(json_write, each_byte_that_is_no_utf8_becomes_a_replacement_character)
{
	auto_buf struct buf b = BUF_INIT;

	cr_expect_str_eq(escape(&b, "a\xff" "b", 3), "\"a\xef\xbf\xbd" "b\"");
	cr_expect_str_eq(escape(&b, "\xc0\x80", 2), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	cr_expect_str_eq(escape(&b, "\xe2\x82", 2), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	cr_expect_str_eq(escape(&b, "\xc3\"", 2), "\"\xef\xbf\xbd\\\"\"");
	cr_expect_str_eq(escape(&b, "x\xed\xa0\x80", 4),
			 "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(json_write, what_is_written_is_read_back)
{
	auto_buf struct buf b = BUF_INIT;
	static struct arena a = ARENA_INIT;
	char name[3] = "", text[128];
	size_t n = 0;

	/* All of ASCII but NUL, and two bytes as a member's name. */
	for (unsigned c = 1; c < 128; c++)
		text[n++] = (char)c;
	text[n] = '\0';
	for (unsigned c = 1; c < 128; c++) {
		struct json_w w = { .out = &b, .indent = c % 2 ? "\t" : NULL };
		const struct json *v = NULL;

		name[0] = (char)c;
		name[1] = 'x';
		buf_reset(&b);
		json_w_open(&w, NULL, '{');
		json_w_str(&w, name, text);
		json_w_close(&w, '}');
		cr_assert_eq(json_parse(b.data, b.len, "x", &a, &v, NULL), 0, "%s", b.data);
		cr_assert_str_eq(v->first->name, name);
		cr_assert_str_eq(v->first->text, text);
	}
	arena_release(&a);
}
