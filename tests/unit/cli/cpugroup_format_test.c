/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "cli/cpugroup_format.h"
#include "spec/base/json.h"

static struct arena arena;

static struct cpg_group group(const char *name)
{
	struct cpg_group g = {
		.name = name,
		.uuid = "u-u",
		.created = "2026-01-02T03:04:05Z",
		.path = "cpugroups/gold",
		.cpus_effective = "0-3",
		.mems_effective = "0",
		.partition = "member",
		.cpu_max = "200000 100000",
		.cpu_max_burst = "50000",
		.cpu_weight = "100",
		.cpu_idle = "0",
		.n_cpus = 4,
		.populated = true,
		.n_members = 2,
	};

	cpg_policy_default(&g.policy);
	g.policy.set = CPG_SET_CAP;
	g.policy.cap =
		(struct cpg_cap){ .form = CPG_CAP_PERCENT, .milli = 50000, .period_us = 100000 };
	return g;
}

/* A group as a host without controllers shows it. */
static struct cpg_group bare(const char *name)
{
	struct cpg_group g = { .name = name,
			       .uuid = "",
			       .created = "",
			       .path = "cpugroups/x",
			       .cpus_effective = "",
			       .mems_effective = "",
			       .partition = "",
			       .cpu_max = "",
			       .cpu_max_burst = "",
			       .cpu_weight = "",
			       .cpu_idle = "",
			       .n_cpus = 2 };

	cpg_policy_default(&g.policy);
	return g;
}

static const struct json *parsed(const char *text)
{
	const struct json *doc = NULL;

	cr_assert_eq(json_parse(text, strlen(text), "output", &arena, &doc, NULL), 0, "%s", text);
	return doc;
}

static const char *string_at(const struct json *obj, const char *name)
{
	const char *text = NULL;

	cr_assert_eq(json_string(json_get(obj, name), &text, NULL), 0, "%s", name);
	return text;
}

Test(cli_cpugroup_format, the_table_has_a_line_for_each_group_and_flags_drift)
{
	const struct cpg_drift drift[] = { { "cap", "200000 100000", "max 100000" },
					   { "cpus", "0-3", "0-1" } };
	struct cpg_group v[] = { group("gold"), bare("x") };
	auto_buf struct buf out = BUF_INIT;

	v[0].drift = (struct cpg_drift *)drift;
	v[0].n_drift = 2;
	v[1].policy.share = CPG_BY_IDLE;
	cli_groups_table(&out, v, 2, &arena);
	cr_expect_str_eq(out.data,
			 "NAME  CPUS  CAP  WEIGHT  PARTITION  MEMBERS  STATE      DRIFT\n"
			 "gold  0-3   50%  100     member           2  populated  cap,cpus\n"
			 "x     -     max  idle    -                0  empty      -\n");
}

Test(cli_cpugroup_format, a_state_is_one_word)
{
	struct cpg_group g = bare("x");

	cr_expect_str_eq(cli_group_state(&g), "empty");
	g.populated = true;
	cr_expect_str_eq(cli_group_state(&g), "populated");
	g.freezing = true;
	cr_expect_str_eq(cli_group_state(&g), "freezing");
	g.frozen = true;
	cr_expect_str_eq(cli_group_state(&g), "frozen");
	g.foreign = true;
	cr_expect_str_eq(cli_group_state(&g), "foreign");
}

Test(cli_cpugroup_format, show_puts_what_was_asked_beside_what_is)
{
	const struct cpg_drift drift[] = { { "cap", "200000 100000", "max 100000" } };
	struct cpg_group g = group("gold");
	auto_buf struct buf out = BUF_INIT;

	g.drift = (struct cpg_drift *)drift;
	g.n_drift = 1;
	g.policy.memory_max = 1 << 30;
	const struct cpg_stat s = { .has_memory = true,
				    .memory_current = 3 << 20,
				    .memory_max = 1 << 30 };

	cli_group_text(&out, &g, &s, &arena);
	cr_expect(strstr(out.data, "gold: populated, 2 members, 0 groups\n"), "%s", out.data);
	cr_expect(strstr(out.data, "\ncap          50%        200000 100000 (2 CPUs)\n"), "%s",
		  out.data);
	cr_expect(strstr(out.data, "\nmemory       1G         1G (3M used)\n"), "%s", out.data);
	cr_expect(strstr(out.data,
			 "\nDRIFT: cap should be \"200000 100000\" and is \"max 100000\"\n"),
		  "%s", out.data);
}

Test(cli_cpugroup_format, show_says_where_a_controller_is_missing)
{
	struct cpg_group g = bare("x");
	auto_buf struct buf out = BUF_INIT;

	cli_group_text(&out, &g, NULL, &arena);
	cr_expect(strstr(out.data, "no controller"), "%s", out.data);
	cr_expect_null(strstr(out.data, "DRIFT"), "%s", out.data);
	cr_expect(strstr(out.data, "\nmemory       max        no controller\n"), "%s", out.data);
}

