/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolution by the kernel, and the two lexical helpers. path_make.c creates.
 */
#include "spec/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat2() gives up with EAGAIN when a rename anywhere on the host raced with a "..". */
#define RACE_RETRIES 128

int path_try_resolve(int root_fd, const char *path, int flags, unsigned long long resolve)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};

	/* Creating through a name that may be a link is what path_make.c is there to avoid. */
	if (flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY)
		return -EINVAL;

	for (int tries = 0; tries < RACE_RETRIES; tries++) {
		long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int path_try(int root_fd, const char *path, int flags)
{
	return path_try_resolve(root_fd, path, flags, 0);
}

int path_open(int root_fd, const char *path, int flags, struct error *err)
{
	int fd = path_try(root_fd, path, flags);

	if (fd >= 0)
		return fd;
	error_set(err, -fd, "open %s below the container's root", path);
	if (fd == -ENOSYS)
		error_hint(err, "openat2(2) is needed: Linux 5.6 or newer, and a seccomp profile "
				"around this command that allows it");
	return fd;
}

int path_clean(const char *path, char *buf, size_t size)
{
	size_t len = 0; /* of buf, which holds "" or "/a/b" */

	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			while (len > 0 && buf[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (len + 1 + n >= size)
				return -ENAMETOOLONG;
			buf[len++] = '/';
			memcpy(buf + len, p, n);
			len += n;
		}
		p += n;
		p += strspn(p, "/");
	}
	if (len == 0) {
		if (size < 2)
			return -ENAMETOOLONG;
		buf[len++] = '/';
	}
	buf[len] = '\0';
	return 0;
}

bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
