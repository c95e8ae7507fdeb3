/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kernel - which kernel a guest gets, in the form that is loaded, with the modules it needs
 *
 * A guest runs an ordinary kernel of a distribution. What /boot holds is compressed; it is unpacked
 * once on the host and kept, so that a start maps it and copies nothing. Modules are taken by
 * the kernel's own modules.dep.
 *
 * The cache is a directory of root's. An entry is made under no name and gets its name when it is whole,
 * so whoever is killed leaves nothing, and two who make the same one both have it. Entries are
 * named by the SHA-256 of what they were made from; a link named after the identity of that
 * file (device, inode, size, times) spares reading it again. Without a directory that can be
 * written to, the result lives in memory and is made anew each time.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"

/* ---- choosing ---- */

struct vm_kernel_wish {
	const char *bundle; /* vm.kernel.path of config.json, or NULL */
	const char *option; /* --kernel, or NULL */
	const char *root;   /* the directory that stands for "/"; NULL: "/" (for tests) */
	const char *running; /* release of the running kernel; NULL: uname(2)'s */
};

struct vm_kernel_choice {
	char path[PATH_MAX];
	char modules[PATH_MAX]; /* directory of its modules, or "" when there is none */
};

/*
 * In this order: the bundle's, the option's, /usr/local/lib/bulkhead/vmlinux, /usr/lib/bulkhead/vmlinux, the newest
 * /boot/vmlinuz-*-cloud-amd64, /boot/vmlinuz-<running>. -ENOENT with the package to install.
 */
int vm_kernel_find(const struct vm_kernel_wish *wish, struct vm_kernel_choice *ret, struct error *err);

/* ---- unpacking ---- */

/*
 * Opens the kernel at path as an ELF file: itself when it is one, else what is in the bzImage. The
 * libraries of the compression are loaded (spec/base/dl.h) only when it is not in cache_dir (may be NULL).
 * -ENOEXEC: no kernel; -ENOTSUP: a compression that is not known, or no libraries in this build.
 */
int vm_kernel_open(const char *path, const char *cache_dir, struct error *err);

/* The ELF file of a kernel, as far as it is loaded. */
enum { VM_KERNEL_SEGMENTS = 16 };

struct vm_kernel_segment {
	uint64_t at; /* guest-physical */
	uint64_t offset, file_bytes; /* in the file */
	uint64_t bytes; /* in memory; the rest is zero */
};

struct vm_kernel_image {
	uint64_t entry; /* of the note XEN_ELFNOTE_PHYS32_ENTRY */
	uint64_t end;   /* of the highest segment */
	unsigned n;
	struct vm_kernel_segment segment[VM_KERNEL_SEGMENTS];
};

/*
 * Reads the headers. Segments are inside the file, ordered, and do not overlap. -ENOEXEC for a file that is
 * no x86-64 kernel, or has no PVH entry (CONFIG_PVH).
 */
int vm_kernel_read(int fd, struct vm_kernel_image *ret, struct error *err);

/* ---- modules ---- */

/*
 * An archive (newc) with the modules `names` and what they depend on, as /modules/00.ko, 01.ko, … in the
 * order to load them. Those of a name "group/name" may be missing; they come as /modules/group/00.ko, … and are to be loaded after
 * those of no group. What is built in is left out. Returns a descriptor. directory "": an empty archive. Names have '_', not '-'.
 */
int vm_kernel_modules(const char *directory, const char *const *names, size_t n, const char *cache_dir,
		      struct error *err);

/* ---- archives ---- */

/* A newc archive (Documentation/driver-api/early-userspace/buffer-format.rst), appended to b. mode with S_IFMT. */
void vm_cpio_add(struct buf *b, const char *path, uint32_t mode, const void *data, size_t n);
void vm_cpio_device(struct buf *b, const char *path, uint32_t mode, unsigned major, unsigned minor);
void vm_cpio_end(struct buf *b);
/* The whole of one with the guest's first program, /init, and the console that the kernel opens for it. */
void vm_cpio_first(struct buf *b, const void *program, size_t n);
