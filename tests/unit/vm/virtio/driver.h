/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * driver - the guest's side of a device, over a piece of plain memory
 *
 * Sets a device up as virtio 1.2 §3.1.1 says, and writes whatever a test wants into the rings. Memory is
 * mapped between pages that nobody may touch, so a device that leaves it ends the test.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/virtio/virtio.h"

enum {
	MEMORY = 4 << 20,
	QUEUE_SPACE = 0x4000, /* of memory, for the rings of one queue: from RINGS on */
	RINGS = 0x10000,
	DATA = 0x200000,
	GUARD = 4096,
};

struct driver {
	struct guest_ram ram;
	uint8_t *memory;
	struct virtio_loop *loop;
	struct virtio_device *device;
	int kick, irq;
	uint16_t next_avail[80], next_desc[80], seen_used[80];
};

static inline uint32_t get(struct driver *d, uint32_t offset)
{
	uint32_t v;

	virtio_mmio_read(d->device, offset, &v, 4);
	return v;
}

static inline void set(struct driver *d, uint32_t offset, uint32_t v)
{
	virtio_mmio_write(d->device, offset, &v, 4);
}

static inline void driver_begin(struct driver *d)
{
	struct error err = ERROR_INIT;

	memset(d, 0, sizeof(*d));
	uint8_t *all = mmap(NULL, MEMORY + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	d->memory = all + GUARD;
	mprotect(d->memory, MEMORY, PROT_READ | PROT_WRITE);
	d->ram.n = 1;
	d->ram.range[0] = (struct guest_range){ .at = 0, .size = MEMORY, .host = d->memory };
	virtio_loop_new(&d->loop, &err);
	d->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline void driver_connect(struct driver *d, struct virtio_device *device)
{
	d->device = device;
	virtio_connect(device, &d->ram, d->kick, d->irq, d->loop, NULL);
}

static inline void driver_end(struct driver *d)
{
	virtio_free(d->device); /* NULL in tests of queues */
	virtio_loop_free(d->loop);
	close(d->kick);
	close(d->irq);
	munmap(d->memory - GUARD, MEMORY + 2 * GUARD);
}

static inline struct vring_desc *desc_of(struct driver *d, unsigned queue)
{
	return (struct vring_desc *)(void *)(d->memory + RINGS + queue * QUEUE_SPACE);
}

static inline struct vring_avail *avail_of(struct driver *d, unsigned queue)
{
	return (struct vring_avail *)(void *)(d->memory + RINGS + queue * QUEUE_SPACE + 0x2000);
}

static inline struct vring_used *used_of(struct driver *d, unsigned queue)
{
	return (struct vring_used *)(void *)(d->memory + RINGS + queue * QUEUE_SPACE + 0x2800);
}

static inline void queue_ready(struct driver *d, unsigned queue, uint32_t size)
{
	uint32_t at = RINGS + queue * QUEUE_SPACE;

	set(d, VIRTIO_MMIO_QUEUE_SEL, queue);
	set(d, VIRTIO_MMIO_QUEUE_NUM, size);
	set(d, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	set(d, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	set(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x2000);
	set(d, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	set(d, VIRTIO_MMIO_QUEUE_USED_LOW, at + 0x2800);
	set(d, VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	set(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* Up to FEATURES_OK. features beyond VERSION_1. */
static inline void driver_features(struct driver *d, uint64_t features)
{
	set(d, VIRTIO_MMIO_STATUS, 0);
	set(d, VIRTIO_MMIO_STATUS, 1);
	set(d, VIRTIO_MMIO_STATUS, 3);
	set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32) | 1);
	set(d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void driver_go(struct driver *d)
{
	set(d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Queues 0 … n-1, of 16 entries or what the device allows. */
static inline void driver_start(struct driver *d, uint64_t features, unsigned n)
{
	driver_features(d, features);
	for (unsigned i = 0; i < n; i++) {
		set(d, VIRTIO_MMIO_QUEUE_SEL, i);
		uint32_t max = get(d, VIRTIO_MMIO_QUEUE_NUM_MAX);

		queue_ready(d, i, max < 16 ? max : 16);
	}
	driver_go(d);
}

static inline void make_available(struct driver *d, unsigned queue, uint32_t size, uint16_t head)
{
	struct vring_avail *a = avail_of(d, queue);

	a->ring[d->next_avail[queue]++ % size] = head;
	a->idx = d->next_avail[queue];
}

/* Lets the device work: all that is ready now. */
static inline void turn(struct driver *d)
{
	for (int i = 0; i < 8; i++)
		virtio_loop_turn(d->loop, 0);
}

static inline void kick(struct driver *d, unsigned queue)
{
	set(d, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	turn(d);
}

static inline bool interrupted(struct driver *d)
{
	uint64_t n;

	return read(d->irq, &n, sizeof(n)) == sizeof(n);
}
