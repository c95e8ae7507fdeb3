/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvmm - the least machine that boots a stock kernel: the reference of `make bench WALL=vm`
 *
 *	pvmm -k KERNEL -a AGENT [-m MIB] [-C]
 *
 * One vCPU, memory, an interrupt controller, tables that name one virtio-mmio device, and no thread. KERNEL (a file of /boot) is
 * entered as a PVH guest, mapped (-C: copied into huge pages, as the product does on a host that is a guest itself), with the same
 * command line, the same modules and the same first process as the product's, AGENT. The one device is a console with a port for
 * AGENT to speak on. The guest is up when it does: its hello is what the product waits for, too. Prints milliseconds from the
 * first instruction, and exits to this process by kind.
 *
 * What it leaves out, and the product's guest finds: the console of the kernel, room for standard streams, file systems,
 * entropy, the balloon, consoles to come; in the process, threads, filters of system calls, giving capabilities up. It
 * does nothing to have few exits: every access to a register is one, kicks too.
 *
 * Shares with the product what finds and unpacks a kernel (vm/kernel/), and nothing of the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/buf.h"
#include "spec/base/file.h"
#include "vm/kernel/kernel.h"
#include "vm/vm.h"

enum {
	GDT = 0x500, START_INFO = 0x6000, MODULES = 0x6040, MEMORY_MAP = 0x7000, COMMAND_LINE = 0x20000,
	TABLES = 0xe0000, DEVICE = 0xd0000000, LINE = 5, PAGE = 4096,
};

static uint8_t *ram;
static uint64_t ram_bytes = 256ull << 20;
static int machine, vcpu;
static uint64_t ports, registers, others;
static uint64_t began;
static bool copies;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void die_of(const struct error *err)
{
	char line[2048];

	error_line(err, line, sizeof(line));
	fprintf(stderr, "pvmm: %s\n", line);
	exit(1);
}

static int ask(int fd, unsigned long request, const void *argument, const char *name)
{
	int r = ioctl(fd, request, argument);

	if (r < 0)
		die(name);
	return r;
}
#define ASK(fd, request, argument) ask(fd, request, (void *)(uintptr_t)(argument), #request)

/* ---- tables: ACPI, hardware-reduced, with one device ---- */

struct aml {
	uint8_t at[512];
	unsigned n;
};

static void put(struct aml *a, const void *bytes, size_t n)
{
	memcpy(a->at + a->n, bytes, n);
	a->n += (unsigned)n;
}

static unsigned package(struct aml *a)
{
	a->n += 2;
	return a->n - 2;
}

static void end_package(struct aml *a, unsigned at)
{
	unsigned length = a->n - at;

	a->at[at] = (uint8_t)(0x40 | (length & 15));
	a->at[at + 1] = (uint8_t)(length >> 4);
}

