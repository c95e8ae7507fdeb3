/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See queue.h. The rings are little-endian, as this host is; accesses to them are volatile or
 * atomic, so that the compiler reads each field once.
 */
#include "vm/virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio is little-endian (§1.4)");

enum { FLAGS_AT = 0, INDEX_AT = 2, RING_AT = 4, USED_ELEMENT = 8 };

void *guest_ram_at(const struct guest_ram *ram, uint64_t at, uint64_t n)
{
	if (n == 0)
		return NULL;
	for (unsigned i = 0; i < ram->n; i++) {
		const struct guest_range *g = &ram->range[i];

		if (at >= g->at && at - g->at < g->size && n <= g->size - (at - g->at))
			return g->host + (at - g->at);
	}
	return NULL;
}

static uint16_t load16(const volatile uint8_t *p)
{
	return *(const volatile uint16_t *)(const volatile void *)p;
}

static void store16(volatile uint8_t *p, uint16_t v)
{
	*(volatile uint16_t *)(volatile void *)p = v;
}

/* Orders the index before the entries that it announces. */
static uint16_t load_index(const volatile uint8_t *ring)
{
	return __atomic_load_n((const volatile uint16_t *)(const volatile void *)(ring + INDEX_AT),
			       __ATOMIC_ACQUIRE);
}

int virtq_start(struct virtq *q, const struct guest_ram *ram, bool has_event_idx)
{
	uint32_t n = q->size;

	if (n == 0 || n > q->max || n > VIRTQ_MAX || (n & (n - 1)))
		return -EINVAL;
	/* §2.7: alignment of 16, 2 and 4. The last two bytes of each ring are the event index. */
	if ((q->desc_at & 15) || (q->avail_at & 1) || (q->used_at & 3))
		return -EINVAL;

	void *desc = guest_ram_at(ram, q->desc_at, (uint64_t)n * sizeof(struct vring_desc));
	void *avail = guest_ram_at(ram, q->avail_at, RING_AT + 2ull * n + 2);
	void *used = guest_ram_at(ram, q->used_at, RING_AT + (uint64_t)USED_ELEMENT * n + 2);

	if (!desc || !avail || !used)
		return -EINVAL;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	q->ram = ram;
	q->has_event_idx = has_event_idx;
	q->next_avail = q->next_used = q->told_used = 0;
	q->is_broken = false;
	q->is_ready = true;
	return 0;
}

void virtq_reset(struct virtq *q)
{
	uint32_t max = q->max;

	*q = (struct virtq){ .max = max, .size = max };
}

/* One descriptor, copied. */
static void fetch(const volatile uint8_t *table, unsigned i, struct vring_desc *d)
{
	const volatile struct vring_desc *from =
		(const volatile struct vring_desc *)(const volatile void *)table + i;

	d->addr = from->addr;
	d->len = from->len;
	d->flags = from->flags;
	d->next = from->next;
}

static int add_segment(struct virtq *q, struct virtq_chain *c, const struct vring_desc *d)
{
	bool is_in = d->flags & VRING_DESC_F_WRITE;

	if (!is_in && c->n_in) /* §2.7.4.2: what the device reads comes first */
		return -EPROTO;
	if (d->len == 0)
		return 0;
	if (c->n_out + c->n_in >= q->size)
		return -EPROTO;

	void *host = guest_ram_at(q->ram, d->addr, d->len);
	size_t *bytes = is_in ? &c->in_bytes : &c->out_bytes;

	/* §2.7.5.2: a chain holds 2^32 bytes at most. */
	if (!host || *bytes + d->len > UINT32_MAX)
		return -EPROTO;
	*bytes += d->len;
	c->iov[c->n_out + c->n_in] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	if (is_in)
		c->n_in++;
	else
		c->n_out++;
	return 0;
}

/*
 * Follows a chain through a table of n descriptors. Neither direct nor indirect may it be longer than the
 * queue (§2.7.5.3.1), so a loop ends. *budget counts descriptors over both tables.
 */
