/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "cgroups/cpugroup/measure.h"

static struct error err;

Test(cpg_psi, reads_hundredths_of_a_percent_and_microseconds)
{
	struct cpg_psi p;

	cr_assert(cpg_psi_parse("some avg10=1.23 avg60=45.60 avg300=100.00 total=123456789\n"
				"full avg10=0.07 avg60=0.50 avg300=9.99 total=42\n", &p));
	cr_assert(p.has);
	cr_assert(p.some10 == 123 && p.some60 == 4560 && p.some300 == 10000 && p.some_total == 123456789);
	cr_assert(p.full10 == 7 && p.full60 == 50 && p.full300 == 999 && p.full_total == 42);
}

Test(cpg_psi, kernels_without_the_full_line_of_cpu_have_some)
{
	struct cpg_psi p;

	cr_assert(cpg_psi_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", &p));
	cr_assert_eq(p.some_total, 7);
	cr_assert_eq(p.full_total, 0);
}

Test(cpg_psi, what_is_not_of_this_form_is_not_taken)
{
	static const char *const texts[] = {
		"", "\n", "some", "some avg10= avg60=0.00 avg300=0.00 total=7\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=99999999999999999999999\n",
		"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=x\n",
		"some avg10=0.00 avg60=0.00\navg300=0.00 total=7\n",
	};
	struct cpg_psi p = { .some10 = 55 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_not(cpg_psi_parse(texts[i], &p), "%s", texts[i]);
		cr_assert_eq(p.some10, 55);
	}
}

Test(cpg_psi, a_file_that_is_not_there_has_none)
{
	struct cpg_psi p = { .has = true, .some10 = 1 };
	char dir[64];
	int fd = fake_open(dir);

	cpg_psi_read(fd, "cpu.pressure", &p);
	cr_assert_not(p.has);
	cr_assert_eq(p.some10, 0);
	fake_close(fd, dir);
}

Test(cpg_psi_trigger_parse, times_become_microseconds)
{
	static const char *const pairs[][2] = {
		{ "some 150ms/1s", "some 150000 1000000" }, { "full 1s/10s", "full 1000000 10000000" },
		{ "some 150000 1000000", "some 150000 1000000" }, { "some 500ms/500ms", "some 500000 500000" },
		{ "full 1us/0.5s", "full 1 500000" },
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_ok(cpg_psi_trigger_parse(pairs[i][0], buf, sizeof(buf), &err));
		cr_assert_str_eq(buf, pairs[i][1]);
	}
}

Test(cpg_psi_trigger_parse, refuses_what_the_kernel_would)
{
	static const struct {
		const char *text;
		int code;
	} bad[] = {
		{ "", EINVAL }, { "some", EINVAL }, { "some 1s", EINVAL }, { "all 150ms/1s", EINVAL },
		{ "some 150ms/1s more", EINVAL }, { "some -1/1s", EINVAL }, { "some 150ms/x", EINVAL },
		{ "some 150ms/499ms", ERANGE }, { "some 150ms/11s", ERANGE }, { "some 2s/1s", ERANGE },
		{ "some 0/1s", ERANGE }, { "some 1ns/1s", EINVAL },
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(cpg_psi_trigger_parse(bad[i].text, buf, sizeof(buf), &err), -bad[i].code, "%s",
			     bad[i].text);
	cr_assert_eq(cpg_psi_trigger_parse("some 150ms/1s", buf, 8, &err), -ENAMETOOLONG);
}
