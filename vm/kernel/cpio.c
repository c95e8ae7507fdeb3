/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio - the archive that the kernel unpacks into its first root
 *
 * newc: a header of hex digits, the name, the data, each padded to four bytes.
 */
#include <string.h>
#include <sys/stat.h>

#include "vm/kernel/kernel.h"

static void pad(struct buf *b)
{
	while (b->len % 4)
		buf_putc(b, 0);
}

static void add(struct buf *b, const char *path, uint32_t mode, const void *data, size_t n, unsigned major,
		unsigned minor)
{
	/* magic, ino, mode, uid, gid, nlink, mtime, size, dev (2), rdev (2), length of the name, check */
	buf_printf(b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, mode, 0, 0, 1, 0,
		   (unsigned)n, 0, 0, major, minor, (unsigned)strlen(path) + 1, 0);
	buf_add(b, path, strlen(path) + 1);
	pad(b);
	if (n)
		buf_add(b, data, n);
	pad(b);
}

void vm_cpio_add(struct buf *b, const char *path, uint32_t mode, const void *data, size_t n)
{
	add(b, path, mode, data, n, 0, 0);
}

void vm_cpio_device(struct buf *b, const char *path, uint32_t mode, unsigned major, unsigned minor)
{
	add(b, path, mode, NULL, 0, major, minor);
}

void vm_cpio_end(struct buf *b)
{
	add(b, "TRAILER!!!", 0, NULL, 0, 0, 0);
}

void vm_cpio_first(struct buf *b, const void *program, size_t n)
{
	vm_cpio_add(b, "dev", S_IFDIR | 0755, NULL, 0);
	vm_cpio_device(b, "dev/console", S_IFCHR | 0600, 5, 1);
	vm_cpio_add(b, "init", S_IFREG | 0755, program, n);
	vm_cpio_end(b);
}
