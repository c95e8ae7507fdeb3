/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "spec/base/auto.h"

/* Freezing, killing and listing real processes. */

static struct error err;

TestSuite(cg_freeze, .timeout = 60);
TestSuite(cg_kill, .timeout = 60);

static int spin(void)
{
	for (;;)
		sched_yield();
	return 0;
}

/* Forks for ever. */
static int storm(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return 0;
}

static bool is_gone(pid_t pid)
{
	for (int i = 0; i < 2000; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(1000);
	}
	return false;
}

/* CPU time in clock ticks: fields 14 and 15 of /proc/<pid>/stat. */
static unsigned long ticks_of(pid_t pid)
{
	char name[64];
	char text[1024];
	unsigned long user;
	unsigned long system;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	cr_assert(cg_read(AT_FDCWD, name, text, sizeof(text)) > 0);
	cr_assert_eq(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			    &system), 2);
	return user + system;
}

Test(cg_freeze, returns_once_everybody_stands_still)
{
	struct scratch s;

	scratch_open(&s);

	pid_t pid = scratch_fork(&s, spin);

	wait_for_members(s.fd, 1);
	for (int i = 0; i < 20; i++) {
		assert_ok(cg_freeze(s.fd, true, 5000, &err));
		cr_assert_eq(cg_is_frozen(s.fd), 1);

		unsigned long before = ticks_of(pid);

		usleep(i == 0 ? 100000 : 100);
		/* Who stops last says so before he leaves the processor. */
		cr_assert_leq(ticks_of(pid) - before, 1);
		assert_ok(cg_freeze(s.fd, false, 5000, &err));
		cr_assert_eq(cg_is_frozen(s.fd), 0);
	}
	scratch_close(&s);
}

Test(cg_freeze, catches_a_fork_storm)
{
	struct scratch s;

	scratch_open(&s);
	for (int i = 0; i < 3; i++)
		scratch_fork(&s, storm);
	wait_for_members(s.fd, 3);
	for (int i = 0; i < 10; i++) {
		assert_ok(cg_freeze(s.fd, true, 5000, &err));
		assert_ok(cg_freeze(s.fd, false, 5000, &err));
	}
	scratch_close(&s);
}

Test(cg_freeze, freezing_twice_is_no_error)
{
	struct scratch s;

	scratch_open(&s);
	scratch_fork(&s, pause);
	wait_for_members(s.fd, 1);
	assert_ok(cg_freeze(s.fd, true, 5000, &err));
	assert_ok(cg_freeze(s.fd, true, 5000, &err));
	assert_ok(cg_freeze(s.fd, false, 5000, &err));
	assert_ok(cg_freeze(s.fd, false, 5000, &err));
	scratch_close(&s);
}

/*
 * In a system call that copies from memory whose pages userfaultfd(2) never
 * delivers: the kernel waits, killable and not freezable.
 */
static int stuck_in_kernel(void)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .range = { (uintptr_t)page, 4096 },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fds[2];

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || ioctl(uffd, UFFDIO_REGISTER, &reg) < 0 ||
	    pipe(fds) < 0)
		return 1;
	return write(fds[1], page, 1) < 0;
}

Test(cg_freeze, an_attempt_that_does_not_succeed_is_undone)
{
	struct scratch s;

	scratch_open(&s);
	/* Those that do freeze are not to blame. */
	scratch_fork(&s, pause);
	scratch_fork(&s, spin);

	pid_t pid = scratch_fork(&s, stuck_in_kernel);

	usleep(50000);
	if (waitpid(pid, NULL, WNOHANG) == pid)
		cr_skip_test("no userfaultfd on this host");

	int64_t before = cg_now_ms();

	cr_assert_eq(cg_freeze(s.fd, true, 200, &err), -ETIMEDOUT);
	cr_assert(cg_now_ms() - before < 2000);

	char who[64];

	snprintf(who, sizeof(who), "within 200 ms, it waits for process %d (", pid);
	cr_assert_not_null(strstr(line_of(&err), who), "%s", line_of(&err));
	cr_assert_eq(cg_is_frozen(s.fd), 0);

	uint64_t asked;

	assert_ok(cg_read_number(s.fd, "cgroup.freeze", &asked));
	cr_assert_eq(asked, 0u);
	scratch_close(&s);
}

Test(cg_freeze, a_group_frozen_from_above_cannot_be_thawed_alone)
{
	struct scratch s;
	char path[128];
	bool made;

	scratch_open(&s);
	snprintf(path, sizeof(path), "%s/inner", s.path);

	auto_close int inner = cg_create(&s.host, path, NULL, &made, &err);

	cr_assert(inner >= 0);
	assert_ok(cg_freeze(s.fd, true, 5000, &err));
	cr_assert_eq(cg_is_frozen(inner), 1);

	int64_t before = cg_now_ms();

	cr_assert_eq(cg_freeze(inner, false, 5000, &err), -EBUSY);
	cr_assert(cg_now_ms() - before < 1000);
	cr_assert_str_eq(line_of(&err), "the cgroup cannot be thawed: one above it is frozen");
	assert_ok(cg_freeze(s.fd, false, 5000, &err));
	cr_assert_eq(cg_is_frozen(inner), 0);
	scratch_close(&s);
}

