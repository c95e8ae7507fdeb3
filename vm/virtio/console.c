/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console - the device and its control queues (virtio 1.2 §5.3)
 *
 * Of what the guest is owed, only the state is kept, per port (added? named? open?), not a list of
 * messages: nothing grows while the guest gives no buffers.
 */
#include "vm/virtio/console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "spec/base/auto.h"

/* The driver fills receive queues with pages: few entries for streams, more for the channel on port 1. */
enum { CONTROL_ENTRIES = 32, TX_ENTRIES = 32, RX_ENTRIES = 4, RX_ENTRIES_1 = 16 };

static struct virtio_console *of(struct virtio_device *dev)
{
	return (struct virtio_console *)dev;
}

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	(void)dev;
	if (i == CONTROL_RX || i == CONTROL_TX)
		return CONTROL_ENTRIES;
	if (i % 2 == 1)
		return TX_ENTRIES;
	return i == port_rx(1) ? RX_ENTRIES_1 : RX_ENTRIES;
}

/* ---- to the guest ---- */

/* 1: sent, 0: no buffer. */
static int send_control(struct virtio_console *c, unsigned port, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { .id = port, .event = event, .value = value };
	struct virtq *q = &c->device.queues[CONTROL_RX];
	int r = virtq_pop(q, &c->device.chain);

	if (r <= 0)
		return r;
	if (virtq_copy_in(&c->device.chain, 0, &m, sizeof(m)) != sizeof(m))
		return -EPROTO;
	virtq_push(q, c->device.chain.head, sizeof(m));
	return 1;
}

/* Sends what one port is owed, in the order of §5.3.6.2. */
static int flush_port(struct virtio_console *c, unsigned i)
{
	struct port *p = &c->ports[i];
	bool should_be_open = p->is_attached && !p->has_ended;
	int r = 1;

	if (p->is_attached && !p->is_added) {
		r = send_control(c, i, VIRTIO_CONSOLE_PORT_ADD, 1);
		if (r <= 0)
			return r;
		p->is_added = true;
	}
	if (!p->is_ready)
		return 1;
	if (i == 0 && !p->is_named) {
		r = send_control(c, i, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		if (r <= 0)
			return r;
		p->is_named = true;
	}
	if (p->host_open != should_be_open) {
		r = send_control(c, i, VIRTIO_CONSOLE_PORT_OPEN, should_be_open);
		if (r <= 0)
			return r;
		p->host_open = should_be_open;
		port_watch(c, i);
	}
	return r;
}

int console_flush(struct virtio_console *c)
{
	int r = 1;

	if (!c->is_up)
		return 0;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS && r > 0; i++)
		r = flush_port(c, i);
	virtio_notify(&c->device, CONTROL_RX);
	return r < 0 ? r : 0;
}

/* ---- from the guest ---- */

static int take_control(struct virtio_console *c, const struct virtio_console_control *m)
{
	struct port *p;

	if (m->event == VIRTIO_CONSOLE_DEVICE_READY) {
		c->is_up = m->value == 1;
		return 0;
	}
	if (m->id >= VIRTIO_CONSOLE_PORTS || !c->ports[m->id].is_added)
		return -EPROTO;
	p = &c->ports[m->id];
	if (m->event == VIRTIO_CONSOLE_PORT_READY) {
		p->is_ready = m->value == 1;
	} else if (m->event == VIRTIO_CONSOLE_PORT_OPEN && p->guest_open != (m->value == 1)) {
		p->guest_open = m->value == 1;
		p->tell_opened = p->guest_open;
		p->tell_closed = !p->guest_open;
		if (p->guest_open)
			console_tell(c);
	}
	return 0;
}

