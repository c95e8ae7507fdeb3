/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/parse.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

Test(parse, whole_strings_of_digits_are_numbers_and_nothing_else_is)
{
	static const struct {
		const char *text;
		int r;
		uint64_t n;
	} t[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "000000000000000000000000000000000001", 0, 1 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1\n", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "-0", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "1_000", -EINVAL, 0 },
		{ "12a", -EINVAL, 0 },
		{ "99999999999999999999999999999999x", -EINVAL, 0 },
		{ "\xd9\xa1", -EINVAL, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		uint64_t n = 77;

		cr_expect_eq(parse_u64(t[i].text, &n), t[i].r, "%s", t[i].text);
		cr_expect_eq(n, t[i].r ? 77 : t[i].n, "%s gave %" PRIu64, t[i].text, n);
	}
}

Test(parse, signed_numbers_reach_both_ends)
{
	static const struct {
		const char *text;
		int r;
		int64_t n;
	} t[] = {
		{ "0", 0, 0 },
		{ "-0", 0, 0 },
		{ "-1", 0, -1 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "-9223372036854775809", -ERANGE, 0 },
		{ "-18446744073709551616", -ERANGE, 0 },
		{ "-", -EINVAL, 0 },
		{ "--1", -EINVAL, 0 },
		{ "- 1", -EINVAL, 0 },
		{ "-+1", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		int64_t n = 77;

		cr_expect_eq(parse_i64(t[i].text, &n), t[i].r, "%s", t[i].text);
		cr_expect_eq(n, t[i].r ? 77 : t[i].n, "%s gave %" PRId64, t[i].text, n);
	}
}

Test(parse, what_is_printed_parses_to_the_same_number)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (int i = 0; i < 20000; i++) {
		/* All magnitudes, not only the long ones. */
		uint64_t n = next_random(&state) >> (i % 64);
		uint64_t u = 0;
		int64_t s = 0;
		uint32_t w = 0;
		char text[32];

		snprintf(text, sizeof(text), "%" PRIu64, n);
		cr_assert_eq(parse_u64(text, &u), 0);
		cr_assert_eq(u, n);
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)n);
		cr_assert_eq(parse_i64(text, &s), 0);
		cr_assert_eq(s, (int64_t)n);
		snprintf(text, sizeof(text), "%" PRIu32, (uint32_t)n);
		cr_assert_eq(parse_u32(text, &w), 0);
		cr_assert_eq(w, (uint32_t)n);
	}
}

Test(parse, a_u32_does_not_wrap)
{
	uint32_t n = 77;

	cr_expect_eq(parse_u32("4294967296", &n), -ERANGE);
	cr_expect_eq(parse_u32("4294967297", &n), -ERANGE);
	cr_expect_eq(parse_u32("18446744073709551617", &n), -ERANGE);
	cr_expect_eq(n, 77);
	cr_expect_eq(parse_u32("4294967295", &n), 0);
	cr_expect_eq(n, UINT32_MAX);
}

Test(parse, the_id_that_means_no_change_is_no_id)
{
	uint32_t n = 77;

	cr_expect_eq(parse_id("4294967295", &n), -ERANGE);
	cr_expect_eq(parse_id("-1", &n), -EINVAL);
	cr_expect_eq(parse_id("4294967296", &n), -ERANGE);
	cr_expect_eq(n, 77);
	cr_expect_eq(parse_id("4294967294", &n), 0);
	cr_expect_eq(n, 4294967294);
	cr_expect_eq(parse_id("0", &n), 0);
	cr_expect_eq(n, 0);
}

