/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "spec/base/auto.h"

/*
 * Resources all the way from the spec's structs to the kernel's files, on hosts
 * whose v2 tree has the controllers.
 */

static struct arena a = ARENA_INIT;
static struct error err;
static int64_t page;

static void setup(void)
{
	err = ERROR_INIT;
	page = sysconf(_SC_PAGESIZE);
}

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cg_limits, .init = setup, .fini = teardown, .timeout = 60);

#define I64(x) { .set = true, .v = (x) }

static struct cg_plan plan_of(const struct spec_resources *res)
{
	struct cg_plan plan;

	assert_ok(cg_plan_make(res, &a, NULL, &plan, &err));
	return plan;
}

/* A leaf with the resources in force, or a skip where the tree cannot limit them. */
static void open_with(struct scratch *s, const struct spec_resources *res)
{
	struct cg_plan plan = plan_of(res);
	unsigned available;
	bool made;

	scratch_open(s);
	assert_ok(cg_controllers(&s->host, &available, &err));
	if (plan.controllers & ~available) {
		scratch_close(s);
		cr_skip_test("the v2 tree of this host lacks a controller for that");
	}
	close(s->fd);
	s->fd = cg_create(&s->host, s->path, &plan, &made, &err);
	cr_assert(s->fd >= 0, "%s", line_of(&err));
	assert_ok(cg_apply(s->fd, &plan, &err));
}

static int update(const struct scratch *s, const struct spec_resources *res)
{
	struct cg_plan plan = plan_of(res);

	err = ERROR_INIT;
	return cg_apply(s->fd, &plan, &err);
}

#define assert_file(s, file, text) cr_assert_str_eq(fake_line((s)->fd, file), text)

Test(cg_limits, cpu_members_are_in_force)
{
	struct spec_cpu cpu = { .shares = I64(512), .quota = I64(50000), .period = I64(100000), .burst = I64(20000) };
	struct spec_resources res = { .cpu = &cpu };
	struct scratch s;

	open_with(&s, &res);
	assert_file(&s, "cpu.weight", "59");
	assert_file(&s, "cpu.max", "50000 100000");
	assert_file(&s, "cpu.max.burst", "20000");

	/* Less quota than the burst of before, then more burst than the quota of before. */
	cpu.quota.v = 10000;
	cpu.burst.v = 10000;
	assert_ok(update(&s, &res));
	assert_file(&s, "cpu.max", "10000 100000");
	assert_file(&s, "cpu.max.burst", "10000");
	cpu.quota.v = 90000;
	cpu.burst.v = 80000;
	assert_ok(update(&s, &res));
	assert_file(&s, "cpu.max.burst", "80000");
	scratch_close(&s);
}

Test(cg_limits, a_quota_below_the_burst_in_force_is_explained)
{
	struct spec_cpu cpu = { .quota = I64(50000), .burst = I64(40000) };
	struct spec_resources res = { .cpu = &cpu };
	struct scratch s;

	open_with(&s, &res);
	cpu.burst.set = false;
	cpu.quota.v = 20000;
	cr_assert_eq(update(&s, &res), -EINVAL);
	cr_assert_str_eq(err.at, "/linux/resources/cpu/quota");
	cr_assert_not_null(strstr(err.hint, "cpu.burst"));
	assert_file(&s, "cpu.max", "50000 100000");
	scratch_close(&s);
}

Test(cg_limits, idle_and_back_keeps_the_weight_that_is_asked_for)
{
	struct spec_cpu cpu = { .shares = I64(512), .idle = I64(1) };
	struct spec_resources res = { .cpu = &cpu };
	struct scratch s;

	open_with(&s, &res);
	assert_file(&s, "cpu.idle", "1");
	cpu.idle.set = false;
	cr_assert_eq(update(&s, &res), -EINVAL);
	cr_assert_not_null(strstr(err.hint, "cpu.idle"));
	cpu.idle = (struct spec_opt_i64)I64(0);
	assert_ok(update(&s, &res));
	assert_file(&s, "cpu.idle", "0");
	assert_file(&s, "cpu.weight", "59");
	scratch_close(&s);
}

Test(cg_limits, memory_and_pids_members_are_in_force)
{
	struct spec_memory m = { .limit = I64(64 << 20), .swap = I64(96 << 20), .reservation = I64(16 << 20) };
	struct spec_resources res = { .memory = &m, .pids_limit = I64(17) };
	struct scratch s;

	open_with(&s, &res);
	assert_file(&s, "memory.max", "67108864");
	assert_file(&s, "memory.low", "16777216");
	if (faccessat(s.fd, "memory.swap.max", F_OK, 0) == 0)
		assert_file(&s, "memory.swap.max", "33554432");
	assert_file(&s, "pids.max", "17");

	m = (struct spec_memory){ .limit = I64(-1) };
	res.pids_limit.v = -1;
	assert_ok(update(&s, &res));
	assert_file(&s, "memory.max", "max");
	assert_file(&s, "pids.max", "max");
	res.pids_limit.v = 0;
	assert_ok(update(&s, &res));
	assert_file(&s, "pids.max", "1");
	scratch_close(&s);
}

