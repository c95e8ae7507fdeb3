/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/cpugroup/room.h"

/* Exclusive CPUs, against a real cpuset controller with remote partitions. */

static struct error err;
static struct room r;

static void setup(void)
{
	err = ERROR_INIT;
	room_open(&r, LOCK_EX);
	if (r.a)
		room_need(&r, CG_CPU | CG_CPUSET);
	if (r.a)
		room_need_cpus(&r, 2);
	if (r.a && faccessat(r.host.root_fd, "cpuset.cpus.isolated", F_OK, 0) < 0) {
		room_close(&r);
		cr_skip_test("this kernel has no remote partitions (6.7)");
	}
}

static void teardown(void)
{
	if (r.a)
		room_close(&r);
}

TestSuite(cpg_partition, .init = setup, .fini = teardown);

#define line(below, file)     room_line(&r, below, file)
#define create(name, policy)  room_create(&r, name, policy, 0, &err)
#define set(name, policy)     room_set(&r, name, policy, 0, &err)
#define says(text)            cr_assert(strstr(line_of(&err), text), "%s", line_of(&err))
#define partition(below)      line(below, "cpuset.cpus.partition")

static const char one[] = "{\"cpus\":\"1\",\"exclusive\":\"isolated\"}";

Test(cpg_partition, an_isolated_group_takes_its_cpus_from_all_others)
{
	struct cpg_topology t;
	struct cpg_group g;

	assert_ok(create("half", "{\"cap\":\"50%\"}"));
	assert_ok(create("iso", one));
	cr_expect_str_eq(partition("iso"), "isolated");
	cr_expect_str_eq(line("iso", "cpuset.cpus.effective"), "1");
	cr_expect(strchr(line("half", "cpuset.cpus.effective"), '1') == NULL || sysconf(_SC_NPROCESSORS_ONLN) > 10);
	assert_ok(cpg_topology(&r.cpg, -1, r.a, &t, &err));
	cr_assert_str_eq(t.cpu[1].group, "iso");
	cr_assert(t.cpu[1].isolated);
	cr_assert_null(t.cpu[0].group);
	assert_ok(cpg_get(&r.cpg, "iso", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0);
	/* The cap of the other one is half of what is left. */
	assert_ok(cpg_get(&r.cpg, "half", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0);
	assert_ok(cpg_delete(&r.cpg, "iso", 0, &err));
	cr_expect_str_eq(line("", "cpuset.cpus.exclusive"), "");
	assert_ok(cpg_get(&r.cpg, "half", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0, "the cap follows the CPUs that came back");
}

Test(cpg_partition, a_group_stops_and_starts_being_exclusive)
{
	assert_ok(create("iso", "{\"cpus\":\"1\"}"));
	assert_ok(set("iso", "{\"exclusive\":\"root\"}"));
	cr_expect_str_eq(partition("iso"), "root");
	assert_ok(set("iso", "{\"exclusive\":\"isolated\"}"));
	cr_expect_str_eq(partition("iso"), "isolated");
	assert_ok(set("iso", "{\"exclusive\":\"none\"}"));
	cr_expect_str_eq(partition("iso"), "member");
	cr_expect_str_eq(line("iso", "cpuset.cpus.exclusive"), "");
	cr_expect_str_eq(line("", "cpuset.cpus.exclusive"), "");
}

Test(cpg_partition, an_isolated_group_may_lie_below_plain_ones)
{
	assert_ok(create("gold", "{\"cap\":\"100%\"}"));

	char before[64];

	snprintf(before, sizeof(before), "%s", line("gold", "cpu.max"));
	assert_ok(create("gold/a", "{}"));
	assert_ok(create("gold/a/iso", one));
	cr_expect_str_eq(partition("gold/a/iso"), "isolated");
	cr_expect_str_eq(line("gold/a", "cpuset.cpus.exclusive"), "1");
	cr_expect_str_eq(line("gold", "cpuset.cpus.exclusive"), "1");
	cr_expect_str_eq(line("gold", "cpu.max"), before, "its CPUs are still all of them");
	assert_ok(cpg_delete(&r.cpg, "gold/a/iso", 0, &err));
	cr_expect_str_eq(line("gold", "cpuset.cpus.exclusive"), "");
}

Test(cpg_partition, lists_that_would_meet_exclusive_cpus_are_refused)
{
	assert_ok(create("iso", one));
	cr_assert_eq(create("silver", "{\"cpus\":\"1\"}"), -EBUSY);
	says("CPU group \"iso\" has CPUs 1 exclusively (isolated), and would lose its partition");
	cr_assert_eq(create("silver", one), -EBUSY);
	assert_ok(create("silver", "{\"cpus\":\"0\"}"));
	cr_assert_eq(set("silver", "{\"cpus\":\"0-1\"}"), -EBUSY);
	cr_expect_str_eq(partition("iso"), "isolated");
	assert_ok(create("bronze", "{}"));
	cr_assert_eq(create("other", "{\"cpus\":\"0\",\"exclusive\":\"root\"}"), -EBUSY);
	says("CPU group \"silver\" lists CPUs 0 of them for itself");
	cr_assert_not(room_has(&r, "other"));
}

/* All CPUs cannot go: the kernel says why, and nothing is left of the attempt. */
Test(cpg_partition, what_the_kernel_calls_invalid_is_an_error_with_its_words)
{
	char policy[80];

	snprintf(policy, sizeof(policy), "{\"cpus\":\"0-%ld\",\"exclusive\":\"isolated\"}",
		 sysconf(_SC_NPROCESSORS_ONLN) - 1);
	cr_assert_eq(create("iso", policy), -EBUSY);
	says("isolated invalid (");
	cr_assert_not(room_has(&r, "iso"));
	assert_ok(create("iso", "{\"cpus\":\"1\",\"weight\":7}"));
	cr_assert_eq(set("iso", policy), -EBUSY);
	cr_expect_str_eq(partition("iso"), "member");
	cr_expect_str_eq(line("iso", "cpuset.cpus"), "1");
	cr_expect_str_eq(line("iso", "cpuset.cpus.exclusive"), "");
	cr_expect_str_eq(line("", "cpuset.cpus.exclusive"), "");
}

Test(cpg_partition, one_that_became_invalid_is_drift_and_recovers)
{
	struct cpg_group g;

	assert_ok(create("iso", one));
	room_write(&r, "iso", "cpuset.cpus.exclusive", "\n");
	if (strcmp(partition("iso"), "isolated") == 0) /* this kernel falls back to cpuset.cpus */
		room_write(&r, "", "cpuset.cpus.exclusive", "\n");
	assert_ok(cpg_get(&r.cpg, "iso", r.a, &g, &err));
	cr_assert_gt(g.n_drift, 0, "%s", partition("iso"));
	assert_ok(set("iso", "{}"));
	cr_expect_str_eq(partition("iso"), "isolated");
	assert_ok(cpg_get(&r.cpg, "iso", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0);
}

Test(cpg_partition, exclusive_cpus_leave_what_others_can_reserve)
{
	char policy[64];
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	snprintf(policy, sizeof(policy), "{\"reserve\":\"%ld\"}", n - 1);
	assert_ok(create("gold", policy));
	assert_ok(create("iso", one));
	cr_assert_eq(create("silver", "{\"reserve\":\"0.001\"}"), -EDQUOT);
	assert_ok(cpg_delete(&r.cpg, "iso", 0, &err));
	assert_ok(create("silver", "{\"reserve\":\"1\"}"));
	cr_assert_eq(create("iso", one), -EDQUOT);
	says("1 CPU asked for exclusively");
}

Test(cpg_partition, a_plain_group_that_changes_leaves_the_partition_below_alone)
{
	room_need_cpus(&r, 3);
	assert_ok(create("gold", "{\"cpus\":\"0-1\"}"));
	assert_ok(create("gold/iso", one));
	assert_ok(set("gold", "{\"cpus\":\"0-2\"}"));
	cr_expect_str_eq(partition("gold/iso"), "isolated");
	assert_ok(set("gold", "{\"exclusive\":\"none\",\"cap\":\"50%\"}"));
	cr_expect_str_eq(partition("gold/iso"), "isolated");
	cr_expect_str_eq(line("gold", "cpu.max"), "150000 100000", "of all three");
	assert_ok(set("gold", "{\"cpus\":\"\"}"));
	cr_expect_str_eq(partition("gold/iso"), "isolated");
}

Test(cpg_partition, a_partition_in_a_partition_keeps_the_outer_one_as_it_is)
{
	room_need_cpus(&r, 4);
	assert_ok(create("gold", "{\"cpus\":\"1-3\",\"exclusive\":\"root\"}"));
	assert_ok(create("gold/iso", "{\"cpus\":\"2\",\"exclusive\":\"isolated\"}"));
	cr_expect_str_eq(partition("gold/iso"), "isolated");
	cr_expect_str_eq(line("gold", "cpuset.cpus.effective"), "1,3");
	assert_ok(set("gold", "{\"cap\":\"100%\"}"));
	cr_expect_str_eq(line("gold", "cpu.max"), "300000 100000");
	cr_assert_eq(set("gold", "{\"exclusive\":\"none\"}"), -EBUSY);
	says("CPU group \"gold/iso\" below has CPUs \"2\" exclusively");
	cr_expect_str_eq(partition("gold/iso"), "isolated");
	assert_ok(cpg_delete(&r.cpg, "gold/iso", 0, &err));
	assert_ok(set("gold", "{\"exclusive\":\"none\"}"));
	cr_expect_str_eq(line("", "cpuset.cpus.exclusive"), "");
}

Test(cpg_partition, two_groups_have_their_cpus_listed_along_one_path)
{
	room_need_cpus(&r, 4);
	assert_ok(create("gold", "{}"));
	assert_ok(create("gold/a", one));
	assert_ok(create("gold/b", "{\"cpus\":\"2\",\"exclusive\":\"root\"}"));
	cr_expect_str_eq(line("gold", "cpuset.cpus.exclusive"), "1-2");
	assert_ok(cpg_delete(&r.cpg, "gold/a", 0, &err));
	cr_expect_str_eq(line("gold", "cpuset.cpus.exclusive"), "2");
	cr_expect_str_eq(partition("gold/b"), "root");
	assert_ok(set("gold/b", "{\"cpus\":\"3\"}"));
	cr_expect_str_eq(line("gold", "cpuset.cpus.exclusive"), "3");
	cr_expect_str_eq(partition("gold/b"), "root");
}

Test(cpg_partition, a_forced_overlap_costs_the_partition_until_it_is_gone)
{
	struct cpg_group g;

	assert_ok(create("iso", one));
	assert_ok(room_create(&r, "silver", "{\"cpus\":\"0-1\"}", CPG_FORCE | CPG_ALLOW_DIFFERENCE, &err));
	cr_assert(strstr(room_log(&r), "would lose its partition"), "%s", room_log(&r));
	assert_ok(cpg_get(&r.cpg, "iso", r.a, &g, &err));
	cr_expect_eq(g.n_drift, strcmp(g.partition, "isolated") != 0);
	assert_ok(cpg_delete(&r.cpg, "silver", 0, &err));
	cr_expect_str_eq(partition("iso"), "isolated");
	assert_ok(cpg_get(&r.cpg, "iso", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0);
}

Test(cpg_partition, a_forced_overlap_that_fails_costs_nothing)
{
	assert_ok(create("iso", one));
	/* Forced, but not content with fewer CPUs than asked for. */
	cr_assert_eq(room_create(&r, "silver", "{\"cpus\":\"0-1\"}", CPG_FORCE, &err), -EINVAL);
	says("in force is \"0\"");
	cr_assert_not(room_has(&r, "silver"));
	cr_expect_str_eq(partition("iso"), "isolated");
}

/* Beside the base lies the whole host, so only where there is nobody else. */
Test(cpg_partition, the_host_is_confined_beside_the_base)
{
	const char **names;
	size_t n;
	bool made;

	auto_close int root = openat(r.host.root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_ok(cpg_children(root, r.a, &names, &n, &err));
	if (n) {
		room_close(&r);
		cr_skip_test("this host's tree has cgroups that are not ours");
	}

	auto_close int fd = cg_create(&r.host, "bulkhead-system.slice", NULL, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	assert_ok(cpg_reserve_host(&r.cpg, "0", 0, &err));
	cr_expect_str_eq(fake_line(fd, "cpuset.cpus"), "0");
	cr_expect_str_eq(fake_line(fd, "cpuset.cpus.effective"), "0");
	cr_expect_lt(cpg_reserve_host(&r.cpg, "8000", 0, &err), 0);
	cr_expect_lt(cpg_reserve_host(&r.cpg, "x", 0, &err), 0);
	cr_expect_str_eq(fake_line(fd, "cpuset.cpus"), "0");
	assert_ok(cpg_reserve_host(&r.cpg, "", 0, &err));
	cr_expect_str_eq(fake_line(fd, "cpuset.cpus"), "");
	assert_ok(cg_remove(&r.host, "bulkhead-system.slice", 1000, &err));
}
