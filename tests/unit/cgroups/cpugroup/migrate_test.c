/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "cgroups/cpugroup/measure.h"

#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static struct error err;

static int spin(void)
{
	for (volatile unsigned i = 0;; i++)
		if (i == UINT_MAX)
			i = 0;
	return 0;
}

/* Forks and ends without end: at most a few dozen at a time. */
static int storm(void)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			if (fork() == 0)
				_exit(0);
			_exit(0);
		}
		usleep(200);
	}
	return 0;
}

static struct cpg_move move_of(struct place *p)
{
	return (struct cpg_move){ .from = p->web, .to = p->there, .timeout_ms = 10000, .residual_limit = 64 << 20 };
}

static void assert_at(const struct place *p, const char *path, size_t n)
{
	auto_close int fd = place_fd(p, path);

	cr_assert(fd >= 0, "%s is not there", path);
	cr_assert_eq(place_count(fd), n, "%s holds %zu and not %zu", path, place_count(fd), n);
}

static void assert_missing(const struct place *p, const char *path)
{
	auto_close int fd = place_fd(p, path);

	cr_assert_eq(fd, -ENOENT, "%s is there", path);
}

Test(cpg_migrate, everybody_goes_over_and_the_old_leaf_is_removed)
{
	struct place p;
	size_t n = 0;
	bool residual = true;
	uint64_t bytes = 7;

	place_open(&p);
	for (int i = 0; i < 5; i++)
		place_fork(&p, p.web_fd, i % 2 ? spin : pause);

	struct cpg_move move = move_of(&p);

	move.ret_processes = &n;
	move.ret_residual = &residual;
	move.ret_residual_bytes = &bytes;
	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	cr_assert_eq(n, 5);
	cr_assert_not(residual);
	cr_assert_eq(bytes, 0);
	assert_missing(&p, p.web);
	assert_at(&p, p.there, 5);

	auto_close int fd = place_fd(&p, p.there);

	cr_assert_eq(cg_is_frozen(fd), 0);
	place_close(&p);
}

Test(cpg_migrate, there_and_back_again)
{
	struct place p;

	place_open(&p);
	place_fork(&p, p.web_fd, spin);

	struct cpg_move there = move_of(&p);
	struct cpg_move back = move_of(&p);

	back.from = p.there;
	back.to = p.web;
	for (int i = 0; i < 5; i++) {
		assert_ok(cpg_migrate(&p.cpg, &there, &err));
		assert_ok(cpg_migrate(&p.cpg, &back, &err));
	}
	assert_at(&p, p.web, 1);
	assert_missing(&p, p.there);
	place_close(&p);
}

Test(cpg_migrate, to_where_it_is_already_is_done)
{
	struct place p;

	place_open(&p);
	place_fork(&p, p.web_fd, pause);

	struct cpg_move move = move_of(&p);

	move.to = p.web;
	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	assert_at(&p, p.web, 1);
	place_close(&p);
}

Test(cpg_migrate, a_paused_one_arrives_paused)
{
	struct place p;

	place_open(&p);
	place_fork(&p, p.web_fd, spin);
	assert_ok(cg_freeze(p.web_fd, true, 5000, &err));

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	auto_close int fd = place_fd(&p, p.there);

	cr_assert_str_eq(place_line(fd, "cgroup.freeze"), "1");
	cr_assert_eq(cg_is_frozen(fd), 1);
	place_close(&p);
}

Test(cpg_migrate, out_of_a_frozen_group_it_runs_and_into_one_it_stands)
{
	struct place p;

	place_open(&p);

	pid_t pid = place_fork(&p, p.web_fd, spin);

	assert_ok(cpg_freeze(&p.cpg, "gold", true, 5000, &err));

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	auto_close int fd = place_fd(&p, p.there);

	cr_assert_eq(cg_is_frozen(fd), 0);

	struct cpg_move back = move_of(&p);

	back.from = p.there;
	back.to = p.web;
	assert_ok(cpg_migrate(&p.cpg, &back, &err));
	close(p.web_fd);
	p.web_fd = place_fd(&p, p.web);
	cr_assert_eq(cg_is_frozen(p.web_fd), 1);
	cr_assert_str_eq(place_line(p.web_fd, "cgroup.freeze"), "0");
	kill(pid, SIGKILL);
	place_close(&p);
}

