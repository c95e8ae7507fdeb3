/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

static struct error err;
static struct arena a = ARENA_INIT;
static struct cpg_policy p;

static void setup(void)
{
	err = ERROR_INIT;
	cpg_policy_default(&p);
}

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cpg_policy, .init = setup, .fini = teardown);

static int read_text(const char *text)
{
	const struct json *doc;

	err = ERROR_INIT;
	cr_assert_eq(json_parse(text, strlen(text), "policy", &a, &doc, &err), 0, "%s", line_of(&err));
	return cpg_policy_read(doc, &a, &p, &err);
}

static const char *written(const struct cpg_policy *policy)
{
	static char text[1024];
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };

	cpg_policy_write(&w, NULL, policy);
	snprintf(text, sizeof(text), "%s", b.data);
	return text;
}

Test(cpg_policy, the_default_is_valid_and_says_nothing)
{
	cr_assert_eq(cpg_policy_check(&p, &err), 0, "%s", line_of(&err));
	cr_assert_str_eq(written(&p), "{}");
}

Test(cpg_policy, every_member_survives_writing_and_reading)
{
	static const char all[] = "{\"cpus\":\"0-3\",\"mems\":\"auto\",\"cap\":\"12.5%\",\"burst\":500,\"weight\":300,"
				  "\"exclusive\":\"isolated\",\"uclampMin\":12.5,\"uclampMax\":80,\"reserve\":\"1.5\","
				  "\"overcommit\":1.25,\"overParent\":\"warn\",\"realtime\":\"refuse\",\"wholeCores\":true,"
				  "\"pressureLimit\":40,\"memory\":1048576,\"pids\":-1}";

	cr_assert_eq(read_text(all), 0, "%s", line_of(&err));
	cr_assert_str_eq(written(&p), all);
	cr_assert_eq(p.set, (1u << 16) - 1);
	cr_assert_eq(p.uclamp_min, 1250);
	cr_assert_eq(p.reserve_milli, 1500);
	cr_assert_eq(cpg_policy_check(&p, &err), 0, "%s", line_of(&err));
}

Test(cpg_policy, idle_keeps_its_weight_and_nice_stands_alone)
{
	cr_assert_eq(read_text("{\"weight\":300,\"idle\":true}"), 0);
	cr_assert_eq(p.share, CPG_BY_IDLE);
	cr_assert_eq(p.weight, 300);
	cr_assert_str_eq(written(&p), "{\"weight\":300,\"idle\":true}");
	cr_assert_eq(read_text("{\"nice\":-5}"), 0);
	cr_assert_str_eq(written(&p), "{\"nice\":-5}");
	cr_assert_eq(read_text("{\"nice\":-5,\"weight\":3}"), -EINVAL);
	cr_assert_eq(read_text("{\"nice\":-5,\"idle\":true}"), -EINVAL);
}

