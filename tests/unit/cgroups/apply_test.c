/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

/* The apply loop against fake cgroups: what the kernel itself answers is for the system tests. */

static int fd;
static char dir[64];
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
	fd = fake_open(dir);
	fake_file(fd, "cgroup.controllers", "cpu memory pids io\n");
}

static void teardown(void)
{
	fake_close(fd, dir);
}

TestSuite(cg_apply, .init = setup, .fini = teardown);

static int apply(const struct cg_write *w, size_t n)
{
	struct cg_plan plan = { .v = (struct cg_write *)w, .n = n };

	return cg_apply(fd, &plan, &err);
}

Test(cg_apply, writes_every_file)
{
	static const struct cg_write w[] = {
		{ .file = "cpu.max", .value = "50000 100000", .controller = CG_CPU },
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
		{ .file = "cpuset.cpus", .value = "", .controller = CG_CPUSET },
	};

	fake_file(fd, "cpu.max", "max 100000\n");
	fake_file(fd, "pids.max", "max\n");
	fake_file(fd, "cpuset.cpus", "\n");
	assert_ok(apply(w, 3));
	cr_assert_str_eq(fake_line(fd, "cpu.max"), "50000 100000");
	cr_assert_str_eq(fake_line(fd, "pids.max"), "7");
	cr_assert_str_eq(fake_line(fd, "cpuset.cpus"), "");
}

Test(cg_apply, puts_everything_back_when_a_write_is_refused)
{
	static const struct cg_write w[] = {
		{ .file = "cpu.max", .value = "50000 100000", .controller = CG_CPU },
		{ .file = "cpu.weight", .value = "59", .controller = CG_CPU },
		{ .file = "memory.max", .value = "4096", .controller = CG_MEMORY,
		  .pointer = "/linux/resources/memory/limit" },
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
	};

	fake_file(fd, "cpu.max", "max 100000\n");
	fake_file(fd, "cpu.weight", "100\n");
	fake_file(fd, "pids.max", "max\n");
	/* A directory cannot be opened for writing, whoever asks. */
	cr_assert_eq(mkdirat(fd, "memory.max", 0755), 0);
	cr_assert_eq(apply(w, 4), -EISDIR);
	cr_assert_str_eq(err.at, "/linux/resources/memory/limit");
	cr_assert_str_eq(fake_line(fd, "cpu.max"), "max 100000");
	cr_assert_str_eq(fake_line(fd, "cpu.weight"), "100");
	cr_assert_str_eq(fake_line(fd, "pids.max"), "max");
}

Test(cg_apply, a_value_that_was_not_kept_is_refused_and_undone)
{
	static const struct cg_write w[] = {
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
		{ .file = "cpuset.cpus", .value = "4-7", .controller = CG_CPUSET,
		  .pointer = "/linux/resources/cpu/cpus" },
	};

	fake_file(fd, "pids.max", "max\n");
	fake_file(fd, "cpuset.cpus", "\n");
	fake_file(fd, "cpuset.cpus.effective", "0-3\n");
	cr_assert_eq(apply(w, 2), -EINVAL);
	cr_assert_str_eq(line_of(&err), "cpuset.cpus \"4-7\" has nothing that is online and given to the parent "
					"cgroup; in force is \"0-3\"");
	cr_assert_str_eq(err.at, "/linux/resources/cpu/cpus");
	cr_assert_str_eq(fake_line(fd, "pids.max"), "max");
	cr_assert_str_eq(fake_line(fd, "cpuset.cpus"), "");
}

Test(cg_apply, part_of_a_cpu_list_may_be_offline)
{
	static const struct cg_write w = { .file = "cpuset.cpus", .value = "0-7", .controller = CG_CPUSET };

	fake_file(fd, "cpuset.cpus", "\n");
	fake_file(fd, "cpuset.cpus.effective", "0-3\n");
	assert_ok(apply(&w, 1));
}

Test(cg_apply, an_optional_write_is_left_out_where_the_file_is_not_there)
{
	static const struct cg_write w[] = {
		{ .file = "cpu.weight", .value = "100", .controller = CG_CPU, .optional = true },
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
	};

	fake_file(fd, "pids.max", "max\n");
	assert_ok(apply(w, 2));
	cr_assert_str_eq(fake_line(fd, "pids.max"), "7");
	cr_assert_eq(faccessat(fd, "cpu.weight", F_OK, 0), -1);
}

