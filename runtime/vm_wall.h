/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_wall - a container behind a virtual machine, under construction
 *
 * The way is build.h's. What is different:
 *
 *	build_plan()      wall_plan(): refuses what a guest cannot honour, opens KVM, the kernel and the archives
 *	build_reserve()   wall_reserve(): the socket for commands, the record, both in the state directory
 *	the child         wall_child(): a bare root instead of the container's, then not the stub but the machine
 *	start, run        gate.h's verdict comes from the guest
 *
 * The child is the container's first process for the host: what holds for that (cgroup, freezer, kill, hooks, delete)
 * needs no second version.
 */

#include "runtime/build.h"
#include "runtime/vm_plan.h"
#include "vm/vm.h"

struct wall {
	struct wall_plan plan;
	bool copies_kernel;          /* into the guest's own memory, instead of mapping it */
	int kvm_fd, kernel_fd;
	int initramfs[VM_MAX_INITRAMFS];
	unsigned n_initramfs;
	int listen_fd;               /* the socket for commands */
	int record_fd;               /* vm_record.h */
	struct spec_process process; /* of the machine's own process: what build.proc is a plan of */
	struct spec_capabilities caps;
};

/* From the clone to the program that waits: a boot and a container in the guest (session.h), and something. */
#define WALL_BOOT_MS 120000
#define WALL_CREATE_MS 60000
#define WALL_TIMEOUT_MS (WALL_BOOT_MS + WALL_CREATE_MS + 10000)

/* Before anything is made; may execute bulkhead-shared. Sets b->vm. */
int wall_plan(struct build *b, struct error *err);
/* b->proc of the machine's process; the container's seccomp program has been prepared for the guest. */
int wall_plan_process(struct build *b, struct error *err);

int wall_reserve(struct build *b, struct error *err);

/* WIRE_CREATE's items but what only the child and the session know. */
void wall_describe(const struct build *b, struct buf *out);

/* Fail closed, as launch_verify(): the machine's process is under its filters and has no right beyond those of its plan. */
int wall_verify(struct build *b, struct error *err);

_Noreturn void wall_child(struct launch *l, struct build *b);

/* vm_host.c: what the host has for a guest */

/* /dev/kvm, and proof that it can run a kernel: tried once per boot. */
int wall_open_kvm(const struct rt_context *ctx, struct error *err);
/* The kernel and the archives of a guest. May execute bulkhead-shared, which can unpack them. */
int wall_open_kernel(const struct rt_context *ctx, const struct spec_vm *vm, struct wall *ret, struct error *err);
