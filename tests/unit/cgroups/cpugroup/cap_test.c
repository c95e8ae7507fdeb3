/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

static struct error err;
static struct cpg_cap cap;

TestSuite(cpg_cap);

static int parse(const char *text)
{
	err = ERROR_INIT;
	return cpg_cap_parse(text, &cap, &err);
}

static const char *printed(const struct cpg_cap *c)
{
	static char text[64];
	auto_buf struct buf b = BUF_INIT;

	cpg_cap_print(c, &b);
	snprintf(text, sizeof(text), "%s", b.data);
	return text;
}

static void resolves(const char *text, unsigned n_cpus, uint64_t quota, uint64_t period)
{
	uint64_t q;
	uint64_t p;

	cr_assert_eq(parse(text), 0, "%s", line_of(&err));
	cr_assert_eq(cpg_cap_resolve(&cap, n_cpus, &q, &p, &err), 0, "%s: %s", text, line_of(&err));
	cr_expect_eq(q, quota, "%s on %u: %llu", text, n_cpus, (unsigned long long)q);
	cr_expect_eq(p, period);
}

Test(cpg_cap, a_percentage_is_of_all_cpus_together)
{
	resolves("50%", 4, 200000, 100000);
	resolves("100%", 4, 400000, 100000);
	resolves("12.5%", 2, 25000, 100000);
	resolves("33.333%", 3, 99999, 100000);
	resolves("1%", 1, 1000, 100000);
	resolves("100%", 8192, UINT64_C(819200000), 100000);
}

Test(cpg_cap, cpus_raw_and_max)
{
	resolves("2.5", 1, 250000, 100000);
	resolves("0.01", 64, 1000, 100000);
	resolves("50000/100000", 4, 50000, 100000);
	resolves("2000000/1000000", 4, 2000000, 1000000);
	resolves("1000/1000", 4, 1000, 1000);
	resolves("max", 4, UINT64_MAX, 100000);
	resolves("max/50000", 4, UINT64_MAX, 50000);
}

Test(cpg_cap, the_scale_of_windows_counts_65536_as_all)
{
	resolves("hcs:65536", 4, 400000, 100000);
	resolves("hcs:32768", 4, 200000, 100000);
	resolves("hcs:16384", 1, 25000, 100000);
}

Test(cpg_cap, what_is_no_cap_is_told_the_forms)
{
	static const char *const bad[] = { "", "x", "50 %", "-1", "+1", "1e3", "50%%", "%", "1.2345", "/", "1/", "/1",
					   "max%", "hcs:", "hcs:x", "0x10", "1.", ".5", "1..2", "1,5", " 1", "5%/100000",
					   "100000/abc", "inf" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(parse(bad[i]), -EINVAL, "\"%s\"", bad[i]);
		cr_expect(strstr(line_of(&err), "QUOTA/PERIOD"), "%s", line_of(&err));
	}
}

Test(cpg_cap, what_the_kernel_would_not_take_is_told_its_bounds)
{
	static const char *const bad[] = { "101%", "0.001", "8193", "999/100000", "0/100000", "1000/999", "1000/1000001",
					   "17592186044416/100000", "hcs:65537", "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(parse(bad[i]), -ERANGE, "\"%s\": %s", bad[i], line_of(&err));
	parse("1000/999");
	cr_assert(strstr(line_of(&err), "1000 … 1000000 us"));
}

Test(cpg_cap, a_percentage_too_small_for_the_kernel_says_the_arithmetic)
{
	uint64_t q = 7;
	uint64_t p = 7;

	cr_assert_eq(parse("0.5%"), 0);
	cr_assert_eq(cpg_cap_resolve(&cap, 1, &q, &p, &err), -ERANGE);
	cr_assert(strstr(line_of(&err), "cap \"0.5%\" on 1 CPU is a quota of 500 us in 100000 us"), "%s", line_of(&err));
	cr_assert_eq(q, 7, "written on failure");
	cr_assert_eq(cpg_cap_resolve(&cap, 2, &q, &p, &err), 0);
	cr_assert_eq(parse("hcs:0"), 0);
	cr_assert_eq(cpg_cap_resolve(&cap, 64, &q, &p, NULL), -ERANGE);
}

Test(cpg_cap, what_is_printed_is_read_as_the_same)
{
	static const char *const texts[] = { "50%", "12.5%", "0.001%", "2.5", "0.05", "4", "250000/100000", "max", "max/5000" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_eq(parse(texts[i]), 0);
		cr_expect_str_eq(printed(&cap), texts[i]);
	}
}

/* Every percentage and CPU count: exact, monotone in both, and never above all CPUs. */
Test(cpg_cap, quotas_are_exact_monotone_and_bounded)
{
	for (unsigned n = 1; n <= 256; n = n * 3 / 2 + 1) {
		uint64_t before = 0;

		for (uint64_t milli = 1000; milli <= 100000; milli += 250) {
			struct cpg_cap c = { .form = CPG_CAP_PERCENT, .milli = milli, .period_us = 100000 };
			uint64_t q;
			uint64_t p;

			cr_assert_eq(cpg_cap_resolve(&c, n, &q, &p, &err), 0);
			cr_assert_eq(q, n * milli);
			cr_assert(q > before && q <= n * p);
			before = q;
		}
	}
}

Test(cpg_cap, decimals_round_nothing_and_take_nothing_else)
{
	uint64_t v;

	cr_assert_eq(cpg_decimal_parse("1.5", 3, 10000, &v), 0);
	cr_assert_eq(v, 1500);
	cr_assert_eq(cpg_decimal_parse("20.00", 2, 10000, &v), 0);
	cr_assert_eq(v, 2000);
	cr_assert_eq(cpg_decimal_parse("7", 0, 7, &v), 0);
	cr_assert_eq(cpg_decimal_parse("8", 0, 7, &v), -ERANGE);
	cr_assert_eq(cpg_decimal_parse("1.2345", 3, 10000, &v), -EINVAL);
	cr_assert_eq(cpg_decimal_parse("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	cr_assert_eq(v, 7, "written on failure");
	for (uint64_t n = 0; n < 5000; n += 7) {
		auto_buf struct buf b = BUF_INIT;

		cpg_decimal_print(n, 3, &b);
		cr_assert_eq(cpg_decimal_parse(b.data, 3, UINT64_MAX, &v), 0, "%s", b.data);
		cr_assert_eq(v, n);
	}
}
