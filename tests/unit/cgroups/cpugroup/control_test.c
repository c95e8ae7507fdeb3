/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/cpugroup/room.h"

/* Groups with limits, against real controllers. */

static struct error err;
static struct room r;

static void setup(void)
{
	err = ERROR_INIT;
	room_open(&r, LOCK_SH);
	if (r.a)
		room_need(&r, CG_CPU | CG_CPUSET | CG_MEMORY | CG_PIDS);
}

static void teardown(void)
{
	if (r.a)
		room_close(&r);
}

TestSuite(cpg_control, .init = setup, .fini = teardown);

#define line(below, file)     room_line(&r, below, file)
#define create(name, policy)  room_create(&r, name, policy, 0, &err)
#define set(name, policy)     room_set(&r, name, policy, 0, &err)
#define says(text)            cr_assert(strstr(line_of(&err), text), "%s", line_of(&err))

Test(cpg_control, every_value_is_in_the_kernels_file)
{
	assert_ok(create("gold", "{\"cpus\":\"0\",\"mems\":\"auto\",\"cap\":\"50%\",\"burst\":20000,\"weight\":300,"
				 "\"memory\":104857600,\"pids\":50}"));
	cr_expect_str_eq(line("gold", "cpuset.cpus"), "0");
	cr_expect_str_eq(line("gold", "cpuset.mems"), "0");
	cr_expect_str_eq(line("gold", "cpu.max"), "50000 100000");
	cr_expect_str_eq(line("gold", "cpu.max.burst"), "20000");
	cr_expect_str_eq(line("gold", "cpu.weight"), "300");
	cr_expect_str_eq(line("gold", "memory.max"), "104857600");
	cr_expect_str_eq(line("gold", "pids.max"), "50");
	assert_ok(create("nice", "{\"nice\":-5}"));
	cr_expect_str_eq(line("nice", "cpu.weight.nice"), "-5");
	assert_ok(create("idle", "{\"idle\":true}"));
	cr_expect_str_eq(line("idle", "cpu.idle"), "1");
}

Test(cpg_control, percent_caps_follow_the_cpus_of_the_group_and_of_those_above)
{
	room_need_cpus(&r, 2);
	assert_ok(create("gold", "{\"cpus\":\"0-1\",\"cap\":\"100%\"}"));
	assert_ok(create("gold/a", "{\"cap\":\"50%\"}"));
	assert_ok(create("gold/a/b", "{\"cap\":\"25%\",\"burst\":40000}"));
	assert_ok(create("gold/cpus", "{\"cap\":\"0.5\"}"));
	cr_expect_str_eq(line("gold", "cpu.max"), "200000 100000");
	cr_expect_str_eq(line("gold/a", "cpu.max"), "100000 100000");
	cr_expect_str_eq(line("gold/a/b", "cpu.max"), "50000 100000");
	assert_ok(set("gold", "{\"cpus\":\"1\"}"));
	cr_expect_str_eq(line("gold", "cpu.max"), "100000 100000");
	cr_expect_str_eq(line("gold/a", "cpu.max"), "50000 100000");
	cr_expect_str_eq(line("gold/a/b", "cpu.max"), "25000 100000");
	cr_expect_str_eq(line("gold/a/b", "cpu.max.burst"), "25000", "a burst never exceeds its quota");
	cr_expect_str_eq(line("gold/cpus", "cpu.max"), "50000 100000");
	assert_ok(set("gold", "{\"cpus\":\"0-1\"}"));
	cr_expect_str_eq(line("gold/a/b", "cpu.max"), "50000 100000");
	cr_expect_str_eq(line("gold/a/b", "cpu.max.burst"), "40000");
}

Test(cpg_control, quota_and_burst_change_in_the_order_the_kernel_takes)
{
	assert_ok(create("gold", "{\"cap\":\"100000/100000\",\"burst\":100000}"));
	assert_ok(set("gold", "{\"cap\":\"50000/100000\",\"burst\":50000}"));
	cr_expect_str_eq(line("gold", "cpu.max.burst"), "50000");
	assert_ok(set("gold", "{\"cap\":\"100000/100000\",\"burst\":90000}"));
	cr_expect_str_eq(line("gold", "cpu.max.burst"), "90000");
	cr_expect_eq(set("gold", "{\"cap\":\"50000/100000\"}"), -ERANGE);
	says("burst 90000 us is above the quota of 50000 us");
	cr_expect_str_eq(line("gold", "cpu.max"), "100000 100000");
	cr_expect_str_eq(line("gold", "cpu.max.burst"), "90000");
}

