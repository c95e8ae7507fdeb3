/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host has for a guest: KVM that works, a kernel, archives for its first root. All of it is looked at before
 * anything is made, and none is a reason for a weaker wall.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/state.h"
#include "runtime/vm_wall.h"
#include "spec/base/auto.h"
#include "spec/base/dl.h"
#include "spec/base/file.h"
#include "vm/agent_image.h"
#include "vm/kernel/kernel.h"

#define KVM_RECORD ".kvm@" /* in the state root; '@' cannot be part of an id */
#define KERNEL_CACHE "/var/cache/bulkhead"
#define PROBE_TIMEOUT_MS 20000

/* ---- KVM ---- */

/*
 * Names the boot and the KVM of a proof: devtmpfs makes the node anew when the module is loaded again.
 * Empty: nothing to go by.
 */
static void kvm_identity(int kvm_fd, char *buf, size_t size)
{
	char boot[64];
	struct stat st;

	buf[0] = '\0';
	if (fstat(kvm_fd, &st) < 0 ||
	    file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot), NULL) <= 0)
		return;
	boot[strcspn(boot, "\n")] = '\0';
	snprintf(buf, size, "%s %llu %lld.%09ld\n", boot, (unsigned long long)st.st_ino, (long long)st.st_ctim.tv_sec,
		 st.st_ctim.tv_nsec);
}

/* A directory that strangers could write to proves nothing. */
static int open_record_dir(const struct rt_context *ctx)
{
	auto_close int fd = state_open_root(ctx, true, NULL);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return -1;
	return TAKE_FD(fd);
}

static bool is_proven(int dir_fd, const char *identity)
{
	char text[192];

	return dir_fd >= 0 && *identity && file_read_at(dir_fd, KVM_RECORD, text, sizeof(text), NULL) > 0 &&
	       strcmp(text, identity) == 0;
}

/* A KVM that hangs is killed; the machine of the probe goes with its process. */
static int probe_in_child(int kvm_fd, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe");

	auto_close int out = ends[0];
	auto_close int in = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "fork a process that tries /dev/kvm");
	if (pid == 0) {
		struct error own = ERROR_INIT;

		if (vm_probe(kvm_fd, &own) < 0)
			error_send(in, &own);
		_exit(0);
	}
	close(TAKE_FD(in));

	int r;
	struct pollfd p = { .fd = out, .events = POLLIN };

	do {
		r = poll(&p, 1, PROBE_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	if (r > 0) {
		r = error_recv(out, err);
	} else {
		kill(pid, SIGKILL);
		r = error_rule(err, ETIMEDOUT, "a guest of a few instructions did not end within %d seconds",
			       PROBE_TIMEOUT_MS / 1000);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

static int prove_kvm(const struct rt_context *ctx, int kvm_fd, struct error *err)
{
	char identity[192];
	auto_close int dir = open_record_dir(ctx);

	kvm_identity(kvm_fd, identity, sizeof(identity));
	if (is_proven(dir, identity))
		return 0;

	int r = probe_in_child(kvm_fd, err);

	if (r < 0) {
		error_hint(err, "use a host with hardware or nested virtualisation; `bulkhead check` tries it");
		return r;
	}
	if (dir >= 0 && *identity)
		file_replace_at(dir, KVM_RECORD, 0600, identity, strlen(identity), NULL);
	return 0;
}

int wall_open_kvm(const struct rt_context *ctx, struct error *err)
{
	auto_close int fd = openat(AT_FDCWD, "/dev/kvm", O_RDWR | O_CLOEXEC);
	int r = 0;

	if (fd < 0) {
		int code = errno;

		r = error_set(err, code, "open /dev/kvm");
		if (code == ENOENT || code == ENODEV || code == ENXIO)
			error_hint(err, "enable virtualisation in the firmware, or nested virtualisation for this virtual "
					"machine, and load kvm_intel or kvm_amd");
		else if (code == EACCES || code == EPERM)
			error_hint(err, "the device must be writable for this process, and its cgroup must allow c 10:232");
	}
	if (r == 0)
		r = prove_kvm(ctx, fd, err);
	return r < 0 ? error_wrap(err, r, "cannot put a virtual machine around the container") : TAKE_FD(fd);
}

/* ---- kernel and archives ---- */

/* Below the state root when there is no /var to write to. The directory itself is kernel.h's to make. */
static void find_cache(const struct rt_context *ctx, char *buf, size_t size)
{
	if ((mkdir(KERNEL_CACHE, 0700) < 0 && errno == ENOENT && /* path-ok: a path of ours on the host */
	     mkdir("/var/cache", 0755) == 0 && mkdir(KERNEL_CACHE, 0700) < 0) || /* path-ok: likewise */
	    access(KERNEL_CACHE, W_OK) < 0) /* path-ok: likewise */
		snprintf(buf, size, "%s/.kernel@", ctx->root);
	else
		snprintf(buf, size, KERNEL_CACHE "/kernel");
}

/* What the static build cannot unpack the other one can, and keeps for the next time. */
static int hand_over(const struct rt_context *ctx, int r, struct error *err)
{
	if (r != -ENOTSUP || dl_can_load())
		return r;
	if (err)
		*err = ERROR_INIT;
	return rt_need_libraries(ctx, "the libraries that unpack a kernel", err);
}

static int add_archive(struct wall *w, int fd)
{
	if (fd >= 0)
		w->initramfs[w->n_initramfs++] = fd;
	return fd < 0 ? fd : 0;
}

static int open_archives(const struct rt_context *ctx, const struct spec_vm *vm, const struct vm_kernel_choice *kernel,
			 const char *cache, struct wall *w, struct error *err)
{
	int r = 0;

	/* The bundle's own first: what is unpacked later wins. */
	if (vm && vm->kernel_initrd) {
		r = add_archive(w, file_open_regular(AT_FDCWD, vm->kernel_initrd, err));
		if (r < 0)
			error_at(err, "/vm/kernel/initrd");
	}
	if (r == 0)
		r = add_archive(w, vm_agent_archive(err));
	if (r == 0)
		r = hand_over(ctx, add_archive(w, vm_kernel_modules(kernel->modules, vm_modules, vm_modules_n, cache, err)), err);
	return r;
}

int wall_open_kernel(const struct rt_context *ctx, const struct spec_vm *vm, struct wall *w, struct error *err)
{
	static struct vm_kernel_choice choice;
	struct vm_kernel_wish wish = { .bundle = vm ? vm->kernel_path : NULL, .option = ctx->kernel };
	char cache[PATH_MAX];
	int r = vm_kernel_find(&wish, &choice, err);

	if (r < 0)
		return error_wrap(err, r, "cannot find a kernel for the virtual machine");
	find_cache(ctx, cache, sizeof(cache));
	w->kernel_fd = vm_kernel_open(choice.path, cache, err);
	r = w->kernel_fd < 0 ? hand_over(ctx, w->kernel_fd, err) : 0;
	if (r < 0 && wish.bundle)
		error_at(err, "/vm/kernel/path");
	if (r < 0)
		return error_wrap(err, r, "cannot boot a virtual machine");
	log_debug(ctx->log, "kernel of the guest: %s", choice.path);
	r = open_archives(ctx, vm, &choice, cache, w, err);
	return r < 0 ? error_wrap(err, r, "cannot boot a virtual machine with kernel %s", choice.path) : 0;
}
