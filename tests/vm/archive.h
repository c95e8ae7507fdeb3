/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* archive - a guest's first program as the archive that its kernel unpacks */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/kernel/kernel.h"

/* A memory file. */
static inline int archive_of(const char *program, struct error *err)
{
	auto_buf struct buf b = BUF_INIT, bytes = BUF_INIT;
	auto_close int from = open(program, O_RDONLY | O_CLOEXEC), to = memfd_create("initramfs", MFD_CLOEXEC);

	if (from < 0 || to < 0)
		return error_set(err, errno, "open %s", program);

	int r = file_read_fd(from, program, 64 << 20, &bytes, err);

	vm_cpio_first(&b, bytes.data, bytes.len);
	if (r >= 0)
		r = file_write_all(to, "initramfs", b.data, b.len, err);
	return r < 0 ? r : TAKE_FD(to);
}
