/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices - which devices the machine has, and their wires to KVM
 *
 * A kick is an ioeventfd on QueueNotify: the vCPU goes on at once, and the device's thread wakes up. An interrupt
 * is an irqfd on a pin of the IOAPIC: it needs no exit, either. (KVM API: KVM_IOEVENTFD, KVM_IRQFD.)
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/jail.h"
#include "vm/machine.h"

static int wire(struct vm *vm, struct slot *s, unsigned i, struct error *err)
{
	s->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->kick_fd < 0 || s->irq_fd < 0)
		return error_set(err, errno, "create an eventfd");

	struct kvm_ioeventfd kick = {
		.addr = at_devices + i * VIRTIO_MMIO_BYTES + VIRTIO_MMIO_QUEUE_NOTIFY,
		.len = 4,
		.fd = s->kick_fd,
	};
	struct kvm_irqfd irq = { .fd = (uint32_t)s->irq_fd, .gsi = FIRST_GSI + i };

	if (ioctl(vm->fd, KVM_IOEVENTFD, &kick) < 0)
		return error_set(err, errno, "connect the kicks of device %u", i);
	if (ioctl(vm->fd, KVM_IRQFD, &irq) < 0)
		return error_set(err, errno, "connect the interrupt of device %u", i);
	return virtio_connect(s->device, &vm->ram, s->kick_fd, s->irq_fd, s->loop, err);
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

/* The order is that of the guest's names: the console first, it shows what is wrong with the others. */
int devices_new(struct vm *vm, struct error *err)
{
	int r = virtio_console_new(vm->loop, &vm->console, err);

	r = add(vm, r, r < 0 ? NULL : virtio_console_device(vm->console), false, err);
	for (unsigned i = 0; r == 0 && i < vm->config.n_shares; i++)
		r = add_share(vm, &vm->config.shares[i], err);
	if (r == 0 && vm->config.tap) {
		struct virtio_device *d = NULL;

		r = virtio_net_new(vm->config.tap, &d, err);
		r = add(vm, r, d, false, err);
	}
	if (r == 0)
		r = add_helpers(vm, err);
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
	for (unsigned i = 0; i < vm->n_slots; i++) {
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
}
