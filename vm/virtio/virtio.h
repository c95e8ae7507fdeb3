/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * virtio - the devices of a guest: what it may touch, and what it is told
 *
 * Virtual I/O Device 1.2 ("virtio"), transport MMIO version 2 (§4.2), split rings (§2.7) with
 * indirect descriptors and event indices. Packed rings are not offered. Knows no KVM: whoever
 * runs the guest hands register accesses in and connects two eventfds per device (the kick, an
 * ioeventfd, and the interrupt, an irqfd). So every device runs in a unit test over plain memory.
 *
 * The guest is the enemy. Of what it writes,
 *
 *   an address is checked once, when it is copied, against the ranges of its memory;
 *   a descriptor or header is copied once and only the copy is looked at (no double fetch);
 *   a chain is no longer than its queue, a length never wraps, and nothing that the guest
 *   says decides how much is allocated;
 *   queue registers and features do not change between DRIVER_OK and reset (CVE-2026-5747).
 *
 * A ring that breaks the rules breaks its device: DEVICE_NEEDS_RESET, and no further look at it.
 *
 * Threads: registers are accessed from any vCPU thread. A device's queues are worked on in the
 * thread that turns its loop. The device's lock orders the two; the interrupt status needs none.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

/* ---- the guest's memory ---- */

/* Memory of the guest in ours. Ranges never overlap, and do not change while the guest runs. */
struct guest_range {
	uint64_t at;   /* guest-physical */
	uint64_t size; /* bytes */
	uint8_t *host;
};

struct guest_ram {
	struct guest_range range[2]; /* below the hole at 3 GiB, above 4 GiB */
	unsigned n;
};

/* The n bytes at guest address `at`, when one range holds all of them; else NULL. n = 0 is NULL, too. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t at, uint64_t n);

/* ---- a loop ---- */

/*
 * Waits for descriptors. A loop belongs to the thread that turns it, and so do its calls. At most
 * one watch per descriptor number.
 */
struct virtio_loop;
typedef void virtio_watch_fn(void *arg, uint32_t events); /* EPOLL* */

int virtio_loop_new(struct virtio_loop **ret, struct error *err);
void virtio_loop_free(struct virtio_loop *loop);
/* Quietly: -EPERM for a descriptor that is always ready (a regular file), -EEXIST, -ENOSPC. */
int virtio_loop_watch(struct virtio_loop *loop, int fd, uint32_t events, virtio_watch_fn *fn,
		      void *arg);
void virtio_loop_change(struct virtio_loop *loop, int fd, uint32_t events);
void virtio_loop_forget(struct virtio_loop *loop, int fd);
/* Waits for at most timeout_ms (-1: for ever) and calls what is ready. -E… of epoll_wait(), but not EINTR. */
int virtio_loop_turn(struct virtio_loop *loop, int timeout_ms);

/* ---- a device ---- */

struct virtio_device;

enum { VIRTIO_MMIO_BYTES = 0x1000 }; /* of guest-physical space, per device */

/*
 * Connects a device: ram outlives it. kick_fd and irq_fd are eventfds of the caller's, which
 * closes them after virtio_free(): the first is written to for every QueueNotify, by KVM
 * or by virtio_mmio_write(); the second is written to by the device.
 */
int virtio_connect(struct virtio_device *dev, const struct guest_ram *ram, int kick_fd, int irq_fd,
		   struct virtio_loop *loop, struct error *err);
void virtio_free(struct virtio_device *dev);

/*
 * From now on page, VIRTIO_MMIO_BYTES of zeros that outlive the device, says what virtio_mmio_read() would: a guest that has it
 * as memory which it cannot write to reads registers by itself. Before the guest runs.
 */
void virtio_show(struct virtio_device *dev, void *page);

/*
 * Writes to these registers have no effect that can be read before another register was written: they may come later than they
 * were made, in their order, as long as they come before any other write (KVM_REGISTER_COALESCED_MMIO).
 */
struct virtio_late_registers {
	uint32_t offset, size;
};
extern const struct virtio_late_registers virtio_late[];
extern const unsigned virtio_n_late;

/* A register access of width 1, 2, 4 or 8 at offset below VIRTIO_MMIO_BYTES. Any thread. */
void virtio_mmio_read(struct virtio_device *dev, uint32_t offset, void *data, unsigned width);
void virtio_mmio_write(struct virtio_device *dev, uint32_t offset, const void *data, unsigned width);

/* The device's number in §5, and whether the guest has broken it (for the trace and tests). */
uint32_t virtio_kind(const struct virtio_device *dev);
bool virtio_is_broken(struct virtio_device *dev);

/* Works off all queues now, as a kick does. Thread of the loop. */
void virtio_kick(struct virtio_device *dev);

/* ---- the devices ---- */

/* §5.4: bytes of getrandom(2). */
int virtio_rng_new(struct virtio_device **ret, struct error *err);

