/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs - carries FUSE requests between a virtqueue and the server of vm/fs/ (virtio 1.2 §5.11)
 *
 * Looks at no byte of a request: the server does. Queue 0 is for FORGET, queue 1 for everything else.
 */
#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/auto.h"
#include "vm/fs/fs.h"
#include "vm/virtio/device.h"

/* The guest's largest request is the queue's size less 4 pages. */
enum { HIPRIO, REQUEST, QUEUES, HIPRIO_ENTRIES = 32, REQUEST_ENTRIES = 512 };

_Static_assert(VIRTQ_MAX <= VM_FS_IOV_MAX, "every chain is a request");

struct virtio_fs {
	struct virtio_device device;
	struct vm_fs *fs;
	struct vm_fs_worker *worker;
	struct virtio_fs_config config;
};

static struct virtio_fs *of(struct virtio_device *dev)
{
	return (struct virtio_fs *)dev;
}

static uint32_t queue_max(const struct virtio_device *dev, unsigned i)
{
	(void)dev;
	return i == HIPRIO ? HIPRIO_ENTRIES : REQUEST_ENTRIES;
}

static int work(struct virtio_device *dev, unsigned i)
{
	struct virtio_fs *f = of(dev);
	struct virtq *q = &dev->queues[i];
	struct virtq_chain *c = &dev->chain;
	int r;

	for (unsigned left = q->size; (r = virtq_pop(q, c)) > 0;) {
		size_t n = vm_fs_request(f->worker, c->iov, c->n_out, c->iov + c->n_out, c->n_in);

		virtq_push(q, c->head, (uint32_t)n);
		if (i == REQUEST)
			virtio_notify_all(dev); /* after each: the next may take long */
		if (--left == 0) {
			virtio_again(dev);
			break;
		}
	}
	/* Nobody waits for the end of a FORGET: the interrupt of a request that comes next tells it, too. */
	if (i == HIPRIO && !virtq_has(&dev->queues[REQUEST]))
		virtio_notify_all(dev);
	return r < 0 ? r : 0;
}

static void reset(struct virtio_device *dev)
{
	vm_fs_reset(of(dev)->fs);
}

static void config_read(struct virtio_device *dev, uint32_t offset, uint8_t *to, uint32_t n)
{
	memcpy(to, (const uint8_t *)&of(dev)->config + offset, n);
}

static void fs_free(struct virtio_device *dev)
{
	virtio_device_release(dev);
	free(of(dev));
}

static const struct virtio_ops fs_ops = {
	.kind = VIRTIO_ID_FS,
	.n_queues = QUEUES,
	.queue_max = queue_max,
	.config_bytes = sizeof(struct virtio_fs_config),
	.config_read = config_read,
	.reset = reset,
	.work = work,
	.free = fs_free,
};

int virtio_fs_new(const char *tag, struct vm_fs *fs, struct virtio_device **ret, struct error *err)
{
	auto_free struct virtio_fs *f = calloc(1, sizeof(*f));
	size_t n = strlen(tag);

	if (!f)
		return error_set(err, ENOMEM, "allocate a file system device");
	if (n == 0 || n > sizeof(f->config.tag))
		return error_rule(err, EINVAL, "the tag \"%.40s\" has not 1 to 36 bytes", tag);
	f->fs = fs;
	memcpy(f->config.tag, tag, n); /* §5.11.4: padded with NUL, not ended by one */
	f->config.num_request_queues = 1;

	int r = virtio_device_init(&f->device, &fs_ops, err);

	if (r < 0)
		return r;
	*ret = &TAKE_PTR(f)->device;
	return 0;
}

int virtio_fs_enter(struct virtio_device *dev, struct error *err)
{
	return vm_fs_worker_new(of(dev)->fs, &of(dev)->worker, err);
}

void virtio_fs_leave(struct virtio_device *dev)
{
	vm_fs_worker_free(of(dev)->worker);
	of(dev)->worker = NULL;
}
