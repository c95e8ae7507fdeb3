/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. The working directory of a worker is proc_fd: these system calls take a path,
 * and the number of an O_PATH descriptor there leads to the inode, whatever kind it is, without opening it.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "vm/fs/internal.h"

/* The path for a node, once its attribute may be touched. */
static int begin(struct vm_fs_worker *w, struct node *node, const char *attr, char path[12])
{
	int r = attr ? name_check_xattr(attr) : 0;

	if (r == 0 && (node->flags & NODE_KERNEL))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = node_fd(w->fs, node);
	if (r >= 0)
		proc_name(r, path);
	return r < 0 ? r : 0;
}

/* FUSE_SETXATTR_EXT made the head of the request longer: 8 bytes, then 16. */
int op_setxattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	size_t head = w->fs->has_setxattr_ext ? sizeof(struct fuse_setxattr_in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
	const struct fuse_setxattr_in *in = (const void *)w->args;
	const char *attr = w->args + head;
	char path[12];

	if (w->args_len < head + 2)
		return -EINVAL;

	size_t attr_len = strnlen(attr, w->args_len - head);

	if (attr_len == w->args_len - head || in->size != w->args_len - head - attr_len - 1)
		return -EINVAL;

	int r = begin(w, node, attr, path);

	if (r < 0)
		return r;

	/* Setting an ACL takes the set-group-id bit as chmod does, from one who is not of the group. */
	bool is_killing = w->fs->has_setxattr_ext && (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID);

	if (is_killing)
		r = identity_drop_fsetid(w);
	if (r == 0 && setxattr(path, attr, attr + attr_len + 1, in->size, (int)in->flags) < 0)
		r = -errno;
	if (is_killing)
		identity_restore_fsetid(w);
	return r;
}

/* Both queries answer with a length when they are asked for no bytes. */
static int reply_list(struct vm_fs_worker *w, size_t asked, size_t n)
{
	struct fuse_getxattr_out *out = (void *)w->out;

	if (asked > 0)
		return n > asked || n > w->room ? -ERANGE : (int)n;
	*out = (struct fuse_getxattr_out){ .size = (uint32_t)n };
	return sizeof(*out);
}

int op_getxattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_getxattr_in *in = (const void *)w->args;
	char path[12];
	int r = begin(w, node, name[0], path);

	if (r < 0)
		return r;

	ssize_t n = getxattr(path, name[0], w->out, in->size ? OUT_MAX : 0);

	return n < 0 ? -errno : reply_list(w, in->size, (size_t)n);
}

int op_listxattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_getxattr_in *in = (const void *)w->args;
	char path[12];
	int r = begin(w, node, NULL, path);

	if (r < 0)
		return r == -EOPNOTSUPP ? reply_list(w, in->size, 0) : r;

	ssize_t n = listxattr(path, w->out, OUT_MAX);
	size_t kept = 0;

	if (n < 0)
		return -errno;
	/* Names that the guest must not touch, it does not see either. */
	for (size_t at = 0, len; at < (size_t)n; at += len) {
		len = strnlen(w->out + at, (size_t)n - at) + 1;
		if (at + len > (size_t)n)
			break;
		if (name_check_xattr(w->out + at) < 0)
			continue;
		memmove(w->out + kept, w->out + at, len);
		kept += len;
	}
	return reply_list(w, in->size, kept);
}

int op_removexattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	char path[12];
	int r = begin(w, node, name[0], path);

	if (r == 0 && removexattr(path, name[0]) < 0)
		r = -errno;
	return r;
}