static int receive_control(struct virtio_console *c)
{
	struct virtq *q = &c->device.queues[CONTROL_TX];
	struct virtio_console_control m;
	int r = 0;

	for (unsigned left = q->size; (r = virtq_pop(q, &c->device.chain)) > 0;) {
		uint16_t head = c->device.chain.head;

		if (virtq_copy_out(&c->device.chain, 0, &m, sizeof(m)) != sizeof(m) ||
		    take_control(c, &m) < 0)
			return -EPROTO;
		virtq_push(q, head, 0);
		if (m.event == VIRTIO_CONSOLE_PORT_OPEN && m.id != 0) {
			/* A port that was opened wants what waits; one that was closed leaves what it wrote. */
			r = m.value ? port_receive(c, m.id) : port_transmit(c, m.id);
			if (r < 0)
				return r;
		}
		if (--left == 0) {
			virtio_again(&c->device);
			break;
		}
	}
	virtio_notify(&c->device, CONTROL_TX);
	return r < 0 ? r : console_flush(c);
}

static int work(struct virtio_device *dev, unsigned i)
{
	struct virtio_console *c = of(dev);

	if (i == CONTROL_RX)
		return console_flush(c);
	if (i == CONTROL_TX)
		return receive_control(c);

	unsigned port = i < CONTROL_RX ? 0 : i / 2 - 1;

	return i % 2 ? port_transmit(c, port) : port_receive(c, port);
}

/* The driver has gone; the host's ends stay for the next one. */
static void reset(struct virtio_device *dev)
{
	struct virtio_console *c = of(dev);

	c->is_up = false;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		struct port *p = &c->ports[i];

		p->is_added = p->is_ready = p->is_named = p->host_open = p->is_blocked = false;
		if (p->guest_open) {
			p->guest_open = false;
			p->tell_closed = true;
		}
		p->out_done = 0;
	}
	console_tell(c); /* the loop, too, forgets the descriptors: this is a vCPU's thread */
}

static void config_read(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n)
{
	struct virtio_console_config config = { .max_nr_ports = VIRTIO_CONSOLE_PORTS };

	(void)dev;
	memcpy(to, (const uint8_t *)&config + offset, n);
}

/* ---- events of ports ---- */

