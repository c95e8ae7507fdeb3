/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - can this /dev/kvm run a kernel?
 *
 * A paravirtual KVM opens, and makes machines, and interprets the guest's instructions as long as that is not
 * in the mode that it knows; it stops at those which its interpreter lacks (arch/x86/kvm/emulate.c). The guest
 * here executes, in 32-bit protected mode as a kernel is entered, some of those that every kernel executes
 * early, and says after each how far it is.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "spec/base/auto.h"
#include "vm/machine.h"

enum { PROBE_PORT = 0x10, CODE_AT = 0x1000, PROBE_BYTES = 4 * VM_PAGE };

static const uint8_t code[] = {
	0xb0, 1, 0xe6, PROBE_PORT,             /* mov al, 1; out PORT, al */
	0xf3, 0x0f, 0xb8, 0xc3,                /* popcnt eax, ebx */
	0xb0, 2, 0xe6, PROBE_PORT,
	0x0f, 0xae, 0xe8,                      /* lfence */
	0x0f, 0xa2,                            /* cpuid */
	0xb0, 3, 0xe6, PROBE_PORT,
	0x66, 0x0f, 0xef, 0xc0,                /* pxor xmm0, xmm0: needs CR4.OSFXSR */
	0xb0, 4, 0xe6, PROBE_PORT,
	0xf4,                                  /* hlt */
};

static const char *const steps[] = { "start", "execute POPCNT", "execute CPUID", "execute PXOR" };

struct probe {
	int vm, cpu;
	void *memory;
	struct kvm_run *run;
	size_t run_bytes;
};

static void release(struct probe *p)
{
	if (p->run)
		munmap(p->run, p->run_bytes);
	auto_closep(&p->cpu);
	auto_closep(&p->vm);
	if (p->memory)
		munmap(p->memory, PROBE_BYTES);
}

static int set_registers(struct probe *p, struct error *err)
{
	struct kvm_sregs s;
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };
	struct kvm_segment flat = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	if (ioctl(p->cpu, KVM_GET_SREGS, &s) < 0)
		return error_set(err, errno, "read the registers of a vCPU");
	s.cs = flat;
	flat.type = 3;
	flat.selector = 16;
	s.ds = s.es = s.ss = flat;
	s.cr0 = 0x11;
	s.cr4 = 0x200; /* OSFXSR */
	if (ioctl(p->cpu, KVM_SET_SREGS, &s) < 0 || ioctl(p->cpu, KVM_SET_REGS, &regs) < 0)
		return error_set(err, errno, "set the registers of a vCPU");
	return 0;
}

static int set_cpuid(int kvm, struct probe *p, struct error *err)
{
	struct vm vm = { .config.kvm_fd = kvm };
	auto_free struct kvm_cpuid2 *cpuid = NULL;
	int r = cpu_supported(&vm, &cpuid, err);

	if (r == 0 && ioctl(p->cpu, KVM_SET_CPUID2, cpuid) < 0)
		r = error_set(err, errno, "set the CPUID of a vCPU");
	return r;
}

static int make(int kvm, struct probe *p, struct error *err)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	p->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (p->vm < 0)
		return error_set(err, errno, "create a virtual machine");

	void *memory = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return error_set(err, errno, "map memory for a guest");
	p->memory = memory;
	memcpy((uint8_t *)memory + CODE_AT, code, sizeof(code));

	struct kvm_userspace_memory_region region = {
		.memory_size = PROBE_BYTES,
		.userspace_addr = (uint64_t)(uintptr_t)memory,
	};
	uint64_t identity = at_identity_map;

	if (ioctl(p->vm, KVM_SET_TSS_ADDR, at_tss) < 0 ||
	    ioctl(p->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return error_set(err, errno, "give a guest memory");
	p->cpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (p->cpu < 0 || size < (int)sizeof(struct kvm_run))
		return error_set(err, errno, "create a vCPU");
	p->run_bytes = (size_t)size;

	void *run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->cpu, 0);

	if (run == MAP_FAILED)
		return error_set(err, errno, "map the state of a vCPU");
	p->run = run;

	int r = set_cpuid(kvm, p, err);

	return r < 0 ? r : set_registers(p, err);
}

static int run_steps(struct probe *p, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		if (ioctl(p->cpu, KVM_RUN, 0) < 0)
			return error_set(err, errno, "%s in a guest", steps[i]);

		const struct kvm_run *run = p->run;
		uint8_t word = run->exit_reason == KVM_EXIT_IO && run->io.port == PROBE_PORT
				       ? *((const uint8_t *)run + run->io.data_offset)
				       : 0;

		if (word == i + 1)
			continue;
		if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
			return error_rule(err, ENOTSUP,
					  "a guest cannot %s (internal error %u): instructions are "
					  "interpreted in software, this is a paravirtual /dev/kvm",
					  steps[i], run->internal.suberror);
		return error_rule(err, ENOTSUP, "a guest cannot %s: it ends with exit reason %u", steps[i],
				  run->exit_reason);
	}
	return 0;
}

int vm_probe(int kvm_fd, struct error *err)
{
	struct probe p = { .vm = -1, .cpu = -1 };
	int r = make(kvm_fd, &p, err);

	if (r == 0)
		r = run_steps(&p, err);
	release(&p);
	return r;
}
