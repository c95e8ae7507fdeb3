/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels, modules and archives made here: no kernel of the machine is needed. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/kernel/kernel.h"

static char dir[64];

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kernel_test.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void end(void)
{
	pid_t pid = fork();

	if (pid == 0)
		execlp("rm", "rm", "-r", dir, (char *)NULL);
	waitpid(pid, NULL, 0);
}

TestSuite(kernel, .init = begin, .fini = end);

static const char *in(const char *name)
{
	static char path[8][256];
	static unsigned i;
	char *p = path[i++ % 8];

	snprintf(p, 256, "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const void *data, size_t n)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", in(name));
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_eq(write(fd, data, n), (ssize_t)n, "%s", path);
	close(fd);
}

/* ---- an ELF kernel ---- */

struct elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint64_t entry;
	} note;
	char text[8192];
};

static struct elf good(void)
{
	struct elf e = {
		.eh = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			.e_machine = EM_X86_64, .e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3,
		},
		.note = { .h = { .n_namesz = 4, .n_descsz = 8, .n_type = 18 }, .name = "Xen", .entry = 0x1000010 },
	};

	e.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct elf, text), .p_paddr = 0x1000000,
				.p_filesz = 4096, .p_memsz = 8192 };
	e.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = offsetof(struct elf, text) + 4096,
				.p_paddr = 0x1200000, .p_filesz = 4096, .p_memsz = 4096 };
	e.ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct elf, note),
				.p_filesz = sizeof(e.note) };
	memset(e.text, 'k', sizeof(e.text));
	return e;
}

static int read_elf(const struct elf *e, size_t n, struct vm_kernel_image *image, struct error *err)
{
	*err = ERROR_INIT;
	put("vmlinux", e, n);

	auto_close int fd = open(in("vmlinux"), O_RDONLY | O_CLOEXEC);

	return vm_kernel_read(fd, image, err);
}

Test(kernel, the_headers_of_a_kernel_are_read)
{
	struct vm_kernel_image image;
	struct error err;
	struct elf e = good();

	cr_assert_eq(read_elf(&e, sizeof(e), &image, &err), 0, "%s", err.text);
	cr_assert_eq(image.entry, 0x1000010);
	cr_assert_eq(image.n, 2);
	cr_assert_eq(image.segment[1].at, 0x1200000);
	cr_assert_eq(image.segment[0].bytes, 8192);
	cr_assert_eq(image.end, 0x1201000);
}

Test(kernel, a_file_that_is_no_kernel_is_refused_by_name)
{
	struct vm_kernel_image image;
	struct error err;
	struct elf e;

	for (int row = 0;; row++) {
		const char *message = "";
		size_t n = sizeof(e);

		e = good();
		switch (row) {
		case 0:
			e.eh.e_ident[1] = 'X';
			message = "this is no kernel for x86-64";
			break;
		case 1:
			e.eh.e_machine = EM_AARCH64;
			message = "this is no kernel for x86-64";
			break;
		case 2:
			e.eh.e_phnum = 0xffff;
			message = "this is no kernel for x86-64";
			break;
		case 3:
			e.eh.e_phoff = UINT64_MAX;
			message = "this is no kernel for x86-64";
			break;
		case 4:
			e.ph[1].p_paddr = 0x1001000;
			message = "segment 1 of the kernel is not inside it, or overlaps another";
			break;
		case 5:
			e.ph[0].p_filesz = UINT64_MAX;
			message = "segment 0 of the kernel is not inside it, or overlaps another";
			break;
		case 6:
			e.ph[1].p_offset = UINT64_MAX - 10;
			message = "segment 1 of the kernel is not inside it, or overlaps another";
			break;
		case 7:
			e.ph[1].p_memsz = UINT64_MAX;
			message = "segment 1 of the kernel is not inside it, or overlaps another";
			break;
		case 8:
			e.note.h.n_type = 17;
			message = "the kernel has no PVH entry (CONFIG_PVH)";
			break;
		case 9:
			e.note.h.n_namesz = UINT32_MAX;
			message = "the kernel has no PVH entry (CONFIG_PVH)";
			break;
		case 10:
			e.note.entry = 0x100;
			message = "the PVH entry 0x100 is outside of the kernel";
			break;
		case 11:
			e.ph[0].p_paddr = 0x1000;
			message = "the kernel is not one that is loaded at 1 MiB or above";
			break;
		case 12:
			n = 40;
			message = "the kernel ends in the middle";
			break;
		default:
			cr_assert_eq(row, 13);
			return;
		}
		cr_assert_eq(read_elf(&e, n, &image, &err), -ENOEXEC, "row %d", row);
		cr_assert_str_eq(err.text, message, "row %d", row);
	}
}

