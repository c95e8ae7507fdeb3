/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port - the streams of a console: guest memory on one side, a descriptor on the other
 *
 * A descriptor is watched only while there is something to do when it becomes ready: epoll reports a
 * hang-up whether asked or not, and would do so for ever.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vm/virtio/console.h"

static void keep_log(struct virtio_console *c, const struct virtq_chain *chain)
{
	char bytes[512];
	size_t n;

	for (size_t at = 0; (n = virtq_copy_out(chain, at, bytes, sizeof(bytes))) > 0; at += n)
		for (size_t k = 0; k < n; k++)
			c->log[c->logged++ % VIRTIO_CONSOLE_LOG] = bytes[k];
}

static void end_direction(struct virtio_console *c, unsigned i)
{
	struct port *p = &c->ports[i];

	if (p->has_ended)
		return;
	p->has_ended = true;
	p->tell_ended = true;
	console_tell(c);
}

/*
 * The kernel's console: its driver spins until we have taken what it wrote, so it never waits, and the
 * descriptor gets what it takes at once.
 */
static int transmit_log(struct virtio_console *c)
{
	struct virtq *q = port_queue(c, 0, true);
	struct virtq_chain *chain = &c->device.chain;
	struct port *p = &c->ports[0];
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, chain)) > 0;) {
		keep_log(c, chain);
		if (p->out.fd >= 0)
			(void)stream_write(p->out.fd, p->out.kind, chain->iov, chain->n_out, 0);
		virtq_push(q, chain->head, 0);
		if (--left == 0) {
			virtio_again(&c->device);
			break;
		}
	}
	virtio_notify(&c->device, port_rx(0) + 1);
	return r < 0 ? r : 0;
}

/* 1: all of it is written or dropped, 0: the rest must wait. */
static int put(struct virtio_console *c, unsigned i, const struct virtq_chain *chain)
{
	struct port *p = &c->ports[i];

	while (p->out.fd >= 0 && p->out_done < chain->out_bytes) {
		ssize_t n = stream_write(p->out.fd, p->out.kind, chain->iov, chain->n_out, p->out_done);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0) { /* EPIPE, ENOSPC, EIO: nobody will read on */
			virtio_loop_forget(c->loop, p->out.fd);
			if (p->in.fd != p->out.fd)
				close(p->out.fd);
			p->out.fd = -1;
			end_direction(c, i);
			break;
		}
		p->out_done += (size_t)n;
	}
	p->out_done = 0;
	return 1;
}

int port_transmit(struct virtio_console *c, unsigned i)
{
	struct virtq *q = port_queue(c, i, true);
	struct virtq_chain *chain = &c->device.chain;
	struct port *p = &c->ports[i];
	int r = 0;

	if (i == 0)
		return transmit_log(c);
	for (unsigned left = q->size; !p->is_blocked && (r = virtq_pop(q, chain)) > 0;) {
		if (!put(c, i, chain)) {
			virtq_unpop(q);
			p->is_blocked = true;
			break;
		}
		virtq_push(q, chain->head, 0);
		if (--left == 0) {
			virtio_again(&c->device);
			break;
		}
	}
	virtio_notify(&c->device, port_rx(i) + 1);
	/* A closed port has ended when what it wrote is out. */
	if (p->tell_closed && !virtq_has(q))
		console_tell(c);
	port_watch(c, i);
	return r < 0 ? r : console_flush(c);
}

int port_receive(struct virtio_console *c, unsigned i)
{
	struct virtq *q = port_queue(c, i, false);
	struct virtq_chain *chain = &c->device.chain;
	struct port *p = &c->ports[i];
	int r = 0;

	for (unsigned left = q->size; p->in.fd >= 0 && p->host_open && p->guest_open && left > 0; left--) {
		r = virtq_pop(q, chain);
		if (r <= 0)
			break;
		if (chain->n_in == 0)
			return -EPROTO;

		ssize_t n = stream_read(p->in.fd, p->in.kind, chain->iov + chain->n_out, chain->n_in);

		if (n > 0) {
			virtq_push(q, chain->head, (uint32_t)n);
			continue;
		}
		virtq_unpop(q);
		if (n != -EAGAIN) { /* the end, or as good as that (EIO of a terminal) */
			virtio_loop_forget(c->loop, p->in.fd);
			if (p->in.fd != p->out.fd)
				close(p->in.fd);
			p->in.fd = -1;
			end_direction(c, i);
		}
		break;
	}
	if (p->in.fd >= 0 && p->in.kind == STREAM_FILE && r > 0)
		virtio_again(&c->device); /* nothing else would wake us */
	virtio_notify(&c->device, port_rx(i));
	port_watch(c, i);
	return r < 0 ? r : console_flush(c);
}

/* ---- waiting ---- */

static void on_ready(void *arg, uint32_t events);

static void watch(struct virtio_console *c, int fd, uint32_t events, struct port *p)
{
	if (fd < 0)
		return;
	if (events == 0) {
		virtio_loop_forget(c->loop, fd);
		return;
	}
	if (virtio_loop_watch(c->loop, fd, events, on_ready, p) == -EEXIST)
		virtio_loop_change(c->loop, fd, events);
}

void port_watch(struct virtio_console *c, unsigned i)
{
	struct port *p = &c->ports[i];
	bool is_running = virtio_is_running(&c->device);
	bool wants_in = is_running && p->host_open && p->guest_open &&
			virtq_has(port_queue(c, i, false));
	uint32_t in = wants_in ? EPOLLIN : 0;
	uint32_t out = is_running && p->is_blocked ? EPOLLOUT : 0;

	if (p->in.fd >= 0 && p->in.fd == p->out.fd) {
		watch(c, p->in.fd, in | out, p);
		return;
	}
	watch(c, p->in.fd, in, p);
	watch(c, p->out.fd, out, p);
}

void port_close(struct virtio_console *c, unsigned i)
{
	struct port *p = &c->ports[i];

	if (p->in.fd >= 0) {
		virtio_loop_forget(c->loop, p->in.fd);
		close(p->in.fd);
	}
	if (p->out.fd >= 0 && p->out.fd != p->in.fd) {
		virtio_loop_forget(c->loop, p->out.fd);
		close(p->out.fd);
	}
	p->in.fd = p->out.fd = -1;
	p->out_done = 0;
	p->is_blocked = false;
}

static void on_ready(void *arg, uint32_t events)
{
	struct port *p = arg;
	struct virtio_console *c = p->console;
	int r = 0;

	(void)events; /* a hang-up shows itself when we read or write */
	pthread_mutex_lock(&c->device.lock);
	if (virtio_is_running(&c->device)) {
		if (p->is_blocked) {
			p->is_blocked = false;
			r = port_transmit(c, p->index);
		}
		if (r == 0)
			r = port_receive(c, p->index);
		if (r < 0)
			virtio_break(&c->device);
	}
	pthread_mutex_unlock(&c->device.lock);
}
