/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cpugroup_options.h"

static struct arena arena;
static struct error err;

static int parse(const char *sub, char *const *argv, struct cpg_policy *p, unsigned *flags)
{
	const struct cli_verb *verb = cli_sub_find(cli_verb_find("cpugroup"), sub);
	struct cli_args args;

	err = ERROR_INIT;
	cr_assert_eq(cli_parse(verb->options, verb->n_options, CLI_PERMUTE, (char **)argv, &arena,
			       &args, &err),
		     0, "%s", err.text);
	return cli_cpugroup_policy(&args, p, flags, &err);
}

#define PARSE(p, ...) parse("set", (char *const[]){ __VA_ARGS__, NULL }, p, &(unsigned){ 0 })

Test(cli_cpugroup_options, nothing_given_sets_nothing)
{
	struct cpg_policy p;
	unsigned flags = 99;

	cr_assert_eq(parse("create", (char *const[]){ NULL }, &p, &flags), 0);
	cr_expect_eq(p.set, 0u);
	cr_expect_eq(flags, 0u);
}

Test(cli_cpugroup_options, each_option_sets_its_member)
{
	struct cpg_policy p;

	cr_assert_eq(PARSE(&p, "--cpus", "0-1", "--mems=auto", "--cap", "2.5", "--burst", "50ms",
			   "--weight", "300", "--exclusive", "isolated", "--uclamp-min", "12.5%",
			   "--uclamp-max", "80", "--reserve", "1.5", "--overcommit", "2",
			   "--over-parent", "warn", "--realtime", "refuse", "--whole-cores",
			   "--pressure-limit", "40", "--memory", "2g", "--pids-limit", "64"),
		     0, "%s", err.text);
	cr_expect_eq(p.set, (1u << 16) - 1, "%x", p.set);
	cr_expect_str_eq(p.cpus, "0-1");
	cr_expect_str_eq(p.mems, "auto");
	cr_expect_eq(p.cap.form, CPG_CAP_CPUS);
	cr_expect_eq(p.cap.milli, 2500u);
	cr_expect_eq(p.burst_us, 50000u);
	cr_expect_eq(p.share, CPG_BY_WEIGHT);
	cr_expect_eq(p.weight, 300u);
	cr_expect_eq(p.exclusive, CPG_ISOLATED);
	cr_expect_eq(p.uclamp_min, 1250u);
	cr_expect_eq(p.uclamp_max, 8000u);
	cr_expect_eq(p.reserve_milli, 1500u);
	cr_expect_eq(p.overcommit_milli, 2000u);
	cr_expect_eq(p.over_parent, CPG_WARN);
	cr_expect_eq(p.realtime, CPG_REFUSE);
	cr_expect(p.whole_cores);
	cr_expect_eq(p.pressure_limit, 4000u);
	cr_expect_eq(p.memory_max, 2ll << 30);
	cr_expect_eq(p.pids_max, 64);
}

Test(cli_cpugroup_options, what_takes_a_limit_back_is_set_as_well)
{
	struct cpg_policy p;

	cr_assert_eq(PARSE(&p, "--cpus", "", "--cap", "max", "--burst", "0", "--memory", "-1",
			   "--pids-limit", "max", "--whole-cores=false", "--exclusive", "none",
			   "--reserve", "0"),
		     0, "%s", err.text);
	cr_expect_eq(p.set, (unsigned)(CPG_SET_CPUS | CPG_SET_CAP | CPG_SET_BURST | CPG_SET_MEMORY |
				       CPG_SET_PIDS | CPG_SET_WHOLE_CORES | CPG_SET_EXCLUSIVE |
				       CPG_SET_RESERVE));
	cr_expect_eq(p.cap.form, CPG_CAP_MAX);
	cr_expect_eq(p.memory_max, -1);
	cr_expect_eq(p.pids_max, -1);
	cr_expect_eq(p.exclusive, CPG_SHARED);
	cr_expect_not(p.whole_cores);
}