Test(cpg_policy, what_is_wrong_in_a_document_has_its_place)
{
	static const struct {
		const char *text, *at, *says;
	} bad[] = {
		{ "{\"cpu\":\"0\"}", "/cpu", "no member \"cpu\"" },
		{ "{\"cap\":\"1x\"}", "/cap", "no cap" },
		{ "{\"weight\":0}", "/weight", "1 … 10000" },
		{ "{\"weight\":10001}", "/weight", "10000" },
		{ "{\"nice\":20}", "/nice", "19" },
		{ "{\"exclusive\":\"yes\"}", "/exclusive", "none, root, isolated" },
		{ "{\"uclampMin\":100.01}", "/uclampMin", "above 100" },
		{ "{\"reserve\":\"a\"}", "/reserve", "decimal" },
		{ "{\"wholeCores\":1}", "/wholeCores", "true or false" },
		{ "{\"burst\":-1}", "/burst", "" },
		{ "[]", "", "object" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_lt(read_text(bad[i].text), 0, "%s", bad[i].text);
		cr_expect_str_eq(err.at, bad[i].at, "%s: %s", bad[i].text, err.at);
		cr_expect(strstr(line_of(&err), bad[i].says), "%s: %s", bad[i].text, line_of(&err));
	}
}

static int check_with(unsigned set, void (*change)(void))
{
	setup();
	p.set = set;
	change();
	return cpg_policy_check(&p, &err);
}

static void burst_above_quota(void)
{
	cpg_cap_parse("1000/100000", &p.cap, NULL);
	p.burst_us = 1001;
}

static void reserve_above_cap(void)
{
	cpg_cap_parse("1.5", &p.cap, NULL);
	p.reserve_milli = 1501;
}

static void exclusive_without_cpus(void)
{
	p.exclusive = CPG_ISOLATED;
}

static void auto_without_cpus(void)
{
	p.mems = "auto";
}

static void bad_list(void)
{
	p.cpus = "3-1";
}

static void far_list(void)
{
	p.cpus = "8192";
}

static void only_commas(void)
{
	p.cpus = ",,";
}

static void crossed_clamps(void)
{
	p.uclamp_min = 5000;
	p.uclamp_max = 4000;
}

static void heavy(void)
{
	p.weight = 10001;
}

static void little_overcommit(void)
{
	p.overcommit_milli = 999;
}

Test(cpg_policy, members_are_checked_against_their_ranges_and_each_other)
{
	cr_expect_eq(check_with(CPG_SET_BURST, burst_above_quota), -ERANGE);
	cr_expect(strstr(line_of(&err), "1001") && strstr(line_of(&err), "1000"));
	cr_expect_eq(check_with(CPG_SET_RESERVE, reserve_above_cap), -EDQUOT);
	cr_expect(strstr(line_of(&err), "1.501 CPUs") && strstr(line_of(&err), "1.500 CPUs"), "%s", line_of(&err));
	cr_expect_eq(check_with(CPG_SET_EXCLUSIVE, exclusive_without_cpus), -EINVAL);
	cr_expect_eq(check_with(CPG_SET_MEMS, auto_without_cpus), -EINVAL);
	cr_expect_eq(check_with(CPG_SET_CPUS, bad_list), -EINVAL);
	cr_expect_eq(check_with(CPG_SET_CPUS, far_list), -ERANGE);
	cr_expect_eq(check_with(CPG_SET_CPUS, only_commas), -EINVAL);
	cr_expect_eq(check_with(CPG_SET_UCLAMP_MIN | CPG_SET_UCLAMP_MAX, crossed_clamps), -EINVAL);
	cr_expect_eq(check_with(CPG_SET_SHARE, heavy), -ERANGE);
	cr_expect_eq(check_with(CPG_SET_OVERCOMMIT, little_overcommit), -ERANGE);
}

Test(cpg_policy, merging_takes_the_given_members_alone)
{
	struct cpg_policy over;

	cpg_policy_default(&over);
	p.weight = 300;
	p.cpus = "0";
	p.set = CPG_SET_SHARE | CPG_SET_CPUS;
	over.pids_max = 5;
	over.weight = 7;
	over.set = CPG_SET_PIDS;
	cpg_policy_merge(&p, &over);
	cr_assert_eq(p.pids_max, 5);
	cr_assert_eq(p.weight, 300);
	cr_assert_str_eq(p.cpus, "0");
	cr_assert_eq(p.set, CPG_SET_SHARE | CPG_SET_CPUS | CPG_SET_PIDS);
}

Test(cpg_policy, leaving_idle_finds_the_weight_again)
{
	struct cpg_policy idle = { .set = CPG_SET_SHARE, .share = CPG_BY_IDLE, .weight = 100 };
	struct cpg_policy back = { .set = CPG_SET_SHARE, .share = CPG_BY_WEIGHT, .weight = 0 };

	p.weight = 300;
	cpg_policy_merge(&p, &idle);
	cr_assert_eq(p.share, CPG_BY_IDLE);
	cr_assert_eq(p.weight, 300);
	cpg_policy_merge(&p, &back);
	cr_assert_eq(p.share, CPG_BY_WEIGHT);
	cr_assert_eq(p.weight, 300);

	/* Nice 4 is weight 41 to the kernel. */
	p.share = CPG_BY_NICE;
	p.nice = 4;
	cpg_policy_merge(&p, &idle);
	cpg_policy_merge(&p, &back);
	cr_assert_eq(p.weight, 41);
}

Test(cpg_policy, classes_are_weights_and_idle)
{
	cr_assert_eq(cpg_class_parse("high", &p, &err), 0);
	cr_assert_eq(p.weight, 800);
	cr_assert(p.set & CPG_SET_SHARE);
	cr_assert_eq(cpg_class_parse("idle", &p, &err), 0);
	cr_assert_eq(p.share, CPG_BY_IDLE);
	cr_assert_eq(cpg_class_parse("huge", &p, &err), -EINVAL);
	cr_assert(strstr(line_of(&err), "normal"));
}

Test(cpg_policy, a_difference_is_told_member_by_member)
{
	struct cpg_policy q = p;

	p.set = CPG_SET_CAP | CPG_SET_PIDS;
	cpg_cap_parse("50%", &p.cap, NULL);
	p.pids_max = 7;
	q.set = CPG_SET_CAP | CPG_SET_RESERVE;
	cpg_cap_parse("75%", &q.cap, NULL);
	q.reserve_milli = 1500;
	cr_assert_str_eq(cpg_policy_diff(&p, &q, &a), "cap 50% -> 75%, pids 7 -> -, reserve - -> 1.5");
	cr_assert_str_eq(cpg_policy_diff(&p, &p, &a), "");
}

static const char *holds(const char *file, const char *wanted, const char *now)
{
	return cpg_value_holds(file, wanted, now) ? "yes" : "no";
}

Test(cpg_policy, files_are_compared_in_their_own_terms)
{
	cr_expect_str_eq(holds("cpuset.cpus", "0,1,2", "0-2"), "yes");
	cr_expect_str_eq(holds("cpuset.cpus", "", "0-2"), "no");
	cr_expect_str_eq(holds("cpuset.cpus", "", ""), "yes");
	cr_expect_str_eq(holds("cpuset.cpus.exclusive", "1", ""), "no");
	cr_expect_str_eq(holds("cpuset.cpus.partition", "isolated", "isolated invalid (x)"), "no");
	cr_expect_str_eq(holds("cpuset.cpus.partition", "isolated", "isolated"), "yes");
	cr_expect_str_eq(holds("cpuset.cpus.partition", "member", "root"), "no");
	cr_expect_str_eq(holds("cpu.max", "max 100000", "max 100000"), "yes");
	cr_expect_str_eq(holds("cpu.max", "5000 100000", "50000 100000"), "no");
	cr_expect_str_eq(holds("memory.max", "100000", "98304"), "yes");
	cr_expect_str_eq(holds("memory.max", "max", "98304"), "no");
	cr_expect_str_eq(holds("cpu.uclamp.max", "max", "100.00"), "yes");
	cr_expect_str_eq(holds("cpu.uclamp.min", "12.50", "12.5"), "yes");
	cr_expect_str_eq(holds("cpu.weight.nice", "4", "5"), "no");
}

Test(cpg_policy, weights_of_nice_are_the_kernels)
{
	cr_assert_eq(cpg_weight_of_nice(0), 100);
	cr_assert_eq(cpg_weight_of_nice(-20), 8668);
	cr_assert_eq(cpg_weight_of_nice(19), 1);
}