/* ---- a bzImage ---- */

/* Packs the file `name` with a program of the machine; returns how many bytes that makes. */
static size_t pack(const char *program, const char *name, uint8_t *ret, size_t size)
{
	char command[400];

	snprintf(command, sizeof(command), "%s <%s", program, in(name));

	FILE *p = popen(command, "re");
	size_t n = fread(ret, 1, size, p);

	cr_assert_eq(pclose(p), 0, "%s", command);
	return n;
}

/* The file "vmlinux" as the bzImage "vmlinuz"; damage: a byte of the payload that is flipped. */
static void make_image(const char *program, size_t damage)
{
	static uint8_t image[1 << 20];
	uint32_t at = 0x100, size = sizeof(struct elf);
	uint8_t *payload = image + 2 * 512 + at;

	memset(image, 0, sizeof(image));

	size_t n = pack(program, "vmlinux", payload, sizeof(image) - 4096);
	uint32_t length = (uint32_t)n + (strcmp(program, "gzip -c") ? 4 : 0);

	if (damage)
		payload[damage] ^= 0x55;
	memcpy(payload + length - 4, &size, 4);
	image[0x1f1] = 1;
	image[0x1fe] = 0x55;
	image[0x1ff] = 0xaa;
	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = 0x0f;
	image[0x207] = 0x02;
	memcpy(image + 0x248, &at, 4);
	memcpy(image + 0x24c, &length, 4);
	put("vmlinuz", image, (size_t)(payload - image) + length);
}

static bool has(const char *program)
{
	char command[100];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return WEXITSTATUS(system(command)) == 0;
}

static unsigned entries(const char *suffix)
{
	auto_closedir DIR *d = opendir(in("cache"));
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strlen(e->d_name) > strlen(suffix) &&
		     !strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix);
	return n;
}

static void check_open(void)
{
	struct error err = ERROR_INIT;
	struct elf e = good(), got;
	auto_close int fd = vm_kernel_open(in("vmlinuz"), in("cache"), &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(pread(fd, &got, sizeof(got), 0), (ssize_t)sizeof(got));
	cr_assert_eq(memcmp(&e, &got, sizeof(e)), 0);
}

Test(kernel, a_bzimage_is_unpacked_once_in_each_compression)
{
	static const char *const programs[] = { "gzip -c", "xz -c --check=crc32 --x86 --lzma2", "zstd -c",
						"lz4 -l -c" };
	struct elf e = good();
	unsigned made = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(programs); i++) {
		char name[8];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(programs[i], " "), programs[i]);
		if (!has(name))
			continue;
		put("vmlinux", &e, sizeof(e));
		make_image(programs[i], 0);
		check_open();
		check_open();
		cr_assert_eq(entries(".vmlinux"), ++made, "%s", programs[i]);
	}
	cr_assert_geq(made, 2);
}

Test(kernel, an_elf_kernel_is_opened_as_it_is)
{
	struct error err = ERROR_INIT;
	struct elf e = good();

	put("vmlinuz", &e, sizeof(e));
	check_open();
	cr_assert_eq(entries(".vmlinux"), 0);
	cr_assert_eq(vm_kernel_open("/dev/null", NULL, &err), -EINVAL);
}

Test(kernel, damaged_kernels_are_refused_and_not_kept)
{
	struct error err = ERROR_INIT;
	struct elf e = good();

	put("vmlinux", &e, sizeof(e));
	make_image("gzip -c", 30);
	cr_assert_eq(vm_kernel_open(in("vmlinuz"), in("cache"), &err), -EBADMSG);
	cr_assert_eq(entries(".vmlinux"), 0);
	put("vmlinuz", "not a kernel at all, but some text", 34);
	err = ERROR_INIT;
	cr_assert_eq(vm_kernel_open(in("vmlinuz"), in("cache"), &err), -ENOEXEC);
	cr_assert_not_null(strstr(err.text, "this is no kernel"));
	put("vmlinux", "this unpacks to something that is no kernel", 44);
	make_image("gzip -c", 0);
	err = ERROR_INIT;
	cr_assert_eq(vm_kernel_open(in("vmlinuz"), in("cache"), &err), -EBADMSG);
	cr_assert_eq(entries(".vmlinux"), 0);
}

