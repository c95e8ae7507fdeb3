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

static void end_direction(struct port *p)
{
	if (p->has_ended)
		return;
	p->has_ended = true;
	p->tell_ended = true;
	console_tell(p->bank->console);
}

/*
 * The kernel's console: its driver spins until we have taken what it wrote, so it never waits, and the
 * descriptor gets what it takes at once.
 */
static int transmit_log(struct port *p)
{
	struct virtio_device *dev = &p->bank->device;
	struct virtq *q = port_queue(p, true);
	struct virtq_chain *chain = &dev->chain;
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, chain)) > 0;) {
		keep_log(p->bank->console, chain);
		if (p->out.fd >= 0)
			(void)stream_write(p->out.fd, p->out.kind, chain->iov, chain->n_out, 0);
		virtq_push(q, chain->head, 0);
		if (--left == 0) {
			virtio_again(dev);
			break;
		}
	}
	virtio_notify(dev, port_rx(0) + 1);
	return r < 0 ? r : 0;
}

/* 1: all of it is written or dropped, 0: the rest must wait. */
static int put(struct port *p, const struct virtq_chain *chain)
{
	while (p->out.fd >= 0 && p->out_done < chain->out_bytes) {
		ssize_t n = stream_write(p->out.fd, p->out.kind, chain->iov, chain->n_out, p->out_done);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0) { /* EPIPE, ENOSPC, EIO: nobody will read on */
			virtio_loop_forget(p->bank->console->loop, p->out.fd);
			if (p->in.fd != p->out.fd)
				close(p->out.fd);
			p->out.fd = -1;
			end_direction(p);
			break;
		}
		p->out_done += (size_t)n;
	}
	p->out_done = 0;
	return 1;
}

int port_transmit(struct port *p)
{
	struct virtio_device *dev = &p->bank->device;
	struct virtq *q = port_queue(p, true);
	struct virtq_chain *chain = &dev->chain;
	int r = 0;

	if (p->number == 0)
		return transmit_log(p);
	for (unsigned left = q->size; !p->is_blocked && (r = virtq_pop(q, chain)) > 0;) {
		if (!put(p, chain)) {
			virtq_unpop(q);
			p->is_blocked = true;
			break;
		}
		virtq_push(q, chain->head, 0);
		if (--left == 0) {
			virtio_again(dev);
			break;
		}
	}
	virtio_notify(dev, port_rx(p->index) + 1);
	/* A closed port has ended when what it wrote is out. */
	if (p->tell_closed && !virtq_has(q))
		console_tell(p->bank->console);
	port_watch(p);
	return r < 0 ? r : bank_flush(p->bank);
}

int port_receive(struct port *p)
{
	struct virtio_device *dev = &p->bank->device;
	struct virtq *q = port_queue(p, false);
	struct virtq_chain *chain = &dev->chain;
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
			virtio_loop_forget(p->bank->console->loop, p->in.fd);
			if (p->in.fd != p->out.fd)
				close(p->in.fd);
			p->in.fd = -1;
			end_direction(p);
		}
		break;
	}
	if (p->in.fd >= 0 && p->in.kind == STREAM_FILE && r > 0)
		virtio_again(dev); /* nothing else would wake us */
	virtio_notify(dev, port_rx(p->index));
	port_watch(p);
	return r < 0 ? r : bank_flush(p->bank);
}

/* ---- waiting ---- */

static void on_ready(void *arg, uint32_t events);

static void watch(struct port *p, int fd, uint32_t events)
{
	struct virtio_loop *loop = p->bank->console->loop;

	if (fd < 0)
		return;
	if (events == 0) {
		virtio_loop_forget(loop, fd);
		return;
	}
	if (virtio_loop_watch(loop, fd, events, on_ready, p) == -EEXIST)
		virtio_loop_change(loop, fd, events);
}

void port_watch(struct port *p)
{
	bool is_running = virtio_is_running(&p->bank->device);
	bool wants_in = is_running && p->host_open && p->guest_open &&
			virtq_has(port_queue(p, false));
	uint32_t in = wants_in ? EPOLLIN : 0;
	uint32_t out = is_running && p->is_blocked ? EPOLLOUT : 0;

	if (p->in.fd >= 0 && p->in.fd == p->out.fd) {
		watch(p, p->in.fd, in | out);
		return;
	}
	watch(p, p->in.fd, in);
	watch(p, p->out.fd, out);
}

void port_close(struct port *p)
{
	struct virtio_loop *loop = p->bank->console->loop;

	if (p->in.fd >= 0) {
		virtio_loop_forget(loop, p->in.fd);
		close(p->in.fd);
	}
	if (p->out.fd >= 0 && p->out.fd != p->in.fd) {
		virtio_loop_forget(loop, p->out.fd);
		close(p->out.fd);
	}
	p->in.fd = p->out.fd = -1;
	p->out_done = 0;
	p->is_blocked = false;
}

static void on_ready(void *arg, uint32_t events)
{
	struct port *p = arg;
	struct virtio_device *dev = &p->bank->device;
	int r = 0;

	(void)events; /* a hang-up shows itself when we read or write */
	pthread_mutex_lock(&dev->lock);
	if (virtio_is_running(dev)) {
		if (p->is_blocked) {
			p->is_blocked = false;
			r = port_transmit(p);
		}
		if (r == 0)
			r = port_receive(p);
		if (r < 0)
			virtio_break(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}
