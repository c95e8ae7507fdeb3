/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/fuse.h>

#include "tests/unit/vm/virtio/driver.h"
#include "vm/fs/fs.h"

enum { HIPRIO, REQUEST, IN = DATA, OUT = DATA + 0x1000, SIZE = 16 };

struct served {
	struct driver d;
	struct vm_fs *fs;
};

static void begin(struct served *s)
{
	struct vm_fs_options o = {
		.root_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	struct virtio_device *device = NULL;

	driver_begin(&s->d);
	cr_assert_eq(vm_fs_new(&o, &s->fs, NULL), 0);
	close(o.root_fd);
	close(o.proc_fd);
	cr_assert_eq(virtio_fs_new("root", s->fs, &device, NULL), 0);
	driver_connect(&s->d, device);
	if (virtio_fs_enter(device, NULL) < 0)
		cr_skip_test("a namespace of its own needs root");
	driver_start(&s->d, 1ull << VIRTIO_RING_F_EVENT_IDX, 2);
	turn(&s->d); /* DRIVER_OK lets it look, too */
}

static void end(struct served *s)
{
	virtio_fs_leave(s->d.device);
	driver_end(&s->d);
	vm_fs_free(s->fs);
}

/* Puts a request without arguments into a ring, and waits to kick. */
static void put(struct served *s, unsigned queue, uint32_t opcode)
{
	struct driver *d = &s->d;
	uint16_t head = (uint16_t)(2 * d->next_desc[queue]++);
	uint64_t in = IN + queue * 0x2000u + head * 64u;
	struct fuse_in_header h = { .len = sizeof(h), .opcode = opcode, .unique = 1, .nodeid = 1 };

	memcpy(d->memory + in, &h, sizeof(h));
	desc_of(d, queue)[head] = (struct vring_desc){ .addr = in, .len = sizeof(h),
		.flags = queue == REQUEST ? VRING_DESC_F_NEXT : 0, .next = (uint16_t)(head + 1) };
	desc_of(d, queue)[head + 1] = (struct vring_desc){ .addr = OUT, .len = 16, .flags = VRING_DESC_F_WRITE };
	make_available(d, queue, SIZE, head);
}

static uint64_t interrupts(struct served *s)
{
	uint64_t n;

	return read(s->d.irq, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

Test(virtio_fs, a_forget_by_itself_is_told)
{
	struct served s;

	begin(&s);
	put(&s, HIPRIO, FUSE_FORGET);
	kick(&s.d, HIPRIO);
	cr_assert_eq(used_of(&s.d, HIPRIO)->idx, 1);
	cr_assert_eq(interrupts(&s), 1);
	end(&s);
}

Test(virtio_fs, a_forget_shares_the_interrupt_of_a_request)
{
	struct served s;
	struct fuse_out_header reply;

	begin(&s);
	put(&s, HIPRIO, FUSE_FORGET);
	put(&s, HIPRIO, FUSE_FORGET);
	put(&s, REQUEST, FUSE_STATFS);
	kick(&s.d, REQUEST);
	cr_assert_eq(used_of(&s.d, HIPRIO)->idx, 2);
	cr_assert_eq(used_of(&s.d, REQUEST)->idx, 1);
	cr_assert_eq(interrupts(&s), 1);
	memcpy(&reply, s.d.memory + OUT, sizeof(reply));
	cr_assert_eq(reply.unique, 1);
	end(&s);
}

/* The counter of kicks is never read: each kick is heard all the same, and nothing is heard without one. */
Test(virtio_fs, every_kick_is_heard)
{
	struct served s;

	begin(&s);
	for (uint16_t i = 1; i <= 8; i++) {
		put(&s, REQUEST, FUSE_STATFS);
		turn(&s.d);
		cr_assert_eq(used_of(&s.d, REQUEST)->idx, i - 1);
		kick(&s.d, REQUEST);
		cr_assert_eq(used_of(&s.d, REQUEST)->idx, i);
	}
	end(&s);
}
