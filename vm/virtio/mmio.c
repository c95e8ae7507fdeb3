/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio - the registers of a device (virtio 1.2 §4.2.2) and its life (§3.1)
 *
 * What the guest may change and when: features until FEATURES_OK, a queue's registers until the queue is
 * ready, QueueReady until DRIVER_OK. Everything comes to an end with a reset alone.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/virtio/device.h"

static const uint64_t transport_features = 1ull << VIRTIO_F_VERSION_1 |
					   1ull << VIRTIO_RING_F_INDIRECT_DESC |
					   1ull << VIRTIO_RING_F_EVENT_IDX;

enum {
	MAGIC = 0x74726976, /* "virt" */
	VERSION = 2,
	VENDOR = 0x484b4c42, /* "BLKH" */
	DRIVER_STATUS = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			VIRTIO_CONFIG_S_FAILED,
};

/* Features of the driver; size and addresses of a queue, which count when it is declared ready. */
const struct virtio_late_registers virtio_late[] = {
	{ VIRTIO_MMIO_DRIVER_FEATURES, 8 },
	{ VIRTIO_MMIO_QUEUE_NUM, 4 },
	{ VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH + 4 - VIRTIO_MMIO_QUEUE_DESC_LOW },
};
const unsigned virtio_n_late = ARRAY_SIZE(virtio_late);

/* After whatever changed a register. Lock held. */
static void show(struct virtio_device *dev);

/* ---- for the devices ---- */

int virtio_device_init(struct virtio_device *dev, const struct virtio_ops *ops, struct error *err)
{
	dev->ops = ops;
	dev->kick_fd = dev->irq_fd = -1;
	dev->interrupt_status = &dev->own_interrupt_status;
	dev->queues = calloc(ops->n_queues, sizeof(*dev->queues));
	if (!dev->queues)
		return error_set(err, ENOMEM, "allocate the queues of a device");
	pthread_mutex_init(&dev->lock, NULL);
	for (unsigned i = 0; i < ops->n_queues; i++)
		dev->queues[i].max = dev->queues[i].size = ops->queue_max(dev, i);
	return 0;
}

void virtio_device_release(struct virtio_device *dev)
{
	if (dev->loop)
		virtio_loop_forget(dev->loop, dev->kick_fd);
	dev->loop = NULL;
	if (dev->queues)
		pthread_mutex_destroy(&dev->lock);
	free(dev->queues);
	dev->queues = NULL;
}