static void describe_device(struct aml *a)
{
	static const uint8_t id[] = "\x08_HID\x0dLNRO0005", coherent[] = "\x08_CCA\x01";
	static const uint8_t resources[] = {
		0x0a, 23, /* of this many bytes */
		0x86, 9, 0, 1, 0, 0, 0, DEVICE >> 24, 0, 0x10, 0, 0, /* memory, fixed, 4 KiB */
		0x89, 6, 0, 3, 1, LINE, 0, 0, 0,                     /* interrupt, edge, high */
		0x79, 0,
	};
	unsigned device, buffer, scope;

	put(a, "\x10", 1);
	scope = package(a);
	put(a, "_SB_\x5b\x82", 6);
	device = package(a);
	put(a, "V000", 4);
	put(a, id, sizeof(id));
	put(a, "\x08_UID\x00", 6);
	put(a, coherent, sizeof(coherent) - 1);
	put(a, "\x08_CRS\x11", 6);
	buffer = package(a);
	put(a, resources, sizeof(resources));
	end_package(a, buffer);
	end_package(a, device);
	end_package(a, scope);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static uint64_t table(uint64_t *at, const char *signature, uint8_t revision, const void *body, uint32_t n)
{
	uint8_t *t = ram + *at;
	uint64_t where = *at;
	uint32_t all = 36 + n;

	memset(t, 0, 36);
	memcpy(t, signature, 4);
	memcpy(t + 4, &all, 4);
	t[8] = revision;
	memcpy(t + 10, "BLKHD BULKHEAD\1\0\0\0BLKH", 22);
	memcpy(t + 36, body, n);
	t[9] = checksum(t, all);
	*at += (all + 63) & ~63u;
	return where;
}

static void store(uint8_t *p, uint64_t value, unsigned n)
{
	memcpy(p, &value, n);
}

static uint64_t tables(void)
{
	uint64_t at = TABLES + 0x100, body[2];
	struct aml aml = { .n = 0 };
	uint8_t fadt[240] = { 0 }, madt[28] = { 0 }, *root = ram + TABLES;

	describe_device(&aml);

	uint64_t dsdt = table(&at, "DSDT", 2, aml.at, aml.n);

	store(fadt + 40 - 36, dsdt, 4);
	store(fadt + 109 - 36, 1 << 2 | 1 << 3 | 1 << 5, 2);             /* no VGA, no MSI, no clock of CMOS */
	store(fadt + 112 - 36, 1 << 20 | 1 << 4 | 1 << 5, 4);            /* hardware-reduced, no buttons */
	fadt[131 - 36] = 2;
	store(fadt + 140 - 36, dsdt, 8);
	body[0] = table(&at, "FACP", 6, fadt, sizeof(fadt));
	store(madt, 0xfee00000, 4);
	madt[9] = 8, madt[12] = 1;                                        /* a local APIC, enabled */
	madt[16] = 1, madt[17] = 12;
	store(madt + 20, 0xfec00000, 4);                                  /* an I/O APIC */
	body[1] = table(&at, "APIC", 4, madt, sizeof(madt));

	uint64_t list = table(&at, "XSDT", 1, body, sizeof(body));

	memset(root, 0, 36);
	memcpy(root, "RSD PTR \0BLKHD \2", 16);
	store(root + 20, 36, 4);
	store(root + 24, list, 8);
	root[8] = checksum(root, 20);
	root[32] = checksum(root, 36);
	return TABLES;
}

/* ---- the one device: a console with ports 0, which does not exist, and 1 (virtio 1.2 §5.3) ---- */

enum { CONTROL_IN = 2, CONTROL_OUT = 3, PORT_OUT = 5, QUEUES = 6, ENTRIES = 16, PORT = 1 };

static struct {
	uint32_t status, features_page, select, ready[QUEUES], size[QUEUES];
	uint64_t address[QUEUES][3]; /* descriptors, available ring, used ring */
	uint16_t taken[QUEUES], given[QUEUES];
	bool has_spoken;
} device;

static uint32_t device_read(uint64_t offset)
{
	switch (offset) {
	case 0x00:
		return 0x74726976;
	case 0x04:
		return 2;
	case 0x08:
		return VIRTIO_ID_CONSOLE;
	case 0x10: /* VIRTIO_F_VERSION_1, and several ports */
		return device.features_page == 1 ? 1 : 1 << VIRTIO_CONSOLE_F_MULTIPORT;
	case 0x34:
		return device.select < QUEUES ? ENTRIES : 0;
	case 0x44:
		return device.select < QUEUES ? device.ready[device.select] : 0;
	case 0x60:
		return 1;
	case 0x70:
		return device.status;
	case 0x104:
		return PORT + 1;
	default:
		return 0;
	}
}

static void *in_ram(uint64_t at, uint64_t n)
{
	if (at >= ram_bytes || n > ram_bytes - at)
		exit(1);
	return ram + at;
}

/* The buffer that the driver gave next; NULL: none. */
static void *take(unsigned queue, uint16_t *ret_head)
{
	const uint16_t *available = in_ram(device.address[queue][1], 4 + 2 * ENTRIES);
	uint16_t head = available[2 + device.taken[queue] % device.size[queue]];
	const struct vring_desc *d = in_ram(device.address[queue][0] + head * sizeof(*d), sizeof(*d));

	if (available[1] == device.taken[queue])
		return NULL;
	device.taken[queue]++;
	*ret_head = head;
	return in_ram(d->addr, sizeof(struct virtio_console_control));
}

static void give(unsigned queue, uint16_t head, uint32_t n)
{
	struct vring_used *used = in_ram(device.address[queue][2], 4 + 8 * ENTRIES);
	struct kvm_irq_level line = { .irq = LINE, .level = 1 };

	used->ring[device.given[queue] % device.size[queue]] = (struct vring_used_elem){ .id = head, .len = n };
	__atomic_store_n(&used->idx, ++device.given[queue], __ATOMIC_RELEASE);
	ASK(machine, KVM_IRQ_LINE, &line);
	line.level = 0;
	ASK(machine, KVM_IRQ_LINE, &line);
}

static void tell(uint16_t event)
{
	const struct virtio_console_control message = { .id = PORT, .event = event, .value = 1 };
	uint16_t head;
	void *to = take(CONTROL_IN, &head);

	if (!to)
		exit(1);
	memcpy(to, &message, sizeof(message));
	give(CONTROL_IN, head, sizeof(message));
}

static void kicked(unsigned queue)
{
	const struct virtio_console_control *message;
	uint16_t head;

	if (queue == PORT_OUT)
		device.has_spoken = true;
	while (queue == CONTROL_OUT && (message = take(queue, &head))) {
		uint16_t event = message->event;

		give(queue, head, 0);
		if (event == VIRTIO_CONSOLE_DEVICE_READY)
			tell(VIRTIO_CONSOLE_PORT_ADD);
		else if (event == VIRTIO_CONSOLE_PORT_READY)
			tell(VIRTIO_CONSOLE_PORT_OPEN);
	}
}

static void device_write(uint64_t offset, uint32_t value)
{
	unsigned q = device.select < QUEUES ? device.select : 0;

	if (offset == 0x14)
		device.features_page = value;
	else if (offset == 0x30)
		device.select = value;
	else if (offset == 0x38)
		device.size[q] = value ? value : 1;
	else if (offset == 0x44)
		device.ready[q] = value;
	else if (offset == 0x50)
		kicked(value);
	else if (offset == 0x70)
		device.status = value;
	else if (offset >= 0x80 && offset < 0xa8 && offset % 16 < 8)
		store((uint8_t *)&device.address[q][(offset - 0x80) / 16] + offset % 16, value, 4);
}

/* ---- memory ---- */

static void load_kernel(const char *path, const char *cache, struct vm_kernel_choice *choice, uint64_t *ret_entry)
{
	struct error err = ERROR_INIT;
	struct vm_kernel_wish wish = { .option = path };
	struct vm_kernel_image image;

	if (vm_kernel_find(&wish, choice, &err) < 0)
		die_of(&err);

	int fd = vm_kernel_open(choice->path, cache, &err);

	if (fd < 0 || vm_kernel_read(fd, &image, &err) < 0)
		die_of(&err);
	for (unsigned i = 0; i < image.n; i++) {
		const struct vm_kernel_segment *s = &image.segment[i];
		uint64_t whole = copies || s->at % PAGE || s->offset % PAGE ? 0 : s->file_bytes & ~(uint64_t)(PAGE - 1);

		if (s->at + s->bytes > ram_bytes) {
			fprintf(stderr, "pvmm: the kernel does not fit\n");
			exit(1);
		}
		if (whole && mmap(ram + s->at, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, (off_t)s->offset) == MAP_FAILED)
			die("mmap");
		if (pread(fd, ram + s->at + whole, s->file_bytes - whole, (off_t)(s->offset + whole)) != (ssize_t)(s->file_bytes - whole))
			die("pread");
	}
	close(fd);
	*ret_entry = image.entry;
}

/* What is in a file, appended, from a boundary of four bytes. */
static void add_archive(struct buf *b, int fd, const char *name)
{
	struct error err = ERROR_INIT;

	while (b->len % 4)
		buf_putc(b, 0);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || file_read_fd(fd, name, 64 << 20, b, &err) < 0)
		die_of(&err);
	close(fd);
}

