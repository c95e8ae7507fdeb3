/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>

#include "tests/unit/vm/virtio/driver.h"
#include "vm/virtio/queue.h"

enum { SIZE = 8 };

static struct virtq_chain chain; /* 8 KiB */

static void begin(struct driver *d, struct virtq *q)
{
	driver_begin(d);
	*q = (struct virtq){
		.max = 256, .size = SIZE, .desc_at = RINGS, .avail_at = RINGS + 0x2000, .used_at = RINGS + 0x2800,
	};
	cr_assert_eq(virtq_start(q, &d->ram, true), 0);
}

static void put(struct driver *d, unsigned i, uint64_t at, uint32_t n, uint16_t flags, uint16_t next)
{
	desc_of(d, 0)[i] = (struct vring_desc){ .addr = at, .len = n, .flags = flags, .next = next };
}

static int pop(struct driver *d, struct virtq *q, uint16_t head)
{
	make_available(d, 0, SIZE, head);
	return virtq_pop(q, &chain);
}

Test(queue, memory_is_what_lies_inside_one_range)
{
	uint8_t low[64], high[64];
	struct guest_ram ram = {
		.n = 2,
		.range = { { .at = 0, .size = 64, .host = low }, { .at = 1 << 20, .size = 64, .host = high } },
	};

	cr_assert_eq(guest_ram_at(&ram, 0, 64), low);
	cr_assert_eq(guest_ram_at(&ram, 63, 1), low + 63);
	cr_assert_eq(guest_ram_at(&ram, (1 << 20) + 4, 60), high + 4);
	cr_assert_null(guest_ram_at(&ram, 63, 2));
	cr_assert_null(guest_ram_at(&ram, 64, 1));
	cr_assert_null(guest_ram_at(&ram, 0, 0));
	cr_assert_null(guest_ram_at(&ram, 1, UINT64_MAX));
	cr_assert_null(guest_ram_at(&ram, UINT64_MAX, 2));
	cr_assert_null(guest_ram_at(&ram, (1 << 20) - 1, 2));
}

Test(queue, a_queue_outside_of_memory_or_of_a_wrong_size_does_not_start)
{
	struct driver d;
	struct virtq q, good;

	begin(&d, &good);
	static const struct {
		size_t field;
		uint64_t value;
	} wrong[] = {
		{ offsetof(struct virtq, desc_at), MEMORY - 16 * SIZE + 16 },
		{ offsetof(struct virtq, desc_at), RINGS + 8 },
		{ offsetof(struct virtq, desc_at), UINT64_MAX - 15 },
		{ offsetof(struct virtq, avail_at), MEMORY - 2 },
		{ offsetof(struct virtq, avail_at), RINGS + 0x2001 },
		{ offsetof(struct virtq, used_at), MEMORY - 4 - 8 * SIZE },
		{ offsetof(struct virtq, used_at), RINGS + 2 },
	};
	static const uint32_t sizes[] = { 0, 3, 512, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		q = good;
		memcpy((char *)&q + wrong[i].field, &wrong[i].value, 8);
		cr_assert_eq(virtq_start(&q, &d.ram, true), -EINVAL, "row %zu", i);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		q = good;
		q.size = sizes[i];
		cr_assert_eq(virtq_start(&q, &d.ram, true), -EINVAL, "size %u", sizes[i]);
	}
	driver_end(&d);
}

