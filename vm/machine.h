/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * machine - what the files of this room share
 */

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "vm/acpi.h"
#include "vm/kernel/kernel.h"
#include "vm/vm.h"

/*
 * Guest-physical layout. Below 1 MiB: what the kernel is handed. The hole from 3 to 4 GiB holds devices
 * and interrupt controllers; memory beyond 3 GiB continues at 4 GiB.
 */
enum {
	AT_GDT = 0x500,
	AT_START_INFO = 0x6000,
	AT_MODULES = 0x6100,
	AT_MEMORY_MAP = 0x7000,
	AT_CMDLINE = 0x20000,
	CMDLINE_MAX = 2048, /* Linux: COMMAND_LINE_SIZE */
	AT_LOW_END = 0x9fc00,
	AT_HIGH_START = 0x100000,
};

static const uint64_t at_hole = 0xc0000000, at_above = 0x100000000;
static const uint32_t at_devices = 0xd0000000;
static const uint32_t at_ioapic = 0xfec00000, at_lapic = 0xfee00000;
static const uint64_t at_identity_map = 0xfffbc000, at_tss = 0xfffbd000;

enum { FIRST_GSI = 5, MAX_DEVICES = VIRTIO_CONSOLES + VM_MAX_SHARES + 3 };

enum { DEVICES_BYTES = MAX_DEVICES * VIRTIO_MMIO_BYTES };

_Static_assert((int)MAX_DEVICES <= (int)ACPI_MAX_DEVICES, "each device has an IOAPIC pin up to 23");

struct slot { /* a device and its wires */
	struct vm *vm;
	struct virtio_device *device;
	struct virtio_loop *loop;
	int kick_fd, irq_fd;

	/* Of a device with a loop and a thread of its own. */
	bool has_thread, is_started, is_stopping;
	atomic_bool has_left;
	pthread_t thread;
	int stop_fd;
	sem_t entered;
	int result; /* of entering */
	struct error error;
};

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool is_started;
	atomic_bool was_frozen; /* the guest's clock is to be told */
	atomic_bool has_left;
	uint64_t exits_io, exits_mmio, exits_other;
};

struct vm {
	struct vm_config config;
	int fd; /* the KVM machine */

	struct guest_ram ram;
	void *reserved; /* address space around it */
	size_t reserved_bytes;
	uint64_t entry;

	struct virtio_loop *loop;
	struct virtio_console *console;
	struct slot slots[MAX_DEVICES];
	unsigned n_slots;
	uint8_t *pages; /* a page per device: registers as the guest reads them */
	int ack_fd;     /* where acknowledged interrupts go that nobody need hear of */

	/* Register writes that KVM keeps until the next exit; NULL: each is an exit. */
	struct kvm_coalesced_mmio_ring *late;
	pthread_mutex_t late_lock;
	bool has_late;

	struct vcpu vcpus[VM_MAX_VCPUS];
	size_t run_bytes;
	uint8_t serial[8];

	/* The end: the first who says so is heard. */
	int end_fd, left_fd; /* written to at the end, and by each thread as it leaves */
	atomic_int end; /* enum vm_end, or -1 */
	atomic_bool is_stopping;
	pid_t pid;
	atomic_uint n_signals; /* SIGRTMAX of others', until the loop has passed them on */
	unsigned stuck_threads;
	pthread_mutex_t end_lock;
	struct error end_error;
};

/* memory.c */
int memory_new(struct vm *vm, struct error *err);
void memory_free(struct vm *vm);

/* boot.c: fills the guest's memory. */
int boot_load(struct vm *vm, struct error *err);

/* cpu.c: cpuid is KVM's, to be released with free(). */
int cpu_supported(struct vm *vm, struct kvm_cpuid2 **ret, struct error *err);
int cpu_setup(struct vcpu *cpu, const struct kvm_cpuid2 *supported, struct error *err);

/* run.c */
void *run_vcpu(void *arg);
/* The last that a thread does. */
void vm_leave(struct vm *vm, atomic_bool *has_left);
/* Joins all threads that leave until VM_STOP_MS from now. Counts the others. */
void vm_join(struct vm *vm);
void vm_ended(struct vm *vm, enum vm_end end, const struct error *err);
void vm_trace(const struct vm *vm, const char *step);

/* devices.c */
enum { DEVICES_SLOT = 2 }; /* of KVM's memory: those before it are the guest's */
int devices_new(struct vm *vm, struct error *err);
int devices_start(struct vm *vm, struct error *err);
void devices_stop(struct vm *vm); /* asks: vm_join() waits */
void devices_free(struct vm *vm);
/* serial.c: a port's worth of 16550, enough for a kernel's early messages. */
void serial_access(struct vm *vm, unsigned offset, uint8_t *data, bool is_write);
