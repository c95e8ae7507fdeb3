/* SPDX-License-Identifier: Apache-2.0 */

/*
 * check_kvm - does /dev/kvm give a wall of hardware?
 *
 * A /dev/kvm that opens and makes machines is not yet one that runs a kernel:
 * a paravirtual one (the host is itself a guest without nested virtualisation)
 * interprets the guest's instructions in software as long as it is not in the
 * mode it knows, and stops at the first one its interpreter lacks. So the guest
 * below says "started", executes POPCNT, which processors have and KVM's
 * interpreter (arch/x86/kvm/emulate.c) has not, and says how that went.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/check.h"
#include "spec/base/auto.h"

static const char name[] = "kvm";

#if defined(__x86_64__)

enum { PAGE = 4096, PORT = 0x10, STARTED = 1, COUNTED = 8 };

/* 16-bit code at address 0. */
static const uint8_t guest_code[] = {
	0xb0, STARTED, /* mov  al, STARTED */
	0xe6, PORT, /* out  PORT, al */
	0xbb, 0xff,    0x00, /* mov  bx, 0xff */
	0xf3, 0x0f,    0xb8, 0xc3, /* popcnt ax, bx */
	0xe6, PORT, /* out  PORT, al */
	0xf4, /* hlt */
};

struct guest {
	int vm, vcpu;
	struct kvm_run *run;
	void *memory;
};

/* What came of it. Lives in memory that a child, which may hang, shares with us. */
struct outcome {
	int code; /* errno of the step that was refused, or 0 */
	const char *step; /* what was being done */
	int said; /* the guest's last word, 0: it was stopped by something else */
	uint32_t exit_reason, suberror;
};

static int guest_make(struct guest *g, int kvm, const char **step)
{
	*step = "create a virtual machine";
	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		return errno;

	*step = "give a virtual machine memory";
	g->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->memory == MAP_FAILED)
		return errno;
	memcpy(g->memory, guest_code, sizeof(guest_code));

	struct kvm_userspace_memory_region region = {
		.memory_size = PAGE,
		.userspace_addr = (uint64_t)(uintptr_t)g->memory,
	};

	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return errno;

	*step = "create a virtual CPU";
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vcpu < 0)
		return errno;

	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (int)sizeof(*g->run))
		return EPROTO;
	g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	if (g->run == MAP_FAILED)
		return errno;

	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };

	*step = "set the registers of a virtual CPU";
	if (ioctl(g->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(g->vcpu, KVM_SET_REGS, &regs) < 0)
		return errno;
	return 0;
}

/* Runs the guest until it has written `word` to its port. */
static bool guest_says(struct guest *g, uint8_t word, const char *step, struct outcome *out)
{
	out->step = step;
	out->said = 0;
	if (ioctl(g->vcpu, KVM_RUN, 0) < 0) {
		out->code = errno;
		return false;
	}
	out->exit_reason = g->run->exit_reason;
	if (out->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		out->suberror = g->run->internal.suberror;
	if (out->exit_reason == KVM_EXIT_IO && g->run->io.port == PORT)
		out->said = *((uint8_t *)g->run + g->run->io.data_offset);
	return out->said == word;
}

/* In a child: its end gives everything back, and a guest that never ends is killed with it. */
static int probe_guest(const void *arg)
{
	struct outcome *out = *(struct outcome *const *)arg;
	struct guest g = { .vm = -1, .vcpu = -1 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	out->code = guest_make(&g, kvm, &out->step);
	if (out->code)
		return 0;
	if (guest_says(&g, STARTED, "start a guest", out) &&
	    guest_says(&g, COUNTED, "execute POPCNT in a guest", out))
		out->step = NULL;
	return 0;
}

static void report_guest(struct check *c, const struct outcome *out)
{
	if (!out->step) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, name,
			      "runs a guest (the VM wall is not supported yet)");
	} else if (out->code) {
		cli_check_add_errno(c, out->code, CHECK_MISSING, CHECK_OPTIONAL, name, out->step);
	} else if (out->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		cli_check_add(
			c, CHECK_MISSING, CHECK_OPTIONAL, name,
			"cannot %s (internal error %u): instructions are interpreted in software, "
			"this is a paravirtual /dev/kvm",
			out->step, out->suberror);
		cli_check_remedy(c, "use a host with hardware or nested virtualisation");
	} else {
		cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, name,
			      "cannot %s: it ends with exit reason %u and says %d", out->step,
			      out->exit_reason, out->said);
	}
}

static void try_guest(struct check *c, int kvm)
{
	struct outcome *out =
		mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)kvm; /* the machine belongs to the process that opens it */
	if (out == MAP_FAILED)
		return;
	out->step = "start a guest";

	int r = cli_check_in_child(probe_guest, &out);

	if (r != 0)
		out->code = ETIMEDOUT;
	report_guest(c, out);
	munmap(out, sizeof(*out));
}

#else

static void try_guest(struct check *c, int kvm)
{
	auto_close int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	cli_check_add_errno(c, vm < 0 ? errno : 0, CHECK_MISSING, CHECK_OPTIONAL, name,
			    "create a virtual machine");
}

#endif

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
	try_guest(c, kvm);
}
