/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cgroups/systemd/internal.h"

static struct arena a = ARENA_INIT;

static struct gvalue parsed(const char *text)
{
	struct error err = ERROR_INIT;
	struct gvalue v;

	cr_assert_eq(gvariant_parse(text, &a, &v, &err), 0, "%s: %s", text, err.text);
	return v;
}

static void number(const char *text, const char *type, uint64_t magnitude, bool negative)
{
	struct gvalue v = parsed(text);

	cr_expect_str_eq(v.type, type);
	cr_expect_eq(v.number, magnitude, "%s: %lu", text, v.number);
	cr_expect_eq(v.is_negative, negative);
}

Test(gvariant, numbers_are_read_with_and_without_a_type)
{
	number("42", "i", 42, false);
	number("-7", "i", 7, true);
	number(" 0x2A ", "i", 42, false);
	number("uint64 30000000", "t", 30000000, false);
	number("uint64 18446744073709551615", "t", UINT64_MAX, false);
	number("@u 5", "u", 5, false);
	number("int64 -9223372036854775808", "x", UINT64_C(1) << 63, true);
	number("byte 0xff", "y", 255, false);
}

Test(gvariant, a_number_beyond_its_type_is_refused)
{
	static const char *const bad[] = { "byte 256", "uint32 -1", "int16 40000", "uint64 18446744073709551616",
					   "uint32 4294967296", "int32 2147483648", "0x1ffffffffffffffff" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gvalue v = { .type = "?" };
		struct error err = ERROR_INIT;

		cr_expect_eq(gvariant_parse(bad[i], &a, &v, &err), -EINVAL, "%s", bad[i]);
		cr_expect_str_eq(v.type, "?");
	}
}

Test(gvariant, booleans_strings_and_reals)
{
	cr_expect_eq(parsed("true").number, 1);
	cr_expect_eq(parsed("false").number, 0);
	cr_expect_str_eq(parsed("boolean true").type, "b");
	cr_expect_str_eq(parsed("'text'").text, "text");
	cr_expect_str_eq(parsed("\"a 'b' \\\"c\\\\\"").text, "a 'b' \"c\\");
	cr_expect_float_eq(parsed("1.5").real, 1.5, 1e-9);
	cr_expect_str_eq(parsed("-0.25").type, "d");
	cr_expect_float_eq(parsed("double 3").real, 3, 1e-9);
}

Test(gvariant, arrays_of_strings)
{
	struct gvalue v = parsed("['a.service', \"b.target\" ]");

	cr_expect_str_eq(v.type, "as");
	cr_assert_eq(v.n, 2);
	cr_expect_str_eq(v.list[0], "a.service");
	cr_expect_str_eq(v.list[1], "b.target");
	cr_expect_eq(parsed("@as []").n, 0);
	cr_expect_eq(parsed("[]").n, 0);
}

Test(gvariant, what_is_not_of_the_form_is_refused_with_its_place)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "expected a value" },
		{ "maybe", "expected a value" },
		{ "true x", "something after the value" },
		{ "'open", "the string has no end" },
		{ "'a\\n'", "an escape other than" },
		{ "'a\nb'", "a control character" },
		{ "['a' 'b']", "expected ',' or ']'" },
		{ "['a', 5]", "expected a quoted string" },
		{ "['a'", "expected ',' or ']'" },
		{ "uint32 'a'", "a string where a value of type u" },
		{ "string 5", "no value of type s" },
		{ "boolean 1", "no value of type b" },
		{ "(1, 2)", "expected a value" },
		{ "{'a': 1}", "expected a value" },
		{ "<'a'>", "expected a value" },
		{ "1e9", "is no number" },
		{ "010", "is no number" },
		{ "1.2.3", "is no number" },
		{ "0x", "is no number" },
		{ "- 5", "expected a value" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		struct gvalue v;

		cr_expect_eq(gvariant_parse(bad[i].text, &a, &v, &err), -EINVAL, "%s", bad[i].text);
		cr_expect(strstr(err.text, bad[i].why), "%s: %s", bad[i].text, err.text);
	}
}
