/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the vm object (config-vm.md), asked only when a VM is to be started. */
#include "spec/check.h"

#include <errno.h>
#include <string.h>

#include "spec/show.h"

static int needs_path(const char *path, const char *name, const char *at, struct error *err)
{
	if (!path)
		return rule_at(error_rule(err, EINVAL, "%s is missing", name), err, "%s", at);
	if (*path != '/')
		return rule_at(error_rule(err, EINVAL, "%s is %s, not an absolute path", name,
					  show(path).text),
			       err, "%s", at);
	return 0;
}

static int check_image(const struct spec_vm *vm, struct error *err)
{
	static const char *const formats[] = { "raw", "qcow2", "vdi", "vmdk", "vhd" };
	int r = needs_path(vm->image_path, "vm.image.path", "/vm/image/path", err);

	if (r < 0 || !vm->image_format)
		return r;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(vm->image_format, formats[i]) == 0)
			return 0;
	return rule_at(error_rule(err, EINVAL,
				  "vm.image.format is %s, not one of raw, qcow2, vdi, vmdk, vhd",
				  show(vm->image_format).text),
		       err, "/vm/image/format");
}

static int check_hardware(const struct spec_vm *vm, struct error *err)
{
	if (vm->has_vcpus && vm->vcpus == 0)
		return rule_at(error_rule(err, EINVAL,
					  "vm.hwConfig.vcpus is 0: a machine needs one"),
			       err, "/vm/hwConfig/vcpus");
	if (vm->has_memory && vm->memory == 0)
		return rule_at(error_rule(err, EINVAL,
					  "vm.hwConfig.memory is 0: a machine needs some"),
			       err, "/vm/hwConfig/memory");
	if (vm->has_passthrough)
		return rule_at(error_rule(err, EINVAL,
					  "vm.hwConfig asks for dtdevs, iomems or irqs of the "
					  "host: hardware is not passed through"),
			       err, "/vm/hwConfig");
	return vm->device_tree ? needs_path(vm->device_tree, "vm.hwConfig.deviceTree",
					    "/vm/hwConfig/deviceTree", err)
			       : 0;
}

int spec_validate_vm(const struct spec *spec, struct error *err)
{
	const struct spec_vm *vm = spec->vm;

	if (!vm)
		return 0;

	int r = needs_path(vm->kernel_path, "vm.kernel.path", "/vm/kernel/path", err);

	if (r == 0 && vm->kernel_initrd)
		r = needs_path(vm->kernel_initrd, "vm.kernel.initrd", "/vm/kernel/initrd", err);
	if (r == 0 && vm->has_hypervisor)
		r = needs_path(vm->hypervisor_path, "vm.hypervisor.path", "/vm/hypervisor/path",
			       err);
	if (r == 0 && vm->has_image)
		r = check_image(vm, err);
	return r < 0 ? r : check_hardware(vm, err);
}