static int follow(struct virtq *q, struct virtq_chain *c, const volatile uint8_t *table, unsigned n,
		  unsigned i, unsigned *budget, bool is_indirect)
{
	for (;;) {
		struct vring_desc d;

		if (i >= n || (*budget)-- == 0)
			return -EPROTO;
		fetch(table, i, &d);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			unsigned count = d.len / sizeof(d);
			void *inner = guest_ram_at(q->ram, d.addr, d.len);

			/* §2.7.5.3.1: no table in a table, and none that goes on. */
			if (is_indirect || (d.flags & VRING_DESC_F_NEXT) || !inner ||
			    d.len % sizeof(d) || count > q->size || ((uintptr_t)inner & 7))
				return -EPROTO;
			return follow(q, c, inner, count, 0, budget, true);
		}
		if (add_segment(q, c, &d) < 0)
			return -EPROTO;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

/*
 * Asks for a kick when entry next_avail comes, and looks again: the driver may have added it before it saw
 * the question (§2.7.10.1).
 */
static bool has_after_asking(struct virtq *q)
{
	if (q->has_event_idx)
		store16(q->used + RING_AT + USED_ELEMENT * q->size, q->next_avail);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load_index(q->avail) != q->next_avail;
}

bool virtq_has(struct virtq *q)
{
	return q->is_ready && !q->is_broken &&
	       (load_index(q->avail) != q->next_avail || has_after_asking(q));
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	if (!virtq_has(q))
		return 0;

	/* More entries than the ring has: the driver lies. */
	uint16_t pending = (uint16_t)(load_index(q->avail) - q->next_avail);
	unsigned budget = q->size + 1; /* the descriptor that names a table counts, too */

	c->n_out = c->n_in = 0;
	c->out_bytes = c->in_bytes = 0;
	c->head = load16(q->avail + RING_AT + 2 * (q->next_avail & (q->size - 1)));
	if (pending > q->size || follow(q, c, q->desc, q->size, c->head, &budget, false) < 0) {
		q->is_broken = true;
		return -EPROTO;
	}
	q->next_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->next_avail--;
}

void virtq_put(struct virtq *q, uint16_t head, uint32_t written)
{
	volatile uint8_t *element = q->used + RING_AT + USED_ELEMENT * (q->next_used & (q->size - 1));

	*(volatile uint32_t *)(volatile void *)element = head;
	*(volatile uint32_t *)(volatile void *)(element + 4) = written;
	q->next_used++;
}

void virtq_publish(struct virtq *q)
{
	__atomic_store_n((volatile uint16_t *)(volatile void *)(q->used + INDEX_AT), q->next_used,
			 __ATOMIC_RELEASE);
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	virtq_put(q, head, written);
	virtq_publish(q);
}

bool virtq_wants_interrupt(struct virtq *q)
{
	if (!q->is_ready || q->next_used == q->told_used)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);

	uint16_t before = q->told_used;

	q->told_used = q->next_used;
	if (!q->has_event_idx)
		return !(load16(q->avail + FLAGS_AT) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(load16(q->avail + RING_AT + 2 * q->size), q->next_used, before);
}

static size_t copy(const struct iovec *iov, unsigned n, size_t offset, void *ours, size_t size, bool out)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < size; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		size_t take = iov[i].iov_len - offset;
		char *theirs = (char *)iov[i].iov_base + offset;

		if (take > size - done)
			take = size - done;
		if (out)
			memcpy((char *)ours + done, theirs, take);
		else
			memcpy(theirs, (char *)ours + done, take);
		done += take;
		offset = 0;
	}
	return done;
}

size_t virtq_copy_out(const struct virtq_chain *c, size_t offset, void *to, size_t n)
{
	return copy(c->iov, c->n_out, offset, to, n, true);
}

size_t virtq_copy_in(const struct virtq_chain *c, size_t offset, const void *from, size_t n)
{
	return copy(c->iov + c->n_out, c->n_in, offset, (void *)(uintptr_t)from, n, false);
}

uint8_t *virtq_in_at(const struct virtq_chain *c, size_t offset)
{
	const struct iovec *iov = c->iov + c->n_out;

	for (unsigned i = 0; i < c->n_in; i++) {
		if (offset < iov[i].iov_len)
			return (uint8_t *)iov[i].iov_base + offset;
		offset -= iov[i].iov_len;
	}
	return NULL;
}
