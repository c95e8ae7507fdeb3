/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices - which devices the machine has, and their wires to KVM
 *
 * What makes no exit to this process (KVM API: KVM_IOEVENTFD, KVM_IRQFD, KVM_MEM_READONLY, KVM_REGISTER_COALESCED_MMIO):
 * a kick, an ioeventfd on QueueNotify: the vCPU goes on at once, and the device's thread wakes up; an interrupt, an irqfd on a pin
 * of the IOAPIC, and its acknowledgement, an ioeventfd that nobody reads; any read, since registers are memory
 * that the guest cannot write to; writes that count only with a later one, which KVM keeps until that comes.
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/jail.h"
#include "vm/machine.h"

/* Less work, and not needed: without it each is an exit. */
static void spare_exits(struct vm *vm, uint64_t at)
{
	struct kvm_ioeventfd ack = {
		.datamatch = VIRTIO_MMIO_INT_VRING, /* alone: a change of the configuration is heard */
		.addr = at + VIRTIO_MMIO_INTERRUPT_ACK,
		.len = 4,
		.fd = vm->ack_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	ioctl(vm->fd, KVM_IOEVENTFD, &ack);
	for (unsigned i = 0; vm->has_late && i < virtio_n_late; i++) {
		struct kvm_coalesced_mmio_zone zone = { .addr = at + virtio_late[i].offset, .size = virtio_late[i].size };

		ioctl(vm->fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	}
}

static int wire(struct vm *vm, struct slot *s, unsigned i, struct error *err)
{
	uint64_t at = at_devices + i * VIRTIO_MMIO_BYTES;

	s->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->kick_fd < 0 || s->irq_fd < 0)
		return error_set(err, errno, "create an eventfd");

	struct kvm_ioeventfd kick = {
		.addr = at + VIRTIO_MMIO_QUEUE_NOTIFY,
		.len = 4,
		.fd = s->kick_fd,
	};
	struct kvm_irqfd irq = { .fd = (uint32_t)s->irq_fd, .gsi = FIRST_GSI + i };

	if (ioctl(vm->fd, KVM_IOEVENTFD, &kick) < 0)
		return error_set(err, errno, "connect the kicks of device %u", i);
	if (ioctl(vm->fd, KVM_IRQFD, &irq) < 0)
		return error_set(err, errno, "connect the interrupt of device %u", i);
	spare_exits(vm, at);

	int r = virtio_connect(s->device, &vm->ram, s->kick_fd, s->irq_fd, s->loop, err);

	if (r == 0 && vm->pages)
		virtio_show(s->device, vm->pages + i * VIRTIO_MMIO_BYTES);
	return r;
}

/* Before the devices are there. */
static int make_pages(struct vm *vm, struct error *err)
{
	if (ioctl(vm->config.kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0) {
		void *pages = mmap(NULL, DEVICES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pages == MAP_FAILED)
			return error_set(err, errno, "map the registers of devices");
		vm->pages = pages;
	}
	vm->has_late = ioctl(vm->config.kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO) == KVM_COALESCED_MMIO_PAGE_OFFSET;
	vm->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vm->ack_fd < 0 ? error_set(err, errno, "create an eventfd") : 0;
}

static int show_pages(struct vm *vm, struct error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = DEVICES_SLOT,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = at_devices,
		.memory_size = vm->n_slots * VIRTIO_MMIO_BYTES,
		.userspace_addr = (uint64_t)(uintptr_t)vm->pages,
	};

	if (vm->pages && ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return error_set(err, errno, "show the guest the registers of %u devices", vm->n_slots);
	return 0;
}

/* Takes the device, which may be NULL when r is an error. */
static int add(struct vm *vm, int r, struct virtio_device *device, bool has_thread, struct error *err)
{
	unsigned i = vm->n_slots;
	struct slot *s = &vm->slots[i];

	if (r < 0)
		return r;
	s->device = device;
	s->has_thread = has_thread;
	s->vm = vm;
	s->kick_fd = s->irq_fd = s->stop_fd = -1;
	sem_init(&s->entered, 0, 0);
	vm->n_slots++;
	if (!has_thread) {
		s->loop = vm->loop;
	} else {
		r = virtio_loop_new(&s->loop, err);
		if (r < 0)
			return r;
		s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->stop_fd < 0)
			return error_set(err, errno, "create an eventfd");
	}
	return wire(vm, s, i, err);
}

static int add_share(struct vm *vm, const struct vm_share *share, struct error *err)
{
	struct virtio_device *d = NULL;
	int r = virtio_fs_new(share->tag, share->fs, &d, err);

	return add(vm, r, d, true, err);
}

static int add_helpers(struct vm *vm, struct error *err)
{
	struct virtio_device *d = NULL;
	int r = virtio_rng_new(&d, err);

	r = add(vm, r, d, false, err);
	if (r < 0)
		return r;
	r = virtio_balloon_new(&d, err);
	return add(vm, r, d, false, err);
}

/*
 * The order is that of the guest's names: the console first, it shows what is wrong with the others. Its further devices
 * come next, so that the guest finds the n-th port (vm/wire/wire.h).
 */
int devices_new(struct vm *vm, struct error *err)
{
	int r = make_pages(vm, err);

	if (r == 0)
		r = virtio_console_new(vm->loop, &vm->console, err);
	/* Refused halfway, the first takes the others with it. */
	for (unsigned i = 0; i < VIRTIO_CONSOLES && (i == 0 || r == 0); i++)
		r = add(vm, r, r < 0 ? NULL : virtio_console_device(vm->console, i), false, err);
	for (unsigned i = 0; r == 0 && i < vm->config.n_shares; i++)
		r = add_share(vm, &vm->config.shares[i], err);
	if (r == 0 && vm->config.tap) {
		struct virtio_device *d = NULL;

		r = virtio_net_new(vm->config.tap, &d, err);
		r = add(vm, r, d, false, err);
	}
	if (r == 0)
		r = add_helpers(vm, err);
	if (r == 0)
		r = show_pages(vm, err);
	return r < 0 ? error_wrap(err, r, "cannot make the guest's devices") : 0;
}

/* ---- devices with a thread: file systems ---- */

static void on_stop(void *arg, uint32_t events)
{
	struct slot *s = arg;

	(void)events;
	s->is_stopping = true;
}

static void *serve(void *arg)
{
	struct slot *s = arg;

	proc_block_signals(0);
	/* Before the server looks at what it has. */
	if (s->vm->config.has_jail)
		s->result = jail_keep(VM_FS_CAPS, &s->error);
	if (s->result == 0)
		s->result = virtio_fs_enter(s->device, &s->error);
	if (s->result == 0 && s->vm->config.has_jail)
		s->result = jail_enter(JAIL_FS, NULL, 0, &s->error);
	sem_post(&s->entered);
	while (s->result == 0 && !s->is_stopping && virtio_loop_turn(s->loop, -1) == 0)
		;
	virtio_fs_leave(s->device);
	vm_leave(s->vm, &s->has_left);
	return NULL;
}

static int start(struct slot *s, struct error *err)
{
	int r = virtio_loop_watch(s->loop, s->stop_fd, EPOLLIN, on_stop, s);

	if (r < 0)
		return error_set(err, -r, "wait for the end of a file system");
	r = pthread_create(&s->thread, NULL, serve, s);
	if (r != 0)
		return error_set(err, r, "start the thread of a file system");
	s->is_started = true;
	while (sem_wait(&s->entered) < 0 && errno == EINTR)
		;
	if (s->result < 0)
		return error_take(&s->error, err);
	return 0;
}

int devices_start(struct vm *vm, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < vm->n_slots; i++)
		if (vm->slots[i].has_thread)
			r = start(&vm->slots[i], err);
	return r;
}

void devices_stop(struct vm *vm)
{
	uint64_t one = 1;

	for (unsigned i = 0; i < vm->n_slots; i++) {
		struct slot *s = &vm->slots[i];

		/* The counter is new: there is room. */
		if (s->is_started && write(s->stop_fd, &one, sizeof(one)) < 0)
			continue;
	}
}

void devices_free(struct vm *vm)
{
	for (unsigned i = vm->n_slots; i-- > 0;) { /* the first console last */
		struct slot *s = &vm->slots[i];

		virtio_free(s->device);
		auto_closep(&s->kick_fd);
		auto_closep(&s->irq_fd);
		auto_closep(&s->stop_fd);
		sem_destroy(&s->entered);
		if (s->has_thread)
			virtio_loop_free(s->loop);
	}
	vm->n_slots = 0;
	auto_closep(&vm->ack_fd);
	if (vm->pages)
		munmap(vm->pages, DEVICES_BYTES);
	vm->pages = NULL;
}
