/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sys - the mount system calls by number
 *
 * musl has no wrappers for them, glibc has had most since 2.36. The calls are
 * few and their numbers are the same on every architecture.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_SIZE_VER0
#include <linux/mount.h>
#endif

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define SYS_NR_open_tree_attr 467 /* Linux 6.15 */
#define SYS_NR_fchmodat2      452 /* Linux 6.6 */

static inline int sys_fsopen(const char *type)
{
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int sys_fspick(int fd)
{
	return (int)syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
}

static inline int sys_fsconfig(int fs, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fs, cmd, key, value, aux);
}

static inline int sys_fsmount(int fs, uint64_t attr)
{
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, (unsigned)attr);
}

/* flags: AT_RECURSIVE, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. Always a clone. */
static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir, path,
			    flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static inline int sys_mount_setattr(int dir, const char *path, unsigned flags,
				    const struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dir, path, flags, attr, sizeof(*attr));
}

/*
 * open_tree() and mount_setattr() in one call where the kernel has it. With
 * AT_RECURSIVE both are recursive. ENOSYS from an old kernel, or from a seccomp
 * profile around us: the caller falls back to two calls.
 */
static inline int sys_open_tree_attr(int dir, const char *path, unsigned flags,
				     const struct mount_attr *attr)
{
	return (int)syscall(SYS_NR_open_tree_attr, dir, path,
			    flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, attr, sizeof(*attr));
}

/* Attaches the mount behind fd to name below dir, or to dir itself when name is "". Links are not followed. */
static inline int sys_attach(int fd, int dir, const char *name)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH;

	if (name[0] == '\0')
		flags |= MOVE_MOUNT_T_EMPTY_PATH;
	return (int)syscall(SYS_move_mount, fd, "", dir, name, flags);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}
