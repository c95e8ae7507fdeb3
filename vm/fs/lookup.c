/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name in a directory to a node.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "vm/fs/internal.h"

/*
 * A name that led to a node before most often still does: then there is nothing to open. The guest's kernel asks again
 * whenever something is to be made that it knows to be there (LOOKUP_EXCL), as tar does with each directory of a path.
 */
static struct node *lookup_known(struct vm_fs *fs, struct node *parent, int dir_fd, const char *name, struct stx *st)
{
	auto_node struct held node = { fs, name_find(fs, parent, name) };

	if (!node.node || attr_stat(dir_fd, name, st) < 0 || !node_relearn(fs, node.node, st))
		return NULL;
	return TAKE_PTR(node.node);
}

static int lookup_new(struct vm_fs *fs, struct node *parent, int dir_fd, const char *name, struct stx *st,
		      struct node **ret)
{
	/* One component, and not through a link: there is nothing for openat2() to resolve. */
	auto_close int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;

	int r = attr_stat(fd, "", st);

	return r < 0 ? r : node_learn(fs, parent, name, TAKE_FD(fd), st, ret);
}

int lookup(struct vm_fs *fs, struct node *parent, const char *name, struct fuse_entry_out *ret,
	   struct node **ret_node)
{
	int dir_fd = node_dir_fd(fs, parent), r = 0;
	struct stx st;

	if (dir_fd < 0)
		return dir_fd;

	auto_node struct held node = { fs, lookup_known(fs, parent, dir_fd, name, &st) };

	if (!node.node)
		r = lookup_new(fs, parent, dir_fd, name, &st, &node.node);
	if (r < 0)
		return r;
	attr_entry(fs, node.node, &st, ret);
	if (ret_node)
		*ret_node = TAKE_PTR(node.node);
	return 0;
}

int op_lookup(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	struct fuse_entry_out *out = (void *)w->out;
	int r;

	/* Nothing is on a file system of the kernel's, see internal.h. */
	if (S_ISDIR(node->type) && (node->flags & NODE_KERNEL))
		r = -ENOENT;
	else
		r = lookup(w->fs, node, name[0], out, NULL);
	/* Node id 0: there is no such name, and that may be remembered, too. */
	if (r == -ENOENT && attr_valid(node) > 0) {
		*out = (struct fuse_entry_out){ .entry_valid = attr_valid(node) };
		r = 0;
	}
	return r < 0 ? r : (int)sizeof(*out);
}

int op_readlink(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	int fd = node_fd(w->fs, node);

	if (fd < 0)
		return fd;
	if (!S_ISLNK(node->type))
		return -EINVAL;
	if (node->flags & NODE_KERNEL)
		return -EACCES;

	size_t size = w->room < OUT_MAX ? w->room : OUT_MAX;
	ssize_t n = readlinkat(fd, "", w->out, size);

	if (n < 0)
		return -errno;
	/* All of the room may be less than all of the link, unless no link is longer. */
	return (size_t)n == size && size < PATH_MAX - 1 ? -ENAMETOOLONG : (int)n;
}
