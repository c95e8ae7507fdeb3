/* SPDX-License-Identifier: Apache-2.0 */

/* The final-exec stub, run for real: as a child, as pid 1, under a strict filter, and by strangers. */
#include "runtime/launch/stub_image.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/launch/stub/stub.h"

enum { GATE = 100, STATUS = 101, PROCFS = 102, OUT = 103 };

struct run {
	pid_t pid;
	int status; /* our end of s */
	int gate; /* our end of g, or -1 */
	int out; /* what the program prints */
};

struct setup {
	const char *control;
	char *const *argv; /* argv[1…] of the stub */
	char *const *env;
	int image; /* 0: stub_open() */
	int procfs; /* for p=, 0: none */
	int gate, status; /* instead of a socket, 0: none */
	bool pid1;
	const struct sock_fprog *filter;
};

static _Noreturn void child(const struct setup *s, int image, int gate, int status, int out)
{
	char *argv[16] = { (char *)s->control };

	for (int i = 0; s->argv && s->argv[i]; i++)
		argv[i + 1] = s->argv[i];
	if (strstr(s->control, " g="))
		dup2(gate, GATE);
	dup2(status, STATUS);
	dup2(out, 1);
	if (s->procfs > 0)
		dup2(s->procfs, PROCFS);
	if (s->filter) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, s->filter);
	}
	syscall(SYS_execveat, image, "", argv, s->env ? s->env : (char *const[]){ NULL },
		AT_EMPTY_PATH);
	_exit(99);
}

static struct run start(const struct setup *s)
{
	struct error err = ERROR_INIT;
	int status[2], gate[2], out[2];
	int image = s->image > 0 ? s->image : stub_open(&err);

	cr_assert(image >= 0, "%s", err.text);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status) == 0);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) == 0);
	cr_assert(pipe2(out, O_CLOEXEC) == 0);

	unsigned long flags = SIGCHLD | (s->pid1 ? CLONE_NEWPID : 0);
	pid_t pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);

	cr_assert(pid >= 0, "clone: %s", strerror(errno));
	if (pid == 0)
		child(s, image, s->gate ? s->gate : gate[1], s->status ? s->status : status[1],
		      out[1]);
	close(status[1]);
	close(gate[1]);
	close(out[1]);
	if (s->image <= 0)
		close(image);
	return (struct run){ .pid = pid, .status = status[0], .gate = gate[0], .out = out[0] };
}

static int finish(struct run *r)
{
	int status;

	close(r->status);
	close(r->gate);
	cr_assert(waitpid(r->pid, &status, 0) == r->pid);
	close(r->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void read_all(int fd, char *buf, size_t size)
{
	size_t used = 0;

	for (ssize_t n; (n = read(fd, buf + used, size - 1 - used)) > 0;)
		used += (size_t)n;
	buf[used] = '\0';
}

/* Waits until the process runs the stub and sleeps in it. */
static void wait_until_asleep(pid_t pid)
{
	char path[64], text[256];

	for (int i = 0; i < 2000; i++, usleep(1000)) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		int fd = open(path, O_RDONLY);
		read_all(fd, text, sizeof(text));
		close(fd);
		/* "pid (comm) S": the stub's name is that of its file, never the test's */
		if (strstr(text, ") S ") && !strstr(text, "test"))
			return;
	}
	cr_assert_fail("process %d never slept: %s", pid, text);
}

static struct stub_report read_report(const struct run *r)
{
	struct stub_report report;

	cr_assert(read(r->status, &report, sizeof(report)) == sizeof(report));
	cr_assert(report.magic == STUB_REPORT_MAGIC);
	return report;
}

#define SELF "bulkhead-init s=101"
#define HELD "bulkhead-init g=100 s=101"

Test(stub, hands_on_arguments_and_environment_unchanged)
{
	char *argv[] = { "/bin/sh", "my own name", "-c", "echo \"$0|$1|$2|$A\"", "zero",
			 "",	    "t w o",	   NULL };
	char *env[] = { "A=with blank\tand tab", NULL };
	struct run r = start(&(struct setup){ .control = SELF, .argv = argv, .env = env });
	char text[256], byte;

	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "zero||t w o|with blank\tand tab\n");
	cr_expect(read(r.status, &byte, 1) == 0, "a program that runs is reported by silence");
	cr_expect(finish(&r) == 0);
}

