/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of a lower layer whose name is gone while the guest still has it open. overlayfs copies a file up to its name,
 * and where that is gone there is what hides it: opening for writing and changing attributes fail with EEXIST. A program
 * of the host's never meets that, since opening for writing was what copied the file up; ours are opened when data
 * comes. So the copy is made here, to a file without a name on the same file system, which takes the node over.
 * Extended attributes are not copied: nobody can execute or find the file any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "vm/fs/internal.h"

#define PART (32u << 10)

static int copy_data(int from, int to)
{
	char part[PART];

	for (off_t at = 0;;) {
		struct iovec iov = { part, sizeof(part) };
		ssize_t n = preadv(from, &iov, 1, at);

		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (iov.iov_len = (size_t)n; iov.iov_len > 0;) {
			ssize_t done = pwritev(to, &iov, 1, at);

			if (done < 0)
				return -errno;
			at += done;
			iov.iov_base = (char *)iov.iov_base + done;
			iov.iov_len -= (size_t)done;
		}
	}
}

static int copy_attributes(struct vm_fs *fs, const struct stx *st, int to)
{
	const struct timespec times[2] = {
		{ .tv_sec = (time_t)st->stx_atime.tv_sec, .tv_nsec = st->stx_atime.tv_nsec },
		{ .tv_sec = (time_t)st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec },
	};
	char number[12];

	proc_name(to, number);
	if (fchownat(to, "", st->stx_uid, st->stx_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(fs->proc_fd, number, st->stx_mode & 07777, 0) < 0 ||
	    utimensat(to, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

int orphan_open(struct vm_fs *fs, struct node *node)
{
	struct stx st;
	int r = attr_stat(node->fd, "", &st);

	if (r < 0)
		return r;
	/* With another name it is no orphan, and what is written should be seen there. */
	if (!S_ISREG(st.stx_mode) || st.stx_nlink > 1)
		return -EEXIST;

	auto_close int from = proc_open(fs->proc_fd, node->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	auto_close int to = openat(fs->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (from < 0 || to < 0)
		return -EEXIST; /* a root without O_TMPFILE, before Linux 6.1: what it was */
	r = copy_data(from, to);
	if (r == 0)
		r = copy_attributes(fs, &st, to);

	auto_close int path_fd = r < 0 ? r : proc_open(fs->proc_fd, to, O_PATH);

	if (path_fd < 0)
		return path_fd;
	/* The number stays, as everybody who has the node knows it. */
	return dup3(path_fd, node->fd, O_CLOEXEC) < 0 ? -errno : TAKE_FD(to);
}