Test(cpg_migrate, sub_cgroups_are_made_again_with_owner_mode_attributes_and_freezer)
{
	struct place p;
	struct stat st;
	char value[16];

	place_open(&p);
	close(place_mkdir(&p, "gold/web/init"));

	auto_close int deep = place_mkdir(&p, "gold/web/user/session");
	auto_close int init = place_mkdir(&p, "gold/web/init/scope");

	place_fork(&p, deep, pause);
	place_fork(&p, init, spin);
	assert_ok(cg_freeze(deep, true, 5000, &err));
	cr_assert_eq(fchownat(deep, "cgroup.procs", 1234, 5678, 0), 0);
	cr_assert_eq(fchownat(deep, "", 1234, 5678, AT_EMPTY_PATH), 0);
	cr_assert_eq(fchmodat(deep, "cgroup.threads", 0600, 0), 0);
	cr_assert_eq(fsetxattr(deep, "user.invocation", "abc", 3, 0), 0);
	cr_assert_eq(cg_write_text(deep, "cgroup.max.depth", "0"), 0);
	cr_assert_eq(cg_write_text(p.web_fd, "cgroup.max.descendants", "4"), 0);

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	auto_close int to = place_fd(&p, p.there);
	auto_close int there = cg_open_below(to, "user/session", O_RDONLY | O_DIRECTORY);
	auto_close int scope = cg_open_below(to, "init/scope", O_RDONLY | O_DIRECTORY);

	cr_assert(there >= 0 && scope >= 0);
	cr_assert_eq(place_count(there), 1);
	cr_assert_eq(place_count(scope), 1);
	cr_assert_eq(cg_is_frozen(there), 1);
	cr_assert_eq(cg_is_frozen(scope), 0);
	cr_assert_eq(fstatat(there, "cgroup.procs", &st, 0), 0);
	cr_assert(st.st_uid == 1234 && st.st_gid == 5678);
	cr_assert_eq(fstatat(there, "cgroup.threads", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(fstat(there, &st), 0);
	cr_assert(st.st_uid == 1234 && st.st_gid == 5678);
	cr_assert_eq(fgetxattr(there, "user.invocation", value, sizeof(value)), 3);
	cr_assert_str_eq(place_line(there, "cgroup.max.depth"), "0");
	cr_assert_str_eq(place_line(to, "cgroup.max.descendants"), "4");
	assert_missing(&p, p.web);
	cr_assert_eq(cg_write_text(there, "cgroup.freeze", "0"), 0);
	place_close(&p);
}

/* ---- threads ---- */

static int tid_pipe[2];

static void *tell_tid(void *unused)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	(void)unused;
	if (write(tid_pipe[1], &tid, sizeof(tid)) < 0)
		_exit(98);
	for (;;)
		pause();
	return NULL;
}

static int three_threads(void)
{
	pthread_t t;

	for (int i = 0; i < 2; i++)
		if (pthread_create(&t, NULL, tell_tid, NULL))
			return 97;
	for (;;)
		pause();
}

static void begin_threads(struct place *p, int *ret_vcpu, pid_t tid[2])
{
	char text[32];

	cr_assert_eq(pipe2(tid_pipe, 0), 0);
	place_fork(p, p->web_fd, three_threads);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(read(tid_pipe[0], &tid[i], sizeof(tid[i])), (ssize_t)sizeof(tid[i]));
	for (int i = 0; i < 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "vcpu%d", i);
		cr_assert_eq(mkdirat(p->web_fd, name, 0755), 0);
		ret_vcpu[i] = cpg_open_child(p->web_fd, name);
		cr_assert_eq(cg_write_text(ret_vcpu[i], "cgroup.type", "threaded"), 0);
		snprintf(text, sizeof(text), "%d", tid[i]);
		cr_assert_eq(cg_write_text(ret_vcpu[i], "cgroup.threads", text), 0);
	}
}

static void assert_threads(const struct place *p, const char *path, const pid_t tid[2])
{
	for (int i = 0; i < 2; i++) {
		char name[128];
		char text[32];

		snprintf(name, sizeof(name), "%s/vcpu%d", path, i);

		auto_close int fd = place_fd(p, name);

		cr_assert(fd >= 0);
		snprintf(text, sizeof(text), "%d", tid[i]);
		cr_assert_str_eq(place_line(fd, "cgroup.threads"), text);
		cr_assert_str_eq(place_line(fd, "cgroup.type"), "threaded");
		cr_assert(fgetxattr(fd, "user.bulkhead.threads", NULL, 0) < 0);
	}
}

Test(cpg_migrate, threads_of_threaded_sub_cgroups_are_put_back_in_their_place)
{
	struct place p;
	pid_t tid[2];
	int vcpu[2];

	place_open(&p);
	begin_threads(&p, vcpu, tid);

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	assert_threads(&p, p.there, tid);
	assert_missing(&p, p.web);
	close(vcpu[0]);
	close(vcpu[1]);
	place_close(&p);
}

/* ---- failures ---- */

struct trouble {
	enum cpg_move_step at;
	bool by_exit;
	int fd;
};

static int fail_at(enum cpg_move_step step, void *data, struct error *e)
{
	const struct trouble *t = data;

	if (step != t->at)
		return 0;
	if (t->by_exit)
		_exit(42);
	return error_rule(e, EIO, "the record cannot be written");
}

/*
 * Frozen within a few milliseconds of a thaw, a task may pass through "not frozen" once more on its way back into the
 * freezer, and the kernel says so; it does not run meanwhile.
 */
static int settled(int fd, int frozen)
{
	for (int ms = 0; ms < 1000 && cg_is_frozen(fd) != frozen; ms++)
		usleep(1000);
	return cg_is_frozen(fd);
}

