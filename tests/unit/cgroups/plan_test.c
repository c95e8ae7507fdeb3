/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "spec/base/auto.h"

static struct arena a = ARENA_INIT;
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
}

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cg_plan, .init = setup, .fini = teardown);

static struct cg_plan plan_of(const struct spec_resources *res)
{
	struct cg_plan plan;

	assert_ok(cg_plan_make(res, &a, NULL, &plan, &err));
	return plan;
}

/* "file=value file=value", optional ones with a question mark. */
static const char *text_of(const struct cg_plan *plan)
{
	const char *text = "";

	for (size_t i = 0; i < plan->n; i++)
		text = arena_printf(&a, "%s%s%s=%s%s", text, i ? "; " : "", plan->v[i].file, plan->v[i].value,
				    plan->v[i].optional ? "?" : "");
	return text;
}

#define assert_plan(res, expected) \
	do { \
		struct cg_plan plan_ = plan_of(res); \
		cr_assert_str_eq(text_of(&plan_), expected); \
	} while (0)

static void assert_refused(const struct spec_resources *res, const char *pointer, const char *words)
{
	struct cg_plan plan;

	err = ERROR_INIT;
	cr_assert_eq(cg_plan_make(res, &a, NULL, &plan, &err), -EINVAL);
	cr_assert_str_eq(err.at, pointer);
	cr_assert_not_null(strstr(line_of(&err), words), "\"%s\" is not in: %s", words, line_of(&err));
}

#define I64(x) { .set = true, .v = (x) }

Test(cg_plan, no_resources_is_an_empty_plan)
{
	assert_plan(NULL, "");
	assert_plan(&(struct spec_resources){ 0 }, "");
}

/* What an engine sends for a container without any limit. */
Test(cg_plan, empty_defaults_of_engines_need_no_controller)
{
	struct spec_memory memory = { .kernel = I64(0), .limit = I64(0), .reservation = I64(0), .swap = I64(0) };
	struct spec_cpu cpu = { .shares = I64(0), .quota = I64(0), .period = I64(0) };
	struct spec_block_io io = { .weight = I64(0), .leaf_weight = I64(0) };
	struct spec_resources res = { .memory = &memory, .cpu = &cpu, .block_io = &io };
	struct cg_plan plan = plan_of(&res);

	cr_assert_eq(plan.n, 0);
	cpu.shares.v = 1024;
	memory.limit.v = memory.swap.v = -1;
	res.pids_limit = (struct spec_opt_i64)I64(-1);
	plan = plan_of(&res);
	cr_assert_eq(plan.controllers, 0u);
	cr_assert_str_eq(text_of(&plan),
			 "cpu.weight=100?; memory.swap.max=max?; memory.max=max?; pids.max=max?");
}

Test(cg_plan, cpu_members_become_files_in_an_order_the_kernel_takes)
{
	struct spec_cpu cpu = { .shares = I64(512), .quota = I64(50000), .period = I64(100000), .burst = I64(20000),
				.cpus = "0-1", .mems = "0" };
	struct spec_resources res = { .cpu = &cpu };

	assert_plan(&res, "cpuset.cpus=0-1; cpuset.mems=0; cpu.weight=59; cpu.max.burst=0?; "
			  "cpu.max=50000 100000; cpu.max.burst=20000");
	cr_assert_eq(plan_of(&res).controllers, (unsigned)(CG_CPU | CG_CPUSET));
}

Test(cg_plan, quota_without_period_uses_the_default_period)
{
	struct spec_cpu cpu = { .quota = I64(30000) };
	struct spec_resources res = { .cpu = &cpu };

	assert_plan(&res, "cpu.max=30000 100000");
	cpu.quota.v = -1;
	assert_plan(&res, "cpu.max=max 100000?");
	cpu = (struct spec_cpu){ .period = I64(50000) };
	assert_plan(&res, "cpu.max=max 50000?");
}

Test(cg_plan, an_idle_group_gets_no_weight_and_leaving_idle_restores_it)
{
	struct spec_cpu cpu = { .idle = I64(1), .shares = I64(512) };
	struct spec_resources res = { .cpu = &cpu };

	assert_plan(&res, "cpu.idle=1");
	cpu.idle.v = 0;
	assert_plan(&res, "cpu.idle=0?; cpu.weight=59");
	cpu.idle.v = 2;
	assert_refused(&res, "/linux/resources/cpu/idle", "must be 0 or 1");
}

Test(cg_plan, bandwidth_the_kernel_refuses_is_refused_by_name)
{
	struct spec_cpu cpu = { .quota = I64(500) };
	struct spec_resources res = { .cpu = &cpu };

	assert_refused(&res, "/linux/resources/cpu/quota", "no less than 1000");
	cpu = (struct spec_cpu){ .quota = I64(5000), .period = I64(999) };
	assert_refused(&res, "/linux/resources/cpu/period", "1000 to 1000000");
	cpu = (struct spec_cpu){ .quota = I64(5000), .period = I64(1000001) };
	assert_refused(&res, "/linux/resources/cpu/period", "1000 to 1000000");
	cpu = (struct spec_cpu){ .quota = I64(5000), .burst = I64(5001) };
	assert_refused(&res, "/linux/resources/cpu/burst", "more than cpu.quota");
}

