/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of vm_plan.h. */
#include "runtime/vm_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"
#include "vm/vm.h"

#define MEMORY_STEP	(2 * WALL_MIB)
#define LEAST_MEMORY	(160 * WALL_MIB)
#define MOST_MEMORY	(1ULL << 46) /* what a guest's physical addresses may reach */
#define KERNEL_RESERVE	(64 * WALL_MIB)
#define VMM_RESERVE	(64 * WALL_MIB)
#define DEFAULT_PERIOD	100000 /* cpu.max of the kernel (cgroup-v2.rst) */
#define DEFAULT_VCPUS	4
#define CPU_WORDS	64

static const char *unified(const struct spec_resources *res, const char *file)
{
	for (size_t i = 0; res && i < res->n_unified; i++)
		if (strcmp(res->unified[i].key, file) == 0)
			return res->unified[i].value;
	return NULL;
}

/* "QUOTA PERIOD" of cpu.max. */
static bool read_cpu_max(const char *text, int64_t *ret_quota, uint64_t *ret_period)
{
	long long quota;
	unsigned long long period = DEFAULT_PERIOD;

	if (!text || sscanf(text, "%lld %llu", &quota, &period) < 1 || quota <= 0 || period == 0)
		return false;
	*ret_quota = quota;
	*ret_period = period;
	return true;
}

static bool find_quota(const struct spec_resources *res, int64_t *ret_quota, uint64_t *ret_period)
{
	const struct spec_cpu *cpu = res ? res->cpu : NULL;

	if (read_cpu_max(unified(res, "cpu.max"), ret_quota, ret_period))
		return true;
	if (!cpu || !cpu->quota.set || cpu->quota.v <= 0)
		return false;
	*ret_quota = cpu->quota.v;
	*ret_period = cpu->period.set && cpu->period.v ? cpu->period.v : DEFAULT_PERIOD;
	return true;
}

static unsigned count_cpus(const struct spec_resources *res)
{
	const char *list = unified(res, "cpuset.cpus") ?: res && res->cpu ? res->cpu->cpus : NULL;
	uint64_t mask[CPU_WORDS];
	unsigned n = 0;

	if (!list || parse_cpulist(list, mask, CPU_WORDS) < 0)
		return 0;
	for (unsigned i = 0; i < CPU_WORDS; i++)
		n += (unsigned)__builtin_popcountll(mask[i]);
	return n;
}

static int plan_cpus(const struct spec *spec, unsigned host_cpus, struct wall_plan *ret, struct error *err)
{
	const struct spec_resources *res = spec->linux_.resources;
	int64_t quota;
	uint64_t period;
	uint64_t n = host_cpus < DEFAULT_VCPUS ? host_cpus : DEFAULT_VCPUS;

	ret->has_quota = find_quota(res, &quota, &period);
	if (spec->vm && spec->vm->has_vcpus) {
		if (spec->vm->vcpus > VM_MAX_VCPUS) {
			int r = error_rule(err, EINVAL, "vm.hwConfig.vcpus is %u, and a machine has %d at most",
					   spec->vm->vcpus, VM_MAX_VCPUS);

			error_at(err, "/vm/hwConfig/vcpus");
			return r;
		}
		ret->vcpus = spec->vm->vcpus;
		return 0;
	}
	if (ret->has_quota)
		n = ((uint64_t)quota + period - 1) / period;
	else if (count_cpus(res))
		n = count_cpus(res);
	if (n > host_cpus)
		n = host_cpus;
	ret->vcpus = n < 1 ? 1 : n > VM_MAX_VCPUS ? VM_MAX_VCPUS : (unsigned)n;
	return 0;
}