Test(kernel, a_changed_file_is_another_kernel)
{
	struct elf e = good();

	put("vmlinux", &e, sizeof(e));
	make_image("gzip -c", 0);
	check_open();
	make_image("gzip -1c", 0);
	check_open();
	cr_assert_leq(entries(".vmlinux"), 2);
}

Test(kernel, many_at_once_all_get_it)
{
	struct elf e = good();
	int status, bad = 0;

	put("vmlinux", &e, sizeof(e));
	make_image("gzip -c", 0);
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			struct error err = ERROR_INIT;

			_exit(vm_kernel_open(in("vmlinuz"), in("cache"), &err) < 0);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	cr_assert_eq(bad, 0);
	cr_assert_eq(entries(".vmlinux"), 1);
	check_open();
}

Test(kernel, a_cache_that_others_may_write_to_is_refused)
{
	struct error err = ERROR_INIT;
	struct elf e = good();

	put("vmlinux", &e, sizeof(e));
	make_image("gzip -c", 0);
	mkdir(in("cache"), 0755);
	chmod(in("cache"), 0777);
	cr_assert_eq(vm_kernel_open(in("vmlinuz"), in("cache"), &err), -EPERM);
}

Test(kernel, without_a_cache_it_lives_in_memory)
{
	struct error err = ERROR_INIT;
	struct elf e = good();

	put("vmlinux", &e, sizeof(e));
	make_image("gzip -c", 0);

	auto_close int fd = vm_kernel_open(in("vmlinuz"), NULL, &err);
	struct vm_kernel_image image;

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(vm_kernel_read(fd, &image, &err), 0);
}

/* ---- choosing ---- */

Test(kernel, the_newest_cloud_kernel_is_taken_then_the_running_one)
{
	struct error err = ERROR_INIT;
	struct vm_kernel_wish wish = { .root = dir, .running = "6.1.0-9-amd64" };
	struct vm_kernel_choice c;

	mkdir(in("boot"), 0755);
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), -ENOENT);
	cr_assert_not_null(strstr(err.hint, "linux-image-cloud-amd64"));
	put("boot/vmlinuz-6.1.0-9-amd64", "k", 1);
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), 0);
	cr_assert_str_eq(c.path, in("boot/vmlinuz-6.1.0-9-amd64"));
	cr_assert_str_eq(c.modules, "");
	put("boot/vmlinuz-6.1.0-9-cloud-amd64", "k", 1);
	put("boot/vmlinuz-6.1.0-10-cloud-amd64", "k", 1);
	put("boot/vmlinuz-6.9.0-10-rt-amd64", "k", 1);
	put("lib/modules/6.1.0-10-cloud-amd64/modules.dep", "", 0);
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), 0);
	cr_assert_str_eq(c.path, in("boot/vmlinuz-6.1.0-10-cloud-amd64"));
	cr_assert_str_eq(c.modules, in("lib/modules/6.1.0-10-cloud-amd64"));
	put("usr/lib/bulkhead/vmlinux", "k", 1);
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), 0);
	cr_assert_str_eq(c.path, in("usr/lib/bulkhead/vmlinux"));
	put("usr/local/lib/bulkhead/vmlinux", "k", 1);
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), 0);
	cr_assert_str_eq(c.path, in("usr/local/lib/bulkhead/vmlinux"));
	cr_assert_str_eq(c.modules, "");
	wish.option = in("boot/vmlinuz-6.1.0-9-amd64");
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), 0);
	cr_assert_str_eq(c.path, wish.option);
	wish.bundle = in("nowhere");
	cr_assert_eq(vm_kernel_find(&wish, &c, &err), -ENOENT);
}

/* ---- modules ---- */

