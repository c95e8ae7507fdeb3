/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue under a driver that does anything: bytes place its areas, fill them, and choose what the device does.
 *
 * What it holds the queue to: a chain lies in the guest's memory (which ends at a page that nobody may access), has no
 * more segments than the queue has entries, and sums that are right; a queue that broke stays broken.
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/vm/virtio/driver.h"
#include "vm/virtio/queue.h"

enum { SMALL = 0x4000 }; /* of memory, so that areas overlap each other and its end */

/* Inside, at an edge, in the range above 4 GiB, or anywhere. */
static uint64_t take_address(struct input *in)
{
	uint64_t v = take(in, 2);

	switch (v >> 14) {
	case 1:
		return SMALL - (v & 0x3f);
	case 2:
		return 0x100000000 + (v & 0x3fff);
	case 3:
		return take(in, 8);
	}
	return v & 0x3ff0;
}

static void check_chain(const struct driver *d, const struct virtq *q, const struct virtq_chain *c)
{
	size_t bytes[2] = { 0, 0 };

	require(c->n_out + c->n_in <= q->size);
	for (unsigned i = 0; i < c->n_out + c->n_in; i++) {
		const uint8_t *at = c->iov[i].iov_base;
		size_t n = c->iov[i].iov_len;

		require(n > 0);
		bytes[i >= c->n_out] += n;
		require((at >= d->memory && n <= SMALL && at + n <= d->memory + SMALL) ||
			(at >= d->memory + SMALL && n <= SMALL && at + n <= d->memory + 2 * SMALL));
	}
	require(bytes[0] == c->out_bytes && bytes[1] == c->in_bytes);
}

/* As a device does: copies a head, answers, gives back. */
static void use_chain(struct driver *d, struct virtq *q, struct input *in)
{
	static struct virtq_chain c;
	uint8_t bytes[64];
	size_t offset = take(in, 2), n = take(in, 1) % sizeof(bytes);
	int r = virtq_pop(q, &c);

	require(r == 1 || r == 0 || r == -EPROTO);
	if (r == -EPROTO)
		require(q->is_broken && virtq_pop(q, &c) == 0 && !virtq_has(q));
	if (r != 1)
		return;
	check_chain(d, q, &c);

	size_t out = virtq_copy_out(&c, offset, bytes, n);

	require(out == (offset >= c.out_bytes ? 0 : c.out_bytes - offset < n ? c.out_bytes - offset : n));
	memset(bytes, 0xa5, sizeof(bytes));
	require(virtq_copy_in(&c, offset, bytes, n) <= n);
	if (take(in, 1) % 4 == 0)
		virtq_unpop(q);
	else
		virtq_push(q, c.head, (uint32_t)c.in_bytes);
	virtq_wants_interrupt(q);
}

static void start(struct virtq *q, const struct guest_ram *ram, struct input *in)
{
	virtq_reset(q);
	q->size = 1u << take(in, 1) % 11;
	if (take(in, 1) == 0xff)
		q->size = (uint32_t)take(in, 4);
	q->desc_at = take_address(in);
	q->avail_at = take_address(in);
	q->used_at = take_address(in);
	require(virtq_start(q, ram, take(in, 1) & 1) == 0 || !q->is_ready);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct virtq q = { .max = VIRTQ_MAX };
	struct driver d;
	uint64_t v, at;

	driver_begin(&d);
	/* What follows the two ranges must not be touched either. */
	mprotect(d.memory + 2 * SMALL, MEMORY - 2 * SMALL, PROT_NONE);
	d.ram.n = 2;
	d.ram.range[0].size = SMALL;
	d.ram.range[1] = (struct guest_range){ .at = 0x100000000, .size = SMALL, .host = d.memory + SMALL };
	start(&q, &d.ram, &in);
	while (in.left > 0) {
		switch (take(&in, 1) % 8) {
		case 0:
			start(&q, &d.ram, &in);
			break;
		case 1: /* a descriptor at some place of the table */
			if (!q.is_ready)
				break;
			struct vring_desc desc = { .addr = take_address(&in), .len = (uint32_t)take(&in, 2) };

			desc.flags = (uint16_t)(take(&in, 1) & 7);
			desc.next = (uint16_t)take(&in, 1);
			at = take(&in, 1) % q.size * sizeof(desc);
			memcpy((uint8_t *)(uintptr_t)q.desc + at, &desc, sizeof(desc));
			break;
		case 2: /* an entry, and the index */
			if (!q.is_ready)
				break;
			v = take(&in, 2);
			memcpy((uint8_t *)(uintptr_t)q.avail + 4 + 2 * (q.next_avail & (q.size - 1)), &v, 2);
			v = take(&in, 1) ? q.next_avail + 1u : take(&in, 2);
			memcpy((uint8_t *)(uintptr_t)q.avail + 2, &v, 2);
			break;
		case 3: /* any bytes */
			v = take(&in, 8);
			at = take(&in, 2) % (2 * SMALL - 8);
			memcpy(d.memory + at, &v, 8);
			break;
		default:
			use_chain(&d, &q, &in);
		}
	}
	driver_end(&d);
	return 0;
}
