/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cli/update_options.h"
#include "spec/base/auto.h"

static struct arena arena;

static int parse(char *const *words, struct spec_resources *res, struct error *err)
{
	const struct cli_verb *verb = cli_verb_find("update");
	struct cli_args args;
	int r = cli_parse(verb->options, verb->n_options, CLI_PERMUTE, (char **)words, &arena,
			  &args, err);

	return r < 0 ? r : cli_update_options(&args, &arena, res, err);
}

#define WORDS(...) \
	(char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

Test(cli_update_options, each_option_arrives)
{
	struct spec_resources res;
	struct error err = ERROR_INIT;
	int r = parse(WORDS("--cpu-share", "512", "--cpu-period", "50000", "--cpu-quota", "-1",
			    "--cpu-burst", "10", "--cpu-idle", "1", "--cpuset-cpus", "0-1",
			    "--cpuset-mems", "0", "--memory", "64m", "--memory-reservation", "1k",
			    "--memory-swap", "1g", "--blkio-weight", "500", "--pids-limit", "20",
			    "web"),
		      &res, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	cr_expect(res.cpu->shares.set && res.cpu->shares.v == 512);
	cr_expect(res.cpu->period.set && res.cpu->period.v == 50000);
	cr_expect(res.cpu->quota.set && res.cpu->quota.v == -1);
	cr_expect(res.cpu->burst.set && res.cpu->burst.v == 10);
	cr_expect(res.cpu->idle.set && res.cpu->idle.v == 1);
	cr_expect_str_eq(res.cpu->cpus, "0-1");
	cr_expect_str_eq(res.cpu->mems, "0");
	cr_expect(res.memory->limit.set && res.memory->limit.v == 64 << 20);
	cr_expect(res.memory->reservation.set && res.memory->reservation.v == 1024);
	cr_expect(res.memory->swap.set && res.memory->swap.v == 1 << 30);
	cr_expect(res.block_io->weight.set && res.block_io->weight.v == 500);
	cr_expect(res.pids_limit.set && res.pids_limit.v == 20);
}

Test(cli_update_options, what_is_not_given_stays_unset)
{
	struct spec_resources res;

	cr_assert_eq(parse(WORDS("--pids-limit", "-1", "web"), &res, NULL), 0);
	cr_expect(res.pids_limit.set && res.pids_limit.v == -1);
	cr_expect_null(res.cpu);
	cr_expect_null(res.memory);
	cr_expect_null(res.block_io);

	cr_assert_eq(parse(WORDS("--cpu-quota", "5000", "web"), &res, NULL), 0);
	cr_expect_not(res.cpu->period.set || res.cpu->shares.set || res.cpu->idle.set);
	cr_expect_null(res.cpu->cpus);
	cr_expect_not(res.pids_limit.set);
}

Test(cli_update_options, unlimited_memory_takes_the_swap_limit_along)
{
	struct spec_resources res;

	cr_assert_eq(parse(WORDS("--memory", "-1", "web"), &res, NULL), 0);
	cr_expect(res.memory->swap.set && res.memory->swap.v == -1);
	cr_assert_eq(parse(WORDS("--memory", "-1", "--memory-swap", "1g", "web"), &res, NULL), 0);
	cr_expect_eq(res.memory->swap.v, 1 << 30);
	cr_assert_eq(parse(WORDS("--memory", "1g", "web"), &res, NULL), 0);
	cr_expect_not(res.memory->swap.set);
}

Test(cli_update_options, bad_values_are_named)
{
	static char *const rows[][2] = {
		{ "--memory", "lots" },	     { "--memory", "1.5g" },	   { "--cpu-share", "-1" },
		{ "--cpu-share", "300000" }, { "--cpu-quota", "5s" },	   { "--cpu-idle", "2" },
		{ "--blkio-weight", "5" },   { "--blkio-weight", "1001" }, { "--pids-limit", "" },
		{ "--cpu-period", "1e5" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec_resources res;
		struct error err = ERROR_INIT;

		cr_expect_lt(parse(WORDS(rows[i][0], rows[i][1], "web"), &res, &err), 0, "%s %s",
			     rows[i][0], rows[i][1]);
		cr_expect(strstr(err.text, rows[i][0]), "%s", err.text);
	}
}

Test(cli_update_options, cache_schemas_are_refused)
{
	struct spec_resources res;

	cr_expect_eq(parse(WORDS("--l3-cache-schema", "L3:0=f", "web"), &res, NULL), -ENOTSUP);
	cr_expect_eq(parse(WORDS("--mem-bw-schema", "MB:0=20", "web"), &res, NULL), -ENOTSUP);
}

Test(cli_update_options, kernel_memory_is_accepted_and_ignored)
{
	struct spec_resources res;

	cr_assert_eq(parse(WORDS("--kernel-memory", "1m", "--kernel-memory-tcp", "1m", "web"), &res,
			   NULL),
		     0);
	cr_expect_null(res.memory);
}
