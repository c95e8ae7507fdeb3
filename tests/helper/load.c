/* SPDX-License-Identifier: Apache-2.0 */

/*
 * load - work for the limits to be felt
 *
 *	load spin [N]            N processes (1) that use all the CPU they get
 *	load eat MIB [STEP_MS]   touches memory, MiB by MiB with that pause, says "eaten MIB" and keeps it
 *	load cache MIB FILE      fills the page cache with a file, says "cached MIB" and sleeps: memory that can be had back
 *	load bomb                every process forks as fast as it can, for ever
 *	load children N          N children that share its memory and sleep; says "children N"
 *	load churn N             N processes that each fork a child, wait for it, and again
 *	load busy N              one that spins, one that churns, and N children
 *
 * Static and small, so that ten thousand children are a matter of process
 * structures alone. Does not include <linux/...>: it builds with musl.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB        (1ul << 20)
#define STACK_SIZE 512 /* of a child that only pauses */

static int failed(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	return 1;
}

static int said(const char *word, long n)
{
	printf("%s %ld\n", word, n);
	return fflush(stdout) == 0 ? 0 : failed("stdout");
}

static _Noreturn void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static _Noreturn void spin(void)
{
	for (volatile unsigned long n = 0;; n++)
		;
}

static int cmd_spin(long n, char **rest)
{
	(void)rest;
	for (long i = 1; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return failed("fork");
		if (pid == 0)
			spin();
	}
	if (said("spinning", n))
		return 1;
	spin();
}

static int cmd_eat(long mib, char **rest)
{
	long ms = rest[0] ? strtol(rest[0], NULL, 10) : 0;
	struct timespec pause_time = { ms / 1000, ms % 1000 * 1000000 };

	for (long i = 0; i < mib; i++) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return failed("mmap");
		memset(p, 1, MIB);
		if (ms)
			nanosleep(&pause_time, NULL);
	}
	if (said("eaten", mib))
		return 1;
	sleep_for_ever();
}

/* Written and synced, so that the kernel may drop the pages. */
static int cmd_cache(long mib, char **rest)
{
	static char block[MIB];
	int fd = rest[0] ? open(rest[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return failed("open");
	for (long i = 0; i < mib; i++)
		if (write(fd, block, MIB) != (ssize_t)MIB)
			return failed("write");
	if (fsync(fd) < 0)
		return failed("fsync");
	if (said("cached", mib))
		return 1;
	sleep_for_ever();
}

static int cmd_bomb(long n, char **rest)
{
	(void)n;
	(void)rest;
	if (said("bomb", 0))
		return 1;
	signal(SIGCHLD, SIG_IGN);
	for (;;)
		fork();
}

static int wait_for_signal(void *none)
{
	(void)none;
	sleep_for_ever();
}

static int cmd_children(long n, char **rest)
{
	(void)rest;

	char *stacks = mmap(NULL, (size_t)n * STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stacks == MAP_FAILED)
		return failed("mmap");
	for (long i = 1; i <= n; i++)
		if (clone(wait_for_signal, stacks + i * STACK_SIZE, CLONE_VM | SIGCHLD, NULL) < 0)
			return failed("clone");
	if (said("children", n))
		return 1;
	sleep_for_ever();
}

static _Noreturn void churn(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

static int cmd_churn(long n, char **rest)
{
	(void)rest;
	for (long i = 1; i < n; i++)
		if (fork() == 0)
			churn();
	if (said("churning", n))
		return 1;
	churn();
}

static int cmd_busy(long n, char **rest)
{
	if (fork() == 0)
		spin();
	if (fork() == 0)
		churn();
	return cmd_children(n, rest);
}

static const struct {
	const char *name;
	int (*run)(long n, char **rest);
} commands[] = {
	{ "spin", cmd_spin }, { "eat", cmd_eat },           { "cache", cmd_cache },
	{ "bomb", cmd_bomb }, { "children", cmd_children }, { "churn", cmd_churn },
	{ "busy", cmd_busy },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc > 2 ? strtol(argv[2], NULL, 10) : 1, argc > 2 ? argv + 3 : argv + 2);
	fprintf(stderr, "usage: load spin|eat|cache|bomb|children|churn|busy [N] …\n");
	return 2;
}