Test(cli_cpugroup_options, a_share_has_four_spellings)
{
	struct cpg_policy p;

	cr_assert_eq(PARSE(&p, "--nice", "-5"), 0);
	cr_expect_eq(p.share, CPG_BY_NICE);
	cr_expect_eq(p.nice, -5);
	cr_assert_eq(PARSE(&p, "--idle"), 0);
	cr_expect_eq(p.share, CPG_BY_IDLE);
	cr_assert_eq(PARSE(&p, "--idle=false"), 0);
	cr_expect_eq(p.share, CPG_BY_WEIGHT);
	cr_expect_eq(p.weight, 0u, "the one it had");
	cr_assert_eq(PARSE(&p, "--class", "idle"), 0);
	cr_expect_eq(p.share, CPG_BY_IDLE);
	cr_assert_eq(PARSE(&p, "--class", "high"), 0);
	cr_expect_eq(p.share, CPG_BY_WEIGHT);
	cr_expect_gt(p.weight, 100u);
	cr_expect_eq(p.set, (unsigned)CPG_SET_SHARE);
}

Test(cli_cpugroup_options, the_scale_of_hcs_is_a_cap)
{
	struct cpg_policy p;

	cr_assert_eq(PARSE(&p, "--cap-hcs", "32768"), 0, "%s", err.text);
	cr_expect_eq(p.cap.form, CPG_CAP_PERCENT);
	cr_expect_eq(p.cap.milli, 50000u);
}

Test(cli_cpugroup_options, what_is_wrong_is_named)
{
	static const struct {
		const char *argv[5], *text;
		int code;
	} rows[] = {
		{ { "--weight", "100", "--nice", "1" }, "--weight and --nice", EINVAL },
		{ { "--idle", "--class", "low" }, "--idle and --class", EINVAL },
		{ { "--cap", "1", "--cap-hcs", "5" }, "--cap and --cap-hcs", EINVAL },
		{ { "--weight", "0" }, "--weight is 0", ERANGE },
		{ { "--weight", "10001" }, "--weight is 10001", ERANGE },
		{ { "--nice", "20" }, "--nice", EINVAL },
		{ { "--nice", "high" }, "\"high\"", EINVAL },
		{ { "--cap", "many" }, "\"many\"", EINVAL },
		{ { "--cap-hcs", "65537" }, "65537", ERANGE },
		{ { "--burst", "long" }, "--burst", EINVAL },
		{ { "--burst", "-1" }, "--burst", EINVAL },
		{ { "--uclamp-min", "101" }, "--uclamp-min", EINVAL },
		{ { "--uclamp-max", "" }, "--uclamp-max", EINVAL },
		{ { "--uclamp-max", "%" }, "--uclamp-max", EINVAL },
		{ { "--reserve", "-1" }, "--reserve", EINVAL },
		{ { "--reserve", "1.23456" }, "--reserve", EINVAL },
		{ { "--overcommit", "x" }, "--overcommit", EINVAL },
		{ { "--pressure-limit", "1e2" }, "--pressure-limit", EINVAL },
		{ { "--memory", "lots" }, "--memory", EINVAL },
		{ { "--memory", "-2" }, "--memory", EINVAL },
		{ { "--pids-limit", "1k" }, "--pids-limit", EINVAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cpg_policy p = { .set = 77 };
		unsigned flags = 77;
		int r = parse("set", (char *const *)rows[i].argv, &p, &flags);

		cr_expect(r < 0, "%s %s", rows[i].argv[0], rows[i].argv[1]);
		cr_expect(r == -EINVAL || r == -ERANGE, "%s: %d", rows[i].argv[0], r);
		cr_expect(rows[i].code == EINVAL || r == -rows[i].code, "%s: %d", rows[i].argv[0],
			  r);
		cr_expect(strstr(err.text, rows[i].text), "%s %s: %s", rows[i].argv[0],
			  rows[i].argv[1], err.text);
		cr_expect_eq(p.set, 77u, "written on failure");
		cr_expect_eq(flags, 77u);
	}
}

Test(cli_cpugroup_options, the_flags_of_the_call_come_along)
{
	struct cpg_policy p;
	unsigned flags = 0;

	cr_assert_eq(parse("create", (char *const[]){ "--check", "--allow-difference", NULL }, &p,
			   &flags),
		     0);
	cr_expect_eq(flags, (unsigned)(CPG_CHECK | CPG_ALLOW_DIFFERENCE));
	cr_expect_eq(p.set, 0u);
}