bool virtio_is_running(const struct virtio_device *dev)
{
	return (dev->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

static void interrupt(struct virtio_device *dev, unsigned why)
{
	uint64_t one = 1;

	atomic_fetch_or(dev->interrupt_status, why);
	/* An eventfd takes it always, but for a counter at its end: then the interrupt is pending anyway. */
	if (write(dev->irq_fd, &one, sizeof(one)) < 0)
		return;
}

void virtio_notify(struct virtio_device *dev, unsigned i)
{
	if (virtq_wants_interrupt(&dev->queues[i]))
		interrupt(dev, VIRTIO_MMIO_INT_VRING);
}

void virtio_notify_all(struct virtio_device *dev)
{
	bool is_wanted = false;

	for (unsigned i = 0; i < dev->ops->n_queues; i++)
		is_wanted |= virtq_wants_interrupt(&dev->queues[i]);
	if (is_wanted)
		interrupt(dev, VIRTIO_MMIO_INT_VRING);
}

void virtio_again(struct virtio_device *dev)
{
	uint64_t one = 1;

	if (write(dev->kick_fd, &one, sizeof(one)) < 0)
		return;
}

void virtio_config_changed(struct virtio_device *dev)
{
	dev->config_generation++;
	show(dev);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_reveal(struct virtio_device *dev)
{
	dev->is_hidden = false;
	show(dev);
}

void virtio_break(struct virtio_device *dev)
{
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_config_changed(dev);
}

/* ---- work ---- */

static void work_all(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->ops->n_queues && virtio_is_running(dev); i++)
		if (virtq_has(&dev->queues[i]) && dev->ops->work(dev, i) < 0)
			virtio_break(dev);
}

void virtio_kick(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	work_all(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* Watched for its edges: nobody needs to read the counter, which never comes to its end. */
static void on_kick(void *arg, uint32_t events)
{
	(void)events;
	virtio_kick(arg);
}

int virtio_connect(struct virtio_device *dev, const struct guest_ram *ram, int kick_fd, int irq_fd,
		   struct virtio_loop *loop, struct error *err)
{
	int r = virtio_loop_watch(loop, kick_fd, EPOLLIN | EPOLLET, on_kick, dev);

	if (r < 0)
		return error_set(err, -r, "wait for the kicks of a device");
	dev->ram = ram;
	dev->kick_fd = kick_fd;
	dev->irq_fd = irq_fd;
	dev->loop = loop;
	return 0;
}

void virtio_free(struct virtio_device *dev)
{
	if (dev)
		dev->ops->free(dev);
}

uint32_t virtio_kind(const struct virtio_device *dev)
{
	return dev->ops->kind;
}

bool virtio_is_broken(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	bool broken = dev->status & VIRTIO_CONFIG_S_NEEDS_RESET;

	pthread_mutex_unlock(&dev->lock);
	return broken;
}

/* ---- registers ---- */

static void reset(struct virtio_device *dev)
{
	bool was_started = dev->status & VIRTIO_CONFIG_S_DRIVER_OK;

	dev->status = 0;
	dev->driver_features = 0;
	dev->device_features_select = dev->driver_features_select = 0;
	dev->queue_select = 0;
	atomic_store(dev->interrupt_status, 0);
	for (unsigned i = 0; i < dev->ops->n_queues; i++)
		virtq_reset(&dev->queues[i]);
	if (was_started && dev->ops->reset)
		dev->ops->reset(dev);
}

static void write_status(struct virtio_device *dev, uint32_t value)
{
	if (value == 0) {
		reset(dev);
		return;
	}

	/* §2.1.1: the driver only ever adds bits. Not NEEDS_RESET, which is ours. */
	uint32_t added = value & DRIVER_STATUS & ~dev->status;
	uint64_t offered = dev->ops->features | transport_features;

	if (added & VIRTIO_CONFIG_S_FEATURES_OK) {
		bool is_modern = virtio_has_feature(dev, VIRTIO_F_VERSION_1);

		/* §3.1.1 step 5: the driver reads back whether we agree. */
		if ((dev->driver_features & ~offered) || !is_modern)
			added &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    !((dev->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= added;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK) {
		virtio_again(dev); /* this is a vCPU's thread: the work is the loop's */
	}
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffull) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffull) | (uint64_t)value << 32;
}

static void write_queue(struct virtio_device *dev, uint32_t offset, uint32_t value)
{
	if (dev->queue_select >= dev->ops->n_queues || !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;

	struct virtq *q = &dev->queues[dev->queue_select];

	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		if (value == 0)
			virtq_reset(q);
		else if (!q->is_ready &&
			 virtq_start(q, dev->ram, virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX)) < 0)
			virtio_break(dev);
		return;
	}
	if (q->is_ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&q->desc_at, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&q->desc_at, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&q->avail_at, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&q->avail_at, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&q->used_at, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&q->used_at, value);
		break;
	}
}

static void write_features(struct virtio_device *dev, uint32_t value)
{
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (dev->driver_features_select == 0)
		set_low(&dev->driver_features, value);
	else if (dev->driver_features_select == 1)
		set_high(&dev->driver_features, value);
}

static void write_register(struct virtio_device *dev, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->device_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->driver_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_features(dev, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->queue_select = value;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(dev, value);
		break;
	default:
		write_queue(dev, offset, value);
	}
}

static uint32_t read_register(struct virtio_device *dev, uint32_t offset)
{
	uint64_t offered = dev->ops->features | transport_features;
	const struct virtq *q =
		dev->queue_select < dev->ops->n_queues ? &dev->queues[dev->queue_select] : NULL;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->is_hidden ? 0 : dev->ops->kind;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return dev->device_features_select == 0	  ? (uint32_t)offered
		       : dev->device_features_select == 1 ? (uint32_t)(offered >> 32)
							  : 0;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->is_ready;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW: /* §4.2.2: all ones, there is no shared memory */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return 0xffffffff;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->config_generation;
	}
	return 0;
}

static void read_config(struct virtio_device *dev, uint32_t offset, uint8_t *to, unsigned width)
{
	uint32_t end = dev->ops->config_bytes;

	if (offset >= end)
		return;
	if (width > end - offset)
		width = end - offset;
	if (dev->ops->config_read)
		dev->ops->config_read(dev, offset, to, width);
}

/* Word by word, each of which the guest may read at any time. Its status of interrupts is there itself. */
static void show(struct virtio_device *dev)
{
	static const uint32_t changing[] = {
		VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_DEVICE_FEATURES, VIRTIO_MMIO_QUEUE_NUM_MAX,
		VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_STATUS, VIRTIO_MMIO_CONFIG_GENERATION,
	};

	for (size_t i = 0; dev->page && i < ARRAY_SIZE(changing); i++)
		dev->page[changing[i] / 4] = read_register(dev, changing[i]);
}

void virtio_show(struct virtio_device *dev, void *page)
{
	uint32_t words[VIRTIO_MMIO_BYTES / 4];

	for (uint32_t at = 0; at < VIRTIO_MMIO_BYTES; at += 4)
		virtio_mmio_read(dev, at, &words[at / 4], 4);
	pthread_mutex_lock(&dev->lock);
	memcpy(page, words, sizeof(words));
	dev->page = page;
	dev->interrupt_status = (_Atomic uint32_t *)page + VIRTIO_MMIO_INTERRUPT_STATUS / 4;
	pthread_mutex_unlock(&dev->lock);
}

void virtio_mmio_read(struct virtio_device *dev, uint32_t offset, void *data, unsigned width)
{
	uint32_t value = 0;

	memset(data, 0, width);
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS && width == 4) {
		value = atomic_load(dev->interrupt_status);
		memcpy(data, &value, 4);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		read_config(dev, offset - VIRTIO_MMIO_CONFIG, data, width);
	} else if (width == 4) { /* §4.2.2.2: registers are read and written whole */
		value = read_register(dev, offset);
		memcpy(data, &value, 4);
	}
	pthread_mutex_unlock(&dev->lock);
}

void virtio_mmio_write(struct virtio_device *dev, uint32_t offset, const void *data, unsigned width)
{
	uint32_t value = 0;

	if (width == 4)
		memcpy(&value, data, 4);
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK && width == 4) {
		/*
		 * "Used buffers" stays, once it was said: drivers look at their rings whenever they are told to, needed or
		 * not (§2.7.7.1), the interrupt is edge-triggered, and an acknowledgement of it alone need not come here at all.
		 */
		atomic_fetch_and(dev->interrupt_status, ~value | VIRTIO_MMIO_INT_VRING);
		return;
	}
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) { /* where KVM does not take it itself */
		virtio_again(dev);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	if (width == 4 && !dev->is_hidden)
		write_register(dev, offset, value);
	show(dev);
	pthread_mutex_unlock(&dev->lock);
}
