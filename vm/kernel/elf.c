/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf - what of a vmlinux is loaded, and where it is entered
 *
 * The file may be anyone's (vm.kernel.path): each number is checked before it is used, and
 * counts are bounded. The entry is that of a PVH guest: an ELF note of the owner "Xen", type 18
 * (Linux: arch/x86/platform/pvh/head.S; Xen: docs/misc/pvh.pandoc).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/kernel/kernel.h"

enum {
	PHYS32_ENTRY = 18,
	MAX_HEADERS = 64,
	MAX_NOTES = 64 * 1024,
};

static int read_at(int fd, void *to, size_t n, uint64_t at, struct error *err)
{
	ssize_t got = pread(fd, to, n, (off_t)at);

	if (got < 0)
		return error_set(err, errno, "read a kernel");
	if ((size_t)got != n)
		return error_rule(err, ENOEXEC, "the kernel ends in the middle");
	return 0;
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/* Finds the entry in the bytes of a note segment. 0: not here. */
static uint64_t entry_of(const uint8_t *notes, size_t n)
{
	Elf64_Nhdr h;

	for (size_t at = 0; at + sizeof(h) <= n;) {
		memcpy(&h, notes + at, sizeof(h));
		at += sizeof(h);

		uint64_t name = align4(h.n_namesz), data = align4(h.n_descsz);
		uint64_t value = 0;

		if (name > n - at || data > n - at - name)
			return 0;
		if (h.n_type == PHYS32_ENTRY && h.n_namesz == 4 && !memcmp(notes + at, "Xen", 4) &&
		    (h.n_descsz == 4 || h.n_descsz == 8)) {
			memcpy(&value, notes + at + name, h.n_descsz);
			return value;
		}
		at += name + data;
	}
	return 0;
}

static int read_notes(int fd, const Elf64_Phdr *p, struct vm_kernel_image *image, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	uint64_t entry;

	if (p->p_filesz > MAX_NOTES)
		return 0;

	int r = read_at(fd, buf_reserve(&b, p->p_filesz), p->p_filesz, p->p_offset, err);

	if (r < 0)
		return r;
	entry = entry_of((const uint8_t *)b.data, p->p_filesz);
	if (entry)
		image->entry = entry;
	return 0;
}

static int add_segment(struct vm_kernel_image *image, const Elf64_Phdr *p, uint64_t file_bytes,
		       struct error *err)
{
	if (p->p_memsz == 0)
		return 0;
	if (image->n == VM_KERNEL_SEGMENTS || p->p_filesz > p->p_memsz || p->p_offset > file_bytes ||
	    p->p_filesz > file_bytes - p->p_offset || p->p_paddr < image->end ||
	    p->p_memsz > UINT32_MAX || p->p_paddr > UINT32_MAX)
		return error_rule(err, ENOEXEC,
				  "segment %u of the kernel is not inside it, or overlaps another",
				  image->n);
	image->segment[image->n++] = (struct vm_kernel_segment){
		.at = p->p_paddr,
		.offset = p->p_offset,
		.file_bytes = p->p_filesz,
		.bytes = p->p_memsz,
	};
	image->end = p->p_paddr + p->p_memsz;
	return 0;
}

int vm_kernel_read(int fd, struct vm_kernel_image *ret, struct error *err)
{
	struct vm_kernel_image image = { 0 };
	Elf64_Ehdr eh;
	Elf64_Phdr ph[MAX_HEADERS];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "read a kernel");

	int r = read_at(fd, &eh, sizeof(eh), 0, err);

	if (r < 0)
		return r;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_machine != EM_X86_64 || eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum == 0 ||
	    eh.e_phnum > MAX_HEADERS || eh.e_phoff > (uint64_t)st.st_size)
		return error_rule(err, ENOEXEC, "this is no kernel for x86-64");
	r = read_at(fd, ph, eh.e_phnum * sizeof(*ph), eh.e_phoff, err);
	for (unsigned i = 0; r == 0 && i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			r = add_segment(&image, &ph[i], (uint64_t)st.st_size, err);
		else if (ph[i].p_type == PT_NOTE)
			r = read_notes(fd, &ph[i], &image, err);
	}
	if (r < 0)
		return r;
	if (image.n == 0 || image.segment[0].at < 0x100000)
		return error_rule(err, ENOEXEC, "the kernel is not one that is loaded at 1 MiB or above");
	if (image.entry == 0)
		return error_rule(err, ENOEXEC, "the kernel has no PVH entry (CONFIG_PVH)");
	if (image.entry < image.segment[0].at || image.entry >= image.end)
		return error_rule(err, ENOEXEC, "the PVH entry %#llx is outside of the kernel",
				  (unsigned long long)image.entry);
	*ret = image;
	return 0;
}
