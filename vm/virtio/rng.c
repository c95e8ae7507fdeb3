/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng - entropy for the guest (virtio 1.2 §5.4)
 *
 * A request is answered with at most RNG_BYTES, whatever it asks for: the guest decides neither about
 * our memory nor about how long we are busy, and its driver asks again.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "spec/base/auto.h"
#include "vm/virtio/device.h"

enum { RNG_BYTES = 256, ENTRIES = 8 };

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	(void)dev;
	(void)i;
	return ENTRIES;
}

static int work(struct virtio_device *dev, unsigned i)
{
	struct virtq *q = &dev->queues[i];
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, &dev->chain)) > 0;) {
		uint8_t bytes[RNG_BYTES];
		size_t n = dev->chain.in_bytes < sizeof(bytes) ? dev->chain.in_bytes : sizeof(bytes);

		/* 256 bytes of the initialised pool are never cut short nor refused (random(7)). */
		if (n == 0 || getrandom(bytes, n, 0) != (ssize_t)n)
			return -EPROTO;
		virtq_push(q, dev->chain.head, (uint32_t)virtq_copy_in(&dev->chain, 0, bytes, n));
		if (--left == 0) {
			virtio_again(dev);
			break;
		}
	}
	virtio_notify(dev, i);
	return r < 0 ? r : 0;
}

static void rng_free(struct virtio_device *dev)
{
	virtio_device_release(dev);
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.kind = VIRTIO_ID_RNG,
	.n_queues = 1,
	.queue_max = queue_max,
	.work = work,
	.free = rng_free,
};

int virtio_rng_new(struct virtio_device **ret, struct error *err)
{
	auto_free struct virtio_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return error_set(err, ENOMEM, "allocate an entropy device");

	int r = virtio_device_init(dev, &rng_ops, err);

	if (r == 0)
		*ret = TAKE_PTR(dev);
	return r;
}
