/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * console - a multiport console: its control queues are in console.c, its streams in port.c
 */

#include "vm/virtio/device.h"
#include "vm/virtio/stream.h"

/* §5.3.2: queues 0 and 1 are port 0's, 2 and 3 the control queues, then two for each port. */
enum { CONTROL_RX = 2, CONTROL_TX = 3, CONSOLE_QUEUES = 2 * (VIRTIO_CONSOLE_PORTS + 1) };

struct port_end {
	int fd; /* -1: none, or ended */
	enum stream_kind kind;
};

struct port {
	struct virtio_console *console;
	unsigned index;
	struct virtio_port config; /* who wants to know; its descriptors are in `in` and `out` */
	struct port_end in, out;
	size_t out_done;  /* bytes of the chain at the head of the queue that are written */
	bool is_attached;
	bool is_added;    /* the guest was told that there is such a port */
	bool is_ready;    /* the guest's driver has it */
	bool is_named;    /* port 0: the guest was told that it is the console */
	bool host_open;   /* what the guest was told last */
	bool has_ended;   /* one of our ends has */
	bool guest_open;
	bool is_blocked;  /* out takes nothing at the moment */

	/* Events to be delivered from the loop. */
	bool tell_opened, tell_closed, tell_ended;
};

struct virtio_console {
	struct virtio_device device;
	struct virtio_loop *loop;
	int event_fd; /* wakes the loop for events of ports */
	bool is_up;   /* the guest's driver said so */
	struct port ports[VIRTIO_CONSOLE_PORTS];
	char log[VIRTIO_CONSOLE_LOG];
	uint64_t logged; /* bytes, ever */
};

static inline unsigned port_rx(unsigned i)
{
	return i == 0 ? 0 : 2 * (i + 1);
}

static inline struct virtq *port_queue(struct virtio_console *c, unsigned i, bool is_tx)
{
	return &c->device.queues[port_rx(i) + is_tx];
}

/* Lock held. Moves what can be moved; -EPROTO when the guest broke a rule. */
int port_transmit(struct virtio_console *c, unsigned i);
int port_receive(struct virtio_console *c, unsigned i);
/* Lock held. Waits for what the port needs, and for nothing else. */
void port_watch(struct virtio_console *c, unsigned i);
/* Lock held. Stops waiting, and closes the descriptors. */
void port_close(struct virtio_console *c, unsigned i);

/* Lock held. Sends the guest the messages that it is owed, as far as it has buffers for them. */
int console_flush(struct virtio_console *c);
/* Lock held. Has the events of ports delivered, soon. */
void console_tell(struct virtio_console *c);
