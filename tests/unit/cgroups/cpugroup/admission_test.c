/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

static struct cpg_verdict v;

TestSuite(cpg_admission);

static bool ask(uint64_t capacity, uint64_t overcommit, uint64_t shared, uint64_t exclusive, uint64_t asked,
		bool asked_exclusive)
{
	struct cpg_claim others[] = { { .name = "s", .milli = shared },
				      { .name = "e", .milli = exclusive, .exclusive = true } };
	struct cpg_claim mine = { .name = "m", .milli = asked, .exclusive = asked_exclusive };

	cpg_verdict(capacity, overcommit, others, 2, &mine, &v);
	return v.admitted;
}

Test(cpg_admission, the_sum_of_promises_is_at_most_what_there_is)
{
	cr_assert(ask(4000, 1000, 2500, 0, 1500, false));
	cr_assert_not(ask(4000, 1000, 2500, 0, 1501, false));
	cr_assert_eq(v.capacity_milli, 4000);
	cr_assert_eq(v.claimed_milli, 2500);
	cr_assert_eq(v.asked_milli, 1501);
}

Test(cpg_admission, overcommit_stretches_what_is_shared_only)
{
	cr_assert(ask(4000, 1500, 5000, 0, 1000, false));
	cr_assert_not(ask(4000, 1500, 5000, 0, 1001, false));
	cr_assert_not(ask(4000, 9000, 0, 0, 5000, true), "whole CPUs cannot be promised twice");
}

Test(cpg_admission, exclusive_cpus_leave_the_pool_of_the_others)
{
	cr_assert(ask(4000, 1000, 0, 2000, 2000, false));
	cr_assert_not(ask(4000, 1000, 0, 2000, 2001, false));
	cr_assert_not(ask(4000, 1000, 3000, 0, 2000, true), "the shared ones need three of the four");
	cr_assert(ask(4000, 1000, 3000, 0, 1000, true));
	cr_assert(ask(4000, 2000, 4000, 0, 2000, true), "the two that stay, twice over, hold four");
}

Test(cpg_admission, who_asks_for_nothing_is_admitted)
{
	cr_assert(ask(1000, 1000, 5000, 0, 0, false));
}

Test(cpg_admission, nothing_wraps_around)
{
	cr_assert_not(ask(1000, 1000, UINT64_MAX, 0, 1, false));
	cr_assert_not(ask(1000, 1000, UINT64_MAX - 1, 1, 5, false));
	cr_assert_not(ask(1000, 1000, 0, UINT64_MAX, 1, true));
	cr_assert(ask(UINT64_MAX, 1000000, 5, 5, 5, false));
}

/* Against the rule written down another way, for a great many small cases. */
Test(cpg_admission, agrees_with_counting)
{
	for (uint64_t capacity = 0; capacity <= 4; capacity++)
		for (uint64_t over = 1; over <= 3; over++)
			for (uint64_t s = 0; s <= 5; s++)
				for (uint64_t e = 0; e <= 5; e++)
					for (uint64_t m = 1; m <= 5; m++)
						for (int x = 0; x < 2; x++) {
							uint64_t whole = e + (x ? m : 0);
							uint64_t part = s + (x ? 0 : m);
							bool fits = whole <= capacity && part <= (capacity - whole) * over;

							cr_assert_eq(ask(capacity * 1000, over * 1000, s * 1000, e * 1000,
									 m * 1000, x), fits, "%d of %d", (int)m, (int)capacity);
						}
}

Test(cpg_admission, a_group_promises_its_reservation_else_its_cap_else_its_cpus)
{
	struct cpg_policy p;

	cpg_policy_default(&p);
	cr_assert_eq(cpg_capacity_milli(&p, UINT64_MAX, 100000, 4), 4000);
	cr_assert_eq(cpg_capacity_milli(&p, 250000, 100000, 4), 2500);
	p.reserve_milli = 1500;
	cr_assert_eq(cpg_capacity_milli(&p, 250000, 100000, 4), 1500);
}

/* The weight that is asked for is the smallest that does. */
Test(cpg_admission, a_weight_bears_a_reservation_out_exactly)
{
	for (uint64_t cpus = 1; cpus <= 8; cpus++)
		for (uint64_t others = 0; others <= 900; others += 100)
			for (uint64_t reserve = 100; reserve < cpus * 1000; reserve += 300) {
				uint64_t w = cpg_weight_for(reserve, cpus * 1000, others);

				cr_assert(cpus * 1000 * w >= reserve * (w + others));
				cr_assert(w == 0 || cpus * 1000 * (w - 1) < reserve * (w - 1 + others) || others == 0);
			}
	cr_assert_eq(cpg_weight_for(4000, 4000, 1), UINT64_MAX, "all of it, beside somebody");
	cr_assert_eq(cpg_weight_for(4000, 4000, 0), 1);
}