Test(cg_limits, a_limit_that_is_no_multiple_of_a_page_is_rounded_by_the_kernel)
{
	struct spec_memory m = { .limit = I64(10000001) };
	struct spec_resources res = { .memory = &m };
	struct scratch s;

	open_with(&s, &res);
	cr_assert_eq(strtoll(fake_line(s.fd, "memory.max"), NULL, 10), 10000001 / page * page);
	scratch_close(&s);
}

Test(cg_limits, unified_wins_and_is_written_line_by_line)
{
	struct spec_memory m = { .limit = I64(64 << 20) };
	struct spec_key_value kv[] = { { "memory.max", "32M" }, { "memory.high", "30M\n" },
				       { "memory.oom.group", "1" } };
	struct spec_resources res = { .memory = &m, .unified = kv, .n_unified = 3 };
	struct scratch s;

	open_with(&s, &res);
	assert_file(&s, "memory.max", "33554432");
	assert_file(&s, "memory.high", "31457280");
	assert_file(&s, "memory.oom.group", "1");

	kv[0] = (struct spec_key_value){ "memory.future", "1" };
	cr_assert_eq(update(&s, &res), -ENOTSUP);
	cr_assert_not_null(strstr(line_of(&err), "needs the cgroup file memory.future"), "%s", line_of(&err));
	cr_assert_str_eq(err.at, "/linux/resources/unified/memory.future");
	scratch_close(&s);
}

Test(cg_limits, a_failed_update_puts_everything_back)
{
	struct spec_memory m = { .limit = I64(64 << 20) };
	struct spec_resources res = { .memory = &m, .pids_limit = I64(5) };
	struct spec_key_value kv = { "pids.max", "none of your business" };
	struct scratch s;

	open_with(&s, &res);
	m.limit.v = 32 << 20;
	res.pids_limit.v = 6;
	res.unified = &kv;
	res.n_unified = 1;
	cr_assert_eq(update(&s, &res), -EINVAL);
	assert_file(&s, "memory.max", "67108864");
	assert_file(&s, "pids.max", "5");
	scratch_close(&s);
}

Test(cg_limits, cpus_that_are_not_there_are_refused)
{
	struct spec_cpu cpu = { .cpus = "0" };
	struct spec_resources res = { .cpu = &cpu };
	struct scratch s;

	open_with(&s, &res);
	assert_file(&s, "cpuset.cpus", "0");
	assert_file(&s, "cpuset.cpus.effective", "0");
	/* Beyond what this kernel can have, and beyond what it has: ERANGE and a list without effect. */
	cpu.cpus = "8000";
	cr_assert(update(&s, &res) < 0);
	cr_assert_str_eq(err.at, "/linux/resources/cpu/cpus");
	assert_file(&s, "cpuset.cpus", "0");
	cpu = (struct spec_cpu){ .mems = "63" };
	cr_assert(update(&s, &res) < 0);
	cr_assert_str_eq(err.at, "/linux/resources/cpu/mems");
	scratch_close(&s);
}

/* Keeps 32 MiB of memory that only swap could take. */
static int hold_memory(void)
{
	char *p = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	memset(p, 1, 32 << 20);
	return pause();
}

static void wait_for_usage(const struct scratch *s, uint64_t at_least)
{
	uint64_t now = 0;

	for (int i = 0; i < 5000 && now < at_least; i++) {
		cr_assert_eq(cg_read_number(s->fd, "memory.current", &now), 0);
		usleep(1000);
	}
	cr_assert(now >= at_least);
}

Test(cg_limits, shrinking_below_memory_in_use_is_refused_when_asked_to_check)
{
	struct spec_memory m = { .limit = I64(256 << 20), .swap = I64(256 << 20) };
	struct spec_resources res = { .memory = &m };
	struct scratch s;

	open_with(&s, &res);

	pid_t pid = scratch_fork(&s, hold_memory);

	wait_for_usage(&s, 32 << 20);
	m.limit.v = m.swap.v = 8 << 20;
	m.check_before_update = true;
	cr_assert_eq(update(&s, &res), -EBUSY);
	cr_assert_not_null(strstr(line_of(&err), "rejecting memory limit 8388608 <= usage "), "%s", line_of(&err));
	assert_file(&s, "memory.max", "268435456");
	assert_file(&s, "memory.high", "max");
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);

	uint64_t kills = 1;

	assert_ok(cg_oom_kills(s.fd, &kills, &err));
	cr_assert_eq(kills, 0u);
	scratch_close(&s);
}

