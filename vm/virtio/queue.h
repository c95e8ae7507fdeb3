/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * queue - one split virtqueue (virtio 1.2 §2.7), seen from the device
 *
 * Its three areas are resolved to host addresses once, when the driver declares the queue ready, and
 * stay. A chain is handed out as iovecs into guest memory: bytes there may change at any time, so a
 * device copies what it decides on.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vm/virtio/virtio.h"

enum {
	VIRTQ_MAX = 512, /* entries of the largest queue, and so segments of the longest chain */
};

struct virtq {
	/* Registers, written by the guest until the queue is ready. */
	uint64_t desc_at, avail_at, used_at;
	uint32_t size; /* entries: a power of two up to max */
	uint32_t max;
	bool is_ready;

	/* Ours. */
	const struct guest_ram *ram;
	const volatile uint8_t *desc, *avail;
	volatile uint8_t *used;
	uint16_t next_avail; /* the next entry of the available ring that we look at */
	uint16_t next_used;
	uint16_t told_used; /* next_used at the last decision to interrupt */
	bool has_event_idx;
	bool is_broken;
};

/* Segments that the device reads come first. No segment is empty. */
struct virtq_chain {
	uint16_t head;
	unsigned n_out, n_in;
	size_t out_bytes, in_bytes;
	struct iovec iov[VIRTQ_MAX];
};

/* Takes the registers for good. -EINVAL when they are no queue inside the guest's memory. */
int virtq_start(struct virtq *q, const struct guest_ram *ram, bool has_event_idx);
void virtq_reset(struct virtq *q);

/* 1 and the next chain, 0 when there is none (the driver will then kick), -EPROTO when the ring is broken. */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);
/* Is there a chain? When not, the driver is asked to kick for the next (§2.7.10). */
bool virtq_has(struct virtq *q);
/* Undoes the last virtq_pop(). */
void virtq_unpop(struct virtq *q);
/* Gives a chain back, with how many bytes were written to it. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* The same in two steps, for chains that the driver is to see all at once. */
void virtq_put(struct virtq *q, uint16_t head, uint32_t written);
void virtq_publish(struct virtq *q);
/* Must the driver be interrupted for what was pushed since the last call? (§2.7.7) */
bool virtq_wants_interrupt(struct virtq *q);

/* Copies up to n bytes out of, or into, the segments from byte `offset` on. Returns how many. */
size_t virtq_copy_out(const struct virtq_chain *c, size_t offset, void *to, size_t n);
size_t virtq_copy_in(const struct virtq_chain *c, size_t offset, const void *from, size_t n);
/* Where the device may write byte `offset`; NULL beyond the end. Valid after other chains were popped, too. */
uint8_t *virtq_in_at(const struct virtq_chain *c, size_t offset);
