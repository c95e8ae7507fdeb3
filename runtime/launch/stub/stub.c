/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The last program before the container's own; stub.h has the agreement.
 *
 * It exists so that nothing of the host is mapped or named in the container while
 * a created container waits for `start`: /proc/<pid>/exe is a sealed memory file
 * that holds these few instructions (CVE-2019-5736). It has no libc, no data and no
 * relocations, holds no privilege, and does nothing that whoever executes it could
 * not do without it. Called by anyone but the runtime it exits.
 */
#include "runtime/launch/stub/stub.h"

#include <stddef.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <asm/signal.h>
#include <asm/unistd.h>

#if defined(__x86_64__)

static long sys(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

/* The kernel refuses to deliver a signal on x86 without a restorer; ours never returns. */
#define NEEDS_RESTORER 1

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n"
	"	hlt\n");

#elif defined(__aarch64__)

static long sys(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x0, sp\n"
	"	bl stub_main\n"
	"	brk #0\n");

#else
#error "the final-exec stub has no entry code for this architecture"
#endif

enum { NO_FD = -1 };

struct control {
	int status, gate, procfs; /* s, g, p */
	int catch_signals; /* w */
	char lsm; /* a */
	const char *label; /* l */
};

static _Noreturn void quit(int status)
{
	sys(__NR_exit_group, status, 0, 0, 0);
	for (;;)
		__builtin_trap(); /* a filter refused exit_group */
}

static void on_signal(int signo)
{
	quit(128 + signo);
}

static void set_signal(int signo, void (*handler)(int))
{
	/* struct sigaction of the kernel, not of a libc */
	struct {
		void (*handler)(int);
		unsigned long flags;
#ifdef NEEDS_RESTORER
		void (*restorer)(int);
#endif
		unsigned long mask;
	} action = { .handler = handler };

#ifdef NEEDS_RESTORER
	action.flags = SA_RESTORER;
	action.restorer = on_signal;
#endif
	/* When the filter refuses, the stub is merely as deaf as any other pid 1. */
	sys(__NR_rt_sigaction, signo, (long)&action, 0, sizeof(action.mask));
}

static long read_byte(int fd, char *ret)
{
	long n;

	do
		n = sys(__NR_read, fd, (long)ret, 1, 0);
	while (n == -EINTR);
	return n;
}

/* Says what went wrong, then stays to be looked at until the runtime hangs up. */
static _Noreturn void fail(const struct control *c, unsigned step, long r)
{
	struct stub_report report = { .magic = STUB_REPORT_MAGIC, .err = (int)-r, .step = step };
	char byte;
	long n;

	do
		n = sys(__NR_write, c->status, (long)&report, sizeof(report), 0);
	while (n == -EINTR);
	/* A fifo would hand us our own report back: there the gate is what we wait on. */
	if (n == (long)sizeof(report))
		while (read_byte(c->gate != NO_FD ? c->gate : c->status, &byte) > 0)
			;
	quit(step == STUB_STEP_EXEC && (r == -ENOENT || r == -ENOTDIR) ? STUB_EXIT_NOT_FOUND
								       : STUB_EXIT_NOT_RUN);
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* Reads a descriptor number up to the first other byte; NULL when it is none, or the second one. */
static const char *parse_fd(const char *s, int *ret)
{
	int n = 0;

	if (*ret != NO_FD || *s < '1' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > 99999999)
			return NULL;
		n = n * 10 + (*s - '0');
	}
	if (n < 3)
		return NULL;
	*ret = n;
	return s;
}

