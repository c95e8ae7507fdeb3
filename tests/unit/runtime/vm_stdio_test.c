/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_stdio.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* A write that waits ends the test. */
TestSuite(vm_stdio, .timeout = 20);

/* Criterion talks through the standard descriptors: they are put back. */
static void take_as(int fd, int target, int child[3])
{
	struct stdio_facts facts, one = { .is_pipe = { false } };
	int kept = fcntl(target, F_DUPFD_CLOEXEC, 10);

	cr_assert_eq(dup2(fd, target), target);
	stdio_look(&facts);
	one.is_pipe[target] = facts.is_pipe[target];
	one.is_terminal[target] = facts.is_terminal[target];
	wall_take_stdio(&one, child);
	cr_assert_eq(dup2(kept, target), target);
	close(kept);
}

static int flags_of(int fd)
{
	return fcntl(fd, F_GETFL);
}

Test(vm_stdio, a_full_pipe_whose_flags_are_the_callers_does_not_wait)
{
	int ends[2], child[3] = { -1, -1, -1 };
	char page[4096] = { 0 };
	ssize_t n;

	cr_assert_eq(pipe(ends), 0);
	take_as(ends[1], 1, child);
	cr_assert_geq(child[1], 0);
	cr_assert_eq(flags_of(ends[1]) & O_NONBLOCK, 0, "the caller's own flags have changed");
	while ((n = write(child[1], page, sizeof(page))) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(read(ends[0], page, 5), 5);

	/* Who reads has the end of file when all have closed. */
	close(ends[1]);
	close(child[1]);
	while ((n = read(ends[0], page, sizeof(page))) > 0)
		;
	cr_assert_eq(n, 0);
}

Test(vm_stdio, an_empty_pipe_does_not_wait_and_ends_with_its_writers)
{
	int ends[2], child[3] = { -1, -1, -1 };
	char byte;

	cr_assert_eq(pipe(ends), 0);
	take_as(ends[0], 0, child);
	cr_assert_geq(child[0], 0);
	cr_assert_eq(read(child[0], &byte, 1), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(read(child[0], &byte, 1), 1);
	close(ends[1]);
	cr_assert_eq(read(child[0], &byte, 1), 0);
}

Test(vm_stdio, a_pipe_without_a_reader_stays_one)
{
	int ends[2], child[3] = { -1, -1, -1 };

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	take_as(ends[1], 1, child);
	cr_assert_geq(child[1], 0);
	cr_assert_eq(write(child[1], "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
}

Test(vm_stdio, a_stopped_terminal_does_not_wait)
{
	int master, slave, child[3] = { -1, -1, -1 };
	struct pollfd p = { .events = POLLOUT };

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	take_as(slave, 2, child);
	cr_assert_geq(child[2], 0);
	cr_assert_eq(flags_of(slave) & O_NONBLOCK, 0);
	cr_assert_eq(tcflow(slave, TCOOFF), 0);
	p.fd = child[2];
	cr_assert_eq(write(child[2], "text", 4), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(poll(&p, 1, 0), 0, "a stopped terminal is no reason to wake up");
	cr_assert_eq(tcflow(slave, TCOON), 0);
	cr_assert_eq(poll(&p, 1, 1000), 1);
	cr_assert_eq(write(child[2], "text", 4), 4);

	/* Nor does one that nobody reads: there a part of a write would wait for room. */
	char page[4096] = { 0 };
	ssize_t n;

	while ((n = write(child[2], page, sizeof(page))) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
}

Test(vm_stdio, what_cannot_be_opened_again_stays)
{
	int ends[2], master, slave, child[3] = { -1, -1, -1 };

	/* A named one that nobody reads (fifo(7)). */
	char path[] = "/tmp/vm-stdio-XXXXXX";

	cr_assert_not_null(mkdtemp(path));

	int dir = open(path, O_RDONLY | O_DIRECTORY);

	cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
	ends[0] = openat(dir, "fifo", O_RDONLY | O_NONBLOCK);
	ends[1] = openat(dir, "fifo", O_WRONLY);
	close(ends[0]);
	take_as(ends[1], 1, child);
	cr_assert_eq(child[1], -1);
	unlinkat(dir, "fifo", 0);
	rmdir(path);

	/* The right that is asked for is not the caller's. */
	cr_assert_eq(pipe(ends), 0);
	take_as(ends[0], 1, child);
	take_as(ends[1], 0, child);
	cr_assert_eq(child[0], -1);
	cr_assert_eq(child[1], -1);

	/* It would be another one. */
	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	take_as(master, 1, child);
	cr_assert_eq(child[1], -1);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	take_as(ends[0], 1, child);
	cr_assert_eq(child[1], -1);
}

Test(vm_stdio, a_pipe_of_our_own_is_made_not_to_wait)
{
	int ends[2], child[3] = { -1, -1, -1 };

	cr_assert_eq(pipe(ends), 0);
	child[1] = ends[1];
	wall_take_stdio(&(struct stdio_facts){ .is_terminal = { true, true, true } }, child);
	cr_assert_eq(child[1], ends[1]);
	cr_assert(flags_of(ends[1]) & O_NONBLOCK);
	cr_assert_eq(flags_of(ends[0]) & O_NONBLOCK, 0);
}