Test(cg_plan, swap_is_the_sum_minus_the_limit)
{
	struct spec_memory m = { .limit = I64(104857600), .swap = I64(209715200), .reservation = I64(52428800) };
	struct spec_resources res = { .memory = &m };

	assert_plan(&res, "memory.swap.max=104857600; memory.max=104857600; memory.low=52428800");
	m.swap.v = m.limit.v;
	m.reservation.set = false;
	assert_plan(&res, "memory.swap.max=0?; memory.max=104857600");
	m.swap.v = -1;
	assert_plan(&res, "memory.swap.max=max?; memory.max=104857600");
	m.limit.v = -1;
	m.swap.set = false;
	assert_plan(&res, "memory.swap.max=max?; memory.max=max?");
}

Test(cg_plan, swap_that_cannot_be_is_refused)
{
	struct spec_memory m = { .limit = I64(2000), .swap = I64(1000) };
	struct spec_resources res = { .memory = &m };

	assert_refused(&res, "/linux/resources/memory/swap", "cannot be less than memory.limit");
	m.limit.set = false;
	m.limit.v = 0;
	assert_refused(&res, "/linux/resources/memory/swap", "needs a memory.limit");
	m = (struct spec_memory){ .limit = I64(-2) };
	assert_refused(&res, "/linux/resources/memory/limit", "-1 for none");
}

Test(cg_plan, check_before_update_is_kept_for_the_apply)
{
	struct spec_memory m = { .limit = I64(4096), .swap = I64(8192), .check_before_update = true };
	struct spec_resources res = { .memory = &m };
	struct cg_plan plan = plan_of(&res);

	cr_assert_eq(plan.check_memory, 4096u);
	cr_assert_eq(plan.check_memory_swap, 8192u);
	m.check_before_update = false;
	cr_assert_eq(plan_of(&res).check_memory, 0u);
}

Test(cg_plan, a_pids_limit_of_zero_leaves_the_process_that_is_there)
{
	struct spec_resources res = { .pids_limit = I64(0) };

	assert_plan(&res, "pids.max=1?");
	res.pids_limit.v = 2048;
	assert_plan(&res, "pids.max=2048");
}

Test(cg_plan, block_weights_have_a_second_file_to_go_to)
{
	struct spec_weight_device d = { .major = 8, .minor = 16, .has_weight = true, .weight = 1000 };
	struct spec_block_io io = { .weight = I64(10), .weight_devices = &d, .n_weight_devices = 1 };
	struct spec_resources res = { .block_io = &io };
	struct cg_plan plan = plan_of(&res);

	cr_assert_str_eq(text_of(&plan), "io.bfq.weight=10; io.bfq.weight=8:16 1000");
	cr_assert_str_eq(plan.v[0].other_file, "io.weight");
	cr_assert_str_eq(plan.v[0].other_value, "1");
	cr_assert_str_eq(plan.v[1].other_value, "8:16 10000");
	io.weight.v = 9;
	assert_refused(&res, "/linux/resources/blockIO/weight", "10 to 1000");
	io.weight.v = 100;
	d.has_weight = false;
	assert_refused(&res, "/linux/resources/blockIO/weightDevice/0", "needs a weight");
}

Test(cg_plan, throttles_name_their_device_and_zero_takes_one_away)
{
	struct spec_throttle_device r = { .major = 8, .minor = 0, .rate = 1048576 };
	struct spec_throttle_device w[] = { { .major = 8, .rate = 5 }, { .major = 9, .minor = 1 } };
	struct spec_block_io io = { .throttle = { [SPEC_READ_BPS] = &r, [SPEC_WRITE_IOPS] = w },
				    .n_throttle = { [SPEC_READ_BPS] = 1, [SPEC_WRITE_IOPS] = 2 } };
	struct spec_resources res = { .block_io = &io };
	struct cg_plan plan = plan_of(&res);

	cr_assert_str_eq(text_of(&plan), "io.max=8:0 rbps=1048576; io.max=8:0 wiops=5; io.max=9:1 wiops=max?");
	cr_assert_str_eq(plan.v[2].pointer, "/linux/resources/blockIO/throttleWriteIOPSDevice/1");
}

Test(cg_plan, huge_pages_limit_use_and_reservation)
{
	struct spec_hugepage_limit h = { .page_size = "2MB", .limit = 4194304 };
	struct spec_resources res = { .hugepages = &h, .n_hugepages = 1 };

	assert_plan(&res, "hugetlb.2MB.max=4194304; hugetlb.2MB.rsvd.max=4194304?");
	static const char *const bad[] = { "", "2", "2mb", "02MB", "2MiB", "MB", "2MB.x", "../2MB" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		h.page_size = bad[i];
		assert_refused(&res, "/linux/resources/hugepageLimits/0", "is not a size");
	}
}