Test(cpg_migrate, a_failure_at_any_step_leaves_everything_as_it_was)
{
	struct place p;
	pid_t tid[2];
	int vcpu[2];

	place_open(&p);
	begin_threads(&p, vcpu, tid);
	place_fork(&p, p.web_fd, spin);
	for (int frozen = 0; frozen < 2; frozen++) {
		assert_ok(cg_freeze(p.web_fd, frozen, 5000, &err));
		for (int s = CPG_MOVE_PREPARED; s <= CPG_MOVE_THAWED; s++) {
			struct trouble t = { .at = (enum cpg_move_step)s };
			struct cpg_move move = move_of(&p);

			move.step = fail_at;
			move.data = &t;
			err = ERROR_INIT;
			cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EIO, "%s", line_of(&err));
			cr_assert_str_eq(line_of(&err), "the record cannot be written");
			assert_missing(&p, p.there);
			assert_at(&p, p.web, 2);
			cr_assert_eq(settled(p.web_fd, frozen), frozen, "step %d, freeze %s: not %d", s,
				     place_line(p.web_fd, "cgroup.freeze"), frozen);
			assert_threads(&p, p.web, tid);
		}
	}
	close(vcpu[0]);
	close(vcpu[1]);
	place_close(&p);
}

static void crash_at(struct place *p, enum cpg_move_step step)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct trouble t = { .at = step, .by_exit = true };
		struct cpg_move move = move_of(p);

		move.step = fail_at;
		move.data = &t;
		cpg_migrate(&p->cpg, &move, NULL);
		_exit(1);
	}

	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

Test(cpg_migrate_repair, after_a_crash_at_any_step_all_are_in_one_place)
{
	for (int frozen = 0; frozen < 2; frozen++)
		for (int s = CPG_MOVE_PREPARED; s <= CPG_MOVE_THAWED; s++) {
			struct place p;
			pid_t tid[2];
			int vcpu[2];
			bool moved;

			place_open(&p);
			begin_threads(&p, vcpu, tid);
			place_fork(&p, p.web_fd, spin);
			assert_ok(cg_freeze(p.web_fd, frozen, 5000, &err));
			crash_at(&p, (enum cpg_move_step)s);

			struct cpg_move move = move_of(&p);

			/* Twice: the second finds nothing to do. */
			for (int i = 0; i < 2; i++) {
				moved = s < CPG_MOVE_MOVED;
				assert_ok(cpg_migrate_repair(&p.cpg, &move, frozen, &moved, &err));
				cr_assert_eq(moved, s >= CPG_MOVE_MOVED, "step %d", s);
			}

			const char *now = moved ? p.there : p.web;
			auto_close int fd = place_fd(&p, now);

			assert_at(&p, now, 2);
			assert_missing(&p, moved ? p.web : p.there);
			assert_threads(&p, now, tid);
			cr_assert_eq(settled(fd, frozen), frozen, "step %d, freeze %s: not %d", s,
				     place_line(fd, "cgroup.freeze"), frozen);
			close(vcpu[0]);
			close(vcpu[1]);
			close(p.web_fd);
			p.web_fd = -1;
			place_close(&p);
		}
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* How long a move takes here. */
static int64_t time_a_move(void)
{
	struct place p;

	place_open(&p);
	for (int i = 0; i < 8; i++)
		place_fork(&p, p.web_fd, i % 2 ? spin : pause);

	struct cpg_move move = move_of(&p);
	int64_t before = now_us();

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	int64_t took = now_us() - before;

	place_close(&p);
	return took;
}

/* Killed anywhere, not only between the steps. */
Test(cpg_migrate_repair, after_a_kill_at_any_time_all_are_in_one_place, .timeout = 120)
{
	int64_t took = time_a_move();

	for (int64_t us = 0; us < took * 3 / 2; us += took / 16 + 1) {
		struct place p;
		bool moved;

		place_open(&p);
		for (int i = 0; i < 8; i++)
			place_fork(&p, p.web_fd, i % 2 ? spin : pause);

		pid_t pid = fork();

		if (pid == 0) {
			struct cpg_move move = move_of(&p);

			_exit(cpg_migrate(&p.cpg, &move, NULL) < 0);
		}
		usleep((useconds_t)us);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);

		struct cpg_move move = move_of(&p);

		assert_ok(cpg_migrate_repair(&p.cpg, &move, false, &moved, &err));
		assert_at(&p, moved ? p.there : p.web, 8);
		assert_missing(&p, moved ? p.web : p.there);

		auto_close int fd = place_fd(&p, moved ? p.there : p.web);

		cr_assert_eq(cg_is_frozen(fd), 0);
		place_close(&p);
	}
}

Test(cpg_migrate_repair, a_target_that_is_somebody_elses_is_left_alone)
{
	struct place p;
	bool moved = true;
	char to[128];

	place_open(&p);
	place_fork(&p, p.web_fd, spin);
	snprintf(to, sizeof(to), "%s/silver/other", p.s.path);

	auto_close int other = place_fd(&p, to);
	struct cpg_move move = move_of(&p);

	place_fork(&p, other, pause);
	move.to = to;
	assert_ok(cpg_migrate_repair(&p.cpg, &move, false, &moved, &err));
	cr_assert_not(moved);
	assert_at(&p, p.web, 1);
	cr_assert_eq(place_count(other), 1);
	cr_assert_eq(cg_is_frozen(other), 0);
	place_close(&p);
}