static void make_archive(const char *agent, const struct vm_kernel_choice *choice, const char *cache, struct buf *ret)
{
	struct error err = ERROR_INIT;
	struct buf program = BUF_INIT;

	add_archive(&program, open(agent, O_RDONLY | O_CLOEXEC), agent);
	vm_cpio_first(ret, program.data, program.len);
	buf_release(&program);

	int modules = vm_kernel_modules(choice->modules, vm_modules, vm_modules_n, cache, &err);

	if (modules < 0)
		die_of(&err);
	add_archive(ret, modules, "modules");
}

static void write_start_info(const struct buf *archive)
{
	static const struct vm_config same = { .serial_fd = -1 };
	struct error err = ERROR_INIT;
	uint64_t at = (ram_bytes - archive->len) & ~(uint64_t)(PAGE - 1);
	uint8_t *info = ram + START_INFO, *map = ram + MEMORY_MAP;

	memcpy(ram + at, archive->data, archive->len);
	if (vm_cmdline(&same, (char *)ram + COMMAND_LINE, 2048, &err) < 0)
		die_of(&err);
	memset(info, 0, 0x60);
	store(info, 0x336ec578, 4);
	info[4] = 1;
	info[12] = 1;
	store(info + 16, MODULES, 8);
	store(info + 24, COMMAND_LINE, 8);
	store(info + 32, tables(), 8);
	store(info + 40, MEMORY_MAP, 8);
	info[48] = 3;
	store(ram + MODULES, at, 8);
	store(ram + MODULES + 8, archive->len, 8);
	memset(ram + MODULES + 16, 0, 16);

	const uint64_t ranges[3][3] = { { 0, 0x9fc00, 1 }, { 0x9fc00, 0x60400, 2 }, { 0x100000, ram_bytes - 0x100000, 1 } };

	for (unsigned i = 0; i < 3; i++, map += 24) {
		memcpy(map, ranges[i], 16);
		store(map + 16, ranges[i][2], 8);
	}
}

