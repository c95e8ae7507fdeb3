/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/unit/vm/virtio/driver.h"

enum { QUEUES = 12, CONTROL_RX = 2, CONTROL_TX = 3, SIZE = 4 };

struct guest {
	struct driver d;
	struct virtio_console *console;
};

static void begin(struct guest *g)
{
	struct error err = ERROR_INIT;

	driver_begin(&g->d);
	cr_assert_eq(virtio_console_new(g->d.loop, &g->console, &err), 0);
	driver_connect(&g->d, virtio_console_device(g->console, 0));
}

/* A further console, which the guest's side drives instead of the first. */
static void begin_further(struct guest *g, unsigned i)
{
	struct error err = ERROR_INIT;

	driver_begin(&g->d);
	cr_assert_eq(virtio_console_new(g->d.loop, &g->console, &err), 0);
	driver_connect(&g->d, virtio_console_device(g->console, i));
}

/* Freeing the first frees all. */
static void end_further(struct guest *g)
{
	virtio_free(g->d.device);
	g->d.device = virtio_console_device(g->console, 0);
	driver_end(&g->d);
}

static uint32_t size_of(struct guest *g, unsigned queue)
{
	set(&g->d, VIRTIO_MMIO_QUEUE_SEL, queue);

	uint32_t max = get(&g->d, VIRTIO_MMIO_QUEUE_NUM_MAX);

	return max < 16 ? max : 16;
}

/* One descriptor, in the slot that the ring is at. */
static void give(struct guest *g, unsigned queue, const void *data, uint32_t n, uint16_t flags)
{
	uint32_t size = size_of(g, queue);
	uint16_t i = g->d.next_avail[queue] % size;
	uint64_t at = DATA + queue * 0x10000 + i * 0x1000;

	if (data)
		memcpy(g->d.memory + at, data, n);
	desc_of(&g->d, queue)[i] = (struct vring_desc){ .addr = at, .len = n, .flags = flags };
	make_available(&g->d, queue, size, i);
	kick(&g->d, queue);
}

static void control(struct guest *g, uint32_t port, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { .id = port, .event = event, .value = value };

	give(g, CONTROL_TX, &m, sizeof(m), 0);
}

/* The next message from the device; its buffer must have been given. */
static struct virtio_console_control heard(struct guest *g)
{
	struct virtio_console_control m = { .id = 0xdead };
	struct vring_used *u = used_of(&g->d, CONTROL_RX);
	uint32_t size = size_of(g, CONTROL_RX);

	if (g->d.seen_used[CONTROL_RX] != u->idx) {
		uint32_t head = u->ring[g->d.seen_used[CONTROL_RX]++ % size].id;

		memcpy(&m, g->d.memory + desc_of(&g->d, CONTROL_RX)[head].addr, sizeof(m));
	}
	return m;
}