Test(cpg_migrate_repair, where_neither_is_there_is_an_error)
{
	struct place p;
	bool moved;

	place_open(&p);
	close(p.web_fd);
	p.web_fd = -1;
	assert_ok(cg_remove(&p.s.host, p.web, 1000, &err));

	struct cpg_move move = move_of(&p);

	cr_assert_eq(cpg_migrate_repair(&p.cpg, &move, false, &moved, &err), -ENOENT);
	place_close(&p);
}

/* A read of a page that never comes, in the kernel: no signal gets it out. */
static int stuck_in_kernel(void)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .range = { (uintptr_t)page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fds[2];

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || ioctl(uffd, UFFDIO_REGISTER, &reg) < 0 || pipe(fds) < 0)
		return 1;
	return write(fds[1], page, 1) < 0;
}

Test(cpg_migrate, one_that_does_not_freeze_is_named_and_nobody_has_moved)
{
	struct place p;
	char name[32];

	place_open(&p);
	place_fork(&p, p.web_fd, spin);

	pid_t pid = place_fork(&p, p.web_fd, stuck_in_kernel);

	usleep(50000);
	if (waitpid(pid, NULL, WNOHANG) == pid) {
		place_close(&p);
		cr_skip_test("no userfaultfd on this host");
	}

	struct cpg_move move = move_of(&p);

	move.timeout_ms = 200;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -ETIMEDOUT);
	snprintf(name, sizeof(name), "process %d ", pid);
	cr_assert(strstr(line_of(&err), name), "%s", line_of(&err));
	assert_missing(&p, p.there);
	assert_at(&p, p.web, 2);
	cr_assert_str_eq(place_line(p.web_fd, "cgroup.freeze"), "0");
	place_close(&p);
}

Test(cpg_migrate, a_target_that_takes_no_process_puts_everybody_back)
{
	struct place p;

	place_open(&p);

	/*
	 * Below a threaded cgroup a directory is "domain invalid": it gets no controller, and where
	 * there is none the first pid is refused, with EOPNOTSUPP both.
	 */
	cr_assert_eq(mkdirat(p.s.fd, "bronze", 0755), 0);
	cr_assert_eq(mkdirat(p.s.fd, "bronze/bad", 0755), 0);

	int r = cg_write_text(p.s.fd, "bronze/bad/cgroup.type", "threaded");

	cr_assert_eq(r, 0, "%s", strerror(-r));
	place_fork(&p, p.web_fd, spin);

	struct cpg_move move = move_of(&p);
	char to[128];

	snprintf(to, sizeof(to), "%s/bronze/bad/web", p.s.path);
	move.to = to;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EOPNOTSUPP, "%s", line_of(&err));
	assert_at(&p, p.web, 1);
	assert_missing(&p, to);
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	place_close(&p);
}

/* From here on b of the target holds no process: it hands a domain controller down. */
static int spoil_b(enum cpg_move_step step, void *data, struct error *e)
{
	const struct place *p = data;
	char path[128];

	(void)e;
	if (step != CPG_MOVE_FROZEN)
		return 0;
	snprintf(path, sizeof(path), "%s/b", p->there);

	auto_close int fd = place_fd(p, path);

	cr_assert_eq(cg_write_text(fd, "cgroup.subtree_control", "+hugetlb"), 0);
	return 0;
}

Test(cpg_migrate, half_way_through_a_refusal_brings_back_who_went)
{
	struct place p;

	place_open(&p);
	place_need(&p, CG_HUGETLB);

	auto_close int a = place_mkdir(&p, "gold/web/a");
	auto_close int b = place_mkdir(&p, "gold/web/b");

	for (int i = 0; i < 3; i++) {
		place_fork(&p, a, spin);
		place_fork(&p, b, pause);
	}

	struct cpg_move move = move_of(&p);

	move.step = spoil_b;
	move.data = &p;
	err = ERROR_INIT;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EBUSY, "%s", line_of(&err));
	cr_assert(strstr(line_of(&err), "move process "), "%s", line_of(&err));
	assert_missing(&p, p.there);
	cr_assert_eq(place_count(a), 3);
	cr_assert_eq(place_count(b), 3);
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	place_close(&p);
}

static int move_own(struct place *p)
{
	struct cpg_move move = move_of(p);
	struct error e = ERROR_INIT;

	if (cg_write_text(p->web_fd, "cgroup.procs", "0") < 0)
		return 1;
	if (cpg_freeze(&p->cpg, "gold", true, 1000, &e) != -EDEADLK)
		return 2;
	return cpg_migrate(&p->cpg, &move, &e) == -EDEADLK && strstr(line_of(&e), "this command itself") ? 0 : 3;
}

Test(cpg_migrate, who_lives_in_a_cgroup_does_not_freeze_it)
{
	struct place p;

	place_open(&p);

	pid_t pid = fork();

	if (pid == 0)
		_exit(move_own(&p));
	cr_assert_eq(WEXITSTATUS(wait_status(pid)), 0);
	assert_missing(&p, p.there);
	place_close(&p);
}