static void put_modules(void)
{
	static const char dep[] =
		"kernel/fs/fuse/fuse.ko:\n"
		"kernel/fs/fuse/virtiofs.ko.xz: kernel/fs/fuse/fuse.ko kernel/v/virtio.ko kernel/v/virtio_ring.ko\n"
		"kernel/v/virtio.ko: kernel/v/virtio_ring.ko\n"
		"kernel/v/virtio_ring.ko:\n"
		"kernel/c/virtio-rng.ko: kernel/v/virtio.ko kernel/v/virtio_ring.ko\n"
		"kernel/c/rs.ko:\n"
		"kernel/c/virtio_balloon.ko: kernel/c/rs.ko kernel/v/virtio.ko kernel/v/virtio_ring.ko\n";
	static const char builtin[] = "kernel/drivers/char/virtio_console.ko\n";

	put("m/modules.dep", dep, sizeof(dep) - 1);
	put("m/modules.builtin", builtin, sizeof(builtin) - 1);
	put("m/kernel/fs/fuse/fuse.ko", "\177ELFfuse", 8);
	put("m/kernel/v/virtio.ko", "\177ELFvirtio", 10);
	put("m/kernel/v/virtio_ring.ko", "\177ELFring", 8);
	put("m/kernel/c/virtio-rng.ko", "\177ELFrng", 7);
	put("m/kernel/c/rs.ko", "\177ELFrs", 6);
	put("m/kernel/c/virtio_balloon.ko", "\177ELFballoon", 11);
	put("plain", "\177ELFvirtiofs", 12);

	uint8_t packed[4096];
	size_t n = pack("xz -c --check=crc32", "plain", packed, sizeof(packed));

	put("m/kernel/fs/fuse/virtiofs.ko.xz", packed, n);
}

/* The names and first bytes of an archive, "modules modules/00.ko=\177ELFring …". */
static void list(int fd, char *ret, size_t size)
{
	auto_buf struct buf b = BUF_INIT;
	struct error err = ERROR_INIT;
	size_t at = 0;

	lseek(fd, 0, SEEK_SET);
	cr_assert_geq(file_read_fd(fd, "archive", 1 << 20, &b, &err), 0);
	ret[0] = 0;
	while (at + 110 <= b.len) {
		unsigned n, length;

		cr_assert_eq(memcmp(b.data + at, "070701", 6), 0);
		cr_assert_eq(sscanf(b.data + at + 54, "%8x", &n), 1);
		cr_assert_eq(sscanf(b.data + at + 94, "%8x", &length), 1);
		const char *name = b.data + at + 110;

		at = (at + 110 + length + 3) & ~3ul;
		snprintf(ret + strlen(ret), size - strlen(ret), "%s=%.*s ", name, (int)n, b.data + at);
		at = (at + n + 3) & ~3ul;
	}
	cr_assert_eq(at, b.len);
}

Test(kernel, modules_come_in_the_order_of_loading_and_unpacked)
{
	static const char *const names[] = { "virtio_console", "virtiofs", "net/virtio_net", "late/virtio_rng",
					     "late/virtio_balloon", "more/virtio_balloon" };
	char text[512];

	put_modules();
	for (int i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;
		auto_close int fd = vm_kernel_modules(in("m"), names, 6, in("cache"), &err);

		cr_assert_geq(fd, 0, "%s", err.text);
		list(fd, text, sizeof(text));
		cr_assert_str_eq(text, "modules= modules/00.ko=\177ELFring modules/01.ko=\177ELFvirtio "
				       "modules/02.ko=\177ELFfuse modules/03.ko=\177ELFvirtiofs "
				       "modules/late= modules/late/00.ko=\177ELFrng modules/late/01.ko=\177ELFrs "
				       "modules/late/02.ko=\177ELFballoon modules/more= modules/more/00.ko=\177ELFrs "
				       "modules/more/01.ko=\177ELFballoon TRAILER!!!= ");
		cr_assert_eq(entries(".modules"), 1);
	}
}

Test(kernel, a_module_that_is_nowhere_is_named)
{
	static const char *const names[] = { "virtio_mmio" };
	struct error err = ERROR_INIT;
	char text[64];

	put_modules();
	cr_assert_eq(vm_kernel_modules(in("m"), names, 1, NULL, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "the kernel has no virtio_mmio, neither built in nor as a module"));

	auto_close int fd = vm_kernel_modules("", names, 1, NULL, &err);

	list(fd, text, sizeof(text));
	cr_assert_str_eq(text, "TRAILER!!!= ");
}
