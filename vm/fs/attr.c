/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: statx(2) to struct fuse_attr and back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "vm/fs/internal.h"

/* "For ever" in seconds; the guest's jiffies clamp it. */
#define A_YEAR (365u * 86400)

int attr_stat(int dir_fd, const char *name, struct stx *ret)
{
	int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

	return syscall(SYS_statx, dir_fd, name, flags, STX_BASIC | STX_BTIME | STX_MNT_ID, ret) < 0 ? -errno : 0;
}

uint64_t attr_valid(const struct node *node)
{
	switch (node->cache) {
	case VM_FS_OWNED:
		return A_YEAR;
	case VM_FS_SHARED:
		return 1;
	default:
		return 0;
	}
}

/* new_encode_dev() of the kernel. */
static uint32_t encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

void attr_fill(const struct node *node, const struct stx *st, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = node->shown_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = (uint64_t)st->stx_atime.tv_sec,
		.mtime = (uint64_t)st->stx_mtime.tv_sec,
		.ctime = (uint64_t)st->stx_ctime.tv_sec,
		.atimensec = st->stx_atime.tv_nsec,
		.mtimensec = st->stx_mtime.tv_nsec,
		.ctimensec = st->stx_ctime.tv_nsec,
		.mode = st->stx_mode,
		.nlink = st->stx_nlink,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.rdev = encode_dev(st->stx_rdev_major, st->stx_rdev_minor),
		.blksize = st->stx_blksize,
		.flags = node->flags & NODE_SUBMOUNT ? FUSE_ATTR_SUBMOUNT : 0,
	};
}

void attr_entry(struct vm_fs *fs, const struct node *node, const struct stx *st, struct fuse_entry_out *ret)
{
	*ret = (struct fuse_entry_out){
		.nodeid = node_id(fs, node),
		.generation = node->generation,
		.entry_valid = attr_valid(node),
		.attr_valid = attr_valid(node),
	};
	attr_fill(node, st, &ret->attr);
}

static int reply_attr(struct vm_fs_worker *w, struct node *node, int fd)
{
	struct fuse_attr_out *out = (void *)w->out;
	struct stx st;
	int r = attr_stat(fd, "", &st);

	if (r < 0)
		return r;
	*out = (struct fuse_attr_out){ .attr_valid = attr_valid(node) };
	attr_fill(node, &st, &out->attr);
	return sizeof(*out);
}

int op_getattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	int fd = node_fd(w->fs, node);

	return fd < 0 ? fd : reply_attr(w, node, fd);
}

static int set_mode(struct vm_fs_worker *w, int fd, uint32_t mode)
{
	char name[12];

	/* fchmodat() takes no AT_EMPTY_PATH before Linux 6.6. */
	proc_name(fd, name);
	return fchmodat(w->proc_fd, name, mode & 07777, 0) < 0 ? -errno : 0;
}

