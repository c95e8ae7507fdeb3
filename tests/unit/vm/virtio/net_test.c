/* SPDX-License-Identifier: Apache-2.0 */
/* The network device: a socket that keeps messages apart is its tap. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "tests/unit/vm/virtio/driver.h"

enum { RX, TX, SIZE = 16, BUFFER = 0x4000, HEADER = 12 };

#define MERGE (1ull << VIRTIO_NET_F_MRG_RXBUF)

static struct driver d;
static int wire = -1; /* the network's end of the tap */
static uint8_t frame[HEADER + 65535 + 14];

static void begin(uint64_t features)
{
	struct vm_tap tap = { .mac = { 2, 0, 0, 0, 0, 7 }, .mtu = 1500, .has_offload = true };
	struct virtio_device *device;
	int pair[2], room = 1 << 20;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	wire = pair[1];
	tap.fd = pair[0];
	driver_begin(&d);
	cr_assert_eq(virtio_net_new(&tap, &device, NULL), 0);
	driver_connect(&d, device);
	driver_start(&d, features, 2);
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 251);
	memset(frame, 0, HEADER);
}

static void end(void)
{
	driver_end(&d);
	close(wire);
}

/* Gives the device the i-th buffer to receive in. */
static void offer(unsigned i, uint32_t bytes)
{
	desc_of(&d, RX)[i] = (struct vring_desc){ .addr = DATA + i * BUFFER,
						  .len = bytes,
						  .flags = VRING_DESC_F_WRITE };
	make_available(&d, RX, SIZE, (uint16_t)i);
}

static void arrive(size_t n)
{
	cr_assert_eq(send(wire, frame, n, 0), (ssize_t)n, "send: %s", strerror(errno));
	turn(&d);
}

static unsigned received(void)
{
	return used_of(&d, RX)->idx;
}

static unsigned buffers_of(unsigned i)
{
	return d.memory[DATA + i * BUFFER + 10] | d.memory[DATA + i * BUFFER + 11] << 8;
}

Test(net, a_frame_comes_in_one_buffer)
{
	begin(0);
	offer(0, 2000);
	kick(&d, RX);
	cr_expect_eq(received(), 0);
	arrive(HEADER + 100);
	cr_assert_eq(received(), 1);
	cr_expect_eq(used_of(&d, RX)->ring[0].len, HEADER + 100);
	cr_expect_eq(buffers_of(0), 1);
	cr_expect_arr_eq(d.memory + DATA + HEADER, frame + HEADER, 100);
	cr_expect(interrupted(&d));
	end();
}

Test(net, a_large_frame_is_spread_over_buffers_that_appear_at_once)
{
	begin(MERGE);
	for (unsigned i = 0; i < 5; i++)
		offer(i, 4000);
	kick(&d, RX);
	arrive(HEADER + 9000);
	cr_assert_eq(received(), 3);
	cr_expect_eq(buffers_of(0), 3);
	cr_expect_eq(used_of(&d, RX)->ring[0].len, 4000);
	cr_expect_eq(used_of(&d, RX)->ring[1].len, 4000);
	cr_expect_eq(used_of(&d, RX)->ring[2].len, 1012);
	cr_expect_arr_eq(d.memory + DATA + HEADER, frame + HEADER, 4000 - HEADER);
	cr_expect_arr_eq(d.memory + DATA + BUFFER, frame + 4000, 4000);
	cr_expect_arr_eq(d.memory + DATA + 2 * BUFFER, frame + 8000, 1012);
	end();
}

Test(net, a_large_frame_waits_until_there_are_buffers_enough)
{
	begin(MERGE);
	offer(0, 4000);
	offer(1, 4000);
	kick(&d, RX);
	arrive(HEADER + 9000);
	arrive(HEADER + 50);
	cr_expect_eq(received(), 0);
	offer(2, 4000);
	kick(&d, RX);
	cr_expect_eq(received(), 3);
	offer(3, 4000);
	kick(&d, RX);
	cr_assert_eq(received(), 4, "the frame behind it");
	cr_expect_eq(used_of(&d, RX)->ring[3].len, HEADER + 50);
	cr_expect_eq(buffers_of(3), 1);
	cr_expect(!virtio_is_broken(d.device));
	end();
}

Test(net, a_frame_too_large_for_a_driver_that_does_not_merge_is_lost_alone)
{
	begin(0);
	offer(0, 2000);
	kick(&d, RX);
	arrive(HEADER + 9000);
	cr_expect_eq(received(), 0);
	arrive(HEADER + 60);
	cr_assert_eq(received(), 1);
	cr_expect_eq(used_of(&d, RX)->ring[0].len, HEADER + 60);
	cr_expect(!virtio_is_broken(d.device));
	end();
}

Test(net, a_frame_that_fills_more_than_the_whole_ring_is_lost_alone)
{
	begin(MERGE);
	for (unsigned i = 0; i < SIZE; i++)
		offer(i, 100);
	kick(&d, RX);
	arrive(HEADER + 9000);
	cr_expect_eq(received(), 0);
	arrive(HEADER + 60);
	cr_expect_eq(received(), 1);
	cr_expect(!virtio_is_broken(d.device));
	end();
}

Test(net, a_buffer_without_room_for_more_than_a_header_breaks_the_device)
{
	begin(MERGE);
	offer(0, HEADER);
	kick(&d, RX);
	arrive(HEADER + 60);
	cr_expect(virtio_is_broken(d.device));
	end();
}

Test(net, the_guests_frames_go_out_whole_and_empty_ones_do_not)
{
	static uint8_t got[sizeof(frame)];

	begin(0);
	memcpy(d.memory + DATA, frame, HEADER + 64);
	desc_of(&d, TX)[0] = (struct vring_desc){
		.addr = DATA, .len = HEADER, .flags = VRING_DESC_F_NEXT, .next = 1
	};
	desc_of(&d, TX)[1] = (struct vring_desc){ .addr = DATA + HEADER, .len = 64 };
	desc_of(&d, TX)[2] = (struct vring_desc){ .addr = DATA, .len = HEADER };
	make_available(&d, TX, SIZE, 0);
	make_available(&d, TX, SIZE, 2);
	kick(&d, TX);
	cr_expect_eq(used_of(&d, TX)->idx, 2);
	cr_expect_eq(recv(wire, got, sizeof(got), 0), HEADER + 64);
	cr_expect_arr_eq(got, frame, HEADER + 64);
	cr_expect_eq(recv(wire, got, sizeof(got), 0), -1);
	end();
}