void console_tell(struct virtio_console *c)
{
	uint64_t one = 1;

	if (write(c->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* Takes one event of a port, under the lock, to be delivered without it. */
static bool take_event(struct virtio_console *c, unsigned i, struct port *copy)
{
	struct port *p = &c->ports[i];
	bool is_drained = !virtio_is_running(&c->device) || !virtq_has(port_queue(c, i, true));

	*copy = *p;
	copy->tell_closed = p->tell_closed && is_drained;
	p->tell_opened = p->tell_ended = false;
	p->tell_closed = p->tell_closed && !copy->tell_closed;
	return p->is_attached && (copy->tell_opened || copy->tell_closed || copy->tell_ended);
}

static void on_event(void *arg, uint32_t events)
{
	struct virtio_console *c = arg;
	uint64_t count;

	(void)events;
	if (read(c->event_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		struct port p;

		pthread_mutex_lock(&c->device.lock);
		bool has_event = take_event(c, i, &p);

		port_watch(c, i);
		pthread_mutex_unlock(&c->device.lock);
		if (!has_event)
			continue;
		if (p.tell_opened && p.config.opened)
			p.config.opened(p.config.arg, i, true);
		if (p.tell_closed && p.config.opened)
			p.config.opened(p.config.arg, i, false);
		if (p.tell_ended && p.config.ended)
			p.config.ended(p.config.arg, i);
	}
}

/* ---- life ---- */

static void console_free(struct virtio_device *dev)
{
	struct virtio_console *c = of(dev);

	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		port_close(c, i);
	if (c->event_fd >= 0) {
		virtio_loop_forget(c->loop, c->event_fd);
		close(c->event_fd);
	}
	virtio_device_release(dev);
	free(c);
}

static const struct virtio_ops console_ops = {
	.kind = VIRTIO_ID_CONSOLE,
	.features = 1ull << VIRTIO_CONSOLE_F_MULTIPORT,
	.n_queues = CONSOLE_QUEUES,
	.queue_max = queue_max,
	.config_bytes = sizeof(struct virtio_console_config),
	.config_read = config_read,
	.reset = reset,
	.work = work,
	.free = console_free,
};

int virtio_console_new(struct virtio_loop *loop, struct virtio_console **ret, struct error *err)
{
	struct virtio_console *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, ENOMEM, "allocate a console");
	c->loop = loop;
	c->event_fd = -1;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		c->ports[i] = (struct port){ .console = c, .index = i, .in.fd = -1, .out.fd = -1 };
	c->ports[0].is_attached = true;

	int r = virtio_device_init(&c->device, &console_ops, err);

	if (r == 0) {
		c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (c->event_fd < 0)
			r = error_set(err, errno, "create an eventfd");
	}
	if (r == 0) {
		r = virtio_loop_watch(loop, c->event_fd, EPOLLIN, on_event, c);
		if (r < 0)
			error_set(err, -r, "wait for events of ports");
	}
	if (r < 0) {
		console_free(&c->device);
		return r;
	}
	*ret = c;
	return 0;
}

struct virtio_device *virtio_console_device(struct virtio_console *c)
{
	return &c->device;
}

int virtio_console_attach(struct virtio_console *c, unsigned i, const struct virtio_port *config,
			  struct error *err)
{
	if (i >= VIRTIO_CONSOLE_PORTS || (i == 0 && config->in_fd >= 0))
		return error_rule(err, EINVAL, "the console has no port %u for this", i);

	struct port *p = &c->ports[i];
	int r = 0;

	pthread_mutex_lock(&c->device.lock);
	if (i != 0 && p->is_attached) {
		r = error_rule(err, EBUSY, "port %u of the console is in use", i);
	} else {
		p->config = *config;
		p->in.fd = config->in_fd;
		p->out.fd = config->out_fd;
		p->in.kind = p->in.fd < 0 ? STREAM_BLOCKING : stream_kind_of(p->in.fd);
		p->out.kind = p->out.fd < 0 ? STREAM_BLOCKING : stream_kind_of(p->out.fd);
		p->is_attached = true;
		p->has_ended = p->tell_opened = p->tell_closed = p->tell_ended = false;
		if (virtio_is_running(&c->device) && console_flush(c) < 0)
			virtio_break(&c->device);
		port_watch(c, i);
	}
	pthread_mutex_unlock(&c->device.lock);
	return r;
}

void virtio_console_detach(struct virtio_console *c, unsigned i)
{
	if (i >= VIRTIO_CONSOLE_PORTS || !c->ports[i].is_attached)
		return;
	pthread_mutex_lock(&c->device.lock);
	port_close(c, i);
	c->ports[i].is_attached = i == 0;
	if (virtio_is_running(&c->device) &&
	    /* What was blocked is dropped: the guest has its buffers back. */
	    (console_flush(c) < 0 || port_transmit(c, i) < 0))
		virtio_break(&c->device);
	pthread_mutex_unlock(&c->device.lock);
}

bool virtio_console_is_blocked(struct virtio_console *c, unsigned i)
{
	pthread_mutex_lock(&c->device.lock);
	bool is_blocked = i < VIRTIO_CONSOLE_PORTS && c->ports[i].is_attached && c->ports[i].is_blocked;

	pthread_mutex_unlock(&c->device.lock);
	return is_blocked;
}

size_t virtio_console_log(struct virtio_console *c, char *buf, size_t n)
{
	pthread_mutex_lock(&c->device.lock);
	size_t held = c->logged < VIRTIO_CONSOLE_LOG ? (size_t)c->logged : VIRTIO_CONSOLE_LOG;
	uint64_t from = c->logged - (held < n ? held : n);
	size_t i = 0;

	for (; from + i < c->logged; i++)
		buf[i] = c->log[(from + i) % VIRTIO_CONSOLE_LOG];
	pthread_mutex_unlock(&c->device.lock);
	return i;
}
