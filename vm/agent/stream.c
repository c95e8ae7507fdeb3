/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - a port of the console on one side, a pipe or a terminal of the program's on the other
 *
 * A port whose host takes nothing stops the reading of its own pipe, and nothing else. A port of which
 * poll() says POLLHUP has no host: not yet, or no longer. The second is known by having seen one, or by
 * WIRE_ENDED; and when neither came for long, it is believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/oom.h"
#include "vm/agent/agent.h"
#include "vm/agent/port.h"

enum {
	NODE_MS = 2,            /* how often a node that is not there yet is looked for */
	HOST_MS = 30000,        /* how long a host may be without having been seen */
	DRAIN_STUCK_MS = 10000, /* how long a dead program's output waits for a host that takes nothing */
	TURNS = 4,              /* buffers for one stream before the others have theirs */
};

static void pump_begin(struct pump *p)
{
	p->bytes = malloc(AGENT_BUFFER);
	if (!p->bytes)
		oom_die();
	p->from = p->to = 0;
	p->has_ended = false;
}

static void open_port(struct stream *s)
{
	s->port_fd = port_open(s->port, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->port_fd >= 0)
		s->since_ms = agent_now_ms();
}

static void begin(struct stream *s, unsigned port)
{
	*s = (struct stream){ .port = port, .port_fd = -1, .fd = -1, .at_port = -1, .at_fd = -1 };
	s->since_ms = agent_now_ms();
	open_port(s);
}

int stream_begin(struct stream *s, unsigned port, int stream, int *ret_child, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe for a stream");

	int ours = stream == 0 ? ends[1] : ends[0];

	fcntl(ours, F_SETFL, O_NONBLOCK);
	begin(s, port);
	s->fd = ours;
	pump_begin(stream == 0 ? &s->in : &s->out);
	*ret_child = stream == 0 ? ends[0] : ends[1];
	return 0;
}

void stream_begin_terminal(struct stream *s, unsigned port)
{
	begin(s, port);
	s->is_terminal = true;
	pump_begin(&s->in);
	pump_begin(&s->out);
}

void stream_take_master(struct stream *s, int master)
{
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	s->fd = master;
}