static uint64_t find_limit(const struct spec_resources *res)
{
	const char *text = unified(res, "memory.max");
	int64_t bytes;

	if (text)
		return parse_i64(text, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : UINT64_MAX;
	if (!res || !res->memory || !res->memory->limit.set || res->memory->limit.v <= 0)
		return UINT64_MAX;
	return (uint64_t)res->memory->limit.v;
}

static int plan_memory(const struct spec *spec, struct wall_plan *ret, struct error *err)
{
	const struct spec_vm *vm = spec->vm;
	uint64_t limit = ret->limit = find_limit(spec->linux_.resources);
	uint64_t n = WALL_DEFAULT_MEMORY;
	const char *at = vm && vm->has_memory ? "/vm/hwConfig/memory" : "/linux/resources/memory/limit";

	if (vm && vm->has_memory)
		n = vm->memory;
	else if (limit < MOST_MEMORY)
		n = limit + limit / 32 + KERNEL_RESERVE < LEAST_MEMORY ? LEAST_MEMORY : limit + limit / 32 + KERNEL_RESERVE;
	else if (limit != UINT64_MAX)
		n = limit;
	if (n > MOST_MEMORY || n < VM_MIN_MEMORY_MIB * WALL_MIB) {
		int r = error_rule(err, EINVAL, "a virtual machine cannot have %llu bytes of memory: %d MiB is the least, 64 TiB the most",
				   (unsigned long long)n, VM_MIN_MEMORY_MIB);

		error_at(err, "%s", at);
		return r;
	}
	ret->memory = (n + MEMORY_STEP - 1) / MEMORY_STEP * MEMORY_STEP;
	return 0;
}

uint64_t wall_host_memory(uint64_t memory)
{
	return memory + memory / 128 + VMM_RESERVE;
}

/* What the guest enforces is not for the host's cgroup, which holds a virtual machine's threads and memory. */
static void keep_hosts_files(struct spec_resources *r, const struct spec_resources *res, struct arena *a)
{
	r->unified = ARENA_NEW_N(a, struct spec_key_value, res->n_unified + 1);
	r->n_unified = 0;
	for (size_t i = 0; i < res->n_unified; i++)
		if (strncmp(res->unified[i].key, "memory.", 7) != 0 && strncmp(res->unified[i].key, "pids.", 5) != 0)
			r->unified[r->n_unified++] = res->unified[i];
}

const struct spec_resources *wall_host_resources(const struct spec_resources *res, uint64_t memory, struct arena *a)
{
	struct spec_resources *r;
	uint64_t limit = find_limit(res);

	if (!res)
		return NULL;
	r = ARENA_NEW(a, struct spec_resources);
	*r = *res;
	r->pids_limit = (struct spec_opt_i64){ 0 };
	r->devices = NULL;
	r->n_devices = 0;
	r->memory = res->memory || limit != UINT64_MAX ? ARENA_NEW(a, struct spec_memory) : NULL;
	/* What no kernel can do any more is said by this one's plan, since nobody reads the guest's. */
	if (res->memory)
		*r->memory = (struct spec_memory){ .kernel = res->memory->kernel, .kernel_tcp = res->memory->kernel_tcp,
						   .swappiness = res->memory->swappiness,
						   .disable_oom_killer = res->memory->disable_oom_killer };
	keep_hosts_files(r, res, a);
	if (limit == UINT64_MAX)
		return r;
	r->memory->limit = (struct spec_opt_i64){ true, (int64_t)wall_host_memory(memory) };
	/* The guest has no swap of its own; what the host may swap of its memory is what the config leaves beyond the limit. */
	if (res->memory && res->memory->limit.set && res->memory->swap.set) {
		int64_t swap = res->memory->swap.v - res->memory->limit.v;

		r->memory->swap.set = true;
		r->memory->swap.v = res->memory->swap.v < 0 ? -1 : r->memory->limit.v + (swap > 0 ? swap : 0);
	}
	return r;
}

static const char *join(const struct spec_strings *words, struct arena *a)
{
	const char *text = "";

	for (size_t i = 0; i < words->n; i++)
		text = arena_printf(a, "%s%s%s", text, i ? " " : "", words->v[i]);
	return text;
}

int wall_plan_make(const struct spec *spec, unsigned host_cpus, struct arena *a, struct wall_plan *ret,
		   struct error *err)
{
	int r = spec_validate_vm(spec, err);

	*ret = (struct wall_plan){ .cmdline = "" };
	if (r == 0)
		r = plan_cpus(spec, host_cpus ?: 1, ret, err);
	if (r == 0)
		r = plan_memory(spec, ret, err);
	if (r < 0)
		return r;
	if (spec->vm)
		ret->cmdline = join(&spec->vm->kernel_parameters, a);
	ret->host = wall_host_resources(spec->linux_.resources, ret->memory, a);
	return 0;
}
