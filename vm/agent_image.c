/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/agent_image.h"

#include <errno.h>
#include <sys/mman.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/kernel/kernel.h"

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"agent_image_begin:\n"
	".incbin \"" AGENT_FILE "\"\n"
	"agent_image_end:\n"
	".popsection\n");

extern const char agent_image_begin[], agent_image_end[];

const void *vm_agent_image(size_t *ret_size)
{
	*ret_size = (size_t)(agent_image_end - agent_image_begin);
	return agent_image_begin;
}

int vm_agent_archive(struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	size_t size;
	const void *image = vm_agent_image(&size);

	vm_cpio_first(&b, image, size);

	auto_close int fd = memfd_create("agent", MFD_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "create a memory file for the guest's agent");

	int r = file_write_all(fd, "the agent's archive", b.data, b.len, err);

	return r < 0 ? r : TAKE_FD(fd);
}
