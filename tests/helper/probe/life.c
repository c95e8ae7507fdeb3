/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to live, to multiply and to end. */
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int cmd_sleep(char **argv)
{
	double seconds = strtod(arg(argv, 0, "1000"), NULL);
	struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return 0;
}

static int cmd_exit(char **argv)
{
	return (int)number(argv, 0, 0);
}

static int cmd_die(char **argv)
{
	signal((int)number(argv, 0, SIGKILL), SIG_DFL);
	kill(getpid(), (int)number(argv, 0, SIGKILL));
	return 99; /* pid 1 of a namespace does not die of its own signals */
}

/* Says "ready", then names each signal; ends on SIGTERM, SIGINT or SIGQUIT with 100 + its number. */
static int cmd_signal_wait(char **argv)
{
	(void)argv;
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	sigprocmask(SIG_BLOCK, &all, NULL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int s = 0;
		if (sigwait(&all, &s) != 0)
			continue;
		printf("signal %d\n", s);
		fflush(stdout);
		if (s == SIGTERM || s == SIGINT || s == SIGQUIT)
			return 100 + s;
	}
}

static int cmd_spin(char **argv)
{
	time_t end = time(NULL) + number(argv, 0, 1000);
	while (time(NULL) < end)
		;
	return 0;
}

/* probe fill MIB: touches that much memory, says so, and stays. */
static int cmd_fill(char **argv)
{
	size_t size = (size_t)number(argv, 0, 1) << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return verdict(false);
	memset(p, 1, size);
	puts("filled");
	fflush(stdout);
	pause();
	return 0;
}

/* probe forks N: how many of N children could be made. */
static int cmd_forks(char **argv)
{
	long wanted = number(argv, 0, 1), made = 0;
	int why = 0;
	for (; made < wanted; made++) {
		pid_t pid = fork();
		if (pid < 0) {
			why = errno;
			break;
		}
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	printf("forks %ld\nstopped %s\n", made, why ? errno_name(why) : "no");
	return 0;
}

/* probe orphan: leaves a sleeping grandchild in a session of its own behind, and exits. */
static int cmd_orphan(char **argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		for (;;)
			pause();
	}
	return (int)number(argv, 0, 0);
}

/* probe tree N: N sleeping children, then says "ready" and waits itself. */
static int cmd_tree(char **argv)
{
	for (long i = 0; i < number(argv, 0, 3); i++) {
		if (fork() == 0) {
			for (;;)
				pause();
		}
	}
	puts("ready");
	fflush(stdout);
	return pause();
}

const struct fact facts_of_life[] = {
	{ "sleep", cmd_sleep },
	{ "exit", cmd_exit },
	{ "die", cmd_die },
	{ "signal-wait", cmd_signal_wait },
	{ "spin", cmd_spin },
	{ "fill", cmd_fill },
	{ "forks", cmd_forks },
	{ "orphan", cmd_orphan },
	{ "tree", cmd_tree },
	{ NULL, NULL },
};