/* A directory whose files can be dropped from memory: not in a tmpfs. */
static const char *dir_on_disk(void)
{
	static const char *const dirs[] = { "/var/tmp", "." };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (statfs(dirs[i], &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != OVERLAYFS_SUPER_MAGIC)
			return dirs[i];
	return NULL;
}

/* 32 MiB of page cache. */
static int fill_cache(void)
{
	static char block[1 << 20];
	int fd = open(dir_on_disk(), O_TMPFILE | O_RDWR, 0600);

	if (fd < 0) {
		char path[64];

		snprintf(path, sizeof(path), "%s/bulkhead-cache-XXXXXX", dir_on_disk());
		fd = mkstemp(path);
		unlink(path);
	}
	for (int i = 0; i < 32; i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return 1;
	fsync(fd);
	return pause();
}

Test(cg_limits, shrinking_reclaims_cache_first_and_kills_nobody)
{
	struct spec_memory m = { .limit = I64(256 << 20) };
	struct spec_resources res = { .memory = &m };
	struct scratch s;

	if (!dir_on_disk())
		cr_skip_test("no directory here is on a disk");
	open_with(&s, &res);

	pid_t pid = scratch_fork(&s, fill_cache);

	wait_for_usage(&s, 32 << 20);
	m.limit.v = 16 << 20;
	m.check_before_update = true;
	assert_ok(update(&s, &res));
	assert_file(&s, "memory.max", "16777216");
	assert_file(&s, "memory.high", "max");
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);
	scratch_close(&s);
}

Test(cg_limits, a_victim_of_the_oom_killer_is_counted)
{
	struct spec_memory m = { .limit = I64(8 << 20), .swap = I64(8 << 20) };
	struct spec_resources res = { .memory = &m };
	struct scratch s;
	uint64_t kills = 0;

	open_with(&s, &res);
	cr_assert_eq(wait_status(scratch_fork(&s, hold_memory)) & 0x7f, SIGKILL);
	assert_ok(cg_oom_kills(s.fd, &kills, &err));
	cr_assert_eq(kills, 1u);
	scratch_close(&s);
}

static int fork_twice(void)
{
	int made = 0;

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			pause();
		made += pid > 0;
	}
	return made;
}

Test(cg_limits, a_pids_limit_of_two_allows_one_fork)
{
	struct spec_resources res = { .pids_limit = I64(2) };
	struct scratch s;

	open_with(&s, &res);

	int status = wait_status(scratch_fork(&s, fork_twice));

	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 1);
	scratch_close(&s);
}

/* The first whole disk of this host. */
static bool find_disk(int64_t *major, int64_t *minor)
{
	static const char *const names[] = { "vda", "sda", "nvme0n1", "xvda" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];
		char text[32];

		snprintf(path, sizeof(path), "/sys/class/block/%s/dev", names[i]);
		if (cg_read(AT_FDCWD, path, text, sizeof(text)) > 0 &&
		    sscanf(text, "%ld:%ld", major, minor) == 2)
			return true;
	}
	return false;
}

Test(cg_limits, io_throttles_are_in_force_for_their_disk_and_can_be_lifted)
{
	struct spec_throttle_device d = { .rate = 1048576 };
	struct spec_block_io io = { .throttle = { [SPEC_READ_BPS] = &d, [SPEC_WRITE_IOPS] = &d },
				    .n_throttle = { [SPEC_READ_BPS] = 1, [SPEC_WRITE_IOPS] = 1 } };
	struct spec_resources res = { .block_io = &io };
	struct scratch s;
	char expected[128];

	if (!find_disk(&d.major, &d.minor))
		cr_skip_test("this host has no disk");
	open_with(&s, &res);
	snprintf(expected, sizeof(expected), "%ld:%ld rbps=1048576 wbps=max riops=max wiops=1048576", d.major,
		 d.minor);
	assert_file(&s, "io.max", expected);

	/* A refused update leaves the limits of before. */
	struct spec_key_value kv = { "io.max", "8:0 nonsense=1" };

	d.rate = 5000000;
	res.unified = &kv;
	res.n_unified = 1;
	cr_assert(update(&s, &res) < 0);
	assert_file(&s, "io.max", expected);

	res.n_unified = 0;
	d.rate = 0;
	assert_ok(update(&s, &res));
	assert_file(&s, "io.max", "");
	scratch_close(&s);
}
