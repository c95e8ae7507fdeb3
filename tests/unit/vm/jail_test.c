/* SPDX-License-Identifier: Apache-2.0 */
/* Each in a child: a filter stays. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/jail.h"

enum { LIVES = 7 };

/* The signal that kills a child which enters the jail and does this; 0: it lives. */
static int dies_of(enum jail_kind kind, long (*what)(void), const int *more, size_t n_more)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (jail_enter(kind, more, n_more, NULL) < 0)
			_exit(1);
		what();
		syscall(SYS_exit_group, LIVES);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		cr_assert_eq(WEXITSTATUS(status), LIVES);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static long nothing(void)
{
	return write(-1, "", 0) + (prctl(PR_GET_DUMPABLE, 0) & 0);
}

static long writes(void)
{
	return write(-1, "", 0);
}

static long execs(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long sockets(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long opens(void)
{
	return openat(-1, "x", O_RDONLY);
}

static long runs_kvm(void)
{
	return ioctl(-1, KVM_RUN, 0);
}

static long other_ioctl(void)
{
	return ioctl(-1, KVM_CREATE_VM, 0);
}

static long asks_size(void)
{
	struct winsize size;

	return ioctl(-1, TIOCGWINSZ, &size);
}

/* Into a terminal that another reads. */
static long pushes_input(void)
{
	return ioctl(-1, TIOCSTI, "x");
}

static long maps(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static long maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

/* What is large has a mapping of its own, which moves. */
static long grows_much(void)
{
	char *volatile p = NULL;

	for (size_t n = 1 << 16; n <= 1 << 22; n *= 2) {
		p = realloc(p, n);
		p[n - 1] = 1;
	}
	free(p);
	return 0;
}

static long takes_signals(void)
{
	return ppoll(NULL, 0, &(struct timespec){ 0 }, NULL);
}

static long polls(void)
{
	return syscall(SYS_poll, NULL, 0, 0);
}

static long closes(void)
{
	return syscall(SYS_close_range, 100U, 200U, 0U);
}

static long signals(void)
{
	return kill(getpid(), 0);
}

/* As a thread's heap grows in glibc. */
static long grows(void)
{
	return mprotect((void *)0x10000, 4096, PROT_READ | PROT_WRITE);
}

static long makes_code(void)
{
	return mprotect((void *)0x10000, 4096, PROT_READ | PROT_EXEC);
}

/* getpid by the door of 32-bit programs. */
static long compat(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
	return r;
}

static long x32(void)
{
	return syscall(0x40000000 | SYS_write, -1, "", 0);
}

Test(jail, every_thread_may_write_to_what_is_open)
{
	for (int kind = JAIL_VCPU; kind <= JAIL_PROXY; kind++)
		cr_assert_eq(dies_of((enum jail_kind)kind, writes, NULL, 0), 0, "kind %d", kind);
}

Test(jail, no_thread_may_execute_or_make_a_socket_or_use_another_door)
{
	long (*const forbidden[])(void) = { execs, sockets, maps_code, makes_code, compat, x32, nothing };

	for (int kind = JAIL_VCPU; kind <= JAIL_PROXY; kind++)
		for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
			cr_assert_eq(dies_of((enum jail_kind)kind, forbidden[i], NULL, 0), SIGSYS,
				     "kind %d, call %zu", kind, i);
}

Test(jail, only_file_systems_open_files)
{
	cr_assert_eq(dies_of(JAIL_VCPU, opens, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_LOOP, opens, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_FS, opens, NULL, 0), 0);
}

Test(jail, a_thread_has_the_ioctls_that_it_needs)
{
	cr_assert_eq(dies_of(JAIL_LOOP, asks_size, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_LOOP, pushes_input, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_VCPU, asks_size, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_FS, asks_size, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_VCPU, runs_kvm, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_VCPU, other_ioctl, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_LOOP, runs_kvm, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_VCPU, maps, NULL, 0), SIGSYS);
	cr_assert_eq(dies_of(JAIL_LOOP, maps, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_LOOP, grows, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_FS, grows, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_VCPU, grows, NULL, 0), SIGSYS);
}

/* The five sets of the calling thread, as in its status. */
static void read_sets(unsigned long long sets[5])
{
	char line[128];
	FILE *f = fopen("/proc/thread-self/status", "re");
	int n = 0;

	while (f && n < 5 && fgets(line, sizeof(line), f))
		n += sscanf(line, "Cap%*3s: %llx", &sets[n]);
	cr_assert_eq(n, 5);
	fclose(f);
}

enum { INHERITABLE, PERMITTED, EFFECTIVE, BOUNDING, AMBIENT };

Test(jail, a_buffer_may_become_large)
{
	cr_assert_eq(dies_of(JAIL_LOOP, grows_much, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_FS, grows_much, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_PROXY, grows_much, NULL, 0), 0);
}

Test(jail, who_stands_for_a_process_passes_on_and_nothing_else)
{
	long (*const allowed[])(void) = { polls, closes, asks_size, maps };
	long (*const forbidden[])(void) = { opens, signals, takes_signals, pushes_input, runs_kvm };

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		cr_assert_eq(dies_of(JAIL_PROXY, allowed[i], NULL, 0), 0, "call %zu", i);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		cr_assert_eq(dies_of(JAIL_PROXY, forbidden[i], NULL, 0), SIGSYS, "call %zu", i);
}

Test(jail, capabilities_are_given_up_but_those_to_keep)
{
	unsigned long long before[5], after[5];

	read_sets(before);
	cr_assert_eq(jail_keep(VM_FS_CAPS, NULL), 0);
	read_sets(after);
	cr_assert_eq(VM_FS_CAPS, 0x800000db);
	cr_assert_eq(after[PERMITTED], before[PERMITTED] & VM_FS_CAPS);
	cr_assert_eq(after[EFFECTIVE], after[PERMITTED]);
	cr_assert_eq(after[INHERITABLE] | after[AMBIENT], 0);
	cr_assert_eq(mknod("/tmp/bulkhead-jail-null", S_IFCHR | 0600, 0x103), -1);
	cr_assert_eq(errno, EPERM);

	cr_assert_eq(jail_keep(0, NULL), 0);
	read_sets(after);
	cr_assert_eq(after[PERMITTED] | after[EFFECTIVE], 0);
	/* Nothing comes back. */
	cr_assert_eq(jail_keep(VM_FS_CAPS, NULL), 0);
	read_sets(after);
	cr_assert_eq(after[PERMITTED], 0);
}

/* musl's pthread_kill(), which ends the vCPUs' threads. */
static long kicks(void)
{
	return syscall(SYS_tkill, syscall(SYS_gettid), 0);
}

Test(jail, the_loop_kicks_threads_with_either_libc)
{
	cr_assert_eq(dies_of(JAIL_LOOP, kicks, NULL, 0), 0);
	cr_assert_eq(dies_of(JAIL_FS, kicks, NULL, 0), SIGSYS);
}

Test(jail, the_callers_own_calls_can_be_added)
{
	static const int more[] = { SYS_openat };

	cr_assert_eq(dies_of(JAIL_LOOP, opens, more, 1), 0);
}