Test(queue, a_chain_is_split_into_what_is_read_and_what_is_written)
{
	struct driver d;
	struct virtq q;

	begin(&d, &q);
	put(&d, 3, DATA, 10, VRING_DESC_F_NEXT, 5);
	put(&d, 5, DATA + 100, 0, VRING_DESC_F_NEXT, 1);
	put(&d, 1, DATA + 200, 20, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
	put(&d, 0, DATA + 300, 30, VRING_DESC_F_WRITE, 7);
	cr_assert_eq(virtq_pop(&q, &chain), 0);
	cr_assert_eq(pop(&d, &q, 3), 1);
	cr_assert_eq(chain.head, 3);
	cr_assert_eq(chain.n_out, 1);
	cr_assert_eq(chain.n_in, 2);
	cr_assert_eq(chain.out_bytes, 10);
	cr_assert_eq(chain.in_bytes, 50);
	cr_assert_eq(virtq_copy_in(&chain, 15, "0123456789", 10), 10);
	cr_assert_eq(memcmp(d.memory + DATA + 215, "01234", 5), 0);
	cr_assert_eq(memcmp(d.memory + DATA + 300, "56789", 5), 0);
	virtq_push(&q, 3, 25);
	cr_assert_eq(used_of(&d, 0)->idx, 1);
	cr_assert_eq(used_of(&d, 0)->ring[0].id, 3);
	cr_assert_eq(used_of(&d, 0)->ring[0].len, 25);
	cr_assert_eq(virtq_pop(&q, &chain), 0);
	driver_end(&d);
}

static void indirect(struct driver *d, unsigned n, uint16_t last_flags)
{
	struct vring_desc *table = (struct vring_desc *)(void *)(d->memory + DATA);

	for (unsigned i = 0; i < n; i++)
		table[i] = (struct vring_desc){
			.addr = DATA + 0x10000 + 16 * i, .len = 16,
			.flags = i + 1 < n ? VRING_DESC_F_NEXT : last_flags, .next = (uint16_t)(i + 1),
		};
	put(d, 0, DATA, n * 16, VRING_DESC_F_INDIRECT, 0);
}

Test(queue, an_indirect_table_holds_as_many_as_the_queue)
{
	struct driver d;
	struct virtq q;

	begin(&d, &q);
	indirect(&d, SIZE, 0);
	cr_assert_eq(pop(&d, &q, 0), 1);
	cr_assert_eq(chain.n_out, SIZE);
	indirect(&d, SIZE + 1, 0);
	cr_assert_eq(pop(&d, &q, 0), -EPROTO);
	driver_end(&d);
}

/* Each breaks the ring for good: a pop after a broken one finds nothing. */
Test(queue, what_breaks_the_rules_breaks_the_queue)
{
	struct driver d;
	struct virtq q;

	for (int row = 0;; row++) {
		begin(&d, &q);
		put(&d, 0, DATA, 16, 0, 0);
		uint16_t head = 0;

		switch (row) {
		case 0: /* a head beyond the table */
			head = SIZE;
			break;
		case 1: /* a next beyond the table */
			put(&d, 0, DATA, 16, VRING_DESC_F_NEXT, SIZE);
			break;
		case 2: /* a loop */
			put(&d, 0, DATA, 16, VRING_DESC_F_NEXT, 0);
			break;
		case 3: /* a loop of empty ones */
			put(&d, 0, DATA, 0, VRING_DESC_F_NEXT, 0);
			break;
		case 4: /* readable after writable */
			put(&d, 0, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
			put(&d, 1, DATA, 16, 0, 0);
			break;
		case 5: /* the end of memory */
			put(&d, 0, MEMORY - 8, 16, 0, 0);
			break;
		case 6: /* an address that wraps */
			put(&d, 0, UINT64_MAX - 8, 16, 0, 0);
			break;
		case 7: /* a table in a table */
			indirect(&d, 2, VRING_DESC_F_INDIRECT);
			break;
		case 8: /* a table that goes on */
			indirect(&d, 2, 0);
			desc_of(&d, 0)[0].flags |= VRING_DESC_F_NEXT;
			break;
		case 9: /* half an entry */
			indirect(&d, 2, 0);
			desc_of(&d, 0)[0].len = 24;
			break;
		case 10: /* a table outside of memory */
			put(&d, 0, MEMORY - 16, 32, VRING_DESC_F_INDIRECT, 0);
			break;
		case 11: /* an empty table */
			put(&d, 0, DATA, 0, VRING_DESC_F_INDIRECT, 0);
			break;
		case 12: /* more entries than there are */
			d.next_avail[0] = SIZE;
			break;
		default:
			cr_assert_eq(row, 13);
			driver_end(&d);
			return;
		}
		cr_assert_eq(pop(&d, &q, head), -EPROTO, "row %d", row);
		cr_assert_eq(pop(&d, &q, 0), 0, "row %d", row);
		cr_assert_not(virtq_has(&q));
		driver_end(&d);
	}
}

Test(queue, interrupts_when_the_driver_asked_for_it)
{
	struct driver d;
	struct virtq q;

	begin(&d, &q);
	uint16_t *used_event = &avail_of(&d, 0)->ring[SIZE];

	*used_event = 1;
	virtq_push(&q, 0, 0);
	cr_assert_not(virtq_wants_interrupt(&q));
	virtq_push(&q, 0, 0);
	cr_assert(virtq_wants_interrupt(&q));
	cr_assert_not(virtq_wants_interrupt(&q));
	q.has_event_idx = false;
	virtq_push(&q, 0, 0);
	cr_assert(virtq_wants_interrupt(&q));
	avail_of(&d, 0)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtq_push(&q, 0, 0);
	cr_assert_not(virtq_wants_interrupt(&q));
	driver_end(&d);
}

Test(queue, asks_for_a_kick_when_it_finds_nothing)
{
	struct driver d;
	struct virtq q;
	uint16_t *avail_event;

	begin(&d, &q);
	avail_event = (uint16_t *)(void *)&used_of(&d, 0)->ring[SIZE];
	put(&d, 0, DATA, 16, 0, 0);
	cr_assert_eq(pop(&d, &q, 0), 1);
	cr_assert_eq(*avail_event, 0);
	cr_assert_eq(virtq_pop(&q, &chain), 0);
	cr_assert_eq(*avail_event, 1);
	virtq_unpop(&q);
	cr_assert_eq(virtq_pop(&q, &chain), 1);
	driver_end(&d);
}
