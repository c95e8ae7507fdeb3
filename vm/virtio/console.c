/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console - one device and its control queues (virtio 1.2 §5.3)
 *
 * Of what the guest is owed, only the state is kept, per port (added? named? open?), not a list of
 * messages: nothing grows while the guest gives no buffers.
 */
#include "vm/virtio/console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

/* The driver fills receive queues with pages: few entries for streams, more for the channel on port 1. */
enum { CONTROL_ENTRIES = 32, TX_ENTRIES = 32, RX_ENTRIES = 4, RX_ENTRIES_1 = 16 };

static struct bank *of(struct virtio_device *dev)
{
	return (struct bank *)dev;
}

static bool is_first(const struct bank *b)
{
	return b == b->console->banks;
}

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	if (i == CONTROL_RX || i == CONTROL_TX)
		return CONTROL_ENTRIES;
	if (i % 2 == 1)
		return TX_ENTRIES;
	return i == port_rx(1) && is_first((const struct bank *)dev) ? RX_ENTRIES_1 : RX_ENTRIES;
}

/* ---- to the guest ---- */

/* 1: sent, 0: no buffer. */
static int send_control(struct bank *b, unsigned port, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { .id = port, .event = event, .value = value };
	struct virtq *q = &b->device.queues[CONTROL_RX];
	int r = virtq_pop(q, &b->device.chain);

	if (r <= 0)
		return r;
	if (virtq_copy_in(&b->device.chain, 0, &m, sizeof(m)) != sizeof(m))
		return -EPROTO;
	virtq_push(q, b->device.chain.head, sizeof(m));
	return 1;
}

/* Sends what one port is owed, in the order of §5.3.6.2. */
static int flush_port(struct port *p)
{
	struct bank *b = p->bank;
	bool should_be_open = p->is_attached && !p->has_ended;
	int r = 1;

	if (p->is_attached && !p->is_added) {
		r = send_control(b, p->index, VIRTIO_CONSOLE_PORT_ADD, 1);
		if (r <= 0)
			return r;
		p->is_added = true;
	}
	if (!p->is_ready)
		return 1;
	if (p->number == 0 && !p->is_named) {
		r = send_control(b, p->index, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		if (r <= 0)
			return r;
		p->is_named = true;
	}
	if (p->host_open != should_be_open) {
		r = send_control(b, p->index, VIRTIO_CONSOLE_PORT_OPEN, should_be_open);
		if (r <= 0)
			return r;
		p->host_open = should_be_open;
		port_watch(p);
	}
	return r;
}

int bank_flush(struct bank *b)
{
	int r = 1;

	if (!b->is_up)
		return 0;
	for (unsigned i = 0; i < b->n_ports && r > 0; i++)
		r = flush_port(&b->ports[i]);
	virtio_notify(&b->device, CONTROL_RX);
	return r < 0 ? r : 0;
}

/* ---- from the guest ---- */

static int take_control(struct bank *b, const struct virtio_console_control *m)
{
	struct port *p;

	if (m->event == VIRTIO_CONSOLE_DEVICE_READY) {
		b->is_up = m->value == 1;
		return 0;
	}
	if (m->id >= b->n_ports || !b->ports[m->id].is_added)
		return -EPROTO;
	p = &b->ports[m->id];
	if (m->event == VIRTIO_CONSOLE_PORT_READY) {
		p->is_ready = m->value == 1;
	} else if (m->event == VIRTIO_CONSOLE_PORT_OPEN && p->guest_open != (m->value == 1)) {
		p->guest_open = m->value == 1;
		p->tell_opened = p->guest_open;
		p->tell_closed = !p->guest_open;
		if (p->guest_open)
			console_tell(b->console);
	}
	return 0;
}

static int receive_control(struct bank *b)
{
	struct virtq *q = &b->device.queues[CONTROL_TX];
	struct virtio_console_control m;
	int r = 0;

	for (unsigned left = q->size; (r = virtq_pop(q, &b->device.chain)) > 0;) {
		uint16_t head = b->device.chain.head;

		if (virtq_copy_out(&b->device.chain, 0, &m, sizeof(m)) != sizeof(m) ||
		    take_control(b, &m) < 0)
			return -EPROTO;
		virtq_push(q, head, 0);
		if (m.event == VIRTIO_CONSOLE_PORT_OPEN && b->ports[m.id].number != 0) {
			/* A port that was opened wants what waits; one that was closed leaves what it wrote. */
			r = m.value ? port_receive(&b->ports[m.id]) : port_transmit(&b->ports[m.id]);
			if (r < 0)
				return r;
		}
		if (--left == 0) {
			virtio_again(&b->device);
			break;
		}
	}
	virtio_notify(&b->device, CONTROL_TX);
	return r < 0 ? r : bank_flush(b);
}

static int work(struct virtio_device *dev, unsigned i)
{
	struct bank *b = of(dev);

	if (i == CONTROL_RX)
		return bank_flush(b);
	if (i == CONTROL_TX)
		return receive_control(b);

	struct port *p = &b->ports[i < CONTROL_RX ? 0 : i / 2 - 1];

	return i % 2 ? port_transmit(p) : port_receive(p);
}

/* The driver has gone; the host's ends stay for the next one. */
static void reset(struct virtio_device *dev)
{
	struct bank *b = of(dev);

	b->is_up = false;
	for (unsigned i = 0; i < b->n_ports; i++) {
		struct port *p = &b->ports[i];

		p->is_added = p->is_ready = p->is_named = p->host_open = p->is_blocked = false;
		if (p->guest_open) {
			p->guest_open = false;
			p->tell_closed = true;
		}
		p->out_done = 0;
	}
	console_tell(b->console); /* the loop, too, forgets the descriptors: this is a vCPU's thread */
}

static void config_read(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n)
{
	struct virtio_console_config config = { .max_nr_ports = of(dev)->n_ports };

	memcpy(to, (const uint8_t *)&config + offset, n);
}

/* ---- life ---- */

static void bank_free(struct virtio_device *dev)
{
	struct bank *b = of(dev);

	for (unsigned i = 0; i < b->n_ports; i++)
		port_close(&b->ports[i]);
	virtio_device_release(dev);
	if (is_first(b))
		console_free(b->console);
}

#define OPS(ports)                                                                                                       \
	{                                                                                                                \
		.kind = VIRTIO_ID_CONSOLE, .features = 1ull << VIRTIO_CONSOLE_F_MULTIPORT, .n_queues = 2 * ((ports) + 1), \
		.queue_max = queue_max, .config_bytes = sizeof(struct virtio_console_config),                            \
		.config_read = config_read, .reset = reset, .work = work, .free = bank_free,                             \
	}

int bank_init(struct bank *b, struct virtio_console *c, unsigned i, struct error *err)
{
	static const struct virtio_ops first = OPS(VIRTIO_CONSOLE_FIRST), further = OPS(VIRTIO_CONSOLE_MORE);

	b->console = c;
	b->n_ports = i == 0 ? VIRTIO_CONSOLE_FIRST : VIRTIO_CONSOLE_MORE;
	b->device.is_hidden = i != 0;
	for (unsigned k = 0; k < b->n_ports; k++)
		b->ports[k] = (struct port){
			.bank = b,
			.index = k,
			.number = i == 0 ? k : VIRTIO_CONSOLE_FIRST + (i - 1) * VIRTIO_CONSOLE_MORE + k,
			.in.fd = -1,
			.out.fd = -1,
		};
	b->ports[0].is_attached = i == 0;
	return virtio_device_init(&b->device, i == 0 ? &first : &further, err);
}
