/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"

static pid_t spawn_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	cr_assert_gt(pid, 0);
	return pid;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(proc, stat_tells_state_and_start_time)
{
	struct proc_stat self = { 0 }, child = { 0 };
	pid_t pid = spawn_sleeper();

	cr_expect_eq(proc_stat(getpid(), &self), 0);
	cr_expect_eq(self.state, 'R');
	cr_expect_gt(self.start_time, 0);
	cr_expect_eq(proc_stat(pid, &child), 0);
	cr_expect(child.state == 'S' || child.state == 'R');
	cr_expect_geq(child.start_time, self.start_time);
	kill(pid, SIGKILL);

	siginfo_t info;

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	cr_expect_eq(proc_stat(pid, &child), 0);
	cr_expect_eq(child.state, 'Z');
	waitpid(pid, NULL, 0);
	cr_expect_eq(proc_stat(pid, &child), -ESRCH);
}

Test(proc, a_name_made_to_look_like_stat_does_not_fool_it)
{
	static const char *const names[] = { ") Z 1 2 3", "a) b (c) d", "))))",
					     "(",	  " ",		"x\ny) Z 9" };
	struct proc_stat before = { 0 }, after = { 0 };

	cr_assert_eq(proc_stat(getpid(), &before), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		prctl(PR_SET_NAME, names[i]);
		cr_expect_eq(proc_stat(getpid(), &after), 0, "%s", names[i]);
		cr_expect_eq(after.state, 'R', "%s", names[i]);
		cr_expect_eq(after.start_time, before.start_time, "%s", names[i]);
	}
}

Test(proc, stat_of_no_process_is_esrch)
{
	struct proc_stat st = { .state = '?' };

	cr_expect_eq(proc_stat(0x3ffffff, &st), -ESRCH);
	cr_expect_eq(proc_stat(0, &st), -ESRCH);
	cr_expect_eq(proc_stat(-1, &st), -ESRCH);
	cr_expect_eq(st.state, '?');
}

Test(proc, a_pidfd_is_only_for_the_process_that_started_then)
{
	struct error err = ERROR_INIT;
	struct proc_stat st;
	pid_t pid = spawn_sleeper();

	cr_assert_eq(proc_stat(pid, &st), 0);

	auto_close int fd = proc_pidfd(pid, st.start_time, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(proc_pidfd(pid, st.start_time + 1, &err), -ESRCH);
	cr_expect_eq(proc_pidfd(pid, 0, NULL), -ESRCH);
	cr_expect_eq(proc_pidfd_send(fd, 0), 0);
	cr_expect_eq(proc_pidfd_send(fd, 65), -EINVAL);
	cr_expect_eq(proc_pidfd_send(fd, SIGKILL), 0);
	cr_expect_eq(proc_pidfd_wait(fd, 5000), 0);
	waitpid(pid, NULL, 0);
	cr_expect_eq(proc_pidfd_send(fd, SIGKILL), -ESRCH);
	cr_expect_eq(proc_pidfd_wait(fd, 0), 0);
	cr_expect_eq(proc_pidfd(pid, st.start_time, &err), -ESRCH);
}

Test(proc, waiting_ends_at_the_deadline)
{
	struct proc_stat st;
	pid_t pid = spawn_sleeper();

	cr_assert_eq(proc_stat(pid, &st), 0);

	auto_close int fd = proc_pidfd(pid, st.start_time, NULL);
	double begin = seconds();

	cr_expect_eq(proc_pidfd_wait(fd, 100), -ETIMEDOUT);
	cr_expect_geq(seconds() - begin, 0.099);
	cr_expect_eq(proc_pidfd_wait(fd, 0), -ETIMEDOUT);
	cr_expect_eq(proc_pidfd_wait(fd, -1), -EINVAL);
	cr_expect_eq(proc_pidfd_wait(999, 100), -EBADF);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void on_alarm(int signo)
{
	(void)signo;
}

Test(proc, signals_neither_end_nor_lengthen_a_wait, .timeout = 20)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } };
	struct proc_stat st;
	pid_t pid = spawn_sleeper();

	cr_assert_eq(proc_stat(pid, &st), 0);

	auto_close int fd = proc_pidfd(pid, st.start_time, NULL);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);

	double begin = seconds();

	cr_expect_eq(proc_pidfd_wait(fd, 200), -ETIMEDOUT);
	cr_expect_geq(seconds() - begin, 0.199);
	cr_expect_lt(seconds() - begin, 5);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* In a child, which has no threads of the test's: sends itself all there are, and reads them. */
static int read_all_signals(void)
{
	uint64_t seen = 0;
	struct signalfd_siginfo si;

	proc_block_signals(0);

	int fd = proc_signal_fd();

	for (int n = 1; n <= 64; n++) { /* one by one: SIGCONT and the stops take each other back */
		if (n == SIGKILL || n == SIGSTOP)
			continue;
		kill(getpid(), n);
		if (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
			seen |= UINT64_C(1) << (si.ssi_signo - 1);
	}
	return seen == ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1)) ? 7 : 1;
}

Test(proc, every_signal_can_be_read_those_of_a_c_library_too, .timeout = 20)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(read_all_signals());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d was not blocked", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 7);
}

static void *do_nothing(void *arg)
{
	return arg;
}

Test(proc, what_a_first_thread_lets_through_is_blocked_again, .timeout = 20)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t thread;

		proc_block_signals(0);

		uint64_t blocked = proc_blocked_signals();

		if (blocked != ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1)))
			_exit(1);
		if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
			_exit(2);
		proc_block_again(blocked);
		_exit(proc_blocked_signals() == blocked ? 7 : 3);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 7);
}

Test(proc, one_signal_may_be_let_through, .timeout = 20)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		proc_block_signals(64);
		kill(getpid(), 33);
		kill(getpid(), 64);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), 64);
}