Test(cpg_migrate, a_target_in_use_or_a_group_is_refused)
{
	struct place p;
	char to[128];

	place_open(&p);
	place_fork(&p, p.web_fd, pause);

	struct cpg_move move = move_of(&p);

	snprintf(to, sizeof(to), "%s/silver/other", p.s.path);

	auto_close int other = place_fd(&p, to);

	place_fork(&p, other, pause);
	move.to = to;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EBUSY);
	cr_assert(strstr(line_of(&err), "holds processes"), "%s", line_of(&err));
	snprintf(to, sizeof(to), "%s/silver", p.s.path);
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EEXIST);
	snprintf(to, sizeof(to), "%s/nowhere/web", p.s.path);
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -ENOENT);
	snprintf(to, sizeof(to), "%s/gold/web/in", p.s.path);
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EINVAL);
	snprintf(to, sizeof(to), "%s/gold", p.s.path);
	move.from = to;
	move.to = p.there;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EINVAL, "%s", line_of(&err));
	assert_at(&p, p.web, 1);
	cr_assert_eq(place_count(other), 1);
	place_close(&p);
}

/* ---- without privileges ---- */

#define A_USER 1234

static int move_as_user(struct place *p)
{
	struct cpg_move move = move_of(p);
	struct error e = ERROR_INIT;

	if (setresgid(A_USER, A_USER, A_USER) < 0 || setresuid(A_USER, A_USER, A_USER) < 0)
		return 1;
	/* The leaf is the user's own making, and he lives in another of his. */
	if (mkdirat(p->s.fd, "gold/web", 0755) < 0)
		return 2;

	int fd = place_fd(p, p->web);
	int fds[2];

	if (pipe(fds) < 0)
		return 3;
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			close(fds[0]);
			if (cg_write_text(fd, "cgroup.procs", "0") < 0)
				_exit(1);
			close(fds[1]);
			for (;;)
				pause();
		}
	close(fds[1]);
	if (read(fds[0], &(char){ 0 }, 1) != 0 || place_count(fd) != 2)
		return 4;
	if (cpg_migrate(&p->cpg, &move, &e) < 0) {
		fprintf(stderr, "%s\n", line_of(&e));
		return 5;
	}
	return 0;
}

Test(cpg_migrate, a_user_moves_within_what_is_delegated_to_him)
{
	static const char *const dirs[] = { "", "gold", "silver", "silver/other" };
	struct place p;

	place_open(&p);
	close(p.web_fd);
	p.web_fd = -1;
	assert_ok(cg_remove(&p.s.host, p.web, 1000, &err));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s%s", p.s.path, *dirs[i] ? "/" : "", dirs[i]);

		auto_close int fd = place_fd(&p, path);

		assert_ok(cg_delegate(fd, A_USER, A_USER, &err));
	}

	char other[128];

	snprintf(other, sizeof(other), "%s/silver/other", p.s.path);

	auto_close int home = place_fd(&p, other);
	pid_t pid = fork();

	if (pid == 0)
		_exit(cg_write_text(home, "cgroup.procs", "0") < 0 ? 9 : move_as_user(&p));
	cr_assert_eq(WEXITSTATUS(wait_status(pid)), 0);
	assert_at(&p, p.there, 2);
	assert_missing(&p, p.web);
	place_close(&p);
}

/* ---- while things happen ---- */

Test(cpg_migrate, a_fork_bomb_goes_over_whole)
{
	struct place p;

	place_open(&p);
	for (int i = 0; i < 3; i++)
		place_fork(&p, p.web_fd, storm);

	struct cpg_move there = move_of(&p);
	struct cpg_move back = move_of(&p);

	back.from = p.there;
	back.to = p.web;
	for (int i = 0; i < 10; i++) {
		assert_ok(cpg_migrate(&p.cpg, &there, &err));
		assert_missing(&p, p.web);
		assert_ok(cpg_migrate(&p.cpg, &back, &err));
		assert_missing(&p, p.there);
	}
	close(p.web_fd);
	p.web_fd = place_fd(&p, p.web);
	cr_assert_geq(place_count(p.web_fd), 3);
	place_close(&p);
}

static int leave_zombies(void)
{
	for (int i = 0; i < 5; i++) {
		siginfo_t info;
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	}
	if (write(tid_pipe[1], "", 1) < 0)
		return 98;
	for (;;)
		pause();
}

Test(cpg_migrate, zombies_are_no_obstacle)
{
	struct place p;
	size_t n = 0;

	place_open(&p);
	cr_assert_eq(pipe2(tid_pipe, 0), 0);
	place_fork(&p, p.web_fd, leave_zombies);
	cr_assert_eq(read(tid_pipe[0], &(char){ 0 }, 1), 1);

	struct cpg_move move = move_of(&p);

	move.ret_processes = &n;
	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	cr_assert_eq(n, 1);
	assert_missing(&p, p.web);
	place_close(&p);
}

/* An exec holds the old leaf's descriptor and clones into it while it is being left. */
static int join_for_ever(int cg_fd)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		struct clone_args args = {
			.flags = CLONE_INTO_CGROUP,
			.cgroup = (uint64_t)cg_fd,
			.exit_signal = SIGCHLD,
		};
		long pid = syscall(SYS_clone3, &args, sizeof(args));

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		if (pid < 0)
			return errno;
		usleep(100);
	}
	return 0;
}