Test(cg_apply, the_other_file_is_used_where_the_first_is_not_there)
{
	static const struct cg_write w = { .file = "io.bfq.weight", .value = "500", .controller = CG_IO,
					   .other_file = "io.weight", .other_value = "4950",
					   .pointer = "/linux/resources/blockIO/weight" };

	cr_assert_eq(apply(&w, 1), -ENOTSUP);
	cr_assert_str_eq(line_of(&err), "blockIO.weight needs io.bfq.weight or io.weight, and this kernel has "
					"neither");
	fake_file(fd, "io.weight", "default 100\n");
	assert_ok(apply(&w, 1));
	cr_assert_str_eq(fake_line(fd, "io.weight"), "4950");
}

Test(cg_apply, a_missing_file_names_the_controller_that_is_not_enabled)
{
	static const struct cg_write w = { .file = "hugetlb.2MB.max", .value = "0", .controller = CG_HUGETLB,
					   .pointer = "/linux/resources/hugepageLimits/0" };

	cr_assert_eq(apply(&w, 1), -ENOTSUP);
	cr_assert_str_eq(line_of(&err), "hugepageLimits.0 needs the hugetlb controller, which is not enabled for "
					"this cgroup");
	cr_assert_str_eq(err.at, "/linux/resources/hugepageLimits/0");
	fake_file(fd, "cgroup.controllers", "hugetlb cpu memory pids io\n");
	cr_assert_eq(apply(&w, 1), -ENOTSUP);
	cr_assert_str_eq(line_of(&err), "hugepageLimits.0 needs the cgroup file hugetlb.2MB.max, which this kernel "
					"does not have");
}

Test(cg_apply, a_device_that_had_no_limit_is_reset_and_one_that_had_gets_its_own_back)
{
	static const struct cg_write w[] = {
		{ .file = "io.max", .value = "8:0 rbps=10", .controller = CG_IO },
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
	};

	fake_file(fd, "io.max", "8:0 rbps=10 wbps=max riops=max wiops=max\n");
	cr_assert_eq(mkdirat(fd, "pids.max", 0755), 0);
	cr_assert_eq(apply(w, 2), -EISDIR);
	cr_assert_str_eq(fake_line(fd, "io.max"), "8:0 rbps=10 wbps=max riops=max wiops=max");

	static const struct cg_write other[] = {
		{ .file = "rdma.max", .value = "mlx hca_handle=2", .controller = CG_RDMA },
		{ .file = "pids.max", .value = "7", .controller = CG_PIDS },
	};

	fake_file(fd, "rdma.max", "");
	cr_assert_eq(apply(other, 2), -EISDIR);
	cr_assert_str_eq(fake_line(fd, "rdma.max"), "mlx hca_handle=max hca_object=max");
}

Test(cg_apply, check_before_update_refuses_a_limit_in_use_and_changes_nothing)
{
	struct cg_write w = { .file = "memory.max", .value = "4096", .controller = CG_MEMORY };
	struct cg_plan plan = { .v = &w, .n = 1, .check_memory = 4096 };

	fake_file(fd, "memory.max", "max\n");
	fake_file(fd, "memory.high", "max\n");
	fake_file(fd, "memory.current", "368640\n");
	cr_assert_eq(cg_apply(fd, &plan, &err), -EBUSY);
	cr_assert_str_eq(line_of(&err), "rejecting memory limit 4096 <= usage 368640");
	cr_assert_str_eq(fake_line(fd, "memory.max"), "max");
	cr_assert_str_eq(fake_line(fd, "memory.high"), "max");

	plan.check_memory = 0;
	plan.check_memory_swap = 400000;
	fake_file(fd, "memory.swap.current", "40960\n");
	cr_assert_eq(cg_apply(fd, &plan, &err), -EBUSY);
	cr_assert_str_eq(line_of(&err), "rejecting memory+swap limit 400000 <= usage 409600");

	fake_file(fd, "memory.current", "1024\n");
	assert_ok(cg_apply(fd, &plan, &err));
	cr_assert_str_eq(fake_line(fd, "memory.max"), "4096");
}

Test(cg_apply, a_symlink_in_place_of_a_file_is_not_followed)
{
	static const struct cg_write w = { .file = "pids.max", .value = "7", .controller = CG_PIDS };

	fake_file(fd, "victim", "untouched\n");
	cr_assert_eq(symlinkat("victim", fd, "pids.max"), 0);
	cr_assert_eq(apply(&w, 1), -ELOOP);
	cr_assert_str_eq(fake_line(fd, "victim"), "untouched");
}
