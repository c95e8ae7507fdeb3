/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot - what is in the guest's memory when its first instruction runs
 *
 * PVH (Xen: docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h): the kernel is loaded by its program
 * headers and entered in 32-bit mode with a pointer to a start_info in EBX.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/machine.h"

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp;
	uint64_t memmap; /* version 1 */
	uint32_t memmap_entries, reserved;
};

struct start_module {
	uint64_t at, size, cmdline, reserved;
};

struct start_memory {
	uint64_t at, size;
	uint32_t type, reserved;
};

enum { START_MAGIC = 0x336ec578, MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

_Static_assert(sizeof(struct start_info) == 56 && sizeof(struct start_memory) == 24, "an ABI of Xen's");

/* ---- the command line ---- */

/*
 * quiet: a byte on a console costs exits. panic=-1, reboot=t: a guest that panicked ends at once, by a triple
 * fault, which KVM tells us of; the kernel's other ways lead to hardware that is not there. pci=off: there is none,
 * and no time is spent on looking. tsc=reliable, no_timer_check: KVM's clocks need no calibration
 * against hardware that is not there. swiotlb=noforce: no device needs memory below 4 GiB to bounce through, for which
 * a guest of more than 3 GiB would set 64 MiB aside. Address space randomisation and mitigations stay as the kernel has them.
 */
static const char words[] = "panic=-1 reboot=t pci=off tsc=reliable no_timer_check swiotlb=noforce "
			    "i8042.nokbd i8042.noaux random.trust_cpu=1 cryptomgr.notests audit=0 rcupdate.rcu_expedited=1";
static const char quiet[] = "console=hvc0 quiet loglevel=1 8250.nr_uarts=0";
static const char serial[] = "earlyprintk=ttyS0 console=ttyS0 console=hvc0";

int vm_cmdline(const struct vm_config *config, char *buf, size_t size, struct error *err)
{
	const char *more = config->cmdline ? config->cmdline : "";
	int n = snprintf(buf, size, "%s %s%s%s", words, config->serial_fd >= 0 ? serial : quiet,
			 *more ? " " : "", more);

	if (n < 0 || (size_t)n >= size || n >= CMDLINE_MAX)
		return error_rule(err, E2BIG, "the kernel's command line has more than %d bytes",
				  CMDLINE_MAX - 1);
	return 0;
}

/* ---- the kernel ---- */

static int read_into(int fd, uint8_t *to, uint64_t n, uint64_t offset, struct error *err)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, errno, "read into the guest's memory");
		if (got == 0)
			return error_rule(err, EIO, "a file of the guest became shorter");
		to += got;
		offset += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

/*
 * Whole pages are mapped, the rest is copied. Pages that the guest does not write to are shared with every
 * other guest of this kernel, and need no reading when they are in the page cache.
 */
static int load_segment(struct vm *vm, const struct vm_kernel_segment *s, struct error *err)
{
	uint8_t *to = guest_ram_at(&vm->ram, s->at, s->bytes);
	uint64_t mapped = 0;

	if (!to)
		return error_rule(err, ENOMEM, "the kernel does not fit into %llu MiB of memory",
				  (unsigned long long)(vm->config.memory >> 20));
	if (!vm->config.copy_kernel && s->at % VM_PAGE == 0 && s->offset % VM_PAGE == 0) {
		mapped = s->file_bytes & ~(uint64_t)(VM_PAGE - 1);
		if (mapped && mmap(to, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
				   vm->config.kernel_fd, (off_t)s->offset) == MAP_FAILED)
			return error_set(err, errno, "map the kernel into the guest's memory");
		madvise(to, mapped, MADV_DONTDUMP);
	}
	return read_into(vm->config.kernel_fd, to + mapped, s->file_bytes - mapped, s->offset + mapped, err);
}

static int load_kernel(struct vm *vm, struct vm_kernel_image *image, struct error *err)
{
	int r = vm_kernel_read(vm->config.kernel_fd, image, err);

	for (unsigned i = 0; r == 0 && i < image->n; i++)
		r = load_segment(vm, &image->segment[i], err);
	return r;
}

/* ---- the first root: one archive after the other, as high as it goes below the hole ---- */