/* Taking the set-id bits away is the kernel's to do, for chown it always does. */
static int set_owner(int fd, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	if (((in->valid & FATTR_UID) && in->uid == (uid_t)-1) || ((in->valid & FATTR_GID) && in->gid == (gid_t)-1))
		return -EINVAL;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_size(struct vm_fs_worker *w, struct node *node, const struct fuse_setattr_in *in)
{
	if (in->size > INT64_MAX)
		return -EFBIG;

	int fd = io_get(w->fs, node, IO_WRITE), r = 0;

	if (fd < 0)
		return fd;

	bool is_killing = in->valid & FATTR_KILL_SUIDGID;

	if (is_killing)
		r = identity_drop_fsetid(w);
	if (r == 0 && ftruncate(fd, (off_t)in->size) < 0)
		r = -errno;
	if (is_killing)
		identity_restore_fsetid(w);
	io_put(w->fs, node);
	return r;
}

static struct timespec set_time(const struct fuse_setattr_in *in, uint32_t set, uint32_t now, uint64_t sec,
				uint32_t nsec)
{
	if (in->valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (in->valid & set)
		return (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec < 1000000000 ? (long)nsec : -1 };
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	struct timespec times[2] = {
		set_time(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		set_time(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	return utimensat(fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* What only the file itself has: its owner first, since changing that takes set-id bits away. */
static int set_owner_and_mode(struct vm_fs_worker *w, int fd, const struct fuse_setattr_in *in)
{
	int r = in->valid & (FATTR_UID | FATTR_GID) ? set_owner(fd, in) : 0;

	return r == 0 && (in->valid & FATTR_MODE) ? set_mode(w, fd, in->mode) : r;
}

/* The node becomes one that can be changed, if it is an orphan (orphan.c). */
static int adopt_orphan(struct vm_fs_worker *w, struct node *node)
{
	int fd = io_get(w->fs, node, IO_WRITE);

	if (fd < 0)
		return fd;
	io_put(w->fs, node);
	return 0;
}

/*
 * FATTR_CTIME (a guest that writes back) cannot be set on any file system, the host's clock does it.
 * FATTR_FH and FATTR_LOCKOWNER change nothing: permission was the guest's matter.
 */
int op_setattr(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_setattr_in *in = (const void *)w->args;
	int fd = node_fd(w->fs, node), r;

	if (fd < 0)
		return fd;
	if (node->flags & NODE_KERNEL)
		return -EACCES;
	r = set_owner_and_mode(w, fd, in);
	if (r == -EEXIST && adopt_orphan(w, node) == 0)
		r = set_owner_and_mode(w, fd, in);
	if (r == 0 && (in->valid & FATTR_SIZE))
		r = set_size(w, node, in);
	if (r == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		r = set_times(fd, in);
	/* A guest that writes back sends the times of what it removed: no reason to copy an orphan, and it has them. */
	if (r == -EEXIST && !(in->valid & (FATTR_UID | FATTR_GID | FATTR_MODE | FATTR_SIZE)))
		r = 0;
	return r < 0 ? r : reply_attr(w, node, fd);
}

static struct wire_statx_time statx_time(const struct stx_time *t)
{
	return (struct wire_statx_time){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

/* Linux 6.6 asks when a program wants the birth time. */
int op_statx(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	struct wire_statx_out *out = (void *)w->out;
	struct stx st;
	struct fuse_attr attr;
	int fd = node_fd(w->fs, node);
	int r = fd < 0 ? fd : attr_stat(fd, "", &st);

	if (r < 0)
		return r;
	attr_fill(node, &st, &attr);
	*out = (struct wire_statx_out){
		.attr_valid = attr_valid(node),
		.stat = {
			.mask = st.stx_mask & (STX_BASIC | STX_BTIME),
			.blksize = st.stx_blksize,
			.attributes = st.stx_attributes & ~(uint64_t)STX_ATTR_MOUNT_ROOT,
			.attributes_mask = st.stx_attributes_mask & ~(uint64_t)STX_ATTR_MOUNT_ROOT,
			.nlink = st.stx_nlink,
			.uid = st.stx_uid,
			.gid = st.stx_gid,
			.mode = st.stx_mode,
			.ino = attr.ino,
			.size = st.stx_size,
			.blocks = st.stx_blocks,
			.atime = statx_time(&st.stx_atime),
			.btime = statx_time(&st.stx_btime),
			.ctime = statx_time(&st.stx_ctime),
			.mtime = statx_time(&st.stx_mtime),
			.rdev_major = st.stx_rdev_major,
			.rdev_minor = st.stx_rdev_minor,
		},
	};
	return sizeof(*out);
}

int op_statfs(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	struct fuse_statfs_out *out = (void *)w->out;
	struct statfs s;
	int fd = node_fd(w->fs, node);

	if (fd < 0)
		return fd;
	if (fstatfs(fd, &s) < 0)
		return -errno;
	*out = (struct fuse_statfs_out){
		.st = {
			.blocks = s.f_blocks,
			.bfree = s.f_bfree,
			.bavail = s.f_bavail,
			.files = s.f_files,
			.ffree = s.f_ffree,
			.bsize = (uint32_t)s.f_bsize,
			.namelen = NAME_LEN,
			.frsize = (uint32_t)(s.f_frsize ? s.f_frsize : s.f_bsize),
		},
	};
	return sizeof(*out);
}
