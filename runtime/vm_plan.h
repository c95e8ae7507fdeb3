/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_plan - how large a container's virtual machine is, and what it must not be asked for
 *
 * Pure: spec in, numbers out.
 *
 * vCPUs: vm.hwConfig.vcpus, else as many as the CPU quota fills (rounded up), else as many as the cpuset has, else four
 * at most; never more than the host has, unless hwConfig says so.
 *
 * Memory: vm.hwConfig.memory, else the memory limit L of the container and what the guest's own kernel needs beside it,
 *
 *	L + L/32 + 64 MiB, and no less than 160 MiB
 *
 * else 1 GiB; rounded up to 2 MiB. The guest enforces L itself, exactly, so that the kernel that runs out of memory is
 * the guest's. The cgroup on the host gets room for the whole of the guest's memory M and for what serves it (page tables,
 * inodes that are held, buffers), M + M/128 + 64 MiB: whoever hits that has broken out.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/spec.h"

#define WALL_MIB (1ULL << 20)
#define WALL_DEFAULT_MEMORY (1024 * WALL_MIB)

struct wall_plan {
	unsigned vcpus;
	uint64_t memory;                       /* of the guest */
	uint64_t limit;                        /* what the guest enforces at most; UINT64_MAX: none */
	bool has_quota;                        /* a CPU quota of the container's own holds */
	const char *cmdline;                   /* vm.kernel.parameters; "" */
	const struct spec_resources *host;     /* what the cgroup on the host enforces */
};

/* -EINVAL, -ENOTSUP with a pointer into the config. */
int wall_plan_make(const struct spec *spec, unsigned host_cpus, struct arena *a, struct wall_plan *ret,
		   struct error *err);

/*
 * The host's part of resources for a guest of `memory` bytes: CPU and block I/O as they are; memory.limit, where there is
 * one, that of the host; processes are the guest's to count. res may be NULL.
 */
const struct spec_resources *wall_host_resources(const struct spec_resources *res, uint64_t memory, struct arena *a);

/* Bytes that the host's cgroup allows for a guest of `memory` bytes. */
uint64_t wall_host_memory(uint64_t memory);

/*
 * What a virtual machine cannot honour, in a config and around it. -ENOTSUP names it, with a pointer and, where there is
 */
struct rt_create_options;
int wall_check(const struct spec *spec, struct error *err);
int wall_check_options(const struct rt_create_options *opt, uint32_t preserve_fds, struct error *err);
/* Of a process object alone (exec). */
int wall_check_process(const struct spec_process *process, const char *at, struct error *err);
