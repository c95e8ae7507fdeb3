/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver: bytes choose a device, fill the guest's memory, and write to registers and rings. A target of
 * `make fuzz` has one device (FUZZ_DEVICE); otherwise the first byte says which.
 *
 * What it holds the devices to: they return, they touch nothing outside of the guest's memory (it ends at a page
 * that nobody may access), what they show is what a read would say, and a device that was reset works again. The unit test hostile_test.c runs it, too.
 */
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/vm/virtio/driver.h"
#include "vm/fs/fs.h"

/* An address of a ring, of data, of the end of memory, or any. */
static uint64_t take_address(struct input *in)
{
	uint64_t v = take(in, 2);

	switch (v & 3) {
	case 0:
		return RINGS + (v >> 2 & 0xfff) * 16;
	case 1:
		return DATA + (v >> 2) * 4;
	case 2:
		return MEMORY - 64 + (v >> 2 & 0x7f);
	}
	return take(in, 8);
}

static void write_descriptor(struct driver *d, struct input *in)
{
	unsigned queue = (unsigned)take(in, 1) % 12, i = (unsigned)take(in, 1) % 16;
	struct vring_desc v = { .addr = take_address(in) };

	v.len = (uint32_t)take(in, 2);
	if (v.len == 0xffff)
		v.len = (uint32_t)take(in, 4);
	v.flags = (uint16_t)(take(in, 1) & 7);
	v.next = (uint16_t)take(in, 1) % 20;
	desc_of(d, queue)[i] = v;
}

static void make_something_available(struct driver *d, struct input *in)
{
	unsigned queue = (unsigned)take(in, 1) % 12;
	struct vring_avail *a = avail_of(d, queue);
	uint8_t head = (uint8_t)take(in, 1);

	a->ring[a->idx % 16] = head % 18;
	a->idx = (uint16_t)(head == 0xff ? take(in, 2) : a->idx + 1u);
	kick(d, queue);
}

static void check_page(struct driver *d, const uint32_t *page)
{
	for (uint32_t at = 0; at < VIRTIO_MMIO_CONFIG + 64; at += 4)
		if (page[at / 4] != get(d, at))
			abort();
}

static void step(struct driver *d, struct input *in, int peer)
{
	static const uint32_t registers[] = {
		0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0x100,
	};
	uint8_t data[8];
	uint64_t v;

	switch (take(in, 1) % 8) {
	case 0:
		write_descriptor(d, in);
		break;
	case 1:
		make_something_available(d, in);
		break;
	case 2: /* bytes of a request */
		for (uint64_t at = DATA + take(in, 1) * 8, n = 1 + take(in, 1) % 4; n > 0; n--, at += 8) {
			v = take(in, 8);
			memcpy(d->memory + at, &v, 8);
		}
		break;
	case 3:
		set(d, registers[take(in, 1) % 16], (uint32_t)take(in, 4));
		turn(d);
		break;
	case 4:
		v = take(in, 3);
		virtio_mmio_read(d->device, v & 0xfff, data, 1u << (v >> 12 & 3));
		virtio_mmio_write(d->device, v & 0xfff, data, 1u << (v >> 14 & 3));
		break;
	case 5: /* anew */
		driver_start(d, take(in, 8) & 0x3fffffff, 12);
		break;
	case 6:
		if (send(peer, data, 1 + take(in, 1) % 8, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		turn(d);
		break;
	case 7:
		while (recv(peer, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
		turn(d);
		break;
	}
}

static struct virtio_device *make(struct driver *d, unsigned kind, int fd, struct vm_fs **fs)
{
	struct virtio_device *device = NULL;
	struct virtio_console *console;
	struct virtio_port port = { .in_fd = fd, .out_fd = fd };
	struct vm_tap tap = { .fd = fd, .has_offload = true };
	struct vm_fs_options o = { .root_fd = -1, .proc_fd = -1 };

	switch (kind % 5) {
	case 0:
		virtio_rng_new(&device, NULL);
		break;
	case 1:
		virtio_balloon_new(&device, NULL);
		break;
	case 2:
		if (virtio_net_new(&tap, &device, NULL) == 0)
			return device;
		break;
	case 3:
		if (virtio_console_new(d->loop, &console, NULL) == 0) {
			virtio_console_attach(console, 1, &port, NULL);
			return virtio_console_device(console, 0);
		}
		break;
	case 4: /* the server alone, over a directory that is empty */
		o.root_fd = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
		o.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (vm_fs_new(&o, fs, NULL) == 0)
			virtio_fs_new("root", *fs, &device, NULL);
		close(o.root_fd);
		close(o.proc_fd);
		if (device && virtio_fs_enter(device, NULL) < 0)
			abort();
		break;
	}
	close(fd);
	return device;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data, .left = size };
	uint32_t page[VIRTIO_MMIO_BYTES / 4] = { 0 };
	struct vm_fs *fs = NULL;
	unsigned kind = (unsigned)take(&in, 1);
	struct driver d;
	int pair[2];

#ifdef FUZZ_DEVICE
	kind = FUZZ_DEVICE;
#endif

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	driver_begin(&d);

	struct virtio_device *device = make(&d, kind, pair[1], &fs);

	if (!device)
		abort();
	driver_connect(&d, device);
	virtio_show(device, page);
	driver_start(&d, 1ull << VIRTIO_CONSOLE_F_MULTIPORT * (kind % 5 == 3), 12);
	while (in.left > 0) {
		step(&d, &in, pair[0]);
		check_page(&d, page);
	}
	set(&d, VIRTIO_MMIO_STATUS, 0);
	turn(&d);
	if (virtio_is_broken(device))
		abort();
	if (fs)
		virtio_fs_leave(device);
	driver_end(&d);
	vm_fs_free(fs);
	close(pair[0]);
	return 0;
}
