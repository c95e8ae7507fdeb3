/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "cgroups/cpugroup/migrate.h"

static struct error err;
static struct arena a = ARENA_INIT;

Test(mig_is_setting, is_what_keeps_what_was_written)
{
	static const char *const settings[] = {
		"cpu.max", "cpu.max.burst", "cpu.weight", "cpu.idle", "cpu.uclamp.min", "cpuset.cpus",
		"cpuset.mems", "cpuset.cpus.exclusive", "cpuset.cpus.partition", "memory.max", "memory.oom.group",
		"memory.zswap.max", "pids.max", "io.max", "io.weight", "hugetlb.2MB.max", "hugetlb.1GB.rsvd.max",
		"rdma.max", "misc.max", "cgroup.pressure", "memory.something_new",
	};
	static const char *const others[] = {
		"cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.type", "cgroup.freeze", "cgroup.subtree_control",
		"cgroup.events", "cgroup.stat", "cgroup.controllers", "memory.reclaim", "memory.peak",
		"memory.swap.peak", "memory.current", "memory.events", "memory.events.local", "cpu.pressure",
		"cpu.stat", "cpu.stat.local", "cpu.weight.nice", "irq.pressure", "cpuset.cpus.effective", "notes",
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		cr_assert(mig_is_setting(settings[i]), "%s", settings[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_assert_not(mig_is_setting(others[i]), "%s", others[i]);
}

Test(mig_rank, is_the_order_that_the_kernel_takes)
{
	static const char *const before[][2] = {
		{ "cpu.idle", "cpu.weight" },       { "cpu.max", "cpu.max.burst" }, { "memory.max", "memory.swap.max" },
		{ "cpuset.mems", "cpuset.cpus.partition" }, { "cpuset.cpus", "cpuset.cpus.exclusive" },
		{ "cpuset.cpus.exclusive", "cpuset.cpus.partition" }, { "pids.max", "cpuset.cpus.partition" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		cr_assert_lt(mig_rank(before[i][0]), mig_rank(before[i][1]), "%s", before[i][0]);
}

struct pair {
	int from, to;
	char from_dir[64], to_dir[64];
};

static struct pair pair_open(void)
{
	struct pair p;

	p.from = fake_open(p.from_dir);
	p.to = fake_open(p.to_dir);
	return p;
}

static void pair_close(struct pair *p)
{
	fake_close(p->from, p->from_dir);
	fake_close(p->to, p->to_dir);
	arena_release(&a);
}

static int copy(struct pair *p)
{
	struct mig_listing l;
	int r = mig_list(p->from, &a, &l, &err);

	return r < 0 ? r : mig_copy_settings(p->from, p->to, &l, &a, &err);
}

Test(mig_copy_settings, writes_what_differs_and_nothing_else)
{
	struct pair p = pair_open();
	struct stat before;
	struct stat after;

	fake_file(p.from, "pids.max", "77\n");
	fake_file(p.to, "pids.max", "max\n");
	fake_file(p.from, "cpu.weight", "100\n");
	fake_file(p.to, "cpu.weight", "100\n");
	fake_file(p.from, "memory.current", "5\n");
	cr_assert_eq(fstatat(p.to, "cpu.weight", &before, 0), 0);
	usleep(20000);
	assert_ok(copy(&p));
	cr_assert_str_eq(fake_line(p.to, "pids.max"), "77");
	cr_assert_eq(fstatat(p.to, "cpu.weight", &after, 0), 0);
	cr_assert_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	pair_close(&p);
}

Test(mig_copy_settings, of_a_keyed_file_the_line_that_differs_is_written)
{
	struct pair p = pair_open();

	fake_file(p.from, "io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=max\n");
	fake_file(p.to, "io.max", "");
	assert_ok(copy(&p));
	cr_assert_str_eq(fake_line(p.to, "io.max"), "8:0 rbps=1048576 wbps=max riops=max wiops=max");
	pair_close(&p);
}

Test(mig_copy_settings, a_limit_the_source_does_not_have_is_lifted)
{
	struct pair p = pair_open();

	fake_file(p.from, "io.max", "");
	fake_file(p.to, "io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=max\n");
	fake_file(p.from, "rdma.max", "");
	fake_file(p.to, "rdma.max", "mlx5_0 hca_handle=2 hca_object=2000\n");
	assert_ok(copy(&p));
	cr_assert_str_eq(fake_line(p.to, "io.max"), "8:0 rbps=max wbps=max riops=max wiops=max");
	cr_assert_str_eq(fake_line(p.to, "rdma.max"), "mlx5_0 hca_handle=max hca_object=max");
	pair_close(&p);
}

Test(mig_copy_settings, an_idle_one_has_no_weight_to_copy)
{
	struct pair p = pair_open();

	fake_file(p.from, "cpu.idle", "1\n");
	fake_file(p.to, "cpu.idle", "0\n");
	fake_file(p.from, "cpu.weight", "0\n");
	fake_file(p.to, "cpu.weight", "100\n");
	assert_ok(copy(&p));
	cr_assert_str_eq(fake_line(p.to, "cpu.idle"), "1");
	cr_assert_str_eq(fake_line(p.to, "cpu.weight"), "100");
	pair_close(&p);
}

Test(mig_copy_settings, a_file_that_the_target_lacks_is_an_error_that_names_it)
{
	struct pair p = pair_open();

	fake_file(p.from, "memory.max", "4096\n");
	cr_assert_eq(copy(&p), -ENOTSUP);
	cr_assert(strstr(line_of(&err), "memory.max is set to \"4096\""), "%s", line_of(&err));
	pair_close(&p);
}
