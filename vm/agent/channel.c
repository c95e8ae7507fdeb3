/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel - frames on port 1. Reading and writing never wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vm/agent/agent.h"

enum { OPEN_TIMEOUT_MS = 30000, READ_MOST = 65536 };

static const char port[] = "/dev/vport0p1";

/* The driver makes the node, and learns that the host has opened its end, some time after it was loaded. */
int channel_open(struct agent *a, struct error *err)
{
	int64_t deadline = agent_now_ms() + OPEN_TIMEOUT_MS;

	for (;;) {
		struct pollfd p = { .fd = a->channel };

		if (a->channel < 0)
			a->channel = openat(AT_FDCWD, port, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (a->channel < 0 && errno != ENOENT && errno != ENODEV && errno != ENXIO)
			return error_set(err, errno, "open %s", port);
		p.fd = a->channel;
		if (a->channel >= 0 && poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP))
			return 0;
		if (agent_now_ms() > deadline)
			return error_rule(err, ETIMEDOUT, "%s has no host at its other end", port);
		usleep(500);
	}
}

void channel_watch(struct agent *a)
{
	a->at_channel = polls_add(&a->polls, a->channel, POLLIN | (a->out.len ? POLLOUT : 0));
}

static void flush(struct agent *a)
{
	while (a->out_done < a->out.len) {
		ssize_t n = write(a->channel, a->out.data + a->out_done, a->out.len - a->out_done);

		if (n <= 0)
			break; /* EAGAIN: later */
		a->out_done += (size_t)n;
	}
	if (a->out_done == a->out.len) {
		a->out_done = 0;
		buf_reset(&a->out);
	}
}

size_t channel_begin(struct agent *a, enum wire_type type, uint32_t id)
{
	return wire_begin(&a->out, type, id);
}

void channel_send(struct agent *a, size_t at)
{
	wire_end(&a->out, at);
	flush(a);
}

void channel_reply(struct agent *a, uint32_t id, const struct error *err)
{
	size_t at = channel_begin(a, WIRE_REPLY, id);

	if (err)
		wire_add_error(&a->out, err);
	channel_send(a, at);
}

static void end_of_host(void)
{
	struct error err = ERROR_INIT;

	error_rule(&err, EPIPE, "the host's end of the channel is gone");
	system_end(&err);
}

void channel_turn(struct agent *a)
{
	short events = polls_events(&a->polls, a->at_channel);
	char bytes[READ_MOST];
	struct wire_header h;
	const void *payload;
	int r;

	if (a->out.len)
		flush(a);
	if (events & (POLLIN | POLLHUP)) {
		ssize_t n = read(a->channel, bytes, sizeof(bytes));

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			end_of_host();
		if (n > 0)
			wire_inbox_add(&a->in, bytes, (size_t)n);
	}
	while ((r = wire_inbox_next(&a->in, &h, &payload)) > 0)
		serve(a, &h, payload);
	if (r < 0)
		end_of_host();
}
