/* SPDX-License-Identifier: Apache-2.0 */

/*
 * check_kvm - does /dev/kvm give a wall of hardware?
 *
 * A /dev/kvm that opens and makes machines is not yet one that runs a kernel: vm_probe() runs a guest to find out.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "cli/check.h"
#include "spec/base/auto.h"
#include "vm/vm.h"

static const char name[] = "kvm";

/* In memory that a child, which may hang, shares with us. */
struct outcome {
	struct error err;
	int result;
};

/* In a child: its end gives everything back, and a guest that never ends is killed with it. */
static int probe_guest(const void *arg)
{
	struct outcome *out = *(struct outcome *const *)arg;
	auto_close int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC); /* a machine belongs to the process that opens it */

	out->result = kvm < 0 ? error_set(&out->err, errno, "open /dev/kvm") : vm_probe(kvm, &out->err);
	return 0;
}

static void try_guest(struct check *c)
{
	struct outcome *out =
		mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char line[512];

	if (out == MAP_FAILED) {
		cli_check_add_errno(c, errno, CHECK_MISSING, CHECK_OPTIONAL, name, "share memory with a child");
		return;
	}
	out->err = (struct error)ERROR_INIT;
	if (cli_check_in_child(probe_guest, &out) != 0)
		out->result = error_rule(&out->err, ETIMEDOUT, "a guest of four steps neither ends nor says a word");
	if (out->result == 0) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, name, "runs a guest: --isolation=vm can be had");
	} else {
		error_line(&out->err, line, sizeof(line));
		cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, name, "%s", line);
		if (out->result == -ENOTSUP)
			cli_check_remedy(c, "use a host with hardware or nested virtualisation");
	}
	munmap(out, sizeof(*out));
}

void cli_check_kvm(struct check *c)
{
	auto_close int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		int code = errno;

		cli_check_add_errno(c, code, CHECK_MISSING, CHECK_OPTIONAL, name, "open /dev/kvm");
		if (code == ENOENT)
			cli_check_remedy(c, "enable virtualisation in the firmware, or nested "
					    "virtualisation for this virtual machine, and load "
					    "kvm_intel or kvm_amd");
		return;
	}

	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION) {
		cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, name,
			      "/dev/kvm speaks version %d, not %d", version, KVM_API_VERSION);
		return;
	}
	try_guest(c);
}
