/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/sample.h"
#include "spec/base/json.h"

static struct cli_row row(const char *name, const char *group, const char *path)
{
	return (struct cli_row){
		.s = { .name = name,
		       .group = group,
		       .path = path,
		       .is_group = !group,
		       .has_cpu = true,
		       .quota_us = 50000,
		       .period_us = 100000,
		       .memory_max = UINT64_MAX,
		       .memory_peak = UINT64_MAX,
		       .swap_current = UINT64_MAX,
		       .pids_max = UINT64_MAX },
	};
}

Test(cli_sample, rates_are_between_two_readings_of_the_same_cgroup)
{
	struct cli_row old[] = { row("gold", NULL, "g/gold"), row("web", "gold", "g/gold/web") };
	struct cli_row new[] = { row("gold", NULL, "g/gold"), row("new", "gold", "g/gold/new"),
				 row("web", "gold", "g/gold/web") };
	const struct cli_sample before = { old, 2 };
	struct cli_sample now = { new, 3 };

	for (size_t i = 0; i < 3; i++)
		new[i].s.taken_ns = 1000000000;
	new[0].s.usage_usec = 250000;
	new[0].s.nr_periods = 10;
	new[0].s.nr_throttled = 4;
	old[1].s.usage_usec = 500; /* of an older cgroup of that name */
	new[2].s.usage_usec = 100;
	cli_sample_rates(&before, &now);
	cr_expect(new[0].has_rate);
	cr_expect_eq(new[0].cpus, 250u);
	cr_expect_eq(new[0].of_cap, 5000u);
	cr_expect_eq(new[0].throttled, 4000u);
	cr_expect_not(new[1].has_rate, "it was not there before");
	cr_expect_not(new[2].has_rate, "its counter went back");
}

Test(cli_sample, states_are_words_of_their_kind)
{
	struct cli_row g = row("gold", NULL, "g/gold");
	struct cli_row m = row("web", "gold", "g/gold/web");

	cr_expect_str_eq(cli_row_state(&g), "empty");
	cr_expect_str_eq(cli_row_state(&m), "stopped");
	g.s.populated = m.s.populated = true;
	cr_expect_str_eq(cli_row_state(&g), "populated");
	cr_expect_str_eq(cli_row_state(&m), "running");
	g.s.frozen = m.s.frozen = true;
	cr_expect_str_eq(cli_row_state(&g), "frozen");
	cr_expect_str_eq(cli_row_state(&m), "paused");
	m.status = "created";
	cr_expect_str_eq(cli_row_state(&m), "created");
}

Test(cli_sample, the_object_carries_rates_and_wall)
{
	static struct arena arena;
	struct cli_row r = row("we\"b", "gold", "g/gold/web");
	auto_buf struct buf out = BUF_INIT;
	const struct json *doc = NULL;

	r.wall = "vm";
	r.has_rate = true;
	r.cpus = 1250;
	r.of_cap = 9999;
	cli_row_json(&out, &r);
	cr_assert_eq(json_parse(out.data, out.len, "row", &arena, &doc, NULL), 0, "%s", out.data);
	cr_expect_str_eq(json_get(doc, "isolation")->text, "vm");
	cr_expect_str_eq(json_get(doc, "name")->text, "we\"b");
	cr_expect_str_eq(json_get(json_get(doc, "rate"), "cpus")->text, "1.250");
	cr_expect_str_eq(json_get(json_get(doc, "rate"), "percentOfCap")->text, "99.99");
}

/* The rules of the text format: HELP and TYPE once before each family, families in one piece, labels escaped. */
Test(cli_sample, prometheus_text_keeps_its_rules)
{
	struct cli_row v[] = { row("gold", NULL, "g/gold"), row("a\\b\"c\nd", "gold", "g/gold/x"),
			       row("silver", NULL, "g/silver"), row(CLI_NO_GROUP, NULL, "") };
	auto_buf struct buf out = BUF_INIT;
	char seen[64][80];
	size_t n = 0;

	v[0].s.usage_usec = 1500000;
	v[0].s.throttled_usec = 7;
	cli_sample_prom(&out, &(struct cli_sample){ v, 4 });
	cr_expect(strstr(out.data,
			 "bulkhead_cpugroup_cpu_usage_seconds_total{group=\"gold\"} 1.500000\n"),
		  "%s", out.data);
	cr_expect(
		strstr(out.data,
		       "bulkhead_cpugroup_cpu_throttled_seconds_total{group=\"gold\"} 0.000007\n"));
	cr_expect(strstr(out.data, "bulkhead_cpugroup_cpu_cap_cpus{group=\"gold\"} 0.500\n"));
	cr_expect(strstr(out.data, "{group=\"gold\",id=\"a\\\\b\\\"c\\nd\"} 0"), "%s", out.data);
	cr_expect_null(strstr(out.data, "no group"));
	cr_expect_null(strstr(out.data, "memory_bytes"), "there is no such controller");

	for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
		char name[80];

		cr_assert(sscanf(line, "# %*s %79s", name) == 1 ||
				  sscanf(line, "%79[a-z_]", name) == 1,
			  "%s", line);
		if (!strncmp(line, "# HELP", 6)) {
			for (size_t i = 0; i < n; i++)
				cr_expect_str_neq(seen[i], name, "a family twice");
			strcpy(seen[n++], name);
		}
		cr_expect_str_eq(seen[n - 1], name, "out of its family: %s", line);
	}
	cr_expect_gt(n, 10u);
}
