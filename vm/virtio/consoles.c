/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consoles - ports as callers see them, whichever device they belong to: attaching, events, the log
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/virtio/console.h"

/* number is below VIRTIO_CONSOLE_PORTS. */
static struct port *port_of(struct virtio_console *c, unsigned number)
{
	if (number < VIRTIO_CONSOLE_FIRST)
		return &c->banks[0].ports[number];
	number -= VIRTIO_CONSOLE_FIRST;
	return &c->banks[1 + number / VIRTIO_CONSOLE_MORE].ports[number % VIRTIO_CONSOLE_MORE];
}

/* ---- events of ports ---- */

void console_tell(struct virtio_console *c)
{
	uint64_t one = 1;

	if (write(c->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* Takes one event of a port, under the lock, to be delivered without it. */
static bool take_event(struct port *p, struct port *copy)
{
	bool is_drained = !virtio_is_running(&p->bank->device) || !virtq_has(port_queue(p, true));

	*copy = *p;
	copy->tell_closed = p->tell_closed && is_drained;
	p->tell_opened = p->tell_ended = false;
	p->tell_closed = p->tell_closed && !copy->tell_closed;
	return p->is_attached && (copy->tell_opened || copy->tell_closed || copy->tell_ended);
}

static void on_event_of(struct port *port)
{
	pthread_mutex_t *lock = &port->bank->device.lock;
	struct port p;

	pthread_mutex_lock(lock);
	bool has_event = take_event(port, &p);

	port_watch(port);
	pthread_mutex_unlock(lock);
	if (!has_event)
		return;
	if (p.tell_opened && p.config.opened)
		p.config.opened(p.config.arg, p.number, true);
	if (p.tell_closed && p.config.opened)
		p.config.opened(p.config.arg, p.number, false);
	if (p.tell_ended && p.config.ended)
		p.config.ended(p.config.arg, p.number);
}

static void on_event(void *arg, uint32_t events)
{
	struct virtio_console *c = arg;
	uint64_t count;

	(void)events;
	if (read(c->event_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		on_event_of(port_of(c, i));
}

/* ---- life ---- */

void console_free(struct virtio_console *c)
{
	for (unsigned i = 1; i < VIRTIO_CONSOLES; i++)
		virtio_device_release(&c->banks[i].device);
	if (c->event_fd >= 0) {
		virtio_loop_forget(c->loop, c->event_fd);
		close(c->event_fd);
	}
	free(c);
}

static int begin(struct virtio_console *c, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < VIRTIO_CONSOLES; i++)
		r = bank_init(&c->banks[i], c, i, err);
	if (r < 0)
		return r;
	c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event_fd < 0)
		return error_set(err, errno, "create an eventfd");
	r = virtio_loop_watch(c->loop, c->event_fd, EPOLLIN, on_event, c);
	return r < 0 ? error_set(err, -r, "wait for events of ports") : 0;
}

int virtio_console_new(struct virtio_loop *loop, struct virtio_console **ret, struct error *err)
{
	struct virtio_console *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, ENOMEM, "allocate a console");
	c->loop = loop;
	c->event_fd = -1;

	int r = begin(c, err);

	if (r < 0) {
		virtio_device_release(&c->banks[0].device);
		console_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct virtio_device *virtio_console_device(struct virtio_console *c, unsigned i)
{
	return &c->banks[i].device;
}

/* ---- ports ---- */

static void attach(struct port *p, const struct virtio_port *config)
{
	struct virtio_device *dev = &p->bank->device;

	p->config = *config;
	p->in.fd = config->in_fd;
	p->out.fd = config->out_fd;
	p->in.kind = p->in.fd < 0 ? STREAM_BLOCKING : stream_kind_of(p->in.fd);
	p->out.kind = p->out.fd < 0 ? STREAM_BLOCKING : stream_kind_of(p->out.fd);
	p->is_attached = true;
	p->has_ended = p->tell_opened = p->tell_closed = p->tell_ended = false;
	if (dev->is_hidden)
		virtio_reveal(dev);
	if (virtio_is_running(dev) && bank_flush(p->bank) < 0)
		virtio_break(dev);
	port_watch(p);
}

int virtio_console_attach(struct virtio_console *c, unsigned i, const struct virtio_port *config,
			  struct error *err)
{
	if (i >= VIRTIO_CONSOLE_PORTS || (i == 0 && config->in_fd >= 0))
		return error_rule(err, EINVAL, "the console has no port %u for this", i);

	struct port *p = port_of(c, i);
	int r = 0;

	pthread_mutex_lock(&p->bank->device.lock);
	if (i != 0 && p->is_attached)
		r = error_rule(err, EBUSY, "port %u of the console is in use", i);
	else
		attach(p, config);
	pthread_mutex_unlock(&p->bank->device.lock);
	return r;
}

void virtio_console_detach(struct virtio_console *c, unsigned i)
{
	struct port *p = i < VIRTIO_CONSOLE_PORTS ? port_of(c, i) : NULL;

	if (!p || !p->is_attached)
		return;

	struct virtio_device *dev = &p->bank->device;

	pthread_mutex_lock(&dev->lock);
	port_close(p);
	p->is_attached = i == 0;
	if (virtio_is_running(dev) &&
	    /* What was blocked is dropped: the guest has its buffers back. */
	    (bank_flush(p->bank) < 0 || port_transmit(p) < 0))
		virtio_break(dev);
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_console_is_blocked(struct virtio_console *c, unsigned i)
{
	struct port *p = i < VIRTIO_CONSOLE_PORTS ? port_of(c, i) : NULL;

	if (!p)
		return false;
	pthread_mutex_lock(&p->bank->device.lock);
	bool is_blocked = p->is_attached && p->is_blocked;

	pthread_mutex_unlock(&p->bank->device.lock);
	return is_blocked;
}

size_t virtio_console_log(struct virtio_console *c, char *buf, size_t n)
{
	pthread_mutex_t *lock = &c->banks[0].device.lock;

	pthread_mutex_lock(lock);
	size_t held = c->logged < VIRTIO_CONSOLE_LOG ? (size_t)c->logged : VIRTIO_CONSOLE_LOG;
	uint64_t from = c->logged - (held < n ? held : n);
	size_t i = 0;

	for (; from + i < c->logged; i++)
		buf[i] = c->log[(from + i) % VIRTIO_CONSOLE_LOG];
	pthread_mutex_unlock(lock);
	return i;
}