Test(cpg_control, leaving_idle_restores_the_weight)
{
	struct cpg_policy back = { .set = CPG_SET_SHARE, .share = CPG_BY_WEIGHT };

	assert_ok(create("gold", "{\"weight\":300}"));
	assert_ok(set("gold", "{\"idle\":true}"));
	cr_expect_str_eq(line("gold", "cpu.idle"), "1");
	assert_ok(cpg_set(&r.cpg, "gold", &back, 0, &err));
	cr_expect_str_eq(line("gold", "cpu.idle"), "0");
	cr_expect_str_eq(line("gold", "cpu.weight"), "300");
}

/* uclamp is written last, and most kernels do not have it. */
static void need_no_uclamp(void)
{
	assert_ok(create("probe", "{\"cap\":\"max\"}"));
	if (strcmp(line("probe", "cpu.uclamp.min"), "-") != 0) {
		room_close(&r);
		cr_skip_test("this kernel has uclamp, so the last write does not fail");
	}
	assert_ok(cpg_delete(&r.cpg, "probe", 0, &err));
}

Test(cpg_control, a_set_that_fails_at_its_last_write_leaves_every_old_value)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems", "cpuset.cpus.partition", "cpu.max",
					     "cpu.max.burst", "cpu.weight", "cpu.idle", "memory.max", "pids.max" };
	char before[ARRAY_SIZE(files)][128];
	struct cpg_group g;

	need_no_uclamp();
	assert_ok(create("gold", "{\"cap\":\"80000/100000\",\"burst\":60000,\"weight\":300,\"pids\":50}"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		snprintf(before[i], sizeof(before[i]), "%s", line("gold", files[i]));
	cr_assert_eq(set("gold", "{\"cpus\":\"0\",\"mems\":\"0\",\"cap\":\"30%\",\"burst\":10000,\"idle\":true,\"pids\":7,"
				 "\"memory\":99999744,\"uclampMin\":20}"), -ENOTSUP);
	says("CONFIG_UCLAMP_TASK_GROUP");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		cr_expect_str_eq(line("gold", files[i]), before[i], "%s", files[i]);
	assert_ok(cpg_get(&r.cpg, "gold", r.a, &g, &err));
	cr_assert_eq(g.policy.pids_max, 50);
	cr_assert_eq(g.n_drift, 0);
}

Test(cpg_control, a_create_that_fails_at_its_last_write_leaves_no_directory)
{
	need_no_uclamp();
	cr_assert_eq(create("gold", "{\"cap\":\"50%\",\"pids\":7,\"uclampMax\":20}"), -ENOTSUP);
	cr_assert_not(room_has(&r, "gold"));
}

Test(cpg_control, cpus_that_would_not_be_in_force_are_refused_with_those_that_would)
{
	char policy[64];
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	snprintf(policy, sizeof(policy), "{\"cpus\":\"%ld\"}", n);
	cr_assert_eq(create("gold", policy), -EINVAL);
	says("would be in force");
	snprintf(policy, sizeof(policy), "{\"cpus\":\"0,%ld\"}", n);
	cr_assert_eq(create("gold", policy), -EINVAL);
	cr_assert_not(room_has(&r, "gold"));
	snprintf(policy, sizeof(policy), "{\"cpus\":\"0,%ld\"}", n);
	if (room_create(&r, "gold", policy, CPG_ALLOW_DIFFERENCE, &err) == 0) {
		cr_assert_str_eq(line("gold", "cpuset.cpus.effective"), "0");
		cr_assert(strstr(room_log(&r), "level=warning"));
	} else {
		says("write"); /* beyond what is possible on this host: the kernel's own answer */
	}
	cr_assert_lt(create("mem", "{\"mems\":\"63\"}"), 0);
	cr_assert_not(room_has(&r, "mem"));
}

Test(cpg_control, a_parent_keeps_the_cpus_that_a_group_below_uses)
{
	room_need_cpus(&r, 2);
	assert_ok(create("gold", "{\"cpus\":\"0-1\"}"));
	assert_ok(create("gold/a", "{\"cpus\":\"1\"}"));
	cr_assert_eq(create("gold/b", "{\"cpus\":\"2\"}"), -EINVAL);
	says("CPU group \"gold\" has 0-1");
	cr_assert_eq(set("gold", "{\"cpus\":\"0\"}"), -EBUSY);
	says("CPU group \"gold/a\" below uses \"1\"");
	assert_ok(room_set(&r, "gold", "{\"cpus\":\"0\"}", CPG_FORCE, &err));
}

Test(cpg_control, a_cap_above_the_parents_is_refused_or_warned_about)
{
	assert_ok(create("gold", "{\"cap\":\"0.5\"}"));
	cr_assert_eq(create("gold/a", "{\"cap\":\"0.6\"}"), -EDQUOT);
	says("a cap of 0.6 CPUs (60000/100000 us) is above the 0.5 CPUs (50000/100000 us) that CPU group \"gold\"");
	assert_ok(create("gold/a", "{\"cap\":\"0.6\",\"overParent\":\"warn\"}"));
	assert_ok(create("gold/b", "{\"cap\":\"0.4\"}"));
	cr_assert_eq(set("gold", "{\"cap\":\"0.3\"}"), -EDQUOT);
	says("CPU group \"gold/b\"");
	assert_ok(set("gold/b", "{\"cap\":\"max\"}"));
	assert_ok(set("gold", "{\"cap\":\"0.3\"}"));
	cr_assert_eq(set("gold/b", "{\"cap\":\"50000/100000\"}"), -EDQUOT);
}

Test(cpg_control, what_somebody_changed_by_hand_is_drift_until_it_is_set_again)
{
	struct cpg_group g;

	assert_ok(create("gold", "{\"cap\":\"50000/100000\",\"pids\":7}"));
	room_write(&r, "gold", "cpu.max", "70000 100000");
	room_write(&r, "gold", "cpu.weight", "5");
	assert_ok(cpg_get(&r.cpg, "gold", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 1, "the weight was never asked for");
	cr_assert_str_eq(g.drift[0].member, "cap");
	cr_assert_str_eq(g.drift[0].wanted, "50000 100000");
	cr_assert_str_eq(g.drift[0].actual, "70000 100000");
	assert_ok(set("gold", "{}"));
	assert_ok(cpg_get(&r.cpg, "gold", r.a, &g, &err));
	cr_assert_eq(g.n_drift, 0);
	cr_assert_str_eq(g.cpu_max, "50000 100000");
}

Test(cpg_control, an_adopted_directory_has_its_files_as_its_policy)
{
	struct cpg_group g;

	close(room_leaf(&r, "theirs"));
	room_write(&r, "theirs", "cpu.max", "30000 50000");
	room_write(&r, "theirs", "cpuset.cpus", "0");
	room_write(&r, "theirs", "cpu.weight", "42");
	room_write(&r, "theirs", "pids.max", "9");
	assert_ok(cpg_adopt(&r.cpg, "theirs", &err));
	assert_ok(cpg_get(&r.cpg, "theirs", r.a, &g, &err));
	cr_assert_eq(g.policy.set, CPG_SET_CPUS | CPG_SET_CAP | CPG_SET_SHARE | CPG_SET_PIDS);
	cr_assert_eq(g.policy.cap.quota_us, 30000);
	cr_assert_eq(g.policy.cap.period_us, 50000);
	cr_assert_eq(g.policy.weight, 42);
	cr_assert_eq(g.policy.pids_max, 9);
	cr_assert_eq(g.n_drift, 0);
}

Test(cpg_control, reservations_add_up_to_what_the_parent_can_promise)
{
	struct cpg_policy p = room_policy(&r, "{\"reserve\":\"0.3\"}");
	struct cpg_verdict v;

	assert_ok(create("gold", "{\"cap\":\"1\",\"reserve\":\"0.5\"}"));
	assert_ok(create("gold/a", "{\"reserve\":\"0.3\"}"));
	cr_assert_eq(create("gold/b", "{\"reserve\":\"0.3\"}"), -EDQUOT);
	says("0.3 CPUs asked for, but CPU group \"gold\" has 0.5 CPUs to promise and 0.3 CPUs claimed: \"gold/a\" 0.3 CPUs");
	cr_assert_eq(cpg_judge(&r.cpg, "gold/b", &p, 0, &v, &err), -EDQUOT);
	cr_assert_eq(v.capacity_milli, 500);
	cr_assert_eq(v.claimed_milli, 300);
	cr_assert_eq(v.asked_milli, 300);
	cr_assert_not(v.admitted);
	cr_assert_eq(set("gold", "{\"reserve\":\"0.2\"}"), -EDQUOT);
	says("the groups in it claim 0.3 CPUs");
	assert_ok(set("gold", "{\"overcommit\":1.5}"));
	assert_ok(create("gold/b", "{\"reserve\":\"0.3\"}"));
	assert_ok(cpg_delete(&r.cpg, "gold/a", 0, &err));
	assert_ok(create("gold/c", "{\"reserve\":\"0.3\"}"));
	cr_assert_eq(create("gold/d", "{\"cap\":\"0.2\",\"reserve\":\"0.3\"}"), -EDQUOT);
}

static int admit(const char *group, const char *cpus, int64_t quota, bool realtime, const char *leaf)
{
	struct spec_cpu cpu = { .quota = { quota > 0, quota }, .cpus = cpus };
	struct spec_resources res = { .cpu = &cpu };

	err = ERROR_INIT;
	return cpg_admit(&r.cpg, group, &res, realtime, leaf, &err);
}

Test(cpg_control, a_container_comes_in_only_if_the_group_can_keep_its_word)
{
	char leaf[128];

	assert_ok(create("gold", "{\"cpus\":\"0\",\"reserve\":\"0.5\",\"cap\":\"0.8\"}"));
	assert_ok(admit("gold", NULL, 0, false, NULL));
	assert_ok(admit("gold", "0", 50000, false, NULL));
	cr_assert_eq(admit("gold", "0-1", 0, false, NULL), -EINVAL);
	says("cpus \"0-1\" are not all in CPU group \"gold\", which has \"0\"");
	cr_assert_str_eq(err.at, "/linux/resources/cpu/cpus");
	cr_assert_eq(admit("gold", NULL, 60000, false, NULL), -EDQUOT);
	says("a quota of 0.6 CPUs does not fit into CPU group \"gold\": it reserves 0.5 CPUs");

	close(room_leaf(&r, "gold/web"));
	room_write(&r, "gold/web", "cpu.max", "30000 100000");
	cr_assert_eq(admit("gold", NULL, 30000, false, NULL), -EDQUOT);
	says("0.3 CPUs of them already");
	snprintf(leaf, sizeof(leaf), "%s/gold/web", r.base);
	assert_ok(admit("gold", NULL, 50000, false, leaf));
	/* Below, the reservation of the group above is what is shared. */
	assert_ok(create("gold/a", "{}"));
	cr_assert_eq(admit("gold/a", NULL, 30000, false, NULL), -EDQUOT);

	assert_ok(admit("gold/a", NULL, 0, true, NULL));
	assert_ok(set("gold", "{\"realtime\":\"refuse\"}"));
	cr_assert_eq(admit("gold/a", NULL, 0, true, NULL), -EDQUOT);
	says("does not bind such tasks");
	cr_assert_eq(admit("nobody", NULL, 0, false, NULL), -ENOENT);
}

Test(cpg_control, a_limit_on_the_group_stands_before_anybody_is_in_it)
{
	assert_ok(create("gold", "{\"pids\":1}"));

	pid_t pid = room_fork(&r, "gold/web");

	cr_assert_eq(cpg_delete(&r.cpg, "gold", 0, &err), -ENOTEMPTY);
	cr_assert_str_eq(line("gold", "pids.current"), "1");
	cr_assert_eq(kill(pid, SIGKILL), 0);
	wait_status(pid);
}

static int hold_memory(void)
{
	size_t size = 48u << 20;
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (m == MAP_FAILED)
		return 1;
	memset(m, 1, size);
	return sleep_for_ever();
}

/* Populated is more than 40 MiB of the page tables' and the pages' memory. */
static void wait_for_memory(void)
{
	for (int i = 0; i < 3000; i++) {
		if (strtoull(line("gold", "memory.current"), NULL, 10) > (40u << 20))
			return;
		usleep(10000);
	}
	cr_assert_fail("memory.current stays at %s", line("gold", "memory.current"));
}

Test(cpg_control, a_memory_limit_below_what_is_in_use_does_not_kill, .timeout = 120)
{
	assert_ok(create("gold", "{\"memory\":104857600}"));

	auto_close int fd = room_leaf(&r, "gold/web");
	struct scratch s = { .fd = fd };
	pid_t pid = scratch_fork(&s, hold_memory);

	wait_for_memory();
	if (strcmp(line("gold", "memory.swap.current"), "-") != 0)
		room_write(&r, "gold", "memory.swap.max", "0");
	cr_assert_eq(set("gold", "{\"pids\":9,\"memory\":10485760}"), -EBUSY);
	says("bytes are in use and cannot be reclaimed");
	cr_expect_str_eq(line("gold", "memory.max"), "104857600");
	cr_expect_str_eq(line("gold", "memory.high"), "max");
	cr_expect_str_eq(line("gold", "pids.max"), "max");
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0, "it lives");
	assert_ok(set("gold", "{\"memory\":83886080}"));
	cr_expect_str_eq(line("gold", "memory.max"), "83886080");
}

Test(cpg_control, a_container_keeps_the_cpus_it_lists)
{
	room_need_cpus(&r, 2);
	assert_ok(create("gold", "{\"cpus\":\"0-1\"}"));
	room_fork(&r, "gold/web");
	room_write(&r, "gold/web", "cpuset.cpus", "1");
	cr_assert_eq(set("gold", "{\"cpus\":\"0\"}"), -EBUSY);
	says("container \"web\" in CPU group \"gold\" uses \"1\"");
	assert_ok(room_set(&r, "gold", "{\"cpus\":\"0\"}", CPG_FORCE, &err));
}

Test(cpg_control, a_reservation_that_weights_do_not_bear_out_is_warned_about)
{
	room_need_cpus(&r, 2);
	assert_ok(create("gold", "{\"cap\":\"1\"}"));
	assert_ok(create("gold/heavy", "{\"weight\":1000}"));
	cr_assert_null(strstr(room_log(&r), "level=warning"), "%s", room_log(&r));
	assert_ok(create("gold/a", "{\"reserve\":\"1\"}"));
	cr_assert(strstr(room_log(&r), "its weight of 100 of 1100 gives"), "%s", room_log(&r));
}

Test(cpg_control, the_path_to_a_group_says_the_same_as_the_whole_tree)
{
	struct cpg_tree all;
	struct cpg_tree path;

	assert_ok(create("gold", "{\"cpus\":\"0\",\"cap\":\"0.5\"}"));
	assert_ok(create("gold/a", "{\"cap\":\"50%\"}"));
	assert_ok(create("gold/a/b", "{}"));
	assert_ok(create("silver", "{}"));
	assert_ok(cpg_tree_load(&r.cpg, r.a, &all, &err));
	assert_ok(cpg_tree_load_path(&r.cpg, "gold/a", r.a, &path, &err));
	cr_assert_eq(path.n, 3);
	for (size_t i = 0; i < path.n; i++) {
		int at = cpg_tree_find(&all, path.v[i].name);

		cr_assert(at >= 0);
		cr_expect_str_eq(path.v[i].path, all.v[at].path);
		cr_expect_eq(path.v[i].quota_us, all.v[at].quota_us);
		cr_expect(cpg_mask_equal(&path.v[i].effective, &all.v[at].effective));
		cr_expect_str_eq(path.v[i].attr.uuid, all.v[at].attr.uuid);
	}
}

Test(cpg_control, applying_the_same_again_corrects_what_drifted)
{
	static const char text[] = "{\"version\":1,\"groups\":[{\"name\":\"gold\",\"policy\":{\"cap\":\"0.5\"}}]}";
	const struct json *doc;
	struct cpg_change *change;
	size_t n;

	assert_ok(json_parse(text, strlen(text), "doc", r.a, &doc, &err));
	assert_ok(cpg_apply(&r.cpg, doc, false, 0, r.a, &change, &n, &err));
	room_write(&r, "gold", "cpu.max", "70000 100000");
	assert_ok(cpg_apply(&r.cpg, doc, false, CPG_CHECK, r.a, &change, &n, &err));
	cr_assert_str_eq(change[0].action, "set");
	cr_assert_str_eq(change[0].detail, "drift");
	cr_assert_str_eq(line("gold", "cpu.max"), "70000 100000");
	assert_ok(cpg_apply(&r.cpg, doc, false, 0, r.a, &change, &n, &err));
	cr_assert_str_eq(line("gold", "cpu.max"), "50000 100000");
	assert_ok(cpg_apply(&r.cpg, doc, false, 0, r.a, &change, &n, &err));
	cr_assert_str_eq(change[0].action, "keep");
}

/* The child must shrink before its parent, and grow after it: one order of the document does for neither. */
Test(cpg_control, caps_of_parent_and_child_shrink_and_grow_together)
{
	static const char *const docs[] = {
		"{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"cpus\":\"0\",\"reserve\":\"1\",\"cap\":\"1\"}},"
		"{\"name\":\"p\",\"policy\":{\"cap\":\"0.9\"}},{\"name\":\"p/q\",\"policy\":{\"cap\":\"0.8\"}}]}",
		"{\"version\":1,\"groups\":[{\"name\":\"p\",\"policy\":{\"cap\":\"0.5\"}},"
		"{\"name\":\"p/q\",\"policy\":{\"cap\":\"0.4\"}}]}",
	};
	struct cpg_change *change;
	size_t n;

	for (size_t i = 0; i < 4; i++) {
		const struct json *doc;
		const char *text = docs[i % 2];

		assert_ok(json_parse(text, strlen(text), "doc", r.a, &doc, &err));
		assert_ok(cpg_apply(&r.cpg, doc, true, 0, r.a, &change, &n, &err));
		cr_assert_str_eq(line("p/q", "cpu.max"), i % 2 ? "40000 100000" : "80000 100000");
	}
}
