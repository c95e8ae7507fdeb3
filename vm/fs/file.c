/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files: opening, making, and what is done to their data.
 *
 * O_DIRECT in the guest means that its own cache is left out; the host's is used all the same, and so
 * there are no rules of alignment. Access times are the host's: the guest asks for nothing, and a read
 * by the server counts as the mount's options say.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "vm/fs/internal.h"

#define ACCESS(flags) ((flags) & O_ACCMODE)

static enum io_mode mode_of(uint32_t flags)
{
	return ACCESS(flags) == O_RDONLY ? IO_READ : IO_WRITE;
}

static uint32_t open_flags(const struct node *node)
{
	return node->cache == VM_FS_OWNED ? FOPEN_KEEP_CACHE : 0;
}

static int truncate_open(struct vm_fs_worker *w, struct node *node, bool is_killing)
{
	int fd = io_get(w->fs, node, IO_WRITE), r = 0;

	if (fd < 0)
		return fd;
	if (is_killing)
		r = identity_drop_fsetid(w);
	if (r == 0 && ftruncate(fd, 0) < 0)
		r = -errno;
	if (is_killing)
		identity_restore_fsetid(w);
	io_put(w->fs, node);
	return r;
}

/* Says whether the file can be opened like this, and leaves it open. */
static int open_node(struct vm_fs_worker *w, struct node *node, uint32_t flags, uint32_t fuse_flags)
{
	/* Counted first: a descriptor of a file that nobody has open would be closed again by io_put(). */
	io_opened(w->fs, node);

	int r = io_get(w->fs, node, mode_of(flags));

	if (r >= 0) {
		io_put(w->fs, node);
		r = flags & O_TRUNC ? truncate_open(w, node, fuse_flags & FUSE_OPEN_KILL_SUIDGID) : 0;
	}
	if (r < 0)
		io_released(w->fs, node);
	return r;
}

int op_open(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_open_in *in = (const void *)w->args;
	struct fuse_open_out *out = (void *)w->out;

	if (w->fs->options.no_open)
		return -ENOSYS;

	int r = open_node(w, node, in->flags, in->open_flags);

	if (r < 0)
		return r;
	*out = (struct fuse_open_out){ .open_flags = open_flags(node) };
	return sizeof(*out);
}

int op_release(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	io_released(w->fs, node);
	return 0;
}

struct create_out {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/* The node of a file that was made just now through fd, which becomes its data descriptor. */
static int learn_created(struct vm_fs_worker *w, struct node *dir, const char *name, int fd)
{
	struct create_out *out = (void *)w->out;
	auto_close int owned = fd;
	auto_node struct held node = { w->fs, NULL };
	struct stx st;
	auto_close int path_fd = proc_open(w->proc_fd, fd, O_PATH);

	if (path_fd < 0)
		return path_fd;

	int r = attr_stat(path_fd, "", &st);

	if (r == 0)
		r = node_learn(w->fs, dir, name, TAKE_FD(path_fd), &st, &node.node);
	if (r < 0)
		return r;
	if (!w->fs->options.no_open)
		io_opened(w->fs, node.node);
	io_adopt(w->fs, node.node, TAKE_FD(owned));
	attr_entry(w->fs, node.node, &st, &out->entry);
	out->open = (struct fuse_open_out){ .open_flags = open_flags(node.node) };
	return sizeof(*out);
}

/* The name is there already, and the guest did not insist on making it. */
static int create_existing(struct vm_fs_worker *w, struct node *dir, const char *name)
{
	const struct fuse_create_in *in = (const void *)w->args;
	struct create_out *out = (void *)w->out;
	auto_node struct held node = { w->fs, NULL };
	int r = lookup(w->fs, dir, name, &out->entry, &node.node);

	if (r < 0)
		return r;
	/* A link is the guest's to follow: it looks the name up again. */
	if (S_ISLNK(node.node->type))
		r = -EEXIST;
	else if (w->fs->options.no_open)
		r = in->flags & O_TRUNC ? truncate_open(w, node.node, in->open_flags & FUSE_OPEN_KILL_SUIDGID) : 0;
	else
		r = open_node(w, node.node, in->flags, in->open_flags);
	if (r < 0) {
		node_forget(w->fs, out->entry.nodeid, 1);
		return r;
	}
	if (in->flags & O_TRUNC) {
		out->entry.attr.size = 0;
		out->entry.attr_valid = 0;
	}
	out->open = (struct fuse_open_out){ .open_flags = open_flags(node.node) };
	return sizeof(*out);
}

int op_create(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	const struct fuse_create_in *in = (const void *)w->args;
	int dir_fd = node_dir_fd(w->fs, node);
	int r = dir_fd < 0 ? dir_fd : identity_assume(w);

	if (r < 0)
		return r;
	identity_umask(w, in->umask);

	/* Always with O_EXCL: what is there already may be a FIFO or a device, which opening would touch. */
	int fd = openat(dir_fd, name[0], O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
			in->mode & 07777);

	r = fd < 0 ? -errno : 0;
	identity_resume(w);
	if (r == 0)
		return learn_created(w, node, name[0], fd);
	return r == -EEXIST && !(in->flags & O_EXCL) ? create_existing(w, node, name[0]) : r;
}

/* O_TMPFILE: a file without a name, which a LINK may give it one. */
int op_tmpfile(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_create_in *in = (const void *)w->args;
	int dir_fd = node_dir_fd(w->fs, node);
	int r = dir_fd < 0 ? dir_fd : identity_assume(w);

	if (r < 0)
		return r;
	identity_umask(w, in->umask);

	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | (in->flags & O_EXCL), in->mode & 07777);

