/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * device - what all devices share: registers, queues, interrupts
 *
 * A device embeds struct virtio_device as its first member and fills in `ops`. Its functions
 * run with the lock held.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "vm/virtio/queue.h"

struct virtio_ops {
	uint32_t kind;      /* §5 */
	uint64_t features;  /* beyond those of the transport */
	unsigned n_queues;
	/* Entries at most of queue i: a power of two up to VIRTQ_MAX. */
	uint32_t (*queue_max)(const struct virtio_device *dev, unsigned i);

	/* Config space, which does not change: bytes beyond its size read as zero. Writes come to nothing. May be NULL. */
	uint32_t config_bytes;
	void (*config_read)(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n);

	/* The driver has gone, and its queues with it. In a vCPU's thread: not for calls of the loop. May be NULL. */
	void (*reset)(struct virtio_device *dev);

	/* Queue i may have something. Returns -EPROTO when the guest broke a rule. */
	int (*work)(struct virtio_device *dev, unsigned i);

	/* Frees what the device owns and the device itself. */
	void (*free)(struct virtio_device *dev);
};

struct virtio_device {
	const struct virtio_ops *ops;
	const struct guest_ram *ram;
	struct virtio_loop *loop;
	int kick_fd, irq_fd;
	_Atomic uint32_t own_interrupt_status;
	_Atomic uint32_t *interrupt_status; /* that, or the one on the page */
	volatile uint32_t *page; /* what the guest reads by itself; NULL: it asks */
	pthread_mutex_t lock;

	/* Registers. */
	bool is_hidden; /* DeviceID is 0, and nothing can be written */
	uint32_t status;
	uint32_t device_features_select, driver_features_select;
	uint64_t driver_features;
	uint32_t queue_select;
	uint32_t config_generation;
	struct virtq *queues; /* ops->n_queues */
	struct virtq_chain chain; /* for work(): too large for a stack */
};

int virtio_device_init(struct virtio_device *dev, const struct virtio_ops *ops, struct error *err);
/* Frees what virtio_device_init() made. */
void virtio_device_release(struct virtio_device *dev);

static inline bool virtio_has_feature(const struct virtio_device *dev, unsigned bit)
{
	return dev->driver_features & (1ull << bit);
}

/* Does the driver use the device, and keep to the rules? */
bool virtio_is_running(const struct virtio_device *dev);
/* Calls work() once more, after others had their turn: for a queue that has more than a fair share. */
void virtio_again(struct virtio_device *dev);
/* Interrupts for queue i if the driver wants that. */
void virtio_notify(struct virtio_device *dev, unsigned i);
/* One interrupt for all queues, if the driver wants it for any. */
void virtio_notify_all(struct virtio_device *dev);
void virtio_config_changed(struct virtio_device *dev);
/* The device is there from now on. */
void virtio_reveal(struct virtio_device *dev);
/* DEVICE_NEEDS_RESET (§2.1.1). */
void virtio_break(struct virtio_device *dev);