Test(stub, leaves_no_descriptor_of_ours_to_the_program)
{
	char *argv[] = { "/bin/sh", "sh", "-c", "for f in /proc/self/fd/1??; do echo $f; done",
			 NULL };
	struct run r = start(&(struct setup){ .control = HELD " w=1", .argv = argv });
	char text[256];

	cr_assert(write(r.gate, "x", 1) == 1);
	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "/proc/self/fd/1??\n");
	cr_expect(finish(&r) == 0);
}

Test(stub, waits_until_released)
{
	char *argv[] = { "/bin/echo", "echo", "ran", NULL };
	struct run r = start(&(struct setup){ .control = HELD, .argv = argv });
	char text[64];

	wait_until_asleep(r.pid);
	cr_expect(fcntl(r.out, F_SETFL, O_NONBLOCK) == 0);
	cr_expect(read(r.out, text, 1) < 0 && errno == EAGAIN);
	fcntl(r.out, F_SETFL, 0);
	cr_assert(write(r.gate, "x", 1) == 1);
	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "ran\n");
	cr_expect(finish(&r) == 0);
}

Test(stub, one_socket_may_be_gate_and_status)
{
	char *argv[] = { "/nonexistent", "x", NULL };
	struct run r =
		start(&(struct setup){ .control = "bulkhead-init g=101 s=101", .argv = argv });

	cr_assert(write(r.status, "x", 1) == 1);
	cr_expect(read_report(&r).err == ENOENT);
	cr_expect(finish(&r) == STUB_EXIT_NOT_FOUND);
}

