/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon - memory that the guest does not use goes back (virtio 1.2 §5.5)
 *
 * Free page reporting alone (VIRTIO_BALLOON_F_REPORTING, §5.5.6.7). A report is a chain of writable
 * segments; their pages are dropped, and read as zero when the guest touches them again. Only
 * whole pages of the guest's own private memory are dropped; what else a report names stays.
 * Inflating and deflating (queues 0 and 1) is never asked for; such requests are given back unread.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "spec/base/auto.h"
#include "vm/virtio/device.h"

#ifndef VIRTIO_BALLOON_F_REPORTING
#define VIRTIO_BALLOON_F_REPORTING 5
#endif

/* Queues of features that are not offered have no number (§5.5.2 and Linux agree). */
enum { INFLATE, DEFLATE, REPORTING, QUEUES, ENTRIES = 32, PAGE = 4096 };

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	(void)dev;
	(void)i;
	return ENTRIES;
}

static void drop(const struct iovec *v)
{
	uintptr_t begin = ((uintptr_t)v->iov_base + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t end = ((uintptr_t)v->iov_base + v->iov_len) & ~(uintptr_t)(PAGE - 1);

	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED); /* advice: it may be refused */
}

static int work(struct virtio_device *dev, unsigned i)
{
	struct virtq *q = &dev->queues[i];
	struct virtq_chain *c = &dev->chain;
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, c)) > 0;) {
		for (unsigned k = 0; i == REPORTING && k < c->n_in; k++)
			drop(&c->iov[c->n_out + k]);
		virtq_push(q, c->head, 0);
		if (--left == 0) {
			virtio_again(dev);
			break;
		}
	}
	virtio_notify(dev, i);
	return r < 0 ? r : 0;
}

/* num_pages, what the guest should give up, is zero for ever. */
static void config_read(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n)
{
	(void)dev;
	(void)offset;
	memset(to, 0, n);
}

static void balloon_free(struct virtio_device *dev)
{
	virtio_device_release(dev);
	free(dev);
}

static const struct virtio_ops balloon_ops = {
	.kind = VIRTIO_ID_BALLOON,
	.features = 1ull << VIRTIO_BALLOON_F_REPORTING,
	.n_queues = QUEUES,
	.queue_max = queue_max,
	.config_bytes = 8,
	.config_read = config_read,
	.work = work,
	.free = balloon_free,
};

int virtio_balloon_new(struct virtio_device **ret, struct error *err)
{
	auto_free struct virtio_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return error_set(err, ENOMEM, "allocate a balloon");

	int r = virtio_device_init(dev, &balloon_ops, err);

	if (r == 0)
		*ret = TAKE_PTR(dev);
	return r;
}
