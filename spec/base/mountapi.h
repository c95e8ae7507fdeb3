/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * mountapi - fsopen() and its family with either C library
 *
 * glibc 2.36 declares them in <sys/mount.h>, whose definitions clash with the
 * kernel's header. musl declares none: there the kernel's header and these
 * wrappers stand in, with the same names, arguments and errno.
 */

#include <sys/mount.h>

#ifndef __GLIBC__

#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int fsopen(const char *fs_name, unsigned flags)
{
	return (int)syscall(SYS_fsopen, fs_name, flags);
}

static inline int fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static inline int fsmount(int fd, unsigned flags, unsigned attributes)
{
	return (int)syscall(SYS_fsmount, fd, flags, attributes);
}

static inline int fspick(int dir_fd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_fspick, dir_fd, path, flags);
}

static inline int open_tree(int dir_fd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

static inline int move_mount(int from_fd, const char *from, int to_fd, const char *to,
			     unsigned flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

static inline int mount_setattr(int dir_fd, const char *path, unsigned flags,
				struct mount_attr *attr, size_t size)
{
	return (int)syscall(SYS_mount_setattr, dir_fd, path, flags, attr, size);
}

#endif
