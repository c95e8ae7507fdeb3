/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * console - multiport consoles, whose ports are numbered through: as callers see them in consoles.c, the control queues of
 * each in console.c, streams in port.c
 */

#include "vm/virtio/device.h"
#include "vm/virtio/stream.h"

/* §5.3.2: queues 0 and 1 are those of the first port, 2 and 3 the control queues, then two for each further port. */
enum { CONTROL_RX = 2, CONTROL_TX = 3 };

struct bank;

struct port_end {
	int fd; /* -1: none, or ended */
	enum stream_kind kind;
};

struct port {
	struct bank *bank;
	unsigned index;  /* in its bank */
	unsigned number; /* among all */
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

struct bank { /* one device */
	struct virtio_device device;
	struct virtio_console *console;
	bool is_up; /* the guest's driver said so */
	unsigned n_ports;
	struct port ports[VIRTIO_CONSOLE_MORE];
};

struct virtio_console {
	struct virtio_loop *loop;
	int event_fd; /* wakes the loop for events of ports */
	struct bank banks[VIRTIO_CONSOLES];
	char log[VIRTIO_CONSOLE_LOG]; /* under the lock of the first bank, whose first port writes it */
	uint64_t logged; /* bytes, ever */
};

_Static_assert((int)VIRTIO_CONSOLE_FIRST <= (int)VIRTIO_CONSOLE_MORE, "there is room for the ports of each");

static inline unsigned port_rx(unsigned i)
{
	return i == 0 ? 0 : 2 * (i + 1);
}

static inline struct virtq *port_queue(struct port *p, bool is_tx)
{
	return &p->bank->device.queues[port_rx(p->index) + is_tx];
}

/* Lock held. Moves what can be moved; -EPROTO when the guest broke a rule. */
int port_transmit(struct port *p);
int port_receive(struct port *p);
/* Lock held. Waits for what the port needs, and for nothing else. */
void port_watch(struct port *p);
/* Lock held. Stops waiting, and closes the descriptors. */
void port_close(struct port *p);

int bank_init(struct bank *b, struct virtio_console *c, unsigned i, struct error *err);
/* Lock held. Sends the guest the messages that it is owed, as far as it has buffers for them. */
int bank_flush(struct bank *b);
/* Lock held. Has the events of ports delivered, soon. */
void console_tell(struct virtio_console *c);
/* With the devices released. */
void console_free(struct virtio_console *c);
