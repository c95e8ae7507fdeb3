/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, moving and removing names.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "vm/fs/internal.h"

/* Goes on with the new file's lookup, or with what making it returned. */
static int reply_entry(struct vm_fs_worker *w, struct node *dir, const char *name, int r)
{
	if (r == 0)
		r = lookup(w->fs, dir, name, (void *)w->out, NULL);
	return r < 0 ? r : (int)sizeof(struct fuse_entry_out);
}

/* A descriptor to make something in, as the caller: what follows ends with identity_resume(). */
static int enter(struct vm_fs_worker *w, struct node *dir)
{
	int fd = node_dir_fd(w->fs, dir);
	int r = fd < 0 ? fd : identity_assume(w);

	return r < 0 ? r : fd;
}

int op_mknod(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_mknod_in *in = (const void *)w->args;

	/* A device is the host's; and 0/0 is a whiteout, with which overlayfs would hide a file of its layers. */
	if (!S_ISREG(in->mode) && !S_ISFIFO(in->mode) && !S_ISSOCK(in->mode))
		return -EPERM;

	int fd = enter(w, node), r = 0;

	if (fd < 0)
		return fd;
	identity_umask(w, in->umask);
	if (mknodat(fd, name[0], in->mode & (S_IFMT | 07777), 0) < 0)
		r = -errno;
	identity_resume(w);
	return reply_entry(w, node, name[0], r);
}

int op_mkdir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_mkdir_in *in = (const void *)w->args;
	int fd = enter(w, node), r = 0;

	if (fd < 0)
		return fd;
	identity_umask(w, in->umask);
	if (mkdirat(fd, name[0], in->mode & 07777) < 0)
		r = -errno;
	identity_resume(w);
	return reply_entry(w, node, name[0], r);
}

int op_symlink(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	int fd = enter(w, node), r = 0;

	if (fd < 0)
		return fd;
	if (symlinkat(name[1], fd, name[0]) < 0)
		r = -errno;
	identity_resume(w);
	return reply_entry(w, node, name[0], r);
}

int op_link(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_link_in *in = (const void *)w->args;
	auto_node struct held old = { w->fs, node_get(w->fs, in->oldnodeid) };
	int to = node_dir_fd(w->fs, node), from = old.node ? node_fd(w->fs, old.node) : -ESTALE;
	char number[12];

	if (to < 0 || from < 0)
		return to < 0 ? to : from;
	if (old.node->flags & NODE_KERNEL)
		return -EXDEV;
	/* The magic link is followed, and leads to the inode itself, which may be a symbolic link. */
	proc_name(from, number);
	return reply_entry(w, node, name[0],
			   linkat(w->proc_fd, number, to, name[0], AT_SYMLINK_FOLLOW) < 0 ? -errno : 0);
}

static int remove_name(struct vm_fs_worker *w, struct node *dir, const char *name, int flags)
{
	int fd = node_dir_fd(w->fs, dir);
	int r = fd < 0 ? fd : name_prepare_removal(w->fs, dir, name);

	if (r < 0)
		return r;
	if (unlinkat(fd, name, flags) < 0) {
		r = -errno;
		name_kept(w->fs, dir, name);
		return r;
	}
	name_removed(w->fs, dir, name);
	return 0;
}

int op_unlink(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	return remove_name(w, node, name[0], 0);
}

int op_rmdir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	return remove_name(w, node, name[0], AT_REMOVEDIR);
}

static int rename_to(struct vm_fs_worker *w, struct node *from, char *const name[2], uint64_t to_id, unsigned flags)
{
	auto_node struct held to = { w->fs, node_get(w->fs, to_id) };
	int from_fd = node_dir_fd(w->fs, from), to_fd = to.node ? node_dir_fd(w->fs, to.node) : -ESTALE;

	if (from_fd < 0 || to_fd < 0)
		return from_fd < 0 ? from_fd : to_fd;

	int r = flags ? 0 : name_prepare_removal(w->fs, to.node, name[1]);

	if (r < 0)
		return r;
	/* musl has no renameat2(). */
	if (syscall(SYS_renameat2, from_fd, name[0], to_fd, name[1], flags) < 0) {
		r = -errno;
		if (!flags)
			name_kept(w->fs, to.node, name[1]);
		return r;
	}
	if (flags & RENAME_EXCHANGE)
		name_exchanged(w->fs, from, name[0], to.node, name[1]);
	else if (from != to.node || strcmp(name[0], name[1]) != 0)
		name_moved(w->fs, from, name[0], to.node, name[1]);
	return 0;
}

int op_rename(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_rename_in *in = (const void *)w->args;

	return rename_to(w, node, name, in->newdir, 0);
}

/* RENAME_WHITEOUT makes a device node (see op_mknod): overlayfs in the guest does without. */
int op_rename2(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_rename2_in *in = (const void *)w->args;

	if (in->flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return rename_to(w, node, name, in->newdir, in->flags);
}
