/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "cgroups/cpugroup/measure.h"

static struct error err;

static int spin(void)
{
	for (;;)
		sched_yield();
	return 0;
}

Test(cpg_stat_fd, has_every_number_of_the_files)
{
	struct cpg_stat s;
	char dir[64];
	int fd = fake_open(dir);

	fake_file(fd, "cgroup.events", "populated 1\nfrozen 1\n");
	fake_file(fd, "cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnice_usec 3\nnr_periods 9\n"
				  "nr_throttled 8\nthrottled_usec 7\nnr_bursts 6\nburst_usec 5\n");
	fake_file(fd, "cpu.max", "150000 200000\n");
	fake_file(fd, "cpu.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=11\n");
	fake_file(fd, "memory.current", "4096\n");
	fake_file(fd, "memory.peak", "8192\n");
	fake_file(fd, "memory.max", "max\n");
	fake_file(fd, "memory.swap.current", "1024\n");
	fake_file(fd, "memory.events", "low 0\nhigh 0\nmax 2\noom 1\noom_kill 3\noom_group_kill 1\n");
	fake_file(fd, "memory.pressure", "some avg10=2.00 avg60=0.00 avg300=0.00 total=12\n");
	fake_file(fd, "io.pressure", "some avg10=3.00 avg60=0.00 avg300=0.00 total=13\n");
	fake_file(fd, "pids.current", "5\n");
	fake_file(fd, "pids.max", "77\n");
	assert_ok(cpg_stat_fd(fd, &s, &err));
	cr_assert(s.populated && s.frozen && s.has_cpu && s.has_memory && s.has_pids);
	cr_assert(s.usage_usec == 100 && s.user_usec == 60 && s.system_usec == 40);
	cr_assert(s.nr_periods == 9 && s.nr_throttled == 8 && s.throttled_usec == 7);
	cr_assert(s.nr_bursts == 6 && s.burst_usec == 5);
	cr_assert(s.quota_us == 150000 && s.period_us == 200000);
	cr_assert(s.cpu.some_total == 11 && s.memory.some_total == 12 && s.io.some_total == 13);
	cr_assert(s.memory_current == 4096 && s.memory_peak == 8192 && s.memory_max == UINT64_MAX);
	cr_assert(s.swap_current == 1024 && s.oom_kills == 3);
	cr_assert(s.pids_current == 5 && s.pids_max == 77);
	cr_assert_gt(s.taken_ns, 0);
	fake_close(fd, dir);
}

Test(cpg_stat_fd, without_controllers_there_is_usage_and_nothing_pretends)
{
	struct cpg_stat s;
	char dir[64];
	int fd = fake_open(dir);

	fake_file(fd, "cgroup.events", "populated 0\nfrozen 0\n");
	fake_file(fd, "cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40\n");
	assert_ok(cpg_stat_fd(fd, &s, &err));
	cr_assert_eq(s.usage_usec, 100);
	cr_assert_not(s.has_cpu || s.has_memory || s.has_pids || s.cpu.has);
	cr_assert_eq(s.quota_us, UINT64_MAX);
	fake_close(fd, dir);
	fd = fake_open(dir);
	cr_assert_eq(cpg_stat_fd(fd, &s, &err), -ENOENT);
	fake_close(fd, dir);
}

Test(cpg_utilisation, is_percent_of_the_cap_or_of_one_cpu)
{
	struct cpg_stat a = { .quota_us = 50000, .period_us = 100000, .taken_ns = 1000000000 };
	struct cpg_stat b = a;

	/* Half a CPU is allowed: 250 ms used of 500 ms in one second. */
	b.taken_ns += 1000000000;
	b.usage_usec = 250000;
	cr_assert_eq(cpg_utilisation(&a, &b), 5000);
	b.quota_us = a.quota_us = UINT64_MAX;
	cr_assert_eq(cpg_utilisation(&a, &b), 2500);
	b.usage_usec = 2000000;
	cr_assert_eq(cpg_utilisation(&a, &b), 20000);
	/* A new cgroup of the name, or no time between. */
	cr_assert_eq(cpg_utilisation(&b, &a), 0);
	b.taken_ns = a.taken_ns;
	cr_assert_eq(cpg_utilisation(&a, &b), 0);
	/* Large numbers do not wrap. */
	b.taken_ns = a.taken_ns + (int64_t)3600 * 24 * 1000000000;
	b.usage_usec = UINT64_C(3600) * 24 * 1000000 * 512;
	b.quota_us = 512 * 1000000ull;
	b.period_us = 1000000;
	cr_assert_eq(cpg_utilisation(&a, &b), 10000);
}

Test(cpg_stats, rows_are_in_tree_order_and_sum_up)
{
	static struct arena a = ARENA_INIT;
	struct place p;
	struct cpg_stat *s;
	size_t n;

	place_open(&p);

	auto_close int batch = place_group(&p, "gold/batch");
	auto_close int job = place_mkdir(&p, "gold/batch/job");

	place_fork(&p, p.web_fd, spin);
	place_fork(&p, job, spin);
	usleep(50000);
	assert_ok(cpg_stats(&p.cpg, "gold", true, &a, &s, &n, &err));
	cr_assert_eq(n, 4);
	cr_assert_str_eq(s[0].name, "gold");
	cr_assert_str_eq(s[1].name, "gold/batch");
	cr_assert_str_eq(s[2].name, "job");
	cr_assert_str_eq(s[2].group, "gold/batch");
	cr_assert_str_eq(s[3].name, "web");
	cr_assert_str_eq(s[3].group, "gold");
	cr_assert_str_eq(s[3].path, p.web);
	cr_assert(s[0].is_group && s[1].is_group && !s[2].is_group && !s[3].is_group);
	cr_assert_gt(s[3].usage_usec, 0);
	cr_assert_gt(s[0].usage_usec, 0);
	assert_ok(cpg_stats(&p.cpg, "gold", false, &a, &s, &n, &err));
	cr_assert_eq(n, 1);
	cr_assert_eq(cpg_stats(&p.cpg, "bronze", false, &a, &s, &n, &err), -ENOENT);
	arena_release(&a);
	place_close(&p);
}

