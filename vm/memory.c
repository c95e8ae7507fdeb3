/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory - the guest's, private and without reservation: it costs what the guest touches
 *
 * One mapping, aligned for huge pages, between pages that nobody may access: an index that runs away ends
 * in a fault, not in another object.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vm/machine.h"

enum { HUGE = 2 << 20 };

static int add_slot(struct vm *vm, unsigned i, struct error *err)
{
	const struct guest_range *g = &vm->ram.range[i];
	struct kvm_userspace_memory_region region = {
		.slot = i,
		.guest_phys_addr = g->at,
		.memory_size = g->size,
		.userspace_addr = (uint64_t)(uintptr_t)g->host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return error_set(err, errno, "give the guest %llu MiB of memory",
				 (unsigned long long)(g->size >> 20));
	return 0;
}

int memory_new(struct vm *vm, struct error *err)
{
	uint64_t size = vm->config.memory;
	uint64_t low = size < at_hole ? size : at_hole;

	if (size < (uint64_t)VM_MIN_MEMORY_MIB << 20 || size % HUGE || size > 1ull << 40)
		return error_rule(err, EINVAL,
				  "%llu bytes are no memory for a guest: a multiple of 2 MiB, from %d MiB on",
				  (unsigned long long)size, VM_MIN_MEMORY_MIB);
	vm->reserved_bytes = size + 3 * HUGE;
	vm->reserved = mmap(NULL, vm->reserved_bytes, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->reserved == MAP_FAILED) {
		vm->reserved = NULL;
		return error_set(err, errno, "reserve %llu MiB of addresses",
				 (unsigned long long)(size >> 20));
	}

	uint8_t *host = (uint8_t *)(((uintptr_t)vm->reserved + 2 * HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	if (mmap(host, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return error_set(err, errno, "map %llu MiB of memory", (unsigned long long)(size >> 20));
	/* Advice: a kernel without them is slower, not wrong. The guest's secrets are in no core file. */
	madvise(host, size, MADV_HUGEPAGE);
	madvise(host, size, MADV_DONTDUMP);

	vm->ram.range[0] = (struct guest_range){ .at = 0, .size = low, .host = host };
	vm->ram.n = 1;
	if (size > low) {
		vm->ram.range[1] =
			(struct guest_range){ .at = at_above, .size = size - low, .host = host + low };
		vm->ram.n = 2;
	}
	for (unsigned i = 0; i < vm->ram.n; i++) {
		int r = add_slot(vm, i, err);

		if (r < 0)
			return r;
	}
	return 0;
}

void memory_free(struct vm *vm)
{
	if (vm->reserved)
		munmap(vm->reserved, vm->reserved_bytes);
	vm->reserved = NULL;
}