/* ---- the processor ---- */

static void tell_features(int kvm)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	c->nent = 256;
	ASK(kvm, KVM_GET_SUPPORTED_CPUID, c);
	for (unsigned i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 1) {
			e->ebx = (e->ebx & 0xffff) | 1 << 16;
			e->ecx |= 1u << 31;
			if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
				e->ecx |= 1 << 24;
		} else if (e->function == 0xb) {
			e->edx = 0;
		} else if (e->function == 0xa) {
			e->eax = e->ebx = e->ecx = e->edx = 0;
		}
	}
	ASK(vcpu, KVM_SET_CPUID2, c);
	free(c);
}

static void enter(uint64_t entry)
{
	const struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1 };
	const uint64_t descriptors[] = { 0, 0xcf9b000000ffff, 0xcf93000000ffff, 0x8b0000000067 };
	struct kvm_segment data = code;
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = entry, .rbx = START_INFO, .rflags = 2 };

	memcpy(ram + GDT, descriptors, sizeof(descriptors));
	data.type = 3;
	data.selector = 16;
	ASK(vcpu, KVM_GET_SREGS, &s);
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){ .limit = 0x67, .type = 11, .present = 1, .selector = 24 };
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt = (struct kvm_dtable){ .base = GDT, .limit = sizeof(descriptors) - 1 };
	s.cr0 = 0x11;
	s.cr4 = s.efer = 0;
	ASK(vcpu, KVM_SET_SREGS, &s);
	ASK(vcpu, KVM_SET_REGS, &r);
}

static void on_register(struct kvm_run *run)
{
	uint64_t offset = run->mmio.phys_addr - DEVICE;
	uint32_t value = 0;

	registers++;
	if (offset >= PAGE) {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return;
	}
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, 4);
		device_write(offset, value);
	} else {
		value = device_read(offset & ~3ull) >> offset % 4 * 8;
		memcpy(run->mmio.data, &value, 4);
	}
}

static void run_guest(struct kvm_run *run)
{
	began = now();
	while (!device.has_spoken) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				die("KVM_RUN");
			continue;
		}
		if (run->exit_reason == KVM_EXIT_MMIO) {
			on_register(run);
		} else if (run->exit_reason == KVM_EXIT_IO) {
			ports++;
			if (!run->io.direction)
				memset((uint8_t *)run + run->io.data_offset, 0xff, run->io.count * run->io.size);
		} else {
			others++;
			fprintf(stderr, "pvmm: the guest ended early, with exit %u\n", run->exit_reason);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	const char *kernel = NULL, *agent = NULL, *cache = getenv("BOOT_CACHE");
	struct vm_kernel_choice choice;
	struct buf archive = BUF_INIT;
	uint64_t entry, identity = 0xfffbc000;
	int option;

	while ((option = getopt(argc, argv, "k:a:m:C")) != -1) {
		if (option == 'k')
			kernel = optarg;
		else if (option == 'a')
			agent = optarg;
		else if (option == 'C')
			copies = true;
		else if (option == 'm')
			ram_bytes = strtoull(optarg, NULL, 10) << 20;
		else
			return 2;
	}
	if (!kernel || !agent)
		return 2;

	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		die("/dev/kvm");
	machine = ASK(kvm, KVM_CREATE_VM, 0);
	ASK(machine, KVM_SET_TSS_ADDR, 0xfffbd000);
	ASK(machine, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ASK(machine, KVM_CREATE_IRQCHIP, 0);
	ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		die("mmap");
	madvise(ram, ram_bytes, MADV_HUGEPAGE);

	struct kvm_userspace_memory_region region = { .memory_size = ram_bytes, .userspace_addr = (uint64_t)(uintptr_t)ram };

	ASK(machine, KVM_SET_USER_MEMORY_REGION, &region);
	load_kernel(kernel, cache, &choice, &entry);
	make_archive(agent, &choice, cache, &archive);
	write_start_info(&archive);
	vcpu = ASK(machine, KVM_CREATE_VCPU, 0);

	size_t size = (size_t)ASK(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	if (run == MAP_FAILED)
		die("mmap");
	tell_features(kvm);
	enter(entry);
	run_guest(run);
	printf("boot %.1f ms, exits io %" PRIu64 " mmio %" PRIu64 " other %" PRIu64 "\n", (double)(now() - began) / 1e6,
	       ports, registers, others);
	return 0;
}
