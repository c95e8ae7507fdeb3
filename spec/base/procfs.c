/* SPDX-License-Identifier: Apache-2.0 */
/* A procfs of our own: made detached, entered by openat2(), never by a path. */
#include "spec/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#define PROC_ROOT_INO 1 /* include/linux/proc_ns.h: part of procfs's ABI */

/*
 * Without privilege in our own user namespace there can be no mount at all
 * (rootless, before the namespaces are made). The /proc we see is then the one
 * we were started with; we make sure that it is the root of a procfs, and
 * procfs_openat() refuses whatever is mounted over its entries.
 */
static int open_visible(struct error *err)
{
	auto_close int fd = openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return error_set(err, errno, "open /proc");
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "stat /proc");
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return error_rule(err, EXDEV, "/proc is not the root of a procfs");
	return TAKE_FD(fd);
}

int procfs_open(enum procfs_scope scope, struct error *err)
{
	auto_close int fs_fd = fsopen("proc", FSOPEN_CLOEXEC);

	if (fs_fd < 0 && errno == EPERM)
		return open_visible(err);
	if (fs_fd < 0)
		return error_set(err, errno, "fsopen proc");

	/* subset= came with Linux 5.8; without it more is in reach, and that no less safely. */
	if (scope == PROCFS_PIDS && fsconfig(fs_fd, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 &&
	    errno != EINVAL)
		return error_set(err, errno, "fsconfig proc subset=pid");
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return errno == EPERM ? open_visible(err)
				      : error_set(err, errno, "create a procfs");

	int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	/* A user namespace may not mount a procfs that shows more than the masked one it has. */
	if (fd < 0)
		return errno == EPERM ? open_visible(err) : error_set(err, errno, "fsmount proc");
	return fd;
}

int procfs_openat(int procfs_fd, const char *name, int flags, struct error *err)
{
	/* "self" and "thread-self" on the way are the kernel's own links and stay inside. */
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int tries = 0; tries < 128; tries++) {
		fd = syscall(SYS_openat2, procfs_fd, name, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return error_set(err, errno, "open /proc/%s", name);
}

int procfs_write(int procfs_fd, const char *name, const char *text, struct error *err)
{
	auto_close int fd = procfs_openat(procfs_fd, name, O_WRONLY, err);

	if (fd < 0)
		return fd;

	/* One write: most of these files take their value whole or not at all. */
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);
	int line = (int)strcspn(text, "\n");

	if (n < 0)
		return error_set(err, errno, "write \"%.*s\" to /proc/%s", line, text, name);
	if ((size_t)n != len)
		return error_set(err, EIO, "write \"%.*s\" to /proc/%s (%zd of %zu bytes)", line,
				 text, name, n, len);
	return 0;
}