static void bring_up(struct guest *g)
{
	driver_start(&g->d, 1ull << VIRTIO_CONSOLE_F_MULTIPORT, QUEUES);
	for (int i = 0; i < 12; i++)
		give(g, CONTROL_RX, NULL, 64, VRING_DESC_F_WRITE);
	control(g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

static void open_port(struct guest *g, unsigned port)
{
	control(g, port, VIRTIO_CONSOLE_PORT_READY, 1);
	control(g, port, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static unsigned used(struct guest *g, unsigned queue)
{
	return used_of(&g->d, queue)->idx;
}

#define cr_heard(g, port, what, number) \
	do { \
		struct virtio_console_control m_ = heard(g); \
		cr_assert_eq(m_.id, port); \
		cr_assert_eq(m_.event, what); \
		cr_assert_eq(m_.value, number); \
	} while (0)

Test(console, adds_the_kernels_port_when_the_driver_is_ready)
{
	struct guest g;

	begin(&g);
	bring_up(&g);
	cr_assert_eq(used(&g, CONTROL_TX), 1);
	cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_ADD, 1);
	control(&g, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	cr_heard(&g, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	driver_end(&g.d);
}

Test(console, keeps_the_last_bytes_of_the_kernels_console)
{
	struct guest g;
	char log[16];

	begin(&g);
	bring_up(&g);
	give(&g, 1, "Hello ", 6, 0);
	give(&g, 1, "kernel", 6, 0);
	cr_assert_eq(virtio_console_log(g.console, log, sizeof(log)), 12);
	cr_assert_eq(memcmp(log, "Hello kernel", 12), 0);
	cr_assert_eq(virtio_console_log(g.console, log, 4), 4);
	cr_assert_eq(memcmp(log, "rnel", 4), 0);
	driver_end(&g.d);
}

Test(console, carries_bytes_in_both_directions)
{
	struct guest g;
	int pair[2];
	char text[16];

	begin(&g);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	struct virtio_port port = { .in_fd = pair[1], .out_fd = pair[1] };

	cr_assert_eq(virtio_console_attach(g.console, 1, &port, NULL), 0);
	bring_up(&g);
	cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_ADD, 1);
	cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_ADD, 1);
	open_port(&g, 1);
	cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);

	give(&g, 5, "out", 3, 0);
	cr_assert_eq(read(pair[0], text, sizeof(text)), 3);
	cr_assert_eq(memcmp(text, "out", 3), 0);
	cr_assert_eq(used(&g, 5), 1);

	give(&g, 4, NULL, 64, VRING_DESC_F_WRITE);
	cr_assert_eq(used(&g, 4), 0);
	cr_assert_eq(write(pair[0], "inward", 6), 6);
	turn(&g.d);
	cr_assert_eq(used(&g, 4), 1);
	cr_assert_eq(used_of(&g.d, 4)->ring[0].len, 6);
	cr_assert_eq(memcmp(g.d.memory + DATA + 4 * 0x10000, "inward", 6), 0);

	give(&g, 4, NULL, 64, VRING_DESC_F_WRITE);
	close(pair[0]);
	turn(&g.d);
	cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	driver_end(&g.d);
}

Test(console, does_not_read_the_guests_queue_while_the_descriptor_takes_nothing)
{
	struct guest g;
	int pipes[2];
	static char block[4096];
	size_t total = 0, out = 0;

	begin(&g);
	cr_assert_eq(pipe2(pipes, O_NONBLOCK), 0);
	struct virtio_port port = { .in_fd = -1, .out_fd = pipes[1] };

	virtio_console_attach(g.console, 1, &port, NULL);
	bring_up(&g);
	open_port(&g, 1);
	for (unsigned i = 0; i < 16; i++, total += sizeof(block) * 2) {
		memset(block, 'a' + (int)i, sizeof(block));
		give(&g, 5, block, sizeof(block), 0);
	}
	while (used(&g, 5) == g.d.next_avail[5])
		give(&g, 5, block, sizeof(block), 0);
	total = g.d.next_avail[5] * sizeof(block);

	unsigned before = used(&g, 5);

	cr_assert_lt(before, g.d.next_avail[5]);
	turn(&g.d);
	cr_assert_eq(used(&g, 5), before);
	for (ssize_t n; (n = read(pipes[0], block, sizeof(block))) > 0 || out < total; turn(&g.d))
		out += n > 0 ? (size_t)n : 0;
	cr_assert_eq(out, total);
	cr_assert_eq(used(&g, 5), g.d.next_avail[5]);
	driver_end(&g.d);
}

static void note(void *arg, unsigned port, bool is_open)
{
	char *events = arg;

	events[strlen(events)] = (char)((is_open ? 'O' : 'C') + (int)port - 1);
}

static void note_end(void *arg, unsigned port)
{
	char *events = arg;

	(void)port;
	events[strlen(events)] = 'E';
}

Test(console, tells_when_the_guest_opens_and_closes_a_port_and_when_a_reader_has_gone)
{
	struct guest g;
	int pipes[2];
	char events[8] = "";

	signal(SIGPIPE, SIG_IGN);
	begin(&g);
	cr_assert_eq(pipe2(pipes, O_NONBLOCK), 0);
	struct virtio_port port = {
		.in_fd = -1, .out_fd = pipes[1], .opened = note, .ended = note_end, .arg = events,
	};

	virtio_console_attach(g.console, 1, &port, NULL);
	bring_up(&g);
	open_port(&g, 1);
	cr_assert_str_eq(events, "O");
	close(pipes[0]);
	give(&g, 5, "x", 1, 0);
	cr_assert_str_eq(events, "OE");
	cr_assert_eq(used(&g, 5), 1);
	control(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	cr_assert_str_eq(events, "OEC");
	driver_end(&g.d);
}

Test(console, a_port_can_be_attached_again)
{
	struct guest g;
	int pair[2];
	char text[8];

	begin(&g);
	for (int i = 0; i < 2; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		struct virtio_port port = { .in_fd = pair[1], .out_fd = pair[1] };

		cr_assert_eq(virtio_console_attach(g.console, 1, &port, NULL), 0);
		cr_assert_eq(virtio_console_attach(g.console, 1, &port, NULL), -EBUSY);
		if (i == 0) {
			bring_up(&g);
			open_port(&g, 1);
			cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_ADD, 1);
			cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_ADD, 1);
		}
		cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		give(&g, 5, "out", 3, 0);
		cr_assert_eq(read(pair[0], text, sizeof(text)), 3);
		virtio_console_detach(g.console, 1);
		cr_heard(&g, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
		cr_assert_eq(read(pair[0], text, sizeof(text)), 0);
		close(pair[0]);
	}
	driver_end(&g.d);
}

Test(console, a_further_one_is_not_there_before_a_port_of_it_is_attached)
{
	struct virtio_port port = { .in_fd = -1, .out_fd = -1 };
	struct guest g;

	begin_further(&g, 2);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_DEVICE_ID), 0);
	driver_features(&g.d, 1ull << VIRTIO_CONSOLE_F_MULTIPORT);
	driver_go(&g.d);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_STATUS), 0);

	/* The first port of another one, the first beyond, one of this one. */
	cr_assert_eq(virtio_console_attach(g.console, VIRTIO_CONSOLE_FIRST, &port, NULL), 0);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_DEVICE_ID), 0);
	cr_assert_eq(virtio_console_attach(g.console, VIRTIO_CONSOLE_PORTS, &port, NULL), -EINVAL);
	cr_assert_eq(virtio_console_attach(g.console, VIRTIO_CONSOLE_FIRST + VIRTIO_CONSOLE_MORE, &port, NULL), 0);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_DEVICE_ID), 3);
	cr_assert_eq(get(&g.d, VIRTIO_MMIO_CONFIG + 4), VIRTIO_CONSOLE_MORE);
	end_further(&g);
}

