/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "tests/unit/vm/virtio/driver.h"

static void begin(struct driver *d)
{
	struct virtio_device *rng;

	driver_begin(d);
	cr_assert_eq(virtio_rng_new(&rng, NULL), 0);
	driver_connect(d, rng);
}

static void ask(struct driver *d, uint32_t n)
{
	desc_of(d, 0)[0] = (struct vring_desc){ .addr = DATA, .len = n, .flags = VRING_DESC_F_WRITE };
	make_available(d, 0, 8, 0);
	kick(d, 0);
}

static void cr_shown(struct driver *d, const uint32_t *page)
{
	for (uint32_t at = 0; at < VIRTIO_MMIO_BYTES; at += 4)
		cr_assert_eq(page[at / 4], get(d, at), "register %#x", at);
}

Test(mmio, says_what_it_is)
{
	struct driver d;

	begin(&d);
	cr_assert_eq(get(&d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	cr_assert_eq(get(&d, VIRTIO_MMIO_VERSION), 2);
	cr_assert_eq(get(&d, VIRTIO_MMIO_DEVICE_ID), 4);
	set(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	cr_assert_eq(get(&d, VIRTIO_MMIO_DEVICE_FEATURES), 1); /* VERSION_1, no packed ring (bit 34) */
	set(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	cr_assert_eq(get(&d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	driver_end(&d);
}

Test(mmio, a_request_is_answered_and_interrupts)
{
	struct driver d;
	static const uint8_t zero[64];

	begin(&d);
	driver_start(&d, 0, 1);
	ask(&d, 64);
	cr_assert_eq(used_of(&d, 0)->idx, 1);
	cr_assert_eq(used_of(&d, 0)->ring[0].len, 64);
	cr_assert_neq(memcmp(d.memory + DATA, zero, 64), 0);
	cr_assert(interrupted(&d));
	cr_assert_eq(get(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	driver_end(&d);
}

/* An acknowledgement of used buffers need not reach the device. */
Test(mmio, used_buffers_stay_in_the_status_and_a_change_does_not)
{
	struct driver d;

	begin(&d);
	driver_start(&d, 0, 1);
	ask(&d, 64);
	desc_of(&d, 0)[0] = (struct vring_desc){ .addr = UINT64_MAX, .len = 8, .flags = VRING_DESC_F_WRITE };
	make_available(&d, 0, 8, 0);
	kick(&d, 0);
	cr_assert_eq(get(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	set(&d, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	cr_assert_eq(get(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	set(&d, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(get(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	driver_end(&d);
}

Test(mmio, a_page_says_what_a_read_would_at_any_time)
{
	static uint32_t page[VIRTIO_MMIO_BYTES / 4];
	struct driver d;

	begin(&d);
	virtio_show(d.device, page);
	cr_shown(&d, page);
	driver_features(&d, 0);
	cr_shown(&d, page);
	for (uint32_t i = 0; i < 3; i++) {
		set(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		set(&d, VIRTIO_MMIO_QUEUE_SEL, i);
		cr_shown(&d, page);
	}
	queue_ready(&d, 0, 8);
	cr_shown(&d, page);
	driver_go(&d);
	ask(&d, 64);
	cr_assert_eq(page[VIRTIO_MMIO_INTERRUPT_STATUS / 4], 1);
	cr_shown(&d, page);
	desc_of(&d, 0)[0] = (struct vring_desc){ .addr = UINT64_MAX, .len = 8, .flags = VRING_DESC_F_WRITE };
	make_available(&d, 0, 8, 0);
	kick(&d, 0);
	cr_assert(page[VIRTIO_MMIO_STATUS / 4] & VIRTIO_CONFIG_S_NEEDS_RESET);
	cr_shown(&d, page);
	set(&d, VIRTIO_MMIO_STATUS, 0);
	cr_shown(&d, page);
	driver_end(&d);
}

Test(mmio, a_large_request_gets_a_small_answer)
{
	struct driver d;

	begin(&d);
	driver_start(&d, 0, 1);
	ask(&d, 1 << 20);
	cr_assert_eq(used_of(&d, 0)->ring[0].len, 256);
	driver_end(&d);
}

Test(mmio, features_that_were_not_offered_are_not_agreed_to)
{
	struct driver d;

	begin(&d);
	driver_features(&d, 1ull << 34);
	cr_assert_not(get(&d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	driver_go(&d);
	cr_assert_not(get(&d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK);
	driver_end(&d);
}

/* CVE-2026-5747: a queue that moves or grows after its addresses were checked. */
Test(mmio, nothing_of_a_queue_changes_after_driver_ok)
{
	struct driver d;

	begin(&d);
	driver_start(&d, 0, 1);
	queue_ready(&d, 0, 512);
	set(&d, VIRTIO_MMIO_QUEUE_READY, 0);
	cr_assert_eq(get(&d, VIRTIO_MMIO_QUEUE_READY), 1);
	set(&d, VIRTIO_MMIO_QUEUE_DESC_LOW, 0xfffffff0);
	set(&d, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0xffffffff);
	set(&d, VIRTIO_MMIO_QUEUE_USED_LOW, MEMORY - 4);
	ask(&d, 16);
	cr_assert_eq(used_of(&d, 0)->idx, 1);
	driver_end(&d);
}

Test(mmio, nothing_of_a_queue_changes_while_it_is_ready)
{
	struct driver d;

	begin(&d);
	driver_features(&d, 0);
	queue_ready(&d, 0, 8);
	set(&d, VIRTIO_MMIO_QUEUE_NUM, 512);
	set(&d, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0xffffffff);
	driver_go(&d);
	ask(&d, 16);
	cr_assert_eq(used_of(&d, 0)->idx, 1);
	driver_end(&d);
}

Test(mmio, a_queue_that_is_none_needs_a_reset_and_a_reset_helps)
{
	struct driver d;

	begin(&d);
	driver_features(&d, 0);
	set(&d, VIRTIO_MMIO_QUEUE_SEL, 0);
	set(&d, VIRTIO_MMIO_QUEUE_DESC_HIGH, 7);
	set(&d, VIRTIO_MMIO_QUEUE_READY, 1);
	cr_assert(virtio_is_broken(d.device));
	driver_go(&d);
	ask(&d, 16);
	cr_assert_eq(used_of(&d, 0)->idx, 0);
	d.next_avail[0] = 0;
	avail_of(&d, 0)->idx = 0;
	driver_start(&d, 0, 1);
	cr_assert_not(virtio_is_broken(d.device));
	ask(&d, 16);
	cr_assert_eq(used_of(&d, 0)->idx, 1);
	driver_end(&d);
}

Test(mmio, a_broken_ring_is_not_looked_at_again)
{
	struct driver d;

	begin(&d);
	driver_start(&d, 0, 1);
	desc_of(&d, 0)[0] = (struct vring_desc){ .addr = UINT64_MAX, .len = 8, .flags = VRING_DESC_F_WRITE };
	make_available(&d, 0, 8, 0);
	kick(&d, 0);
	cr_assert(virtio_is_broken(d.device));
	cr_assert_eq(get(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	ask(&d, 16);
	cr_assert_eq(used_of(&d, 0)->idx, 0);
	driver_end(&d);
}

Test(mmio, accesses_of_any_offset_and_width_are_harmless)
{
	struct driver d;
	uint8_t data[8];

	begin(&d);
	driver_start(&d, 0, 1);
	for (unsigned width = 1; width <= 8; width *= 2) {
		for (uint32_t at = 0; at < VIRTIO_MMIO_BYTES; at++) {
			memset(data, 0x5a, sizeof(data));
			virtio_mmio_read(d.device, at, data, width);
			memset(data, (int)at, sizeof(data));
			virtio_mmio_write(d.device, at, data, width);
			turn(&d);
		}
	}
	driver_end(&d);
}