Test(cli_cpugroup_format, the_object_has_every_member_always)
{
	static const char *const members[] = { "name",	 "uuid",      "created", "path",
					       "owner",	 "adopted",   "foreign", "state",
					       "policy", "effective", "drift",	 "members",
					       "groups" };
	static const char *const effective[] = { "cpus",	"mems",	     "partition", "cpuMax",
						 "cpuMaxBurst", "cpuWeight", "cpuIdle",	  "nCpus" };
	struct cpg_group v[] = { group("gold"), bare("x") };

	for (size_t i = 0; i < 2; i++) {
		auto_buf struct buf out = BUF_INIT;
		struct json_w w = { .out = &out };

		cli_group_json(&w, &v[i], &arena);

		const struct json *doc = parsed(out.data);

		for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++)
			cr_expect(json_get(doc, members[k]), "%s: %s", v[i].name, members[k]);
		for (size_t k = 0; k < sizeof(effective) / sizeof(effective[0]); k++)
			cr_expect(json_get(json_get(doc, "effective"), effective[k]), "%s: %s",
				  v[i].name, effective[k]);
		cr_expect_eq(doc->count, sizeof(members) / sizeof(members[0]));
	}
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	cli_group_json(&w, &v[0], &arena);
	cr_expect_str_eq(string_at(parsed(out.data), "path"), "/cpugroups/gold");
	cr_expect_str_eq(string_at(json_get(parsed(out.data), "policy"), "cap"), "50%");
}

Test(cli_cpugroup_format, members_of_another_root_are_shown_without_what_only_it_knows)
{
	const struct rt_summary c = {
		.id = "web", .pid = 7, .bundle = "/b", .isolation = "process"
	};
	const struct rt_group_member v[] = {
		{ .container = &c,
		  .id = "web",
		  .group = "gold",
		  .cgroup = "cpugroups/gold/web",
		  .n_pids = 3,
		  .usage_usec = 1230000,
		  .memory_current = 5 << 20,
		  .cpu_max = "50000 100000",
		  .status = "running" },
		{ .id = "odd",
		  .group = "gold",
		  .cgroup = "cpugroups/gold/odd",
		  .memory_current = UINT64_MAX,
		  .cpu_max = "",
		  .status = "stopped" },
	};
	auto_buf struct buf table = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	cli_members_table(&table, v, 2, &arena);
	cr_expect_str_eq(table.data, "ID   GROUP  STATUS   PIDS    CPU  CAP       MEMORY\n"
				     "web  gold   running     3  1.23s  0.5 CPUs      5M\n"
				     "odd  gold   stopped     0    0us  -              -\n");
	cli_members_json(&w, v, 2, &arena);

	const struct json *doc = parsed(out.data);

	cr_expect_eq(doc->count, 2u);
	cr_expect_str_eq(string_at(doc->first, "isolation"), "process");
	cr_expect_str_eq(string_at(doc->first, "cgroup"), "/cpugroups/gold/web");
	cr_expect_null(json_get(doc->first->next, "pid"));
	cr_expect_eq(json_get(doc->first->next, "memory")->type, JSON_NULL);
}

Test(cli_cpugroup_format, topology_has_two_spellings)
{
	struct cpg_cpu cpus[] = { { .cpu = 0, .siblings = "0-1", .online = true },
				  { .cpu = 1,
				    .node = -1,
				    .package = -1,
				    .die = -1,
				    .core = -1,
				    .siblings = "",
				    .isolated = true,
				    .group = "fast" } };
	const struct cpg_topology t = { .cpu = cpus, .n = 2, .n_online = 1 };
	auto_buf struct buf table = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	auto_buf struct buf hcs = BUF_INIT;
	struct json_w w = { .out = &out };
	struct json_w v = { .out = &hcs };

	cli_topology_table(&table, &t, &arena);
	cr_expect(strstr(table.data,
			 "\n  1     -        -    -     -  -         no      yes       fast\n"),
		  "%s", table.data);
	cli_topology_json(&w, &t);
	cli_topology_hcs(&v, &t);

	const struct json *list = json_get(parsed(out.data), "logicalProcessors");

	cr_expect_eq(list->count, 2u);
	cr_expect_str_eq(string_at(list->first, "siblings"), "0-1");
	cr_expect_eq(json_get(list->first, "group")->type, JSON_NULL);
	cr_expect_eq(json_get(list->first->next, "nodeNumber")->type, JSON_NULL);
	cr_expect_str_eq(string_at(list->first->next, "group"), "fast");
	list = json_get(parsed(hcs.data), "LogicalProcessors");
	cr_expect_str_eq(json_get(list->first->next, "LpIndex")->text, "1");
	cr_expect_str_eq(json_get(list->first->next, "RootVpIndex")->text, "1");
}

Test(cli_cpugroup_format, a_verdict_has_exact_numbers)
{
	const struct cpg_verdict v = {
		.capacity_milli = 2000, .claimed_milli = 1500, .asked_milli = 500, .admitted = true
	};
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	cli_verdict_json(&w, &v, &arena);
	cr_expect_str_eq(
		out.data,
		"{\"admitted\":true,\"capacity\":\"2\",\"claimed\":\"1.5\",\"asked\":\"0.5\"}");
}