Test(cg_plan, rdma_devices_get_what_was_given)
{
	struct spec_rdma d[] = { { .device = "mlx5_0", .has_handles = true, .handles = 3, .has_objects = true,
				   .objects = 10000 },
				 { .device = "ocp1", .has_objects = true, .objects = 7 } };
	struct spec_resources res = { .rdma = d, .n_rdma = 2 };

	assert_plan(&res, "rdma.max=mlx5_0 hca_handle=3 hca_object=10000; rdma.max=ocp1 hca_object=7");
	d[1].has_objects = false;
	assert_refused(&res, "/linux/resources/rdma/ocp1", "needs hcaHandles or hcaObjects");
	d[1].device = "a b";
	assert_refused(&res, "/linux/resources/rdma", "not the name");
}

Test(cg_plan, unified_comes_last_line_by_line_and_knows_its_controller)
{
	struct spec_key_value kv[] = { { "memory.high", "64M" }, { "io.max", "8:0 rbps=1\n8:16 wbps=2\n" },
				       { "cpuset.cpus", "" }, { "cpu.pressure", "some 1 2" },
				       { "future.knob", "1" } };
	struct spec_memory m = { .limit = I64(4096) };
	struct spec_resources res = { .unified = kv, .n_unified = 5, .memory = &m };
	struct cg_plan plan = plan_of(&res);

	cr_assert_str_eq(text_of(&plan), "memory.max=4096; memory.high=64M; io.max=8:0 rbps=1; "
					 "io.max=8:16 wbps=2; cpuset.cpus=; cpu.pressure=some 1 2; future.knob=1");
	cr_assert_eq(plan.controllers, (unsigned)(CG_MEMORY | CG_IO | CG_CPUSET));
	cr_assert_str_eq(plan.v[2].pointer, "/linux/resources/unified/io.max");
}

Test(cg_plan, unified_keys_that_are_no_limit_files_are_refused)
{
	static const char *const bad[] = { "", "..", "../memory.max", "a/memory.max", "/memory.max", ".hidden",
					   "noprefix", "cgroup.procs", "cgroup.kill", "cgroup.freeze",
					   "cgroup.threads" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct spec_key_value kv = { bad[i], "1" };
		struct spec_resources res = { .unified = &kv, .n_unified = 1 };

		assert_refused(&res, "/linux/resources/unified", "unified key");
	}
}

/* One policy: a member that v2 cannot express is a warning with its name and a reason. */
Test(cg_plan, members_without_a_v2_file_are_warned_about)
{
	int fds[2];
	char text[4096];
	struct spec_memory m = { .kernel = I64(1000), .swappiness = I64(10), .disable_oom_killer = true,
				 .use_hierarchy = true };
	struct spec_cpu cpu = { .realtime_runtime = I64(950000) };
	struct spec_block_io io = { .leaf_weight = I64(300) };
	struct spec_resources res = { .memory = &m, .cpu = &cpu, .block_io = &io, .net_class_id = I64(7) };
	struct cg_plan plan;

	cr_assert_eq(pipe(fds), 0);

	struct log log = { .fd = fds[1], .level = LOG_WARNING, .format = LOG_TEXT };

	assert_ok(cg_plan_make(&res, &a, &log, &plan, &err));
	cr_assert_eq(plan.n, 0);
	close(fds[1]);

	ssize_t n = read(fds[0], text, sizeof(text) - 1);

	cr_assert(n > 0);
	text[n] = '\0';
	static const char *const members[] = { "memory.kernel", "memory.swappiness", "memory.disableOOMKiller",
					       "cpu.realtimeRuntime", "blockIO.leafWeight", "network.classID" };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		cr_assert_not_null(strstr(text, members[i]), "%s is not in: %s", members[i], text);
	cr_assert_null(strstr(text, "useHierarchy"));
	close(fds[0]);
}

Test(cg_plan, empty_ones_of_them_are_not_worth_a_warning)
{
	int fds[2];
	char byte;
	struct spec_memory m = { .kernel = I64(0), .kernel_tcp = I64(-1) };
	struct spec_cpu cpu = { .realtime_runtime = I64(0), .realtime_period = I64(0), .shares = I64(1024) };
	struct spec_block_io io = { .leaf_weight = I64(0) };
	struct spec_resources res = { .memory = &m, .cpu = &cpu, .block_io = &io, .net_class_id = I64(0) };
	struct cg_plan plan;

	cr_assert_eq(pipe(fds), 0);

	struct log log = { .fd = fds[1], .level = LOG_DEBUG, .format = LOG_TEXT };

	assert_ok(cg_plan_make(&res, &a, &log, &plan, &err));
	close(fds[1]);
	cr_assert_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

Test(cg_plan, prints_one_line_per_write)
{
	auto_buf struct buf out = BUF_INIT;
	struct spec_block_io io = { .weight = I64(500) };
	struct spec_resources res = { .block_io = &io, .pids_limit = I64(-1) };
	struct cg_plan plan = plan_of(&res);

	cg_plan_print(&plan, &out);
	cr_assert_str_eq(out.data, "write \"max\" to pids.max if it is there  [/linux/resources/pids/limit]\n"
				   "write \"500\" to io.bfq.weight (or \"4950\" to io.weight)  "
				   "[/linux/resources/blockIO/weight]\n");
}