Test(cpg_migrate, one_who_joins_late_follows_the_others)
{
	for (int i = 0; i < 10; i++) {
		struct place p;
		size_t n = 0;
		int status;

		place_open(&p);
		place_fork(&p, p.web_fd, spin);

		pid_t pid = fork();

		if (pid == 0)
			_exit(join_for_ever(p.web_fd));
		wait_for_members(p.web_fd, 3);

		struct cpg_move move = move_of(&p);

		move.ret_processes = &n;
		assert_ok(cpg_migrate(&p.cpg, &move, &err));
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		/* Into a cgroup that has gone. */
		cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == ENODEV || WEXITSTATUS(status) == ENOENT),
			  "status %x", status);
		cr_assert_gt(n, 1);
		assert_missing(&p, p.web);
		place_close(&p);
	}
}

/* ---- limits and programs ---- */

/* 7: a device that may not be opened, 0: one that may. */
static int try_zero(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	return fd >= 0 ? 0 : errno == EPERM ? 7 : 1;
}

static bool deny_all(int cg_fd)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct spec_device_rule rule = { .allow = false, .type = 'a', .major = -1, .minor = -1, .access = 7 };
	struct cg_device_rules rules = { .v = &rule, .n = 1 };
	void *insns;
	size_t n;
	int r = cg_device_program(&rules, 1, a, &insns, &n, NULL);

	if (r == 0)
		r = cg_device_attach(cg_fd, CG_USED, insns, n, NULL);
	arena_release(a);
	free(a);
	return r == 0;
}

Test(cpg_migrate, programs_on_the_leaf_and_below_go_along)
{
	struct place p;

	place_open(&p);

	auto_close int sub = place_mkdir(&p, "gold/web/nested");

	if (!deny_all(p.web_fd)) {
		place_close(&p);
		cr_skip_test("device programs cannot be loaded here");
	}
	cr_assert(deny_all(sub));
	place_fork(&p, sub, pause);

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	char nested[128];

	snprintf(nested, sizeof(nested), "%s/nested", p.there);

	auto_close int there = place_fd(&p, nested);
	auto_close int to = place_fd(&p, p.there);

	cr_assert_eq(WEXITSTATUS(wait_status(place_fork(&p, there, try_zero))), 7);
	/* The one below alone denies it as well. */
	assert_ok(cg_device_attach(to, CG_USED, NULL, 0, &err));
	cr_assert_eq(WEXITSTATUS(wait_status(place_fork(&p, there, try_zero))), 7);
	assert_ok(cg_device_attach(there, CG_USED, NULL, 0, &err));
	cr_assert_eq(WEXITSTATUS(wait_status(place_fork(&p, there, try_zero))), 0);
	place_close(&p);
}

static int say_seen(int to_fd, void *data, struct error *e)
{
	struct trouble *t = data;

	(void)e;
	cr_assert_eq(cg_is_populated(to_fd), 0);
	t->fd++;
	return 0;
}

Test(cpg_migrate, who_attaches_the_leafs_program_does_so_before_anybody_is_in_it)
{
	struct place p;
	struct trouble t = { .at = (enum cpg_move_step)99 };

	place_open(&p);
	place_fork(&p, p.web_fd, spin);

	struct cpg_move move = move_of(&p);

	move.attach = say_seen;
	move.data = &t;
	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	cr_assert_eq(t.fd, 1);
	place_close(&p);
}

static const char *const limits[][2] = {
	{ "pids.max", "77" },       { "memory.max", "268435456" },  { "memory.high", "201326592" },
	{ "memory.low", "1048576" }, { "memory.oom.group", "1" },   { "cpu.max", "150000 200000" },
	{ "cpu.max.burst", "50000" }, { "cpu.weight", "321" },      { "cpuset.cpus", "0" },
	{ "hugetlb.2MB.max", "4194304" }, { "memory.swap.max", "8192" }, { "io.weight", "default 50" },
};

static void set_limits(int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		int r = cg_write_text(fd, limits[i][0], limits[i][1]);

		cr_assert(r == 0 || r == -ENOENT, "%s: %s", limits[i][0], strerror(-r));
	}
}

static void assert_limits(int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (faccessat(fd, limits[i][0], F_OK, 0) == 0)
			cr_assert_str_eq(place_line(fd, limits[i][0]), limits[i][1], "%s", limits[i][0]);
}

#define ALL_OF_THEM (CG_CPU | CG_CPUSET | CG_MEMORY | CG_PIDS)

Test(cpg_migrate, every_limit_of_the_leaf_and_of_sub_cgroups_stands_before_the_first_one_arrives)
{
	struct place p;

	place_open(&p);
	place_need(&p, ALL_OF_THEM);

	auto_close int init = place_mkdir(&p, "gold/web/init");
	auto_close int idle = place_mkdir(&p, "gold/web/idle");

	set_limits(p.web_fd);
	set_limits(init);
	cr_assert_eq(cg_write_text(idle, "cpu.idle", "1"), 0);
	place_fork(&p, init, spin);

	struct cpg_move move = move_of(&p);

	assert_ok(cpg_migrate(&p.cpg, &move, &err));

	auto_close int to = place_fd(&p, p.there);
	auto_close int there = cg_open_below(to, "init", O_RDONLY | O_DIRECTORY);
	auto_close int dull = cg_open_below(to, "idle", O_RDONLY | O_DIRECTORY);

	assert_limits(to);
	assert_limits(there);
	cr_assert_str_eq(place_line(dull, "cpu.idle"), "1");
	cr_assert_str_eq(place_line(dull, "pids.max"), "max");
	cr_assert_eq(place_count(there), 1);
	place_close(&p);
}

