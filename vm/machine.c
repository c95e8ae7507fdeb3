/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine - makes a machine of KVM's parts, in the order that KVM wants them
 *
 * KVM API (Documentation/virt/kvm/api.rst): the interrupt controller before the vCPUs, CPUID before any MSR.
 */
#include <errno.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "spec/base/auto.h"
#include "vm/machine.h"

/* What a stock kernel has as modules. Each may be built in; a machine works without those of a group. */
const char *const vm_modules[] = {
	"virtio_mmio", "virtio_console", "virtiofs", "net/virtio_net", "late/virtio_balloon", "late/virtio_rng",
};
const size_t vm_modules_n = ARRAY_SIZE(vm_modules);

enum { CREATE_TRIES = 5 };

void vm_trace(const struct vm *vm, const char *step)
{
	struct timespec t;

	if (!vm->config.trace)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	vm->config.trace(vm->config.trace_arg, step, (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
}

static int check_kvm(int kvm, struct error *err)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_IRQCHIP, "an interrupt controller" },
		{ KVM_CAP_USER_MEMORY, "memory of ours" },
		{ KVM_CAP_SET_TSS_ADDR, "a place for the TSS" },
		{ KVM_CAP_EXT_CPUID, "CPUID" },
		{ KVM_CAP_IRQFD, "irqfd" },
		{ KVM_CAP_IOEVENTFD, "ioeventfd" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	};
	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_set(err, errno, "ask /dev/kvm for its version");
	if (version != KVM_API_VERSION)
		return error_rule(err, ENOTSUP, "/dev/kvm speaks version %d, not %d", version,
				  KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return error_rule(err, ENOTSUP, "this KVM cannot do %s", needed[i].name);
	return 0;
}

/* Creating a machine starts a kernel thread, which a signal interrupts: QEMU and others try again, too. */
static int create(struct vm *vm, struct error *err)
{
	uint64_t identity = at_identity_map;

	for (int i = 0; vm->fd < 0 && i < CREATE_TRIES; i++) {
		vm->fd = ioctl(vm->config.kvm_fd, KVM_CREATE_VM, 0);
		if (vm->fd < 0 && errno != EINTR)
			break;
	}
	if (vm->fd < 0)
		return error_set(err, errno, "create a virtual machine");
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, at_tss) < 0 ||
	    ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return error_set(err, errno, "place KVM's own pages");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return error_set(err, errno, "create the interrupt controllers");
	if (vm->config.has_quota) {
		struct kvm_enable_cap no_polling = { .cap = KVM_CAP_HALT_POLL, .args = { 0 } };

		ioctl(vm->fd, KVM_ENABLE_CAP, &no_polling); /* older kernels: kvm.halt_poll_ns rules */
	}
	return 0;
}

static int make_vcpus(struct vm *vm, struct error *err)
{
	auto_free struct kvm_cpuid2 *cpuid = NULL;
	int size = ioctl(vm->config.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (vm->has_late ? KVM_COALESCED_MMIO_PAGE_OFFSET + 1 : 1) * VM_PAGE)
		return error_set(err, EPROTO, "ask KVM for the size of a vCPU's state");
	vm->run_bytes = (size_t)size;

	int r = cpu_supported(vm, &cpuid, err);

	for (unsigned i = 0; r == 0 && i < vm->config.vcpus; i++)
		r = cpu_setup(&vm->vcpus[i], cpuid, err);
	if (r == 0 && vm->has_late) /* one for all vCPUs, in the mapping of each */
		vm->late = (void *)((uint8_t *)vm->vcpus[0].run + KVM_COALESCED_MMIO_PAGE_OFFSET * VM_PAGE);
	return r;
}

static int check_config(const struct vm_config *c, struct error *err)
{
	if (c->vcpus == 0 || c->vcpus > VM_MAX_VCPUS)
		return error_rule(err, EINVAL, "a machine has 1 to %d vCPUs, not %u", VM_MAX_VCPUS, c->vcpus);
	if (c->n_shares > VM_MAX_SHARES || c->n_initramfs > VM_MAX_INITRAMFS)
		return error_rule(err, EINVAL, "too many file systems or archives for a machine");
	return check_kvm(c->kvm_fd, err);
}

static int build(struct vm *vm, struct error *err)
{
	int r = create(vm, err);

	if (r == 0)
		r = memory_new(vm, err);
	vm_trace(vm, "vm: machine");
	if (r == 0)
		r = virtio_loop_new(&vm->loop, err);
	if (r == 0) {
		vm->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		vm->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vm->end_fd < 0 || vm->left_fd < 0)
			r = error_set(err, errno, "create an eventfd");
	}
	if (r == 0)
		r = devices_new(vm, err);
	vm_trace(vm, "vm: devices");
	if (r == 0)
		r = boot_load(vm, err);
	vm_trace(vm, "vm: kernel loaded");
	if (r == 0)
		r = make_vcpus(vm, err);
	vm_trace(vm, "vm: vCPUs");
	return r;
}

int vm_new(const struct vm_config *config, struct vm **ret, struct error *err)
{
	int r = check_config(config, err);
	struct vm *vm = r < 0 ? NULL : calloc(1, sizeof(*vm));

	if (!vm)
		return r < 0 ? error_wrap(err, r, "cannot make a virtual machine")
			     : error_set(err, ENOMEM, "allocate a virtual machine");
	vm->config = *config;
	vm->fd = vm->end_fd = vm->left_fd = vm->ack_fd = -1;
	atomic_store(&vm->end, -1);
	pthread_mutex_init(&vm->end_lock, NULL);
	pthread_mutex_init(&vm->late_lock, NULL);
	for (unsigned i = 0; i < VM_MAX_VCPUS; i++)
		vm->vcpus[i] = (struct vcpu){ .vm = vm, .index = i, .fd = -1 };
	r = build(vm, err);
	if (r < 0) {
		vm_free(vm);
		return error_wrap(err, r, "cannot make a virtual machine");
	}
	*ret = vm;
	return 0;
}

void vm_free(struct vm *vm)
{
	if (!vm || vm->stuck_threads)
		return;
	devices_free(vm);
	for (unsigned i = 0; i < VM_MAX_VCPUS; i++) {
		struct vcpu *cpu = &vm->vcpus[i];

		if (cpu->run)
			munmap(cpu->run, vm->run_bytes);
		auto_closep(&cpu->fd);
	}
	if (vm->loop)
		virtio_loop_free(vm->loop);
	auto_closep(&vm->end_fd);
	auto_closep(&vm->left_fd);
	auto_closep(&vm->fd);
	memory_free(vm);
	pthread_mutex_destroy(&vm->end_lock);
	pthread_mutex_destroy(&vm->late_lock);
	free(vm);
}

struct virtio_loop *vm_loop(struct vm *vm)
{
	return vm->loop;
}

struct virtio_console *vm_console(struct vm *vm)
{
	return vm->console;
}