int stream_wait(struct stream *s, int timeout_ms, struct error *err)
{
	int64_t deadline = agent_now_ms() + timeout_ms;

	while (s->port && s->port_fd < 0) {
		open_port(s);
		if (s->port_fd >= 0)
			break;
		if (agent_now_ms() > deadline)
			return error_rule(err, ETIMEDOUT, "port %u of the console does not appear in the guest", s->port);
		usleep(500);
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(TAKE_FD(*fd));
}

static bool has_room(const struct pump *p)
{
	return p->bytes && !p->has_ended && p->from == p->to;
}

static bool has_bytes(const struct pump *p)
{
	return p->bytes && p->from < p->to;
}

void stream_watch(struct stream *s, struct polls *p)
{
	s->at_port = s->at_fd = -1;
	if (!s->port || s->is_finished)
		return;
	if (s->port_fd < 0) {
		polls_hurry(p, NODE_MS);
		return;
	}
	/* Without a host poll() returns at once, for ever: look again in a while. */
	if (!s->was_connected) {
		polls_hurry(p, NODE_MS);
	} else {
		short events = (short)((has_room(&s->in) && (s->fd >= 0 || s->is_terminal) ? POLLIN : 0) |
				       (has_bytes(&s->out) ? POLLOUT : 0));

		/* POLLHUP comes unasked: wanted where it says that nobody listens, else it would come for ever. */
		if (events || (s->out.bytes && !s->out.has_ended && s->fd >= 0))
			s->at_port = polls_add(p, s->port_fd, events);
	}

	short events = (short)((has_room(&s->out) && s->was_connected ? POLLIN : 0) | (has_bytes(&s->in) ? POLLOUT : 0));

	/* A pipe says POLLHUP or POLLERR unasked: only while that interests. */
	if (s->fd >= 0 && events)
		s->at_fd = polls_add(p, s->fd, events);
}

/* 1: moved something, 0: nothing now, -1: nothing more. */
static int fill(struct pump *p, int fd)
{
	ssize_t n = read(fd, p->bytes, AGENT_BUFFER);

	if (n > 0) {
		p->from = 0;
		p->to = (size_t)n;
		return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int empty(struct pump *p, int fd)
{
	ssize_t n = write(fd, p->bytes + p->from, p->to - p->from);

	if (n >= 0) {
		p->from += (size_t)n;
		return n > 0;
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* Nobody sends any more: a pipe ends, a terminal hangs up. */
static void input_ended(struct stream *s)
{
	s->in.has_ended = true;
	if (!has_bytes(&s->in))
		close_fd(&s->fd);
}

/* Nobody takes it any more: the program has a broken pipe, and the terminal is gone. */
static void output_unwanted(struct stream *s)
{
	s->out.from = s->out.to = 0;
	s->out.has_ended = true;
	close_fd(&s->fd);
}

static void move_in(struct stream *s)
{
	for (int i = 0; i < TURNS; i++) {
		int r = 0;

		if (has_bytes(&s->in)) {
			if (s->fd < 0)
				return; /* the terminal does not exist yet */
			r = empty(&s->in, s->fd);
			if (r < 0) { /* the program reads no more: who writes is to know */
				s->in.from = s->in.to = 0;
				s->in.has_ended = true;
				if (!s->is_terminal) {
					close_fd(&s->fd);
					close_fd(&s->port_fd);
					s->is_finished = true;
				}
				return;
			}
			if (has_bytes(&s->in))
				return;
		}
		if (s->in.has_ended) {
			close_fd(&s->fd);
			return;
		}
		r = fill(&s->in, s->port_fd);
		if (r == 0)
			return;
		if (r < 0) {
			/* A port without a host reads as an end. */
			if (s->was_connected || s->host_ended)
				input_ended(s);
			return;
		}
		s->since_ms = agent_now_ms();
	}
}

static void move_out(struct stream *s)
{
	for (int i = 0; i < TURNS; i++) {
		if (has_bytes(&s->out)) {
			int r = empty(&s->out, s->port_fd);

			if (r < 0) {
				output_unwanted(s);
				return;
			}
			if (r > 0)
				s->since_ms = agent_now_ms();
			if (has_bytes(&s->out))
				return;
		}
		if (s->out.has_ended || s->fd < 0)
			return;

		int r = fill(&s->out, s->fd);

		if (r == 0)
			return;
		if (r < 0) { /* all of the program's ends are closed; EIO of a terminal */
			s->out.has_ended = true;
			return;
		}
	}
}

/* Has the port a host? Once it had one and has none, nobody listens. */
static bool look_for_host(struct stream *s)
{
	struct pollfd p = { .fd = s->port_fd };

	if (poll(&p, 1, 0) < 0 || !(p.revents & POLLHUP)) {
		s->was_connected = true;
		return true;
	}
	if (!s->was_connected && (s->host_ended || agent_now_ms() - s->since_ms > HOST_MS))
		s->was_connected = true; /* it came and went */
	return false;
}

void stream_turn(struct stream *s, const struct polls *p)
{
	if (!s->port || s->is_finished)
		return;
	if (s->port_fd < 0)
		open_port(s);
	if (s->port_fd < 0)
		return;
	if (s->was_connected && !polls_events(p, s->at_port) && !polls_events(p, s->at_fd) && !s->host_ended)
		return;

	bool has_host = look_for_host(s);

	if (s->in.bytes && (s->was_connected || s->host_ended))
		move_in(s);
	if (!s->out.bytes)
		return;
	if (!has_host && s->was_connected)
		output_unwanted(s);
	else if (has_host)
		move_out(s);
}

bool stream_drain(struct stream *s)
{
	if (!s->port || s->is_finished)
		return true;
	if (s->port_fd < 0) {
		open_port(s);
		if (s->port_fd < 0)
			return agent_now_ms() - s->since_ms > DRAIN_STUCK_MS;
	}
	if (!s->out.bytes)
		return true;

	bool has_host = look_for_host(s);

	if (!has_host && s->was_connected)
		return true;
	if (has_host)
		move_out(s);
	if (!has_bytes(&s->out) && (s->out.has_ended || s->fd < 0))
		return true;
	if (!has_bytes(&s->out)) {
		/* Others of the container may hold the pipe: what is in it now is all that counts. */
		struct pollfd p = { .fd = s->fd, .events = POLLIN };

		if (s->was_connected && (poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN)))
			return true;
	}
	return agent_now_ms() - s->since_ms > DRAIN_STUCK_MS;
}

void stream_end(struct stream *s)
{
	if (!s->port)
		return;
	close_fd(&s->fd);
	close_fd(&s->port_fd);
	free(TAKE_PTR(s->in.bytes));
	free(TAKE_PTR(s->out.bytes));
	s->is_finished = true;
}
