/* SPDX-License-Identifier: Apache-2.0 */
/* A socket stands for the port: a host whose end is closed shows as POLLHUP, as with the console. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/agent/agent.h"

static struct stream s;
static int host, program;
static struct polls polls;

static void begin(int stream)
{
	struct error err = ERROR_INIT;
	int pair[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)));
	cr_assert(zero(int, stream_begin(&s, 31, stream, &program, &err)));
	cr_assert(eq(int, s.port_fd, -1));
	s.port_fd = pair[0];
	host = pair[1];
	polls = (struct polls){ .n = 0 };
}

/* Turns until nothing happens for a moment; how often it was woken. */
static int settle(void)
{
	for (int i = 0;; i++) {
		polls.n = 0;
		polls.timeout_ms = 50;
		stream_watch(&s, &polls);
		cr_assert(lt(int, i, 1000), "it is woken for ever");
		if (poll(polls.v, polls.n, polls.timeout_ms) == 0 && s.was_connected)
			return i;
		stream_turn(&s, &polls);
	}
}

static size_t fill_up(int fd)
{
	static char bytes[4096];
	size_t all = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = write(fd, bytes, sizeof(bytes))) > 0)
		all += (size_t)n;
	return all;
}

static size_t take_all(int fd)
{
	char bytes[4096];
	size_t all = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		all += (size_t)n;
	return all;
}

Test(stream, input_reaches_the_program_and_so_does_its_end)
{
	char text[16] = "";

	begin(0);
	cr_assert(eq(long, write(host, "hello", 5), 5));
	settle();
	cr_assert(eq(long, read(program, text, sizeof(text)), 5));
	close(host);
	settle();
	cr_assert(eq(long, read(program, text, sizeof(text)), 0));
}

Test(stream, a_host_that_went_before_it_was_seen_is_an_end)
{
	char text[16] = "";

	begin(0);
	cr_assert(eq(long, write(host, "hello", 5), 5));
	close(host);
	s.host_ended = true;
	settle();
	cr_assert(eq(long, read(program, text, sizeof(text)), 5));
	cr_assert(eq(long, read(program, text, sizeof(text)), 0));
}

Test(stream, a_program_that_reads_nothing_wakes_nobody_though_the_host_has_ended)
{
	begin(0);
	settle();
	for (int i = 0; i < 8; i++) {
		fill_up(host);
		settle();
	}
	close(host);
	cr_assert(lt(int, settle(), 8));

	/* And all of it arrives later. */
	size_t all = 0, n;

	while ((n = take_all(program)) > 0) {
		all += n;
		settle();
	}
	cr_assert(gt(sz, all, 65536));
	cr_assert(eq(long, read(program, &n, 1), 0));
}

Test(stream, a_program_that_closes_its_input_closes_the_port)
{
	begin(0);
	settle();
	close(program);
	cr_assert(eq(long, write(host, "x", 1), 1));
	settle();
	cr_assert(s.is_finished);
	cr_assert(eq(long, write(host, "x", 1), -1));
	cr_assert(stream_drain(&s));
}

Test(stream, output_is_not_taken_before_there_is_a_host_nor_while_it_takes_nothing)
{
	begin(1);
	settle();

	size_t full = fill_up(s.port_fd); /* the host's queue */
	size_t written = 0, n;

	for (int i = 0; i < 16; i++) {
		n = fill_up(program);
		written += n;
		settle();
		if (!n)
			break;
	}
	/* A pipe's worth and a buffer's: it waits. */
	cr_assert(lt(sz, written, 2 * 65536 + AGENT_BUFFER));
	cr_assert(lt(int, settle(), 4));
	cr_assert(not(stream_drain(&s)));

	size_t got = 0;

	while ((n = take_all(host)) > 0) {
		got += n;
		settle();
	}
	cr_assert(eq(sz, got, full + written));
	cr_assert(stream_drain(&s));
}

Test(stream, a_reader_that_goes_breaks_the_programs_pipe)
{
	begin(1);
	settle();
	close(host);
	settle();
	cr_assert(eq(long, write(program, "x", 1), -1));
	cr_assert(stream_drain(&s));
}

Test(stream, a_dead_programs_output_is_drained_though_another_holds_the_pipe)
{
	char text[16] = "";

	begin(1);
	settle();
	cr_assert(eq(long, write(program, "last", 4), 4));
	cr_assert(stream_drain(&s) || stream_drain(&s));
	stream_end(&s);
	cr_assert(eq(long, read(host, text, sizeof(text)), 4));
	cr_assert(eq(long, read(host, text, sizeof(text)), 0));
	cr_assert(eq(long, write(program, "x", 1), -1));
}