Test(cpg_migrate, cpus_that_the_group_does_not_have_are_said_before_anybody_has_moved)
{
	struct place p;

	place_open(&p);
	place_need(&p, ALL_OF_THEM);

	auto_close int silver = cpg_open(&p.cpg, "silver", false, &err);

	cr_assert_eq(cg_write_text(silver, "cpuset.cpus", "0"), 0);
	cr_assert_eq(cg_write_text(p.web_fd, "cpuset.cpus", "1"), 0);
	place_fork(&p, p.web_fd, spin);

	struct cpg_move move = move_of(&p);

	err = ERROR_INIT;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EINVAL);
	cr_assert(strstr(line_of(&err), "cpuset.cpus \"1\""), "%s", line_of(&err));
	assert_missing(&p, p.there);
	assert_at(&p, p.web, 1);
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	place_close(&p);
}

Test(cpg_migrate, a_missing_controller_is_said_before_anybody_has_moved)
{
	struct place p;

	place_open(&p);
	place_need(&p, ALL_OF_THEM);

	/* A directory with a process in it hands nothing down. */
	auto_close int full = place_mkdir(&p, "bronze");
	char to[128];

	place_fork(&p, full, pause);
	place_fork(&p, p.web_fd, spin);
	snprintf(to, sizeof(to), "%s/bronze/web", p.s.path);

	struct cpg_move move = move_of(&p);

	move.to = to;
	err = ERROR_INIT;
	cr_assert_lt(cpg_migrate(&p.cpg, &move, &err), 0);
	cr_assert(strstr(line_of(&err), "controller"), "%s", line_of(&err));
	assert_missing(&p, to);
	assert_at(&p, p.web, 1);
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	place_close(&p);
}

static int touch_memory(void)
{
	size_t n = 40 << 20;
	char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; m != MAP_FAILED && i < n; i += 4096)
		m[i] = 1;
	for (;;)
		pause();
	return 0;
}

static void wait_for_charge(int fd, uint64_t bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < 10000 && v < bytes; i++) {
		usleep(1000);
		cr_assert_eq(cg_read_number(fd, "memory.current", &v), 0);
	}
	cr_assert_geq(v, bytes);
}

Test(cpg_migrate, memory_stays_behind_in_a_leaf_that_keeps_its_limit_and_takes_nobody)
{
	struct place p;
	bool residual = false;
	uint64_t bytes = 0;
	uint64_t v;

	place_open(&p);
	place_need(&p, ALL_OF_THEM);
	cr_assert_eq(cg_write_text(p.web_fd, "memory.max", "104857600"), 0);
	place_fork(&p, p.web_fd, touch_memory);
	wait_for_charge(p.web_fd, 40 << 20);

	struct cpg_move move = move_of(&p);

	move.residual_limit = 1 << 20;
	move.require_clean = true;
	cr_assert_eq(cpg_migrate(&p.cpg, &move, &err), -EBUSY);
	cr_assert(strstr(line_of(&err), "would stay charged"), "%s", line_of(&err));
	assert_missing(&p, p.there);

	move.require_clean = false;
	move.ret_residual = &residual;
	move.ret_residual_bytes = &bytes;
	assert_ok(cpg_migrate(&p.cpg, &move, &err));
	cr_assert(residual);
	cr_assert_geq(bytes, (uint64_t)40 << 20);
	assert_at(&p, p.there, 1);
	assert_at(&p, p.web, 0);
	cr_assert_eq(cpg_kind_of(p.web_fd), CPG_RESIDUAL);
	cr_assert_str_eq(place_line(p.web_fd, "memory.max"), "104857600");
	cr_assert_eq(cg_read_number(p.web_fd, "memory.current", &v), 0);
	cr_assert_geq(v, (uint64_t)40 << 20);
	/* Nobody can join it any more. */
	cr_assert_eq(WEXITSTATUS(wait_status(place_fork(&p, p.web_fd, pause))), 99);

	/* Home again: the same leaf, which is a member's from then on. */
	struct cpg_move back = move_of(&p);

	struct trouble t = { .at = CPG_MOVE_MOVED };

	back.from = p.there;
	back.to = p.web;
	back.step = fail_at;
	back.data = &t;
	cr_assert_eq(cpg_migrate(&p.cpg, &back, &err), -EIO);
	assert_at(&p, p.there, 1);
	cr_assert_eq(cpg_kind_of(p.web_fd), CPG_RESIDUAL);
	cr_assert_eq(WEXITSTATUS(wait_status(place_fork(&p, p.web_fd, pause))), 99);

	back.step = NULL;
	assert_ok(cpg_migrate(&p.cpg, &back, &err));
	assert_missing(&p, p.there);
	assert_at(&p, p.web, 1);
	cr_assert_eq(cpg_kind_of(p.web_fd), CPG_LEAF);
	cr_assert_str_eq(place_line(p.web_fd, "memory.max"), "104857600");
	cr_assert_str_eq(place_line(p.web_fd, "cgroup.subtree_control"), "");
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	place_close(&p);
}

