/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm - the same bundle behind hardware: a virtual machine for one container
 *
 * The machine is a library that takes descriptors. Whoever calls it has opened everything before
 * (kernel.h finds and opens kernels), and may have given up every right to open more: vm_new() and
 * what follows resolve no path.
 *
 *	vm_kernel_find(&wish, &choice, err);         (vm/kernel/kernel.h; with the libraries at hand)
 *	config.kernel_fd = vm_kernel_open(choice.path, cache, err);
 *	…
 *	vm_new(&config, &vm, err);
 *	virtio_console_attach(vm_console(vm), 1, &channel, err);   (vm/virtio/virtio.h)
 *	virtio_loop_watch(vm_loop(vm), …);           (whatever else the caller's process must hear)
 *	vm_run(vm, &report, err);                    (until the guest ends, or vm_stop())
 *	vm_free(vm);
 *
 * The machine: an interrupt controller, timers and vCPUs of KVM's; virtio-mmio devices that ACPI names; no
 * firmware, no PCI, no BIOS, no legacy device. The kernel is entered as a PVH guest. Threads: one per
 * vCPU, one per shared file system, and the caller's, which turns the loop of all other devices.
 *
 * Of the process: vm_run() installs a handler for SIGRTMAX (it interrupts KVM_RUN; one that somebody else sent is told
 * to signalled()) and ignores SIGPIPE. It is meant for a process that is nothing but a VMM. All signals can be blocked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"
#include "vm/virtio/virtio.h"

struct vm;

enum {
	VM_MAX_VCPUS = 64,
	VM_MAX_SHARES = 4,
	VM_MAX_INITRAMFS = 8,
	VM_MIN_MEMORY_MIB = 64,
	VM_STOP_MS = 3000,
	VM_PAGE = 4096,
};

/* A file system for the guest: `mount -t virtiofs <tag>`. */
struct vm_share {
	const char *tag;
	struct vm_fs *fs; /* vm/fs/fs.h; outlives the machine */
};

struct vm_config {
	int kvm_fd;    /* /dev/kvm; all descriptors stay the caller's, and open while the machine is */
	int kernel_fd; /* an ELF file with a PVH entry that nobody changes: it is mapped, not copied */
	bool copy_kernel; /* copy it nevertheless */

	/* Archives that are unpacked into the guest's first root, one over the other (kernel.h makes some). */
	int initramfs_fds[VM_MAX_INITRAMFS];
	unsigned n_initramfs;
	const char *cmdline; /* added to the machine's own (vm_cmdline()); NULL: nothing */

	uint64_t memory; /* bytes, a multiple of 2 MiB */
	unsigned vcpus;
	bool has_quota; /* a CPU quota holds: do not poll for a halted vCPU, which would be charged */

	struct vm_share shares[VM_MAX_SHARES];
	unsigned n_shares;
	const struct vm_tap *tap; /* NULL: no network device; its descriptor is the machine's from success on */
	int serial_fd; /* a serial port at 0x3f8 writes here, for a kernel that dies early; -1: there is none */

	/*
	 * Filter the system calls of each thread while the guest runs, and give up its capabilities, no_new_privs
	 * included (jail.h). The caller's thread keeps what devices need, and for its own watches loop_calls and
	 * loop_caps (bits 1 << CAP_…); this stays after vm_run(). Threads of vCPUs keep no capability, those
	 * of file systems what makes a file another user's: see VM_FS_CAPS.
	 */
	bool has_jail;
	const int *loop_calls;
	size_t n_loop_calls;
	uint64_t loop_caps;

	/* Called with the name of each step as it is done, in the thread that does it. May be NULL. */
	void (*trace)(void *arg, const char *step, uint64_t monotonic_ns);
	void *trace_arg;

	/* From the loop: a SIGRTMAX that is not the machine's own. May be NULL. */
	void (*signalled)(void *arg, int number);
	void *signalled_arg;
};

enum vm_end {
	VM_END_STOPPED,  /* vm_stop() */
	VM_END_POWEROFF, /* the guest switched itself off */
	VM_END_RESET,    /* the guest wanted to boot again; so do a panic with panic=-1 and a triple fault */
	VM_END_PANIC,    /* as before, and its console speaks of a panic */
	VM_END_ERROR,    /* KVM or the processor would not go on: see the error */
};

struct vm_report {
	enum vm_end end;
	uint64_t exits_io, exits_mmio, exits_other; /* to this process */

	/*
	 * Threads that still wait for the host, for a disk that does not answer. They use the machine and its file
	 * systems, so vm_free() then frees nothing and the caller must not free either: it ends the process.
	 */
	unsigned stuck_threads;
	char last_words[2048]; /* of the guest's console: from a panic on, or its end; NUL-terminated */
};

/* "the guest panicked", … */
const char *vm_end_text(enum vm_end end);

/*
 * Makes the machine, up to the first instruction. -ENOTSUP: KVM lacks something; -ENOEXEC: the kernel is none
 * for it; -ENOMEM, -EINVAL: memory or vCPUs out of range.
 */
int vm_new(const struct vm_config *config, struct vm **ret, struct error *err);
void vm_free(struct vm *vm);

struct virtio_loop *vm_loop(struct vm *vm);
struct virtio_console *vm_console(struct vm *vm);

/*
 * Runs until the guest ends, and then waits for its threads, for at most VM_STOP_MS. < 0 only for VM_END_ERROR, and
 * with *ret filled in. Once per machine.
 */
int vm_run(struct vm *vm, struct vm_report *ret, struct error *err);
/* From the loop's thread: makes vm_run() return, in bounded time. */
void vm_stop(struct vm *vm);
/* From the loop's thread, when this process had been frozen: the guest's watchdogs forgive it the time. */
void vm_resumed(struct vm *vm);

/* The kernel's command line for a config, as the machine passes it. -E2BIG above 2047 bytes. */
int vm_cmdline(const struct vm_config *config, char *buf, size_t size, struct error *err);

/*
 * Modules that a stock kernel needs for this machine, for vm_kernel_modules(). Groups: "net", for a network device, "late", for
 * what no program waits for.
 */
extern const char *const vm_modules[];
extern const size_t vm_modules_n;

/*
 * Can this /dev/kvm run a kernel? Tries in a small guest what a paravirtual KVM, which interprets instructions,
 * lacks. 0, or -ENOTSUP with what is missing. Nothing bounds the time of a KVM that hangs: call it in a child.
 */
int vm_probe(int kvm_fd, struct error *err);

/*
 * The filter of a process that is no part of a machine but stands for a process in its guest: a socket and signals, both
 * open, and nothing else. Sets no_new_privs; there is no way back.
 */
int vm_jail_proxy(struct error *err);