Test(parse, bytes_take_one_binary_suffix)
{
	static const struct {
		const char *text;
		int r;
		int64_t n;
	} t[] = {
		{ "0", 0, 0 },
		{ "1024", 0, 1024 },
		{ "1b", 0, 1 },
		{ "1B", 0, 1 },
		{ "3k", 0, 3072 },
		{ "3K", 0, 3072 },
		{ "3kb", 0, 3072 },
		{ "3KiB", 0, 3072 },
		{ "512m", 0, INT64_C(512) << 20 },
		{ "2g", 0, INT64_C(2) << 30 },
		{ "2GB", 0, INT64_C(2) << 30 },
		{ "1t", 0, INT64_C(1) << 40 },
		{ "1p", 0, INT64_C(1) << 50 },
		{ "8191p", 0, INT64_C(8191) << 50 },
		{ "8192p", -ERANGE, 0 },
		{ "-1", 0, -1 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "9007199254740992k", -ERANGE, 0 },
		{ "18446744073709551617k", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "k", -EINVAL, 0 },
		{ "-2", -EINVAL, 0 },
		{ "-1k", -EINVAL, 0 },
		{ "1bb", -EINVAL, 0 },
		{ "1bib", -EINVAL, 0 },
		{ "1ki", -EINVAL, 0 },
		{ "1kbb", -EINVAL, 0 },
		{ "1 k", -EINVAL, 0 },
		{ "1k ", -EINVAL, 0 },
		{ "1.5g", -EINVAL, 0 },
		{ "1e", -EINVAL, 0 },
		{ "0x1k", -EINVAL, 0 },
		{ "1\x0b", -EINVAL, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		int64_t n = 77;

		cr_expect_eq(parse_bytes(t[i].text, &n), t[i].r, "%s", t[i].text);
		cr_expect_eq(n, t[i].r ? 77 : t[i].n, "%s gave %" PRId64, t[i].text, n);
	}
}

Test(parse, durations_are_read_as_go_writes_them)
{
	static const struct {
		const char *text;
		int r;
		int64_t ns;
	} t[] = {
		{ "0", 0, 0 },
		{ "0s", 0, 0 },
		{ "1ns", 0, 1 },
		{ "1us", 0, 1000 },
		{ "1\xc2\xb5s", 0, 1000 },
		{ "1\xce\xbcs", 0, 1000 },
		{ "100ms", 0, 100000000 },
		{ "1.5s", 0, 1500000000 },
		{ ".5s", 0, 500000000 },
		{ "1.s", 0, 1000000000 },
		{ "1h2m3s", 0, INT64_C(3723000000000) },
		{ "1m1m", 0, INT64_C(120000000000) },
		{ "0.000000001s", 0, 1 },
		{ "0.0000000009s", 0, 0 },
		{ "1.00000000000000000000000000001h", 0, INT64_C(3600000000000) },
		{ "0.333333333333333333333h", 0, INT64_C(1199999999999) },
		{ "9223372036854775807ns", 0, INT64_MAX },
		{ "9223372036854775808ns", -ERANGE, 0 },
		{ "2562047h47m16.854775807s", 0, INT64_MAX },
		{ "2562047h47m16.854775808s", -ERANGE, 0 },
		{ "2562048h", -ERANGE, 0 },
		{ "99999999999999999999s", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "1", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ ".s", -EINVAL, 0 },
		{ "+1s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "1s ", -EINVAL, 0 },
		{ " 1s", -EINVAL, 0 },
		{ "1 s", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 },
		{ "1d", -EINVAL, 0 },
		{ "1s2", -EINVAL, 0 },
		{ "1..5s", -EINVAL, 0 },
		{ "1.5.5s", -EINVAL, 0 },
		{ "\xc2\xb5s", -EINVAL, 0 },
		{ "1\xc2", -EINVAL, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		int64_t ns = 77;

		cr_expect_eq(parse_duration(t[i].text, &ns), t[i].r, "%s", t[i].text);
		cr_expect_eq(ns, t[i].r ? 77 : t[i].ns, "%s gave %" PRId64, t[i].text, ns);
	}
}

Test(parse, signals_have_numbers_names_and_aliases)
{
	static const struct {
		const char *text;
		int r, signo;
	} t[] = {
		{ "0", 0, 0 },
		{ "9", 0, 9 },
		{ "64", 0, 64 },
		{ "TERM", 0, SIGTERM },
		{ "term", 0, SIGTERM },
		{ "SIGTERM", 0, SIGTERM },
		{ "sigKill", 0, SIGKILL },
		{ "IOT", 0, SIGABRT },
		{ "SIGCLD", 0, SIGCHLD },
		{ "POLL", 0, SIGIO },
		{ "RTMIN", 0, 34 },
		{ "SIGRTMIN+3", 0, 37 },
		{ "rtmin+0", 0, 34 },
		{ "RTMIN+30", 0, 64 },
		{ "RTMAX", 0, 64 },
		{ "RTMAX-14", 0, 50 },
		{ "RTMAX-30", 0, 34 },
		{ "RTMIN+31", -ERANGE, 0 },
		{ "RTMAX-31", -ERANGE, 0 },
		{ "RTMIN+99999999999999999999", -ERANGE, 0 },
		{ "65", -ERANGE, 0 },
		{ "4294967305", -ERANGE, 0 },
		{ "18446744073709551625", -ERANGE, 0 },
		{ "-9", -EINVAL, 0 },
		{ "+9", -EINVAL, 0 },
		{ " 9", -EINVAL, 0 },
		{ "9 ", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "SIG", -EINVAL, 0 },
		{ "SIG9", -EINVAL, 0 },
		{ "SIGSIGTERM", -EINVAL, 0 },
		{ "TERMINATE", -EINVAL, 0 },
		{ "RTMIN+", -EINVAL, 0 },
		{ "RTMIN-1", -EINVAL, 0 },
		{ "RTMAX+1", -EINVAL, 0 },
		{ "RTMIN+-1", -EINVAL, 0 },
		{ "RTMIN+ 1", -EINVAL, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		int signo = 77;

		/* SIG9 and friends: a prefix makes a name, never a number. */
		cr_expect_eq(parse_signal(t[i].text, &signo), t[i].r, "%s", t[i].text);
		cr_expect_eq(signo, t[i].r ? 77 : t[i].signo, "%s gave %d", t[i].text, signo);
	}
}

Test(parse, every_signal_name_parses_to_its_number)
{
	int named = 0;

	for (int i = -2; i < 70; i++) {
		const char *name = signal_name(i);
		int signo = 0;

		if (!name)
			continue;
		named++;
		cr_expect_eq(parse_signal(name, &signo), 0, "%s", name);
		cr_expect_eq(signo, i, "%s", name);
	}
	cr_expect_eq(named, 31 + 31);
	cr_expect_str_eq(signal_name(15), "TERM");
	cr_expect_null(signal_name(0));
	cr_expect_null(signal_name(32));
	cr_expect_null(signal_name(33));
	cr_expect_null(signal_name(65));
	cr_expect_null(signal_name(-1));
}

Test(parse, cpulists_become_bits)
{
	static const struct {
		const char *text;
		int r;
		uint64_t low, high;
	} t[] = {
		{ "", 0, 0, 0 },
		{ "\n", 0, 0, 0 },
		{ "0", 0, 1, 0 },
		{ "0-3,7", 0, 0x8f, 0 },
		{ "0-3,7\n", 0, 0x8f, 0 },
		{ " 0-1 , 3 ", 0, 0xb, 0 },
		{ "0 2", 0, 0x5, 0 },
		{ ",,1,,", 0, 0x2, 0 },
		{ "3,1", 0, 0xa, 0 },
		{ "1,1,0-2", 0, 0x7, 0 },
		{ "63-64", 0, UINT64_C(1) << 63, 1 },
		{ "0-127", 0, UINT64_MAX, UINT64_MAX },
		{ "127", 0, 0, UINT64_C(1) << 63 },
		{ "128", -ERANGE, 0, 0 },
		{ "0-128", -ERANGE, 0, 0 },
		{ "0-18446744073709551615", -ERANGE, 0, 0 },
		{ "18446744073709551616", -ERANGE, 0, 0 },
		{ "3-1", -EINVAL, 0, 0 },
		{ "500-400", -EINVAL, 0, 0 },
		{ "500,x", -EINVAL, 0, 0 },
		{ "-1", -EINVAL, 0, 0 },
		{ "1-", -EINVAL, 0, 0 },
		{ "1-2-3", -EINVAL, 0, 0 },
		{ "1 - 2", -EINVAL, 0, 0 },
		{ "0-7:2/4", -EINVAL, 0, 0 },
		{ "all", -EINVAL, 0, 0 },
		{ "1,2x", -EINVAL, 0, 0 },
		{ "0x1", -EINVAL, 0, 0 },
		{ "1;2", -EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < N(t); i++) {
		uint64_t mask[3] = { 77, 77, 77 };

		cr_expect_eq(parse_cpulist(t[i].text, mask, 2), t[i].r, "\"%s\"", t[i].text);
		cr_expect_eq(mask[0], t[i].r ? 77 : t[i].low, "\"%s\"", t[i].text);
		cr_expect_eq(mask[1], t[i].r ? 77 : t[i].high, "\"%s\"", t[i].text);
		cr_expect_eq(mask[2], 77, "\"%s\" wrote beyond the mask", t[i].text);
	}
}