/* ---- many moves ---- */

#define MOVES    1000
#define MOVES_MS 30000
#define BUSY     3

/* Shared with the processes that are moved: how often each went round. */
struct rounds {
	volatile uint64_t of[BUSY];
	uint64_t frozen[BUSY];
	int next;
};
static struct rounds *rounds;

static int count_rounds(void)
{
	volatile uint64_t *mine = &rounds->of[__atomic_fetch_add(&rounds->next, 1, __ATOMIC_SEQ_CST)];

	for (;;)
		(*mine)++;
	return 0;
}

/* Nobody goes round between the freeze and the thaw: then nobody ran while the others were elsewhere. */
static int nobody_ran(enum cpg_move_step step, void *data, struct error *e)
{
	(void)data;
	(void)e;
	for (int i = 0; i < BUSY; i++) {
		if (step == CPG_MOVE_FROZEN)
			rounds->frozen[i] = rounds->of[i];
		if (step == CPG_MOVE_MOVED)
			cr_assert_eq(rounds->of[i], rounds->frozen[i]);
	}
	return 0;
}

struct sampler {
	pid_t pid[BUSY];
	const char *web, *there;
	int group_fd[2];
	uint64_t quota_us; /* of each group, in a period of 100 ms; 0: no cap */
	volatile bool stop;
	uint64_t samples, outside, over;
};

static bool is_in_one(const struct sampler *s, pid_t pid)
{
	char file[64];
	char text[CG_FILE_MAX];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	if (cg_read(AT_FDCWD, file, text, sizeof(text)) <= 0)
		return false;

	const char *line = strstr(text, "0::/");
	size_t n = line ? strcspn(line + 4, "\n") : 0;

	return (n == strlen(s->web) && strncmp(line + 4, s->web, n) == 0) ||
	       (n == strlen(s->there) && strncmp(line + 4, s->there, n) == 0);
}

static void *sample(void *data)
{
	struct sampler *s = data;
	struct cpg_stat first[2];

	for (int g = 0; g < 2; g++)
		cpg_stat_fd(s->group_fd[g], &first[g], NULL);
	for (; !s->stop; usleep(1000)) {
		for (int i = 0; i < BUSY; i++)
			s->outside += !is_in_one(s, s->pid[i]);
		for (int g = 0; g < 2; g++) {
			struct cpg_stat now;

			if (!s->quota_us || cpg_stat_fd(s->group_fd[g], &now, NULL) < 0)
				continue;

			uint64_t periods = (uint64_t)(now.taken_ns - first[g].taken_ns) / 100000000 + 2;

			/*
			 * A slice on each CPU may have been handed out when the quota ended (sched-bwc.rst), and of a
			 * virtual CPU that its host takes away the time it was gone counts as used.
			 */
			uint64_t allowed = periods * s->quota_us;

			s->over += now.usage_usec - first[g].usage_usec > allowed + allowed / 10 + 50000;
		}
		s->samples++;
	}
	return NULL;
}

Test(cpg_migrate, a_thousand_moves_lose_nobody_uncap_nobody_and_split_nobody, .timeout = 120)
{
	struct place p;
	struct sampler s = { .quota_us = 0 };
	pthread_t thread;
	int64_t before = cg_now_ms();
	int moves = 0;

	place_open(&p);
	rounds = mmap(NULL, sizeof(*rounds), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.web = p.web;
	s.there = p.there;
	for (int g = 0; g < 2; g++) {
		s.group_fd[g] = cpg_open(&p.cpg, g ? "silver" : "gold", false, &err);
		if (cg_write_text(s.group_fd[g], "cpu.max", "20000 100000") == 0)
			s.quota_us = 20000;
	}
	for (int i = 0; i < BUSY; i++)
		s.pid[i] = place_fork(&p, p.web_fd, count_rounds);
	cr_assert_eq(pthread_create(&thread, NULL, sample, &s), 0);
	for (; moves < MOVES && cg_now_ms() - before < MOVES_MS; moves++) {
		struct cpg_move move = move_of(&p);

		if (moves % 2) {
			move.from = p.there;
			move.to = p.web;
		}
		move.step = nobody_ran;
		assert_ok(cpg_migrate(&p.cpg, &move, &err));
	}
	s.stop = true;
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_log_info("%d moves, %llu samples", moves, (unsigned long long)s.samples);
	cr_assert_geq(moves, 20);
	cr_assert_geq(s.samples, 20);
	cr_assert_eq(s.outside, 0);
	cr_assert_eq(s.over, 0);
	assert_at(&p, moves % 2 ? p.there : p.web, BUSY);
	for (int i = 0; i < BUSY; i++) {
		uint64_t then = rounds->of[i];

		cr_assert_eq(kill(s.pid[i], 0), 0);
		for (int ms = 0; ms < 10000 && rounds->of[i] == then; ms++)
			usleep(1000);
		cr_assert_neq(rounds->of[i], then, "one stands still after %d moves", moves);
	}
	place_close(&p);
}
