/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - stands for a name server that listens on the loopback of the host's network namespace: its address is loopback
 * here as well, so what the container asks arrives here, and goes to the host as it is
 *
 * Each question gets a number of its own on the way, since all come from one socket at the other end. What is not
 * answered is forgotten when its place is needed. UDP alone: a server says itself when an answer is too long for that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/agent/agent.h"

enum { AT_ONCE = 16, MOST_WAITING = 256 << 10, DNS_PORT = 53, LEAST = 12 /* the header: RFC 1035, 4.1.1 */ };

int names_begin(struct names *s, const uint8_t address[static 4], struct error *err)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) };
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	memcpy(&here.sin_addr, address, 4);
	if (fd < 0)
		return error_set(err, errno, "make a socket for names");
	/* For a name server of the container's that allows the same and listens on every address. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		return error_set(err, errno, "bind a socket to the name server's address");
	s->fd = TAKE_FD(fd);
	return 0;
}

void names_watch(struct agent *a)
{
	a->names.at = polls_add(&a->polls, a->names.fd, POLLIN);
}

static void ask(struct agent *a, const struct sockaddr_in *who, uint8_t *bytes, size_t n)
{
	struct names *s = &a->names;
	uint16_t ours = ++s->last;
	unsigned i = ours % NAMES_ASKED;

	memcpy(&s->asked[i].theirs, bytes, sizeof(ours));
	s->asked[i].who = *who;
	s->asked[i].ours = ours;
	s->asked[i].is_open = true;
	memcpy(bytes, &ours, sizeof(ours));

	size_t at = channel_begin(a, WIRE_QUESTION, 0);

	wire_add(&a->out, WIRE_T_DATAGRAM, bytes, n);
	channel_send(a, at);
}

void names_turn(struct agent *a)
{
	uint8_t bytes[WIRE_MAX_DATAGRAM];

	if (!polls_events(&a->polls, a->names.at))
		return;
	for (int i = 0; i < AT_ONCE; i++) {
		struct sockaddr_in who = { .sin_port = 0 };
		socklen_t size = sizeof(who);
		ssize_t n = recvfrom(a->names.fd, bytes, sizeof(bytes), MSG_TRUNC, (struct sockaddr *)&who, &size);

		if (n < 0)
			break;
		if (n >= LEAST && n <= (ssize_t)sizeof(bytes) && a->out.len - a->out_done < MOST_WAITING)
			ask(a, &who, bytes, (size_t)n);
	}
}

void names_answer(struct agent *a, const void *payload, size_t n)
{
	struct names *s = &a->names;
	uint8_t bytes[WIRE_MAX_DATAGRAM];
	struct wire_item item;
	uint16_t ours;

	if (s->fd < 0 || !wire_find(payload, n, WIRE_T_DATAGRAM, &item) || item.n < LEAST || item.n > sizeof(bytes))
		return;
	memcpy(bytes, item.bytes, item.n);
	memcpy(&ours, bytes, sizeof(ours));

	unsigned i = ours % NAMES_ASKED;

	if (!s->asked[i].is_open || s->asked[i].ours != ours)
		return; /* too late */
	s->asked[i].is_open = false;
	memcpy(bytes, &s->asked[i].theirs, sizeof(ours));
	sendto(s->fd, bytes, item.n, MSG_DONTWAIT, (struct sockaddr *)&s->asked[i].who, sizeof(s->asked[i].who));
}
