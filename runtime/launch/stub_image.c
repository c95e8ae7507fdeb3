/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/launch/stub_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/launch/stub/stub.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/mountapi.h"

/* Linux 6.3; include/uapi/linux/memfd.h and fcntl.h */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"stub_image_begin:\n"
	".incbin \"" STUB_FILE "\"\n"
	"stub_image_end:\n"
	".popsection\n");

extern const char stub_image_begin[], stub_image_end[];

const void *stub_image(size_t *ret_size)
{
	*ret_size = (size_t)(stub_image_end - stub_image_begin);
	return stub_image_begin;
}

static int write_image(int fd, struct error *err)
{
	size_t size;
	const void *image = stub_image(&size);

	return file_write_all(fd, STUB_NAME, image, size, err);
}

int stub_open_memfd(struct error *err)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	auto_close int fd = memfd_create(STUB_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before 6.3 every memory file was executable */
		fd = memfd_create(STUB_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_set(err, errno, "create memory file %s", STUB_NAME);

	int r = write_image(fd, err);

	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) < 0 &&
	    (errno != EINVAL || fcntl(fd, F_ADD_SEALS, seals) < 0))
		return error_set(err, errno, "seal memory file %s", STUB_NAME);
	return TAKE_FD(fd);
}

int stub_open_tmpfs(struct error *err)
{
	auto_close int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_set(err, errno, "open filesystem tmpfs");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "configure tmpfs for %s", STUB_NAME);

	auto_close int tmpfs = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);

	if (tmpfs < 0)
		return error_set(err, errno, "mount tmpfs for %s", STUB_NAME);

	/* An open writer would forbid the exec (ETXTBSY) and the read-only switch (EBUSY). */
	{
		auto_close int file =
			openat(tmpfs, STUB_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);

		if (file < 0)
			return error_set(err, errno, "create %s on a tmpfs", STUB_NAME);

		int r = write_image(file, err);

		if (r < 0)
			return r;
		/* A caller's umask must not take the execute bits. */
		if (fchmod(file, 0555) < 0)
			return error_set(err, errno, "chmod 0555 %s on a tmpfs", STUB_NAME);
	}

	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (mount_setattr(tmpfs, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "make the tmpfs of %s read-only", STUB_NAME);

	int fd = openat(tmpfs, STUB_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open %s on a tmpfs", STUB_NAME) : fd;
}

int stub_open(struct error *err)
{
	int r = stub_open_memfd(err);

	/* vm.memfd_noexec=2 answers EACCES; a kernel without memory files ENOSYS. */
	if (r == -EACCES || r == -ENOSYS)
		r = stub_open_tmpfs(err);
	return r < 0 ? error_wrap(err, r, "cannot prepare the container's first program") : r;
}
