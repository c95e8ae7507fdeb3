/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

static struct arena a = ARENA_INIT;

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cpg_mask, .fini = teardown);

static const char *normal(const char *list)
{
	struct cpg_mask m;

	cr_assert_eq(cpg_mask_parse(list, &m), 0, "%s", list);
	return cpg_mask_print(&m, &a);
}

Test(cpg_mask, lists_are_printed_as_the_kernel_does)
{
	cr_expect_str_eq(normal(""), "");
	cr_expect_str_eq(normal("0"), "0");
	cr_expect_str_eq(normal("3,1,2,0"), "0-3");
	cr_expect_str_eq(normal("0-1,4,6-7"), "0-1,4,6-7");
	cr_expect_str_eq(normal("62-65,8191"), "62-65,8191");
}

Test(cpg_mask, the_last_bit_and_nothing_beyond)
{
	struct cpg_mask m = { { 1 } };

	cr_assert_eq(cpg_mask_parse("0-8191", &m), 0);
	cr_assert_eq(cpg_mask_count(&m), CPG_MAX_CPUS);
	cr_assert_not(cpg_mask_has(&m, CPG_MAX_CPUS));
	cr_assert_eq(cpg_mask_parse("8192", &m), -ERANGE);
	cr_assert_eq(cpg_mask_parse("2-1", &m), -EINVAL);
	cr_assert_eq(cpg_mask_count(&m), CPG_MAX_CPUS, "written on failure");
	cr_assert_str_eq(cpg_mask_print(&m, &a), "0-8191");
}

Test(cpg_mask, sets_behave_as_sets)
{
	struct cpg_mask x;
	struct cpg_mask y;
	struct cpg_mask m;

	cpg_mask_parse("0-3", &x);
	cpg_mask_parse("2-5", &y);
	m = x;
	cpg_mask_and(&m, &y);
	cr_assert_str_eq(cpg_mask_print(&m, &a), "2-3");
	cr_assert(cpg_mask_within(&m, &x));
	cr_assert_not(cpg_mask_within(&x, &m));
	m = x;
	cpg_mask_minus(&m, &y);
	cr_assert_str_eq(cpg_mask_print(&m, &a), "0-1");
	cpg_mask_or(&m, &y);
	cr_assert_str_eq(cpg_mask_print(&m, &a), "0-5");
	cpg_mask_minus(&m, &m);
	cr_assert(cpg_mask_empty(&m));
}
