/* SPDX-License-Identifier: Apache-2.0 */

/*
 * stopwatch - starts programs and says what they took
 *
 * The driver keeps one of it running and asks for each measurement, so that neither
 * the driver's size nor its interpreter is part of a figure. It is small also because
 * a program started by vfork() inherits the memory peak of who started it.
 *
 * A request on stdin is one line: how many copies to start at once, the number of
 * arguments, and the length of what follows; then the arguments, each with its
 * terminating zero. In the arguments '@' stands for the number of the copy. The answer
 * on stdout is one line: nanoseconds from the first start to the last end, processor
 * microseconds, largest peak resident set in kB, how many ended with another status
 * than zero, and the last such status (as a shell shows it; 127: not started).
 */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COPIES 256
#define ARGUMENTS 32
#define TEXT 4096

struct result {
	long long ns, cpu_us;
	long peak_kb;
	int bad, status;
};

static char text[COPIES][TEXT];
static char *argvs[COPIES][ARGUMENTS + 1];

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu_us(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000LL + u->ru_utime.tv_usec +
	       u->ru_stime.tv_usec;
}

/* One copy's argv, with its number in the place of each '@'. False: it is too long. */
static bool fill(int copy, const char *arguments, int argc)
{
	char *to = text[copy], *end = to + TEXT;

	for (int i = 0; i < argc; i++, arguments++) {
		argvs[copy][i] = to;
		for (; *arguments; arguments++) {
			int n = *arguments == '@'
					? snprintf(to, (size_t)(end - to), "%d", copy)
					: snprintf(to, (size_t)(end - to), "%c", *arguments);
			if (n >= end - to)
				return false;
			to += n;
		}
		to++;
		if (to >= end)
			return false;
	}
	argvs[copy][argc] = NULL;
	return true;
}

static void start_all(int copies, pid_t *pids)
{
	for (int i = 0; i < copies; i++) {
		pids[i] = vfork();
		if (pids[i] == 0) {
			execv(argvs[i][0], argvs[i]);
			_exit(127);
		}
	}
}

static void wait_for_all(int copies, const pid_t *pids, struct result *sum)
{
	for (int i = 0; i < copies; i++) {
		struct rusage usage;
		int status = 127 << 8;

		if (pids[i] > 0 && wait4(pids[i], &status, 0, &usage) == pids[i]) {
			sum->cpu_us += cpu_us(&usage);
			if (usage.ru_maxrss > sum->peak_kb)
				sum->peak_kb = usage.ru_maxrss;
		}
		if (status != 0) {
			sum->bad++;
			sum->status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}

/* The programs see /dev/null; the driver's pipes keep numbers that they do not inherit. */
static void take_pipes(FILE **requests, FILE **answers)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	*requests = fdopen(fcntl(0, F_DUPFD_CLOEXEC, 3), "r");
	*answers = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
	if (!*requests || !*answers || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		exit(2);
}

int main(void)
{
	FILE *requests, *answers;
	char arguments[TEXT];
	int copies, argc, length;

	take_pipes(&requests, &answers);
	while (fscanf(requests, "%d %d %d", &copies, &argc, &length) == 3 &&
	       fgetc(requests) == '\n') {
		struct result r = { 0 };
		pid_t pids[COPIES];

		if (copies < 1 || copies > COPIES || argc < 1 || argc > ARGUMENTS || length < 1 ||
		    length > TEXT ||
		    fread(arguments, 1, (size_t)length, requests) != (size_t)length)
			return 2;
		for (int i = 0; i < copies; i++)
			if (!fill(i, arguments, argc))
				return 2;

		long long began = now();
		start_all(copies, pids);
		wait_for_all(copies, pids, &r);
		r.ns = now() - began;
		fprintf(answers, "%lld %lld %ld %d %d\n", r.ns, r.cpu_us, r.peak_kb, r.bad,
			r.status);
		fflush(answers);
	}
	return 0;
}