	r = fd < 0 ? -errno : 0;
	identity_resume(w);
	return r < 0 ? r : learn_created(w, node, NULL, fd);
}

int op_read(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_read_in *in = (const void *)w->args;
	size_t size = in->size < w->room ? in->size : w->room, done = 0;

	if (size > VM_FS_MAX_WRITE || in->offset > INT64_MAX - size)
		return -EINVAL;

	int fd = io_get(w->fs, node, IO_READ);

	if (fd < 0)
		return fd;

	struct iovec *iov = w->iov;
	int n = (int)iov_slice(iov, w->out_iov, w->out_n, sizeof(struct fuse_out_header), size);
	ssize_t r = 0;

	/* To the guest a short read is the end of the file: one for another reason would become zeroes. */
	while (done < size) {
		r = preadv(fd, iov, n, (off_t)(in->offset + done));
		if (r <= 0)
			break;
		done += (size_t)r;
		n = iov_skip(&iov, n, (size_t)r);
	}
	r = r < 0 && done == 0 ? -errno : 0;
	io_put(w->fs, node);
	if (r < 0)
		return (int)r;
	w->is_direct = true;
	w->fs->read_bytes += done;
	return (int)done;
}

/*
 * A writer without CAP_FSETID takes the set-id bits away; the guest says so (FUSE_HANDLE_KILLPRIV_V2).
 * File capabilities go with any write, the host sees to that.
 */
static bool has_set_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || (st.st_mode & (S_ISUID | S_ISGID));
}

static ssize_t write_data(struct vm_fs_worker *w, int fd, const struct fuse_write_in *in)
{
	bool is_append = (in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE) && !w->fs->options.writeback;
	struct iovec *iov = w->iov;
	int n = (int)iov_slice(iov, w->in_iov, w->in_n, sizeof(w->in) + sizeof(*in), in->size);
	size_t done = 0;
	ssize_t r = 0;

	while (done < in->size) {
		r = syscall(SYS_pwritev2, fd, iov, n, in->offset + done, 0ul, is_append ? RWF_APPEND : 0);
		if (r <= 0)
			break;
		done += (size_t)r;
		n = iov_skip(&iov, n, (size_t)r);
	}
	return done > 0 || r == 0 ? (ssize_t)done : -errno;
}