Test(cg_kill, ends_every_process_of_the_subtree_frozen_or_not)
{
	struct scratch s;
	char path[128];
	bool made;

	scratch_open(&s);
	snprintf(path, sizeof(path), "%s/inner", s.path);

	struct scratch inner = s;

	inner.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(inner.fd >= 0);

	/* Beside each other: a group whose children have controllers holds no process itself. */
	snprintf(path, sizeof(path), "%s/other/deep", s.path);

	struct scratch other = s;

	other.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(other.fd >= 0);

	pid_t outer_pid = scratch_fork(&other, spin);
	pid_t inner_pid = scratch_fork(&inner, pause);

	wait_for_members(s.fd, 2);
	assert_ok(cg_freeze(s.fd, true, 5000, &err));
	assert_ok(cg_kill(s.fd, &err));
	cr_assert(is_gone(outer_pid));
	cr_assert(is_gone(inner_pid));
	close(inner.fd);
	close(other.fd);
	assert_ok(cg_freeze(s.fd, false, 5000, &err));
	scratch_close(&s);
}

Test(cg_kill, no_fork_slips_through_and_the_group_can_be_removed)
{
	for (int i = 0; i < 5; i++) {
		struct scratch s;

		scratch_open(&s);
		for (int j = 0; j < 4; j++)
			scratch_fork(&s, storm);
		wait_for_members(s.fd, 4);
		assert_ok(cg_kill(s.fd, &err));
		close(s.fd);
		assert_ok(cg_remove(&s.host, s.path, 2000, &err));
		while (waitpid(-1, NULL, 0) > 0)
			;
		cg_host_close(&s.host);
	}
}

Test(cg_kill, kernels_without_cgroup_kill_get_a_frozen_list)
{
	struct scratch s;

	scratch_open(&s);
	for (int j = 0; j < 4; j++)
		scratch_fork(&s, storm);
	assert_ok(cg_kill_by_list(s.fd, &err));
	cr_assert_eq(cg_is_frozen(s.fd), 0);
	close(s.fd);
	assert_ok(cg_remove(&s.host, s.path, 2000, &err));
	while (waitpid(-1, NULL, 0) > 0)
		;
	cg_host_close(&s.host);
}

/* A threaded group answers EOPNOTSUPP to cgroup.kill. */
Test(cg_kill, a_threaded_group_falls_back_to_its_list)
{
	struct scratch s;

	scratch_open(&s);
	cr_assert_eq(cg_write_text(s.fd, "cgroup.type", "threaded"), 0);
	cr_assert_eq(cg_write_text(s.fd, "cgroup.kill", "1"), -EOPNOTSUPP);
	assert_ok(cg_kill(s.fd, &err));
	scratch_close(&s);
}

Test(cg_kill, an_empty_group_is_no_error)
{
	struct scratch s;

	scratch_open(&s);
	assert_ok(cg_kill(s.fd, &err));
	scratch_close(&s);
}

Test(cg_kill, a_group_that_is_gone_is_no_error)
{
	struct scratch s;

	scratch_open(&s);
	assert_ok(cg_remove(&s.host, s.path, 1000, &err));
	assert_ok(cg_kill(s.fd, &err));
	cr_assert(cg_is_populated(s.fd) < 0);
	cr_assert(cg_is_frozen(s.fd) < 0);
	scratch_close(&s);
}

Test(cg_pids, lists_the_group_and_all_below_it)
{
	static struct arena a = ARENA_INIT;
	struct scratch s;
	char path[128];
	bool made;
	pid_t *pids;
	size_t n;

	scratch_open(&s);
	assert_ok(cg_pids(s.fd, &a, &pids, &n, &err));
	cr_assert_eq(n, 0);

	snprintf(path, sizeof(path), "%s/x/y", s.path);

	struct scratch inner = s;

	inner.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(inner.fd >= 0);

	snprintf(path, sizeof(path), "%s/z", s.path);

	struct scratch other = s;

	other.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(other.fd >= 0);

	pid_t one = scratch_fork(&other, pause);
	pid_t two = scratch_fork(&inner, pause);

	wait_for_members(s.fd, 2);
	assert_ok(cg_pids(s.fd, &a, &pids, &n, &err));
	cr_assert_eq(n, 2);
	cr_assert((pids[0] == one && pids[1] == two) || (pids[0] == two && pids[1] == one));
	assert_ok(cg_pids(inner.fd, &a, &pids, &n, &err));
	cr_assert_eq(n, 1);
	cr_assert_eq(pids[0], two);
	close(inner.fd);
	close(other.fd);
	arena_release(&a);
	scratch_close(&s);
}

Test(cg_oom, without_the_controller_nothing_was_killed)
{
	uint64_t kills = 77;
	char dir[64];
	int fd = fake_open(dir);

	assert_ok(cg_oom_kills(fd, &kills, &err));
	cr_assert_eq(kills, 0u);
	fake_file(fd, "memory.events", "low 0\nhigh 3\nmax 12\noom 2\noom_kill 5\noom_group_kill 1\n");
	assert_ok(cg_oom_kills(fd, &kills, &err));
	cr_assert_eq(kills, 5u);
	fake_close(fd, dir);
}
