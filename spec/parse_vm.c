/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vm object (config-vm.md): JSON types only. What a value means is checked
 * by spec_validate_vm(), which is asked only when a VM is to be started: a vm
 * object must not disturb a container of processes.
 */
#include "spec/parts.h"

static void parse_iomems(struct reader *rd, const struct json *obj, struct spec_vm *vm)
{
	static const char *const members[] = { "firstGFN", "firstMFN", "nrMFNs" };
	const struct json *list = rd_array(rd, obj, "iomems");

	json_each(v, list)
	{
		uint64_t unused;

		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
			rd_uint(rd, v, members[i], UINT64_MAX, &unused);
		vm->has_passthrough = true;
	}
}

static void parse_irqs(struct reader *rd, const struct json *obj, struct spec_vm *vm)
{
	const struct json *list = rd_array(rd, obj, "irqs");

	json_each(v, list)
	{
		uint64_t unused;

		if (json_uint(v, UINT32_MAX, &unused, NULL) < 0)
			rd_not(rd, v, "an integer from 0 to %u", UINT32_MAX);
		vm->has_passthrough = true;
	}
}

static void parse_hardware(struct reader *rd, const struct json *obj, struct spec_vm *vm)
{
	struct spec_strings dtdevs;

	vm->has_vcpus = rd_u32(rd, obj, "vcpus", UINT32_MAX, &vm->vcpus);
	vm->has_memory = rd_uint(rd, obj, "memory", UINT64_MAX, &vm->memory);
	rd_text(rd, obj, "deviceTree", &vm->device_tree);
	rd_strings(rd, obj, "dtdevs", &dtdevs);
	vm->has_passthrough = dtdevs.n > 0;
	parse_iomems(rd, obj, vm);
	parse_irqs(rd, obj, vm);
}

void parse_vm(struct reader *rd, const struct json *obj, struct spec_vm *vm)
{
	const struct json *hypervisor = rd_object(rd, obj, "hypervisor");
	const struct json *kernel = rd_object(rd, obj, "kernel");
	const struct json *image = rd_object(rd, obj, "image");

	vm->has_hypervisor = hypervisor != NULL;
	rd_text(rd, hypervisor, "path", &vm->hypervisor_path);
	rd_strings(rd, hypervisor, "parameters", &vm->hypervisor_parameters);
	rd_text(rd, kernel, "path", &vm->kernel_path);
	rd_text(rd, kernel, "initrd", &vm->kernel_initrd);
	rd_strings(rd, kernel, "parameters", &vm->kernel_parameters);
	vm->has_image = image != NULL;
	rd_text(rd, image, "path", &vm->image_path);
	rd_text(rd, image, "format", &vm->image_format);
	parse_hardware(rd, rd_object(rd, obj, "hwConfig"), vm);
}