/* 0 unless every word is well-formed and the set of them makes sense. */
static int parse_control(const char *s, struct control *c)
{
	for (const char *name = STUB_NAME; *name; name++, s++)
		if (*s != *name)
			return 0;

	while (*s) {
		if (s[0] != ' ' || !s[1] || s[2] != '=')
			return 0;

		char key = s[1];

		s += 3;
		if (key == 's') {
			s = parse_fd(s, &c->status);
		} else if (key == 'g') {
			s = parse_fd(s, &c->gate);
		} else if (key == 'p') {
			s = parse_fd(s, &c->procfs);
		} else if (key == 'w' && *s == '1' && !c->catch_signals) {
			c->catch_signals = 1;
			s++;
		} else if (key == 'a' && (*s == 'a' || *s == 's') && !c->lsm) {
			c->lsm = *s++;
		} else if (key == 'l' && *s) {
			c->label = s;
			s += length(s);
		} else {
			return 0;
		}
		if (!s)
			return 0;
	}
	return c->status != NO_FD && (c->procfs != NO_FD) == (c->label != NULL) &&
	       (c->lsm != 0) == (c->label != NULL) && c->procfs != c->status &&
	       (c->procfs == NO_FD || c->procfs != c->gate);
}

/* A filter without fcntl costs us the descriptor, not the promise of a clean program. */
static void hide_fd(const struct control *c, int fd)
{
	if (sys(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC, 0) >= 0)
		return;

	long r = sys(__NR_close, fd, 0, 0, 0);

	if (r < 0)
		fail(c, STUB_STEP_FDS, r);
}

static void wait_for_release(const struct control *c)
{
	char byte = 0;

	if (c->catch_signals) {
		set_signal(SIGTERM, on_signal);
		set_signal(SIGINT, on_signal);
		set_signal(SIGQUIT, on_signal);
		set_signal(SIGHUP, on_signal);
	}
	if (read_byte(c->gate, &byte) != 1 || (byte != STUB_GO && byte != STUB_GO_RESET))
		quit(STUB_EXIT_QUIET);
	if (byte == STUB_GO_RESET)
		for (int signo = 1; signo <= 64; signo++)
			set_signal(signo, SIG_DFL);
	if (c->gate != c->status)
		hide_fd(c, c->gate);
}

/*
 * The label must be written by the task itself and with the credentials it has
 * now: the kernel compares those of open() with those of write(), and our own exec
 * changed them, so the runtime cannot open the file for us.
 */
static long write_label(const struct control *c, const char *file, const char *text, size_t n)
{
	long fd = sys(__NR_openat, c->procfs, (long)file, O_WRONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;

	long r = sys(__NR_write, fd, (long)text, (long)n, 0);

	sys(__NR_close, fd, 0, 0, 0);
	return r < 0 || r == (long)n ? r : -EIO;
}

static long set_label(const struct control *c)
{
	size_t n = length(c->label);

	if (c->lsm == 's')
		return write_label(c, "self/attr/exec", c->label, n);

	/* AppArmor reads a command, not a name; the kernel takes at most a page. */
	char text[4096];
	size_t used = 0;

	for (const char *p = "exec "; *p; p++)
		text[used++] = *p;
	if (n >= sizeof(text) - used)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < n; i++)
		text[used++] = c->label[i];

	long r = write_label(c, "self/attr/apparmor/exec", text, used);

	/* The directory of its own came with Linux 5.1; before, AppArmor owned the plain file. */
	if (r == -ENOENT)
		r = write_label(c, "self/attr/exec", text, used);
	return r;
}

/* stack: argc, argv, NULL, envp, NULL (System V ABI, process initialization). */
_Noreturn void stub_main(char **stack);
_Noreturn void stub_main(char **stack)
{
	long argc = (long)stack[0];
	char **argv = stack + 1;
	char **envp = argv + argc + 1;
	struct control c = { .status = NO_FD, .gate = NO_FD, .procfs = NO_FD };

	if (argc < 3 || !parse_control(argv[0], &c))
		quit(STUB_EXIT_QUIET);
	if (c.gate != NO_FD)
		wait_for_release(&c);

	hide_fd(&c, c.status);
	if (c.label) {
		long r = set_label(&c);

		if (r < 0)
			fail(&c, STUB_STEP_LABEL, r);
		r = sys(__NR_close, c.procfs, 0, 0, 0);
		if (r < 0)
			fail(&c, STUB_STEP_FDS, r);
	}

	fail(&c, STUB_STEP_EXEC, sys(__NR_execve, (long)argv[1], (long)(argv + 2), (long)envp, 0));
}
