/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - questions of the guest to a name server on the loopback of the host's network namespace (Docker has one there,
 * at 127.0.0.11), and its answers
 *
 * The socket is connected, so there is nobody else whom the guest could talk to. What cannot be passed on at once is
 * dropped, as datagrams are: who asked asks again.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "spec/base/auto.h"
#include "vm/session/core.h"

enum { AT_ONCE = 16, LEAST = 12 /* the header: RFC 1035, 4.1.1 */ };

static void pass_answer(struct core *c, const void *bytes, size_t n)
{
	auto_buf struct buf b = BUF_INIT;

	if (c->state < CORE_WAITING || c->out.len - c->out_done > CORE_MAX_ANSWERS)
		return;

	size_t at = wire_begin(&b, WIRE_ANSWER, 0);

	wire_add(&b, WIRE_T_DATAGRAM, bytes, n);
	wire_end(&b, at);
	channel_send(c, &b);
}

static void on_answers(void *arg, uint32_t events)
{
	struct core *c = arg;
	char bytes[WIRE_MAX_DATAGRAM];

	(void)events;
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = recv(c->names_fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		/* Also that nobody listens there, which the kernel tells once for each question. */
		if (n < 0)
			break;
		if (n >= LEAST && n <= (ssize_t)sizeof(bytes))
			pass_answer(c, bytes, (size_t)n);
	}
}

int names_begin(struct core *c, struct error *err)
{
	int r = c->names_fd < 0 ? 0 : virtio_loop_watch(c->loop, c->names_fd, EPOLLIN, on_answers, c);

	return r < 0 ? error_set(err, -r, "wait for the name server") : 0;
}

void names_end(struct core *c)
{
	if (c->names_fd >= 0)
		virtio_loop_forget(c->loop, c->names_fd);
	auto_closep(&c->names_fd);
	c->names_fd = -1;
}

void names_ask(struct core *c, const void *payload, size_t n)
{
	struct wire_item item;

	if (c->names_fd < 0 || c->state < CORE_WAITING)
		core_break(c, "it asks for names where nobody is to be asked");
	else if (!wire_find(payload, n, WIRE_T_DATAGRAM, &item) || item.n < LEAST || item.n > WIRE_MAX_DATAGRAM)
		core_break(c, "its question for a name is none");
	else if (send(c->names_fd, item.bytes, item.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
		/* An earlier one was told only now, and this one was not sent. */
		(void)send(c->names_fd, item.bytes, item.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}
