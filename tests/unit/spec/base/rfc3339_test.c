/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/rfc3339.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

Test(rfc3339, known_instants)
{
	static const struct {
		time_t t;
		const char *text;
	} t[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782399, "2000-02-28T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 951868800, "2000-03-01T00:00:00Z" },
		{ 1767323045, "2026-01-02T03:04:05Z" },
		{ 4107542399, "2100-02-28T23:59:59Z" },
		{ 4107542400, "2100-03-01T00:00:00Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ -62167219200, "0000-01-01T00:00:00Z" },
	};
	char buf[RFC3339_BYTES];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct timespec ts = { .tv_sec = t[i].t };

		cr_expect_str_eq(rfc3339_seconds(&ts, buf), t[i].text);
	}
}

Test(rfc3339, every_day_of_four_centuries_agrees_with_the_c_library)
{
	for (time_t day = -70000; day < 150000; day++) {
		struct timespec ts = { .tv_sec = day * 86400 + day % 86400 };
		char buf[RFC3339_BYTES], want[RFC3339_BYTES];
		struct tm tm;

		gmtime_r(&ts.tv_sec, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		cr_assert_str_eq(rfc3339_seconds(&ts, buf), want);
	}
}

Test(rfc3339, nanoseconds_have_nine_digits)
{
	char buf[RFC3339_BYTES];

	cr_expect_str_eq(rfc3339_nanos(&(struct timespec){ 1767323045, 6 }, buf),
			 "2026-01-02T03:04:05.000000006Z");
	cr_expect_str_eq(rfc3339_nanos(&(struct timespec){ 1767323045, 999999999 }, buf),
			 "2026-01-02T03:04:05.999999999Z");
}
