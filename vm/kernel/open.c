/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open - a kernel file as ELF, unpacked once (kernel.h)
 *
 * A bzImage is a small program for real mode, then the code that unpacks, with the ELF file as its
 * payload (Documentation/arch/x86/boot.rst, "payload_offset"). The payload's last four bytes are its
 * size when unpacked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/kernel/cache.h"
#include "vm/kernel/kernel.h"
#include "vm/kernel/unpack.h"

enum {
	SETUP_SECTS = 0x1f1,
	BOOT_FLAG = 0x1fe,
	MAGIC = 0x202,
	PROTOCOL = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	HEADER_END = 0x250,
	MAX_FILE = 256 << 20,
	MAX_KERNEL = 1 << 30,
};

struct payload {
	const uint8_t *data;
	size_t n;
	size_t unpacked;
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int find_payload(const uint8_t *image, size_t n, struct payload *ret, struct error *err)
{
	if (n < HEADER_END || memcmp(image + MAGIC, "HdrS", 4) || image[BOOT_FLAG] != 0x55 ||
	    image[BOOT_FLAG + 1] != 0xaa)
		return error_rule(err, ENOEXEC, "this is no kernel");
	if ((image[PROTOCOL] | image[PROTOCOL + 1] << 8) < 0x208)
		return error_rule(err, ENOEXEC, "the kernel is older than Linux 2.6.26");

	uint64_t sectors = image[SETUP_SECTS] ? image[SETUP_SECTS] : 4;
	uint64_t at = (sectors + 1) * 512 + get32(image + PAYLOAD_OFFSET);
	uint64_t length = get32(image + PAYLOAD_LENGTH);

	if (length < 8 || at > n || length > n - at)
		return error_rule(err, ENOEXEC, "the kernel ends before its payload");
	ret->data = image + at;
	ret->n = length - 4;
	ret->unpacked = get32(image + at + length - 4);
	if (ret->unpacked == 0 || ret->unpacked > MAX_KERNEL)
		return error_rule(err, ENOEXEC, "the kernel says it has %zu bytes unpacked", ret->unpacked);
	/* gzip ends in that number by itself. */
	if (pack_of(ret->data, ret->n) == PACK_GZIP)
		ret->n = length;
	return 0;
}

/* Unpacks into a new file. */
static int unpack_payload(const struct payload *p, const struct cache *c, struct error *err)
{
	enum pack pack = pack_of(p->data, p->n);

	if (pack == PACK_NONE || pack == PACK_OTHER)
		return error_rule(err, ENOTSUP, "the kernel is packed in a way that is not known");

	auto_close int fd = cache_new(c, err);
	size_t n = 0;

	if (fd < 0)
		return fd;
	/* posix_fallocate: a full disk is an error now, and no SIGBUS later. */
	int r = posix_fallocate(fd, 0, (off_t)p->unpacked);

	if (r != 0)
		return error_set(err, r, "make room for %zu bytes of kernel", p->unpacked);

	uint8_t *out = mmap(NULL, p->unpacked, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (out == MAP_FAILED)
		return error_set(err, errno, "map %zu bytes of kernel", p->unpacked);
	r = unpack(pack, p->data, p->n, out, p->unpacked, &n, err);
	munmap(out, p->unpacked);
	if (r == -ENOSPC || (r == 0 && n != p->unpacked))
		r = error_rule(err, EBADMSG, "the kernel has not the %zu bytes that it names", p->unpacked);
	return r < 0 ? r : TAKE_FD(fd);
}

static int open_packed(const uint8_t *image, size_t n, const struct cache *c, const char *key,
		       struct error *err)
{
	struct payload p = { 0 };
	struct vm_kernel_image unused;
	char name[80];
	int r = find_payload(image, n, &p, err);

	if (r < 0)
		return r;
	r = sha256_hex(image, n, name, err);
	if (r < 0)
		return r;
	memcpy(name + 64, ".vmlinux", sizeof(".vmlinux"));

	int kept = cache_find(c, name);

	if (kept >= 0) {
		cache_link(c, name, key);
		return kept;
	}

	auto_close int fd = unpack_payload(&p, c, err);

	if (fd < 0)
		return fd;
	r = vm_kernel_read(fd, &unused, err); /* what cannot be booted is not kept */
	if (r < 0)
		return r;
	cache_keep(c, fd, name, key);
	return TAKE_FD(fd);
}

static int open_kernel(const char *path, const struct cache *c, struct error *err)
{
	auto_close int fd = file_open_regular(AT_FDCWD, path, err);
	char key[NAME_MAX + 1];
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "read it");
	cache_key(&st, "kernel", key);

	int kept = cache_find(c, key);

	if (kept >= 0)
		return kept;
	if (st.st_size < 4 || st.st_size > MAX_FILE * 4ll)
		return error_rule(err, ENOEXEC, "this is no kernel: it has %lld bytes", (long long)st.st_size);

	size_t n = (size_t)st.st_size;
	uint8_t *image = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);

	if (image == MAP_FAILED)
		return error_set(err, errno, "map it");

	int r = pack_of(image, n) == PACK_NONE ? TAKE_FD(fd) : open_packed(image, n, c, key, err);

	munmap(image, n);
	return r;
}

int vm_kernel_open(const char *path, const char *cache_dir, struct error *err)
{
	auto_cache struct cache c = CACHE_NONE;
	int r = cache_open(cache_dir, &c, err);

	if (r == 0)
		r = open_kernel(path, &c, err);
	return r < 0 ? error_wrap(err, r, "cannot use the kernel %s", path) : r;
}
