/* SPDX-License-Identifier: Apache-2.0 */
/* What of a machine can be tried without one: tests/vm/ has guests, on the disposable host. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "spec/base/auto.h"
#include "vm/vm.h"

Test(vm, the_command_line_ends_in_the_callers_words)
{
	struct vm_config c = { .cmdline = "rdinit=/agent", .serial_fd = -1 };
	struct error err = ERROR_INIT;
	char line[2048];

	cr_assert_eq(vm_cmdline(&c, line, sizeof(line), &err), 0);
	cr_assert_not_null(strstr(line, "console=hvc0 quiet"));
	cr_assert_str_eq(line + strlen(line) - 14, " rdinit=/agent");
}

Test(vm, a_command_line_that_is_too_long_is_refused)
{
	char words[2048], line[4096];
	struct vm_config c = { .cmdline = words, .serial_fd = -1 };
	struct error err = ERROR_INIT;

	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = 0;
	cr_assert_eq(vm_cmdline(&c, line, sizeof(line), &err), -E2BIG);
	cr_assert_str_eq(err.text, "the kernel's command line has more than 2047 bytes");
}

Test(vm, a_descriptor_that_is_no_kvm_is_refused)
{
	auto_close int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct vm_config c = { .kvm_fd = fd, .vcpus = 1, .memory = 256 << 20, .serial_fd = -1 };
	struct error err = ERROR_INIT;
	struct vm *vm = NULL;
	char line[512];

	cr_assert_eq(vm_new(&c, &vm, &err), -ENOTTY);
	error_line(&err, line, sizeof(line));
	cr_assert_str_eq(line, "cannot make a virtual machine: ask /dev/kvm for its version: "
			       "inappropriate ioctl for device");
}

Test(vm, numbers_out_of_range_are_refused_before_anything_is_made)
{
	struct vm_config c = { .kvm_fd = -1, .vcpus = 65, .memory = 256 << 20, .serial_fd = -1 };
	struct error err = ERROR_INIT;
	struct vm *vm = NULL;

	cr_assert_eq(vm_new(&c, &vm, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "a machine has 1 to 64 vCPUs, not 65"));
}