Test(cpg_stats, every_row_of_many_members_is_whole)
{
	static struct arena a = ARENA_INIT;
	struct place p;
	struct cpg_stat *s;
	size_t n;

	place_open(&p);
	for (int i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "gold/m%03d", i);
		close(place_mkdir(&p, name));
	}
	assert_ok(cpg_stats(&p.cpg, "gold", true, &a, &s, &n, &err));
	cr_assert_eq(n, 202); /* gold and web as well */
	for (size_t i = 1; i < n; i++)
		cr_assert(s[i].name && s[i].path && strstr(s[i].path, s[i].name), "row %zu", i);
	arena_release(&a);
	place_close(&p);
}

Test(cpg_stats, what_a_move_left_behind_is_no_member_and_counts_as_residual)
{
	static struct arena a = ARENA_INIT;
	struct place p;
	struct cpg_stat *s;
	struct cpg_member *m;
	uint64_t charge = 0;
	size_t n;

	place_open(&p);
	cr_assert_eq(fsetxattr(p.web_fd, CPG_XATTR_RESIDUAL, "x", 1, 0), 0);
	cg_read_number(p.web_fd, "memory.current", &charge);
	assert_ok(cpg_stats(&p.cpg, "gold", true, &a, &s, &n, &err));
	cr_assert_eq(n, 1);
	cr_assert_eq(s[0].residual, charge);
	assert_ok(cpg_members(&p.cpg, "gold", true, &a, &m, &n, &err));
	cr_assert_eq(n, 0);
	arena_release(&a);
	place_close(&p);
}

Test(cpg_stat_write, is_json_with_the_units_in_the_names)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };
	struct cpg_stat s = {
		.name = "web",           .group = "gold",       .path = "cpugroups/gold/web",
		.has_cpu = true,         .usage_usec = 5,       .quota_us = UINT64_MAX,
		.period_us = 100000,     .cpu = { .has = true, .some10 = 123 },
		.has_memory = true,      .memory_current = 7,   .memory_peak = UINT64_MAX,
		.memory_max = UINT64_MAX, .swap_current = UINT64_MAX, .has_pids = true, .pids_max = 9,
	};

	cpg_stat_write(&w, NULL, &s);
	cr_assert_str_eq(b.data,
			 "{\"name\":\"web\",\"group\":\"gold\",\"kind\":\"member\",\"path\":\"cpugroups/gold/web\","
			 "\"populated\":false,\"frozen\":false,\"cpu\":{\"usageUsec\":5,\"userUsec\":0,\"systemUsec\":0,"
			 "\"quotaUsec\":null,\"periodUsec\":100000,\"periods\":0,\"throttledPeriods\":0,"
			 "\"throttledUsec\":0,\"bursts\":0,\"burstUsec\":0,\"pressure\":{\"some\":{\"avg10\":1.23,"
			 "\"avg60\":0.00,\"avg300\":0.00,\"totalUsec\":0},\"full\":{\"avg10\":0.00,\"avg60\":0.00,"
			 "\"avg300\":0.00,\"totalUsec\":0}}},\"memory\":{\"current\":7,\"max\":null,\"oomKills\":0,"
			 "\"residual\":0},\"pids\":{\"current\":0,\"max\":9}}");
}

Test(cpg_members, are_the_leaves_with_what_they_use)
{
	static struct arena a = ARENA_INIT;
	struct place p;
	struct cpg_member *m;
	size_t n;

	place_open(&p);

	auto_close int batch = place_group(&p, "gold/batch");
	auto_close int job = place_mkdir(&p, "gold/batch/job");
	auto_close int one = place_mkdir(&p, "gold/web/one");
	auto_close int two = place_mkdir(&p, "gold/web/two");

	place_fork(&p, one, spin);
	place_fork(&p, two, pause);
	place_fork(&p, two, pause);
	place_fork(&p, job, pause);
	assert_ok(cg_freeze(job, true, 5000, &err));
	usleep(20000);
	assert_ok(cpg_members(&p.cpg, "gold", false, &a, &m, &n, &err));
	cr_assert_eq(n, 1);
	cr_assert_str_eq(m[0].id, "web");
	cr_assert_str_eq(m[0].group, "gold");
	cr_assert_str_eq(m[0].path, p.web);
	cr_assert(m[0].populated && !m[0].frozen && !m[0].freezing);
	cr_assert_eq(m[0].n_pids, 3);
	cr_assert_gt(m[0].usage_usec, 0);
	assert_ok(cpg_members(&p.cpg, "gold", true, &a, &m, &n, &err));
	cr_assert_eq(n, 2);
	cr_assert_str_eq(m[0].id, "job");
	cr_assert_str_eq(m[0].group, "gold/batch");
	cr_assert(m[0].frozen && m[0].freezing);
	cr_assert_eq(m[0].n_pids, 1);
	arena_release(&a);
	place_close(&p);
}