int op_write(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_write_in in = *(const struct fuse_write_in *)(const void *)w->args;
	struct fuse_write_out *out = (void *)w->out;

	if (in.size > VM_FS_MAX_WRITE || in.size > w->in.len - sizeof(w->in) - sizeof(in) ||
	    in.offset > (uint64_t)INT64_MAX - in.size)
		return -EINVAL;

	int fd = io_get(w->fs, node, IO_WRITE);

	if (fd < 0)
		return fd;

	bool is_killing = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) && has_set_id(fd);
	ssize_t r = is_killing ? identity_drop_fsetid(w) : 0;

	if (r == 0)
		r = write_data(w, fd, &in);
	if (is_killing)
		identity_restore_fsetid(w);
	io_put(w->fs, node);
	if (r < 0)
		return (int)r;
	w->fs->written_bytes += (uint64_t)r;
	*out = (struct fuse_write_out){ .size = (uint32_t)r };
	return sizeof(*out);
}

int op_fsync(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_fsync_in *in = (const void *)w->args;
	int fd = io_get(w->fs, node, IO_READ);

	if (fd < 0)
		return fd;

	int r = (in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;

	io_put(w->fs, node);
	return r;
}

int op_syncfs(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	if (w->fs->is_ending)
		return 0;

	int path_fd = node_dir_fd(w->fs, node);

	if (path_fd < 0)
		return path_fd == -EACCES ? 0 : path_fd;

	auto_close int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

/* Of changes that come without a word about set-id bits, those of root keep them. */
static int begin_change(struct vm_fs_worker *w, int fd, bool *ret_killing)
{
	*ret_killing = w->in.uid != 0 && has_set_id(fd);
	return *ret_killing ? identity_drop_fsetid(w) : 0;
}

int op_fallocate(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_fallocate_in *in = (const void *)w->args;

	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EFBIG;

	bool is_killing;
	int fd = io_get(w->fs, node, IO_WRITE);

	if (fd < 0)
		return fd;

	int r = begin_change(w, fd, &is_killing);

	if (r == 0 && fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		r = -errno;
	if (is_killing)
		identity_restore_fsetid(w);
	io_put(w->fs, node);
	return r;
}

/* Only for data and holes, which move nothing that matters: all reads say where. */
int op_lseek(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_lseek_in *in = (const void *)w->args;
	struct fuse_lseek_out *out = (void *)w->out;

	if ((in->whence != SEEK_DATA && in->whence != SEEK_HOLE) || in->offset > INT64_MAX)
		return -EINVAL;

	int fd = io_get(w->fs, node, IO_READ);

	if (fd < 0)
		return fd;

	off_t at = lseek(fd, (off_t)in->offset, (int)in->whence);
	int r = at < 0 ? -errno : (int)sizeof(*out);

	*out = (struct fuse_lseek_out){ .offset = (uint64_t)at };
	io_put(w->fs, node);
	return r;
}

static int copy_range(struct vm_fs_worker *w, int from, int to, const struct fuse_copy_file_range_in *in)
{
	struct fuse_write_out *out = (void *)w->out;
	loff_t off_in = (loff_t)in->off_in, off_out = (loff_t)in->off_out;
	/* The reply counts in 32 bits, and nothing of the guest's should take for ever. */
	size_t len = in->len < 1u << 30 ? (size_t)in->len : 1u << 30;
	bool is_killing;
	ssize_t n = begin_change(w, to, &is_killing);

	if (n == 0) {
		n = syscall(SYS_copy_file_range, from, &off_in, to, &off_out, len, 0u);
		n = n < 0 ? -errno : n;
	}
	if (is_killing)
		identity_restore_fsetid(w);
	if (n < 0)
		return (int)n;
	*out = (struct fuse_write_out){ .size = (uint32_t)n };
	return sizeof(*out);
}

int op_copy_file_range(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_copy_file_range_in *in = (const void *)w->args;
	auto_node struct held to = { w->fs, node_get(w->fs, in->nodeid_out) };

	if (!to.node)
		return -ESTALE;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags)
		return -EINVAL;

	int from_fd = io_get(w->fs, node, IO_READ);

	if (from_fd < 0)
		return from_fd;

	int to_fd = io_get(w->fs, to.node, IO_WRITE), r = to_fd;

	if (to_fd >= 0) {
		r = copy_range(w, from_fd, to_fd, in);
		io_put(w->fs, to.node);
	}
	io_put(w->fs, node);
	return r;
}