Test(console, a_port_of_a_further_one_carries_bytes_from_its_first_on)
{
	const unsigned number = VIRTIO_CONSOLE_FIRST;
	struct guest g;
	int pair[2];
	char text[16], events[8] = "", log[8];

	begin_further(&g, 1);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct virtio_port port = { .in_fd = pair[1], .out_fd = pair[1], .opened = note, .arg = events };

	cr_assert_eq(virtio_console_attach(g.console, number, &port, NULL), 0);
	driver_start(&g.d, 1ull << VIRTIO_CONSOLE_F_MULTIPORT, 2 * (VIRTIO_CONSOLE_MORE + 1));
	for (int i = 0; i < 12; i++)
		give(&g, CONTROL_RX, NULL, 64, VRING_DESC_F_WRITE);
	control(&g, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_ADD, 1);
	open_port(&g, 0);
	cr_heard(&g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1); /* and it is no console of the kernel's */
	cr_assert_eq(events[0], 'O' + (int)number - 1);
	give(&g, 1, "out", 3, 0);
	cr_assert_eq(read(pair[0], text, sizeof(text)), 3);
	cr_assert_eq(virtio_console_log(g.console, log, sizeof(log)), 0);
	give(&g, 0, NULL, 64, VRING_DESC_F_WRITE);
	cr_assert_eq(write(pair[0], "inward", 6), 6);
	turn(&g.d);
	cr_assert_eq(used_of(&g.d, 0)->ring[0].len, 6);
	control(&g, VIRTIO_CONSOLE_MORE, VIRTIO_CONSOLE_PORT_READY, 1);
	cr_assert(virtio_is_broken(g.d.device), "it has no such port");
	virtio_console_detach(g.console, number);
	close(pair[0]);
	end_further(&g);
}

Test(console, a_message_about_a_port_that_is_not_there_breaks_the_device)
{
	struct guest g;

	begin(&g);
	bring_up(&g);
	cr_assert_not(virtio_is_broken(g.d.device));
	control(&g, 7, VIRTIO_CONSOLE_PORT_READY, 1);
	cr_assert(virtio_is_broken(g.d.device));
	cr_assert(get(&g.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	driver_end(&g.d);
}