/* What create leaves to start: two fifos that the stub itself holds open at both ends. */
Test(stub, a_report_through_a_fifo_waits_for_its_reader)
{
	char dir[] = "/tmp/stub-test-XXXXXX", text[64];
	char *argv[] = { "/nonexistent", "x", NULL };
	struct stub_report report = { 0 };

	cr_assert(mkdtemp(dir));
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(mkfifoat(at, "go", 0600) == 0 && mkfifoat(at, "status", 0600) == 0);
	int go = openat(at, "go", O_RDWR | O_CLOEXEC);
	int status = openat(at, "status", O_RDWR | O_CLOEXEC);
	struct run r = start(&(struct setup){
		.control = HELD " w=1", .argv = argv, .gate = go, .status = status });

	close(go);
	close(status);
	wait_until_asleep(r.pid);
	go = openat(at, "go", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	status = openat(at, "status", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert(go >= 0 && status >= 0);
	cr_assert(write(go, "x", 1) == 1);
	usleep(100000); /* time enough for the stub to take back what it wrote */
	cr_expect(waitpid(r.pid, NULL, WNOHANG) == 0);
	cr_expect(read(status, &report, sizeof(report)) == sizeof(report));
	cr_expect(report.magic == STUB_REPORT_MAGIC && report.err == ENOENT);
	kill(r.pid, SIGTERM);
	cr_expect(finish(&r) == 128 + SIGTERM);
	snprintf(text, sizeof(text), "rm -r %s", dir);
	cr_assert(system(text) == 0);
}

Test(stub, ends_quietly_when_the_gate_closes_or_says_something_else)
{
	char *argv[] = { "/bin/echo", "echo", "ran", NULL };
	char text[64];

	for (int say = 0; say < 2; say++) {
		struct run r = start(&(struct setup){ .control = HELD, .argv = argv });

		if (say)
			cr_assert(write(r.gate, "y", 1) == 1);
		else
			shutdown(r.gate, SHUT_RDWR);
		read_all(r.out, text, sizeof(text));
		cr_expect_str_empty(text);
		cr_expect(finish(&r) == STUB_EXIT_QUIET);
	}
}

Test(stub, reports_a_failed_exec_and_stays_until_the_runtime_hangs_up)
{
	struct {
		const char *path;
		int err, status;
	} t[] = {
		{ "/nonexistent", ENOENT, STUB_EXIT_NOT_FOUND },
		{ "/dev/null/x", ENOTDIR, STUB_EXIT_NOT_FOUND },
		{ "/etc/passwd", EACCES, STUB_EXIT_NOT_RUN },
		{ "/tmp", EACCES, STUB_EXIT_NOT_RUN },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		char *argv[] = { (char *)t[i].path, "x", NULL };
		struct run r = start(&(struct setup){ .control = SELF, .argv = argv });
		struct stub_report report = read_report(&r);

		cr_expect(report.step == STUB_STEP_EXEC && report.err == t[i].err, "%s: %d",
			  t[i].path, report.err);
		wait_until_asleep(r.pid);
		cr_expect(waitpid(r.pid, NULL, WNOHANG) == 0, "must still be there to look at");
		cr_expect(finish(&r) == t[i].status);
	}
}

Test(stub, as_pid_1_dies_of_the_signals_that_ask_it_to)
{
	char *argv[] = { "/bin/true", "true", NULL };
	int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };

	for (int i = 0; i < 4; i++) {
		struct run r = start(
			&(struct setup){ .control = HELD " w=1", .argv = argv, .pid1 = true });

		wait_until_asleep(r.pid);
		kill(r.pid, signals[i]);
		cr_expect(finish(&r) == 128 + signals[i]);
	}
}

Test(stub, the_program_starts_with_default_signal_actions)
{
	char *argv[] = { "/bin/cat", "cat", "/proc/self/status", NULL };
	struct run r = start(&(struct setup){ .control = HELD " w=1", .argv = argv });
	char text[4096];

	cr_assert(write(r.gate, "x", 1) == 1);
	read_all(r.out, text, sizeof(text));
	cr_expect(strstr(text, "\nSigCgt:\t0000000000000000\n"), "%s", text);
	cr_expect(finish(&r) == 0);
}

Test(stub, a_stranger_who_calls_it_gets_nothing)
{
	const char *controls[] = {
		"",
		"x",
		"bulkhead-init",
		"bulkhead-init ",
		"bulkhead-initx s=101",
		"bulkhead-init g=100",
		"bulkhead-init s=101 ",
		"bulkhead-init  s=101",
		"bulkhead-init s=",
		"bulkhead-init s=1",
		"bulkhead-init s=-1",
		"bulkhead-init s=0101",
		"bulkhead-init s=101x",
		"bulkhead-init s=9999999999",
		"bulkhead-init s=101 s=101",
		"bulkhead-init s=101 w=2",
		"bulkhead-init s=101 w=1 w=1",
		"bulkhead-init s=101 p=102",
		"bulkhead-init s=101 p=102 a=a",
		"bulkhead-init s=101 a=a l=x",
		"bulkhead-init s=101 p=102 l=x",
		"bulkhead-init s=101 p=102 a=x l=x",
		"bulkhead-init s=101 p=102 a=a l=",
		"bulkhead-init s=101 p=101 a=a l=x",
		"bulkhead-init s=101 q=1",
		"bulkhead-init s=101 =",
		"bulkhead-init s=101 s",
		"/proc/self/exe",
	};
	char *argv[] = { "/bin/echo", "echo", "ran", NULL };
	char text[64];

	for (size_t i = 0; i < sizeof(controls) / sizeof(*controls); i++) {
		struct run r = start(&(struct setup){ .control = controls[i], .argv = argv });

		read_all(r.out, text, sizeof(text));
		cr_expect_str_empty(text, "\"%s\"", controls[i]);
		cr_expect(read(r.status, text, 1) == 0, "\"%s\"", controls[i]);
		cr_expect(finish(&r) == STUB_EXIT_QUIET, "\"%s\"", controls[i]);
	}

	/* a well-formed control string, but no program */
	char *few[] = { "/bin/echo", NULL };
	struct run r = start(&(struct setup){ .control = SELF, .argv = few });

	cr_expect(finish(&r) == STUB_EXIT_QUIET);
}

static int make_attr(char *dir, const char *attr)
{
	char path[128];

	cr_assert(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mkdirat(fd, "self", 0755);
	mkdirat(fd, "self/attr", 0755);
	mkdirat(fd, "self/attr/apparmor", 0755);
	snprintf(path, sizeof(path), "self/attr/%s", attr);
	close(openat(fd, path, O_CREAT | O_WRONLY, 0644));
	return fd;
}

static void expect_label(const char *attr, const char *words, const char *expected)
{
	char dir[] = "/tmp/stub-test-XXXXXX", path[160], text[256], cmd[64];
	int fd = make_attr(dir, attr);
	char *argv[] = { "/bin/sh", "sh", "-c", "ls /proc/self/fd | grep -c 102; true", NULL };

	snprintf(path, sizeof(path), SELF " p=102 %s", words);
	struct run r = start(&(struct setup){ .control = path,
					      .argv = argv,
					      .procfs = fd,
					      .env = (char *[]){ "PATH=/bin:/usr/bin", NULL } });

	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "0\n", "procfs must be closed, and the program must run");
	cr_expect(finish(&r) == 0);
	snprintf(path, sizeof(path), "%s/self/attr/%s", dir, attr);
	int file = open(path, O_RDONLY);
	read_all(file, text, sizeof(text));
	close(file);
	close(fd);
	cr_expect_str_eq(text, expected);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	cr_assert(system(cmd) == 0);
}

Test(stub, writes_the_label_where_the_module_looks_for_it)
{
	expect_label("apparmor/exec", "a=a l=docker default//x", "exec docker default//x");
	expect_label("exec", "a=a l=web", "exec web"); /* before 5.1 */
	expect_label("exec", "a=s l=system_u:system_r:container_t:s0:c1,c2",
		     "system_u:system_r:container_t:s0:c1,c2");
}

Test(stub, a_label_that_cannot_be_written_stops_the_program)
{
	char dir[] = "/tmp/stub-test-XXXXXX", text[64];
	char *argv[] = { "/bin/echo", "echo", "ran", NULL };

	cr_assert(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct run r = start(
		&(struct setup){ .control = SELF " p=102 a=s l=x", .argv = argv, .procfs = fd });
	struct stub_report report = read_report(&r);

	cr_expect(report.step == STUB_STEP_LABEL && report.err == ENOENT);
	cr_expect(finish(&r) == STUB_EXIT_NOT_RUN);

	/* the real kernel refuses a profile that does not exist or a module that is off */
	int procfs = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = start(&(struct setup){
		.control = SELF " p=102 a=a l=no-such-profile", .argv = argv, .procfs = procfs });
	report = read_report(&r);
	cr_expect(report.step == STUB_STEP_LABEL && report.err > 0);
	shutdown(r.status, SHUT_RDWR);
	read_all(r.out, text, sizeof(text));
	cr_expect_str_empty(text);
	cr_expect(finish(&r) == STUB_EXIT_NOT_RUN);
	rmdir(dir);
}

/* Small filters by hand. The strict ones use a program that does not exist: a real one needs more. */
#define ALLOW(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ERRNO(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define LOAD_NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define PASS BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

Test(stub, needs_no_call_that_its_header_does_not_name)
{
	struct sock_filter at_once[] = {
		LOAD_NR,	  ALLOW(SYS_execveat), ALLOW(SYS_fcntl),      ALLOW(SYS_execve),
		ALLOW(SYS_write), ALLOW(SYS_read),     ALLOW(SYS_exit_group), KILL
	};
	struct sock_filter held[] = { LOAD_NR,
				      ALLOW(SYS_execveat),
				      ALLOW(SYS_fcntl),
				      ALLOW(SYS_execve),
				      ALLOW(SYS_write),
				      ALLOW(SYS_read),
				      ALLOW(SYS_exit_group),
				      ALLOW(SYS_close),
				      ALLOW(SYS_rt_sigaction),
				      KILL };
	char *argv[] = { "/nonexistent", "x", NULL };
	struct run r = start(&(struct setup){
		.control = SELF,
		.argv = argv,
		.filter = &(struct sock_fprog){ sizeof(at_once) / sizeof(*at_once), at_once } });

	cr_expect(read_report(&r).err == ENOENT);
	cr_expect(finish(&r) == STUB_EXIT_NOT_FOUND);

	r = start(&(struct setup){
		.control = HELD " w=1",
		.argv = argv,
		.filter = &(struct sock_fprog){ sizeof(held) / sizeof(*held), held } });
	cr_assert(write(r.gate, "x", 1) == 1);
	cr_expect(read_report(&r).err == ENOENT);
	cr_expect(finish(&r) == STUB_EXIT_NOT_FOUND);
}

Test(stub, a_filter_without_fcntl_costs_the_report_only)
{
	struct sock_filter insns[] = { LOAD_NR, ERRNO(SYS_fcntl), PASS };
	char *argv[] = { "/bin/sh", "sh", "-c", "for f in /proc/self/fd/1??; do echo $f; done",
			 NULL };
	struct run r = start(&(struct setup){
		.control = SELF,
		.argv = argv,
		.filter = &(struct sock_fprog){ sizeof(insns) / sizeof(*insns), insns } });
	char text[128];

	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "/proc/self/fd/1??\n");
	finish(&r);
}

Test(stub, a_filter_that_keeps_our_descriptors_open_stops_the_program)
{
	struct sock_filter insns[] = { LOAD_NR, ERRNO(SYS_fcntl), ERRNO(SYS_close), PASS };
	char *argv[] = { "/bin/echo", "echo", "ran", NULL };
	struct run r = start(&(struct setup){
		.control = SELF,
		.argv = argv,
		.filter = &(struct sock_fprog){ sizeof(insns) / sizeof(*insns), insns } });
	struct stub_report report = read_report(&r);

	cr_expect(report.step == STUB_STEP_FDS && report.err == EPERM);
	cr_expect(finish(&r) == STUB_EXIT_NOT_RUN);
}

Test(stub_image, a_memory_file_can_no_longer_be_changed)
{
	int fd = stub_open_memfd(NULL);
	char link[64];

	cr_assert(fd >= 0);
	cr_expect(write(fd, "x", 1) < 0 && errno == EPERM);
	cr_expect(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
	cr_expect(ftruncate(fd, 0) < 0 && errno == EPERM);
	cr_expect(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno == EPERM);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	int again = open(link, O_RDWR);
	cr_expect(again < 0 || (write(again, "x", 1) < 0 && errno == EPERM));
}

Test(stub_image, a_tmpfs_file_can_no_longer_be_changed)
{
	struct error err = ERROR_INIT;

	umask(0777);
	int fd = stub_open_tmpfs(&err);
	char link[64];

	cr_assert(fd >= 0, "%s", err.text);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	cr_expect(open(link, O_RDWR) < 0 && errno == EROFS);
	cr_expect(chmod(link, 0) < 0 && errno == EROFS);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);

	char *argv[] = { "/bin/echo", "echo", "ran", NULL };
	struct run r = start(&(struct setup){ .control = SELF, .argv = argv, .image = fd });
	char text[64];

	read_all(r.out, text, sizeof(text));
	cr_expect_str_eq(text, "ran\n");
	cr_expect(finish(&r) == 0);
}

/* The sysctl belongs to the pid namespace, so that a new one can be ruined safely. */
Test(stub_image, works_where_executable_memory_files_are_forbidden)
{
	cr_assert(unshare(CLONE_NEWPID) == 0);

	pid_t pid = fork();

	if (pid == 0) {
		int sysctl = open("/proc/sys/vm/memfd_noexec", O_WRONLY);

		if (sysctl < 0 || write(sysctl, "2", 1) != 1)
			_exit(1);
		if (stub_open_memfd(NULL) != -EACCES)
			_exit(2);

		int fd = stub_open(NULL);
		char *argv[] = { "/bin/true", "true", NULL };

		if (fd < 0)
			_exit(3);

		struct run r = start(&(struct setup){ .control = SELF, .argv = argv, .image = fd });

		_exit(finish(&r) == 0 ? 0 : 4);
	}

	int status;

	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "step %d", WEXITSTATUS(status));
}

Test(stub_image, is_small)
{
	size_t size;

	cr_expect(memcmp(stub_image(&size), "\177ELF", 4) == 0);
	cr_expect(size < 6144, "%zu bytes", size);
}
