/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See guard.h.
 */
#include "runtime/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/launch/launch.h"
#include "runtime/launch/stub/stub.h"
#include "spec/base/auto.h"

/* Linux 6.3; include/uapi/linux/memfd.h and fcntl.h */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define COPY_NAME STUB_NAME "-runtime"

extern char **environ;

static int copy_program(int from, int to, struct error *err)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return error_set(err, errno, "stat this program");
	for (off_t done = 0; done < st.st_size;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)(st.st_size - done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, n < 0 ? errno : EIO, "copy this program to a memory file");
		done += n;
	}
	return 0;
}

static int sealed_copy(int exe, struct error *err)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	auto_close int fd = memfd_create(COPY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before 6.3 every memory file was executable */
		fd = memfd_create(COPY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		int code = errno;

		error_set(err, code, "create memory file %s", COPY_NAME);
		if (code == EACCES)
			error_hint(err, "vm.memfd_noexec=2 forbids the copy that a container which may trace is kept off with");
		return -code;
	}

	int r = copy_program(exe, fd, err);

	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) < 0 &&
	    (errno != EINVAL || fcntl(fd, F_ADD_SEALS, seals) < 0))
		return error_set(err, errno, "seal memory file %s", COPY_NAME);
	return TAKE_FD(fd);
}

int guard_seal_self(const struct rt_context *ctx, uint32_t preserve_fds, struct error *err)
{
	auto_close int exe = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC); /* path-ok: the host's /proc */

	if (exe < 0)
		return error_set(err, errno, "open /proc/self/exe");

	int seals = fcntl(exe, F_GET_SEALS); /* of a file on a disk: EINVAL */

	if (seals >= 0 && seals & F_SEAL_WRITE)
		return 0;

	auto_close int copy = sealed_copy(exe, err);

	if (copy < 0)
		return error_wrap(err, copy, "cannot hide this program from a container that may trace");
	for (uint32_t i = 0; i < preserve_fds; i++)
		fcntl(3 + (int)i, F_SETFD, 0);
	syscall(SYS_execveat, copy, "", ctx->argv, environ, AT_EMPTY_PATH);
	return error_set(err, errno, "execute a sealed copy of this program");
}

int guard_if_shared(const struct rt_context *ctx, const struct spec *spec, uint32_t preserve_fds,
		    struct error *err)
{
	if (!spec->linux_.ns[SPEC_NS_PID].path || !launch_may_be_traced(spec))
		return 0;
	return guard_seal_self(ctx, preserve_fds, err);
}

void guard_forget_environment(void)
{
	for (char **e = environ; e && *e; e++)
		explicit_bzero(*e, strlen(*e));
}
