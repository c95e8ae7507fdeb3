/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "cgroups/cgroups.h"

Test(cg_weight, default_shares_are_the_default_weight)
{
	cr_assert_eq(cg_weight_of_shares(1024), 100);
}

Test(cg_weight, ends_of_the_range_meet)
{
	cr_assert_eq(cg_weight_of_shares(0), 1);
	cr_assert_eq(cg_weight_of_shares(2), 1);
	cr_assert_eq(cg_weight_of_shares(262144), 10000);
	cr_assert_eq(cg_weight_of_shares(UINT64_MAX), 10000);
}

Test(cg_weight, is_monotone_and_in_range_for_every_value)
{
	uint64_t last = 1;

	for (uint64_t shares = 2; shares <= 262144; shares++) {
		uint64_t weight = cg_weight_of_shares(shares);

		cr_assert(weight >= last && weight <= 10000, "shares %lu: %lu after %lu", shares, weight, last);
		last = weight;
	}
}

/* Values of the published formula, computed with 50 digits. */
Test(cg_weight, agrees_with_the_formula)
{
	static const struct {
		uint64_t shares, weight;
	} known[] = {
		{ 3, 2 },
		{ 4, 2 },
		{ 10, 4 },
		{ 57, 11 },
		{ 100, 17 },
		{ 102, 17 },
		{ 205, 29 },
		{ 256, 35 },
		{ 307, 40 },
		{ 512, 59 },
		{ 614, 67 },
		{ 768, 80 },
		{ 1000, 99 },
		{ 1023, 100 },
		{ 1025, 101 },
		{ 1536, 138 },
		{ 2048, 174 },
		{ 3072, 240 },
		{ 4096, 303 },
		{ 5120, 363 },
		{ 8192, 532 },
		{ 10240, 639 },
		{ 20480, 1134 },
		{ 65536, 3023 },
		{ 100000, 4340 },
		{ 131072, 5478 },
		{ 200000, 7899 },
		{ 262143, 10000 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		cr_assert_eq(cg_weight_of_shares(known[i].shares), known[i].weight, "shares %lu: %lu, not %lu",
			     known[i].shares, cg_weight_of_shares(known[i].shares), known[i].weight);
}
