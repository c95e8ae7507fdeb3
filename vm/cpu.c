/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu - a vCPU before its first instruction: what CPUID says, and the registers of a PVH entry
 *
 * CPUID is what KVM can give on this processor, less what a guest must not count on, with the
 * topology of our machine: one package, one thread per core (Intel SDM 3A §9.9, AMD APM 3 appendix E).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "spec/base/auto.h"
#include "vm/machine.h"

enum {
	MAX_LEAVES = 256,
	MSR_MISC_ENABLE = 0x1a0,
	MISC_FAST_STRINGS = 1,
	/* Linux: include/uapi/asm/kvm_para.h. Page faults told to the guest (4, 10, 14): not with snapshots to come. */
	KVM_PARA_FEATURES = 0x40000001,
	KVM_PARA_ASYNC_PF = 1 << 4 | 1 << 10 | 1 << 14,
};

int cpu_supported(struct vm *vm, struct kvm_cpuid2 **ret, struct error *err)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + MAX_LEAVES * sizeof(c->entries[0]));

	if (!c)
		return error_set(err, ENOMEM, "allocate a table of CPUID");
	c->nent = MAX_LEAVES;
	if (ioctl(vm->config.kvm_fd, KVM_GET_SUPPORTED_CPUID, c) < 0) {
		int r = error_set(err, errno, "ask KVM which CPUID it supports");

		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* Bits that number n things from 0. */
static unsigned width_of(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static void set_bit(uint32_t *word, unsigned bit, bool on)
{
	*word = on ? *word | 1u << bit : *word & ~(1u << bit);
}

static void set_features(struct kvm_cpuid_entry2 *e, unsigned index, unsigned n, bool has_deadline)
{
	e->ebx = (e->ebx & 0x0000ffff) | n << 16 | index << 24;
	set_bit(&e->edx, 28, n > 1);
	set_bit(&e->ecx, 15, false); /* PDCM: no performance counters */
	set_bit(&e->ecx, 24, has_deadline);
	set_bit(&e->ecx, 31, true);  /* there is a hypervisor */
}

/* Extended topology: level 0 is threads of a core, level 1 cores. */
static void set_topology(struct kvm_cpuid_entry2 *e, unsigned index, unsigned n)
{
	e->eax = e->index == 1 ? width_of(n) : 0;
	e->ebx = e->index == 0 ? 1 : e->index == 1 ? n : 0;
	e->ecx = e->index | (e->index < 2 ? (e->index + 1) << 8 : 0);
	e->edx = index;
}

static void adjust(struct kvm_cpuid_entry2 *e, unsigned index, unsigned n, bool has_deadline)
{
	switch (e->function) {
	case 0x1:
		set_features(e, index, n, has_deadline);
		break;
	case 0x4: /* caches: as many cores as we have, each with its own but for the last level */
		e->eax = (e->eax & 0x3fff) | (n - 1) << 26 | ((e->eax >> 5 & 7) >= 3 ? (n - 1) << 14 : 0);
		break;
	case 0x6: /* no turbo, no energy hints */
		set_bit(&e->eax, 1, false);
		set_bit(&e->ecx, 3, false);
		break;
	case 0x7: /* WAITPKG: a guest must not sleep where KVM does not see it */
		if (e->index == 0)
			set_bit(&e->ecx, 5, false);
		break;
	case 0xa: /* no performance counters */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		set_topology(e, index, n);
		break;
	case 0x80000008:
		e->ecx = (e->ecx & ~0xf0ffu) | width_of(n) << 12 | (n - 1);
		break;
	case 0x8000001e:
		e->eax = index;
		e->ebx = index;
		e->ecx = 0;
		break;
	case KVM_PARA_FEATURES:
		e->eax &= ~(uint32_t)KVM_PARA_ASYNC_PF;
		break;
	}
}

static int set_cpuid(struct vcpu *cpu, const struct kvm_cpuid2 *supported, struct error *err)
{
	static const struct kvm_cpuid2 header;
	size_t size = sizeof(header) + MAX_LEAVES * sizeof(header.entries[0]);
	auto_free struct kvm_cpuid2 *c = malloc(size);
	bool has_deadline =
		ioctl(cpu->vm->config.kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;

	if (!c)
		return error_set(err, ENOMEM, "allocate a table of CPUID");
	memcpy(c, supported, size);
	for (unsigned i = 0; i < c->nent; i++)
		adjust(&c->entries[i], cpu->index, cpu->vm->config.vcpus, has_deadline);
	if (ioctl(cpu->fd, KVM_SET_CPUID2, c) < 0)
		return error_set(err, errno, "set the CPUID of vCPU %u", cpu->index);
	return 0;
}

/*
 * Flat 32-bit code and data, protection on, paging off, a busy TSS, EBX the start_info. The other vCPUs wait
 * for the kernel's INIT and SIPI, which KVM's interrupt controller delivers.
 */
static int set_entry(struct vcpu *cpu, struct error *err)
{
	struct kvm_sregs s;
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x08,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = cpu->vm->entry, .rbx = AT_START_INFO, .rflags = 2 };

	if (ioctl(cpu->fd, KVM_GET_SREGS, &s) < 0)
		return error_set(err, errno, "read the registers of vCPU %u", cpu->index);
	data.type = 3;
	data.selector = 0x10;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){ .limit = 0x67, .selector = 0x18, .type = 11, .present = 1 };
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt = (struct kvm_dtable){ .base = AT_GDT, .limit = 4 * 8 - 1 };
	s.idt = (struct kvm_dtable){ .base = 0, .limit = 0 };
	s.cr0 = 0x11; /* PE, ET */
	s.cr3 = s.cr4 = s.efer = 0;
	if (ioctl(cpu->fd, KVM_SET_SREGS, &s) < 0 || ioctl(cpu->fd, KVM_SET_REGS, &regs) < 0)
		return error_set(err, errno, "set the registers of vCPU %u", cpu->index);
	return 0;
}

static void set_msrs(struct vcpu *cpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head.nmsrs = 1, .entry = { .index = MSR_MISC_ENABLE, .data = MISC_FAST_STRINGS } };

	ioctl(cpu->fd, KVM_SET_MSRS, &m); /* AMD has none: the guest then finds KVM's default */
}

int cpu_setup(struct vcpu *cpu, const struct kvm_cpuid2 *supported, struct error *err)
{
	cpu->fd = ioctl(cpu->vm->fd, KVM_CREATE_VCPU, cpu->index);
	if (cpu->fd < 0)
		return error_set(err, errno, "create vCPU %u", cpu->index);

	void *run = mmap(NULL, cpu->vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);

	if (run == MAP_FAILED)
		return error_set(err, errno, "map the state of vCPU %u", cpu->index);
	cpu->run = run;

	int r = set_cpuid(cpu, supported, err);

	if (r < 0 || cpu->index > 0)
		return r;
	set_msrs(cpu);
	return set_entry(cpu, err);
}