static int load_initramfs(struct vm *vm, uint64_t kernel_end, struct start_module *ret, struct error *err)
{
	const struct vm_config *c = &vm->config;
	uint64_t sizes[VM_MAX_INITRAMFS], total = 0;
	struct stat st;

	for (unsigned i = 0; i < c->n_initramfs; i++) {
		if (fstat(c->initramfs_fds[i], &st) < 0)
			return error_set(err, errno, "read an archive for the guest");
		sizes[i] = (uint64_t)st.st_size;
		total += (sizes[i] + 3) & ~3ull; /* each archive begins at four bytes */
	}

	uint64_t low = vm->ram.range[0].size;
	uint64_t at = total < low ? (low - total) & ~(uint64_t)(VM_PAGE - 1) : 0;

	if (at < kernel_end + (16u << 20))
		return error_rule(err, ENOMEM, "%llu MiB of archives do not fit beside the kernel into %llu MiB",
				  (unsigned long long)(total >> 20), (unsigned long long)(low >> 20));
	*ret = (struct start_module){ .at = at, .size = total };
	for (unsigned i = 0; i < c->n_initramfs; i++) {
		int r = read_into(c->initramfs_fds[i], vm->ram.range[0].host + at, sizes[i], 0, err);

		if (r < 0)
			return r;
		at += (sizes[i] + 3) & ~3ull;
	}
	return 0;
}

/* ---- what the kernel is handed ---- */

static unsigned write_memory_map(struct vm *vm, struct start_memory *m)
{
	const struct guest_ram *ram = &vm->ram;
	unsigned n = 0;

	m[n++] = (struct start_memory){ .at = 0, .size = AT_LOW_END, .type = MEMORY_RAM };
	m[n++] = (struct start_memory){ .at = AT_LOW_END,
					.size = AT_HIGH_START - AT_LOW_END,
					.type = MEMORY_RESERVED };
	m[n++] = (struct start_memory){ .at = AT_HIGH_START,
					.size = ram->range[0].size - AT_HIGH_START,
					.type = MEMORY_RAM };
	if (ram->n > 1)
		m[n++] = (struct start_memory){ .at = ram->range[1].at,
						.size = ram->range[1].size,
						.type = MEMORY_RAM };
	return n;
}

static void write_acpi(struct vm *vm, uint8_t *ram)
{
	struct acpi_machine m = {
		.cpus = vm->config.vcpus,
		.lapic_at = at_lapic,
		.ioapic_at = at_ioapic,
		.n_devices = vm->n_slots,
	};

	for (unsigned i = 0; i < vm->n_slots; i++)
		m.devices[i] = (struct acpi_device){
			.at = at_devices + i * VIRTIO_MMIO_BYTES,
			.gsi = FIRST_GSI + i,
		};
	acpi_write(&m, ram + ACPI_RSDP_AT);
}

int boot_load(struct vm *vm, struct error *err)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067 };
	uint8_t *ram = vm->ram.range[0].host; /* at least VM_MIN_MEMORY_MIB of it */
	struct vm_kernel_image image;
	int r = load_kernel(vm, &image, err);

	if (r < 0)
		return r;
	vm->entry = image.entry;

	struct start_info info = {
		.magic = START_MAGIC,
		.version = 1,
		.nr_modules = vm->config.n_initramfs > 0,
		.modlist = AT_MODULES,
		.cmdline = AT_CMDLINE,
		.rsdp = ACPI_RSDP_AT,
		.memmap = AT_MEMORY_MAP,
	};

	r = load_initramfs(vm, image.end, (struct start_module *)(void *)(ram + AT_MODULES), err);
	if (r == 0)
		r = vm_cmdline(&vm->config, (char *)ram + AT_CMDLINE, CMDLINE_MAX, err);
	if (r < 0)
		return r;
	info.memmap_entries = write_memory_map(vm, (struct start_memory *)(void *)(ram + AT_MEMORY_MAP));
	memcpy(ram + AT_START_INFO, &info, sizeof(info));
	memcpy(ram + AT_GDT, gdt, sizeof(gdt));
	write_acpi(vm, ram);
	return 0;
}
