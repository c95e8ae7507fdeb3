/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients - commands on the socket: their bytes and descriptors
 *
 * One that does not read what it asked for is dropped when its share is full; one that does not stop asking meets
 * the bound of requests. A client is never freed while something of its own is being worked on: it is marked,
 * and goes at the end of the turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/session/core.h"

static void on_client(void *arg, uint32_t events);
static void on_listener(void *arg, uint32_t events);

/* ---- to a client ---- */

static void flush(struct client *cl)
{
	while (cl->out_done < cl->out.len) {
		ssize_t n = send(cl->fd, cl->out.data + cl->out_done, cl->out.len - cl->out_done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			cl->is_doomed = true;
		if (n < 0)
			break;
		cl->out_done += (size_t)n;
	}
	if (cl->out_done == cl->out.len) {
		cl->out_done = 0;
		if (cl->out.cap > CORE_KEEP)
			buf_release(&cl->out);
		else
			buf_reset(&cl->out);
	}
	virtio_loop_change(cl->core->loop, cl->fd, EPOLLIN | (cl->out.len ? EPOLLOUT : 0));
}

void client_send(struct client *cl, struct buf *b)
{
	if (cl->out.len - cl->out_done + b->len > CORE_MAX_TO_CLIENT) {
		cl->is_doomed = true;
	} else if (!cl->is_doomed) {
		if (cl->out_done) {
			memmove(cl->out.data, cl->out.data + cl->out_done,
				cl->out.len - cl->out_done);
			cl->out.len -= cl->out_done;
			cl->out_done = 0;
		}
		buf_add(&cl->out, b->data, b->len);
		flush(cl);
	}
	buf_reset(b);
}

void client_refuse(struct client *cl, uint32_t id, const struct error *why)
{
	auto_buf struct buf b = BUF_INIT;
	size_t at = wire_begin(&b, WIRE_REPLY, id);

	wire_add_error(&b, why);
	wire_end(&b, at);
	client_send(cl, &b);
}

void client_exited(struct client *cl, const struct process *p)
{
	auto_buf struct buf b = BUF_INIT;
	size_t at = wire_begin(&b, WIRE_EXITED, 0);

	wire_add_u32(&b, WIRE_T_PROCESS, p->number);
	wire_add_u32(&b, WIRE_T_STATUS, p->status);
	wire_end(&b, at);
	client_send(cl, &b);
}

void clients_event(struct core *c, enum wire_type type, const void *payload, size_t n)
{
	for (unsigned i = 0; i < VM_SESSION_CLIENTS; i++) {
		auto_buf struct buf b = BUF_INIT;

		if (!c->clients[i] || !c->clients[i]->wants_events)
			continue;

		size_t at = wire_begin(&b, type, 0);

		buf_add(&b, payload, n);
		wire_end(&b, at);
		client_send(c->clients[i], &b);
	}
}

/* ---- from a client ---- */

static void drop_fds(struct client *cl)
{
	while (cl->n_fds > 0)
		auto_closep(&cl->fds[--cl->n_fds]);
}

/* Descriptors of one message; false: more than a frame may have. */
static bool take_fds(struct client *cl, struct msghdr *m)
{
	bool fits = !(m->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= h->cmsg_len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, (const char *)h + at, sizeof(fd));
			if (cl->n_fds < ARRAY_SIZE(cl->fds)) {
				cl->fds[cl->n_fds++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

static void take_frames(struct client *cl)
{
	struct wire_header h;
	const void *payload;
	int r = 0;

	while (!cl->is_doomed && (r = wire_inbox_next(&cl->in, &h, &payload)) > 0) {
		relay_request(cl, &h, payload);
		/* One read may give the bytes of two frames and the descriptors of the second. */
		if (h.type == WIRE_EXEC)
			drop_fds(cl);
	}
	if (r < 0)
		cl->is_doomed = true;
	if (cl->in.done == cl->in.data.len && cl->in.data.cap > CORE_KEEP)
		wire_inbox_release(&cl->in);
}

static void read_some(struct client *cl)
{
	union {
		char space[CMSG_SPACE(sizeof(cl->fds))];
		struct cmsghdr align;
	} control;
	char bytes[CORE_READ / 4];
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.space,
			    .msg_controllen = sizeof(control.space) };
	ssize_t n = recvmsg(cl->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !take_fds(cl, &m)) {
		cl->is_doomed = true;
		return;
	}
	wire_inbox_add(&cl->in, bytes, (size_t)n);
	take_frames(cl);
}

static void on_client(void *arg, uint32_t events)
{
	struct client *cl = arg;

	if (events & EPOLLOUT)
		flush(cl);
	if (events & ~(uint32_t)EPOLLOUT)
		read_some(cl);
	clients_reap(cl->core);
}

/* ---- coming and going ---- */

static void drop(struct core *c, unsigned i)
{
	struct client *cl = c->clients[i];

	c->clients[i] = NULL;
	c->n_clients--;
	for (unsigned k = 0; k < CORE_REQUESTS; k++)
		if (c->requests[k].client == cl)
			c->requests[k].client = NULL;
	process_disown(c, cl);
	virtio_loop_forget(c->loop, cl->fd);
	close(cl->fd);
	drop_fds(cl);
	wire_inbox_release(&cl->in);
	buf_release(&cl->out);
	free(cl);
}

void clients_reap(struct core *c)
{
	for (unsigned i = 0; i < VM_SESSION_CLIENTS; i++)
		if (c->clients[i] && c->clients[i]->is_doomed)
			drop(c, i);
	/* Who waits in the backlog finds a place again. */
	if (c->config->listen_fd >= 0 && c->n_clients < VM_SESSION_CLIENTS)
		(void)virtio_loop_watch(c->loop, c->config->listen_fd, EPOLLIN, on_listener, c);
}

static void greet(struct core *c, int fd)
{
	auto_buf struct buf b = BUF_INIT;
	struct client *cl = calloc(1, sizeof(*cl));
	unsigned i = 0;

	while (c->clients[i])
		i++;
	if (!cl || virtio_loop_watch(c->loop, fd, EPOLLIN, on_client, cl) < 0) {
		free(cl);
		close(fd);
		return;
	}
	*cl = (struct client){ .core = c, .fd = fd, .in = WIRE_INBOX_INIT(WIRE_MAX_REQUEST) };
	c->clients[i] = cl;
	c->n_clients++;

	size_t at = wire_begin(&b, WIRE_HELLO, 0);

	wire_add_u32(&b, WIRE_T_VERSION, WIRE_VERSION);
	wire_end(&b, at);
	client_send(cl, &b);
}

static void on_listener(void *arg, uint32_t events)
{
	struct core *c = arg;
	int fd = accept4(c->config->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		greet(c, fd);
	/* Without a place for one, or a descriptor, asking again at once would be a busy loop. */
	if (c->n_clients >= VM_SESSION_CLIENTS || (fd < 0 && (errno == EMFILE || errno == ENFILE)))
		virtio_loop_forget(c->loop, c->config->listen_fd);
}

int clients_begin(struct core *c, int listen_fd, struct error *err)
{
	int flags = fcntl(listen_fd, F_GETFL);

	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(err, errno, "set the flags of the socket for commands");

	int r = virtio_loop_watch(c->loop, listen_fd, EPOLLIN, on_listener, c);

	return r < 0 ? error_set(err, -r, "wait for commands") : 0;
}

void clients_end(struct core *c)
{
	if (c->loop && c->config->listen_fd >= 0)
		virtio_loop_forget(c->loop, c->config->listen_fd);
	if (c->config->listen_fd >= 0)
		close(c->config->listen_fd);
	for (unsigned i = 0; i < VM_SESSION_CLIENTS; i++)
		if (c->clients[i])
			drop(c, i);
}