/*
 * §5.5, with free page reporting alone (VIRTIO_BALLOON_F_REPORTING): no size to inflate to, and
 * what the guest reports free goes back to the host by MADV_DONTNEED.
 */
int virtio_balloon_new(struct virtio_device **ret, struct error *err);

/*
 * §5.1: a tap, opened with IFF_TAP|IFF_NO_PI|IFF_VNET_HDR and O_NONBLOCK, with TUNSETVNETHDRSZ 12. The device
 * owns it from success on. has_offload: checksums and TCP segmentation are left to the other side in both directions, and
 * the caller has set TUNSETOFFLOAD to TUN_F_CSUM|TUN_F_TSO4|TUN_F_TSO6; else to 0.
 */
struct vm_tap {
	int fd;
	uint8_t mac[6];
	uint16_t mtu; /* 0: the guest's default */
	bool has_offload;
};
int virtio_net_new(const struct vm_tap *tap, struct virtio_device **ret, struct error *err);

/*
 * §5.3, multiport. Port 0 is the guest's kernel console: its last VIRTIO_CONSOLE_LOG bytes are kept
 * and, when it has an out_fd, written there as well, as far as that takes them at once. The other
 * ports are byte streams between the guest and a descriptor of the caller's for each direction. What the guest writes goes from its memory to the descriptor with no copy
 * between; while the descriptor takes nothing, the guest's queue is not read. End of file on
 * in_fd reaches the guest as a closed port, and so does a vanished reader of out_fd: a stream that must
 * survive the end of the other direction needs a port of its own.
 *
 * Each port costs the guest two queues when its driver sets the console up, whether it is used or not. So there are
 * several consoles, and ports are numbered through: the first VIRTIO_CONSOLE_FIRST, /dev/vport0p<n>, belong to the one that is there
 * from the beginning, each VIRTIO_CONSOLE_MORE after them to a further one. That has no DeviceID, for which drivers do not
 * care (§4.2.2.1), until one of its ports is attached for the first time. Binding a driver is then up to the guest.
 *
 * A port that was attached once stays in the guest and can be attached again. The guest learns of
 * attaching a moment later; until then its poll() says POLLHUP and its read() end of file.
 */
struct virtio_console;

enum {
	VIRTIO_CONSOLES = 7,
	VIRTIO_CONSOLE_FIRST = 5,
	VIRTIO_CONSOLE_MORE = 9,
	VIRTIO_CONSOLE_PORTS = VIRTIO_CONSOLE_FIRST + (VIRTIO_CONSOLES - 1) * VIRTIO_CONSOLE_MORE,
	VIRTIO_CONSOLE_LOG = 64 * 1024,
};

struct virtio_port {
	int in_fd;  /* for the guest to read; -1: none */
	int out_fd; /* for the guest to write; may be in_fd, a socket; -1: what comes is dropped */

	/*
	 * Called from the loop, with no lock held. opened: the guest opened the port; or closed it and all
	 * that it had written is on its way. ended: end of file on in_fd, or out_fd's reader is gone. May be NULL.
	 */
	void (*opened)(void *arg, unsigned port, bool is_open);
	void (*ended)(void *arg, unsigned port);
	void *arg;
};

/* loop: the one that the devices will be connected to. Freeing the first device, last, frees all. */
int virtio_console_new(struct virtio_loop *loop, struct virtio_console **ret, struct error *err);
/* i below VIRTIO_CONSOLES. */
struct virtio_device *virtio_console_device(struct virtio_console *c, unsigned i);
/*
 * Attaches a port, before the guest runs or from the loop's thread. The descriptors are the
 * console's from success on. They must not block: one that does, and is no socket or file, is
 * asked before each write whether it takes something, and given at most a page, but another's write to it in between, or
 * a terminal with less room, stops the loop. -EBUSY, -EINVAL.
 */
int virtio_console_attach(struct virtio_console *c, unsigned port, const struct virtio_port *config,
			  struct error *err);
/* Closes the port to the guest, and its descriptors. Nothing when it is not attached. */
void virtio_console_detach(struct virtio_console *c, unsigned port);
/* The guest has written what out_fd does not take at the moment. Thread of the loop. */
bool virtio_console_is_blocked(struct virtio_console *c, unsigned port);
/*
 * The last bytes of the kernel's console, oldest first, into at most n bytes. Returns how
 * many. Any thread.
 */
size_t virtio_console_log(struct virtio_console *c, char *buf, size_t n);

/*
 * §5.11, one request queue: a file system that vm/fs/ serves. fs outlives the device, which has a loop and
 * a thread of its own, since requests last as long as the host's disk. tag: what the guest mounts, 1 to 36 bytes.
 * In that thread, virtio_fs_enter() makes what the server needs there; it ends with virtio_fs_leave().
 */
struct vm_fs;
int virtio_fs_new(const char *tag, struct vm_fs *fs, struct virtio_device **ret, struct error *err);
int virtio_fs_enter(struct virtio_device *dev, struct error *err);
void virtio_fs_leave(struct virtio_device *dev);
