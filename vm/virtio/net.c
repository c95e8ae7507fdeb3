/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net - a tap for the guest (virtio 1.2 §5.1)
 *
 * One pair of queues. The guest's frames go from its memory to the tap, header and all: the kernel copies
 * the header once and checks it (tun(4)). Towards the guest the kernel hands out whole TCP segments of up to 64 KiB, a
 * frame each, which are spread over as many of the driver's buffers as they take (§5.1.6.4): one interrupt
 * and one pass through the guest's stack for 44 frames. They go through a buffer of ours, because how many of the
 * driver's are needed is known only once the frame has been read.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/virtio/device.h"

enum {
	RX,
	TX,
	QUEUES,
	ENTRIES = 256,
	HEADER = sizeof(struct virtio_net_hdr_v1),
	ETHERNET = 14,
	MAX_FRAME = 65535 + ETHERNET,
	RX_BATCH = 64, /* frames, before others have their turn */
};

struct net {
	struct virtio_device device;
	struct virtio_ops ops; /* features depend on the tap */
	struct virtio_net_config config;
	int tap_fd;
	size_t pending; /* bytes in frame that wait for buffers of the driver's; 0: none */
	uint8_t frame[HEADER + MAX_FRAME];
};

static struct net *of(struct virtio_device *dev)
{
	return (struct net *)dev;
}

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	(void)dev;
	(void)i;
	return ENTRIES;
}

static int transmit(struct net *n)
{
	struct virtq *q = &n->device.queues[TX];
	struct virtq_chain *c = &n->device.chain;
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, c)) > 0;) {
		/* A frame that the tap refuses or has no room for is lost, as on any wire. */
		if (c->out_bytes > HEADER + ETHERNET && c->out_bytes <= HEADER + MAX_FRAME &&
		    writev(n->tap_fd, c->iov, (int)c->n_out) < 0 && errno == EBADFD)
			return -EPROTO;
		virtq_push(q, c->head, 0);
		if (--left == 0) {
			virtio_again(&n->device);
			break;
		}
	}
	virtio_notify(&n->device, TX);
	return r < 0 ? r : 0;
}

static void on_frame(void *arg, uint32_t events);

/*
 * Gives the pending frame to the driver. 1: it is gone; 0: it waits for more buffers, and the driver will kick. One that
 * can never fit is lost.
 */
static int deliver(struct net *n)
{
	struct virtq *q = &n->device.queues[RX];
	struct virtq_chain *c = &n->device.chain;
	bool is_merging = virtio_has_feature(&n->device, VIRTIO_NET_F_MRG_RXBUF);
	unsigned most = is_merging ? q->size : 1, k = 0;
	struct {
		uint16_t head;
		uint32_t bytes;
	} used[ENTRIES];
	uint8_t *count[2] = { NULL, NULL }; /* §5.1.6.4.1: num_buffers, known at the end */
	size_t done = 0;

	while (done < n->pending && k < most) {
		int r = virtq_pop(q, c);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		if (c->in_bytes <= HEADER)
			return -EPROTO;
		for (unsigned i = 0; k == 0 && i < 2; i++)
			count[i] =
				virtq_in_at(c, offsetof(struct virtio_net_hdr_v1, num_buffers) + i);
		used[k].head = c->head;
		used[k].bytes = (uint32_t)virtq_copy_in(c, 0, n->frame + done, n->pending - done);
		done += used[k++].bytes;
	}
	if (done < n->pending) {
		for (unsigned i = 0; i < k; i++)
			virtq_unpop(q);
		if (k < most)
			return 0;
		n->pending = 0;
		return 1;
	}
	*count[0] = (uint8_t)k;
	*count[1] = (uint8_t)(k >> 8);
	for (unsigned i = 0; i < k; i++)
		virtq_put(q, used[i].head, used[i].bytes);
	virtq_publish(q);
	n->pending = 0;
	return 1;
}

static int receive(struct net *n)
{
	struct virtq *q = &n->device.queues[RX];
	int r = 1;

	for (unsigned left = RX_BATCH; r > 0 && left > 0 && virtq_has(q); left--) {
		if (n->pending == 0) {
			ssize_t got = read(n->tap_fd, n->frame, sizeof(n->frame));

			if (got <= HEADER)
				break;
			n->pending = (size_t)got;
		}
		r = deliver(n);
	}
	virtio_notify(&n->device, RX);

	/* Without buffers, frames wait in the tap; the driver kicks when it has added some. */
	if (r <= 0 || !virtq_has(q))
		virtio_loop_forget(n->device.loop, n->tap_fd);
	else
		(void)virtio_loop_watch(n->device.loop, n->tap_fd, EPOLLIN, on_frame, n);
	return r < 0 ? r : 0;
}

static void on_frame(void *arg, uint32_t events)
{
	struct net *n = arg;

	(void)events;
	pthread_mutex_lock(&n->device.lock);
	if (!virtio_is_running(&n->device))
		virtio_loop_forget(n->device.loop, n->tap_fd);
	else if (receive(n) < 0)
		virtio_break(&n->device);
	pthread_mutex_unlock(&n->device.lock);
}

static int work(struct virtio_device *dev, unsigned i)
{
	return i == RX ? receive(of(dev)) : transmit(of(dev));
}

static void config_read(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n)
{
	memcpy(to, (const uint8_t *)&of(dev)->config + offset, n);
}

static void net_free(struct virtio_device *dev)
{
	struct net *n = of(dev);

	if (n->tap_fd >= 0) {
		if (dev->loop)
			virtio_loop_forget(dev->loop, n->tap_fd);
		close(n->tap_fd);
	}
	virtio_device_release(dev);
	free(n);
}

static const struct virtio_ops net_ops = {
	.kind = VIRTIO_ID_NET,
	.features = 1ull << VIRTIO_NET_F_MAC,
	.n_queues = QUEUES,
	.queue_max = queue_max,
	.config_bytes = offsetof(struct virtio_net_config, speed),
	.config_read = config_read,
	.work = work,
	.free = net_free,
};

int virtio_net_new(const struct vm_tap *tap, struct virtio_device **ret, struct error *err)
{
	auto_free struct net *n = calloc(1, sizeof(*n));

	if (!n)
		return error_set(err, ENOMEM, "allocate a network device");
	n->ops = net_ops;
	memcpy(n->config.mac, tap->mac, sizeof(tap->mac));
	n->config.mtu = tap->mtu;
	if (tap->mtu)
		n->ops.features |= 1ull << VIRTIO_NET_F_MTU;
	if (tap->has_offload)
		n->ops.features |= 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |
				   1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
				   1ull << VIRTIO_NET_F_GUEST_TSO4 |
				   1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_MRG_RXBUF;

	int r = virtio_device_init(&n->device, &n->ops, err);

	if (r < 0)
		return r;
	n->tap_fd = tap->fd;
	*ret = &TAKE_PTR(n)->device;
	return 0;
}
