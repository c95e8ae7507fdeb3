/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See quota.h.
 */
#include "overlay/quota.h"

#include <errno.h>
#include <string.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443 /* on every architecture; musl 1.2.3 does not have it */
#endif

/* Ids of people and other programs are small numbers: /etc/projid, Docker and Kubernetes count from 1 or so. */
#define FIRST_PROJECT 0x40000000u
#define MOST_TRIES 1000

static int quotactl(int fd, unsigned cmd, uint32_t id, void *data)
{
	return (int)syscall(SYS_quotactl_fd, fd, QCMD(cmd, PRJQUOTA), id, data);
}

bool quota_is_enforced(int fd)
{
	struct fs_quota_statv state = { .qs_version = FS_QSTATV_VERSION1 };

	return quotactl(fd, Q_XGETQSTATV, 0, &state) == 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD);
}

/* xfs knows no project that has nothing (ENOENT), ext4 one of zeros. */
static int read_project(int fd, uint32_t project, struct if_dqblk *ret, struct error *err)
{
	*ret = (struct if_dqblk){ 0 };
	if (quotactl(fd, Q_GETQUOTA, project, ret) == 0 || errno == ENOENT)
		return 0;
	return error_set(err, errno, "read the quota of the project %u", project);
}

int quota_find_project(int fd, uint32_t *ret, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat the directory of a sandbox");
	for (uint32_t i = 0; i < MOST_TRIES; i++) {
		uint32_t project = FIRST_PROJECT + (((uint32_t)st.st_ino + i) & (FIRST_PROJECT - 1));
		struct if_dqblk q;
		int r = read_project(fd, project, &q, err);

		if (r < 0)
			return r;
		if (q.dqb_bhardlimit || q.dqb_bsoftlimit || q.dqb_ihardlimit || q.dqb_isoftlimit || q.dqb_curspace ||
		    q.dqb_curinodes)
			continue;
		*ret = project;
		return 0;
	}
	return error_rule(err, EBUSY, "%u project ids in a row are taken on the file system of the sandboxes", MOST_TRIES);
}

int quota_set(int fd, uint32_t project, uint64_t max_bytes, uint64_t max_inodes, struct error *err)
{
	struct if_dqblk q = {
		.dqb_bhardlimit = max_bytes / QIF_DQBLKSIZE + (max_bytes % QIF_DQBLKSIZE != 0),
		.dqb_ihardlimit = max_inodes,
		.dqb_valid = QIF_LIMITS,
	};

	if (quotactl(fd, Q_SETQUOTA, project, &q) < 0)
		return error_set(err, errno, "set the quota of the project %u", project);
	return 0;
}

int quota_join(int dir_fd, uint32_t project, struct error *err)
{
	struct fsxattr x;

	if (ioctl(dir_fd, FS_IOC_FSGETXATTR, &x) < 0)
		return error_set(err, errno, "read the project of a directory");
	x.fsx_projid = project;
	x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	if (ioctl(dir_fd, FS_IOC_FSSETXATTR, &x) < 0)
		return error_set(err, errno, "put a directory into the project %u", project);
	return 0;
}

int quota_usage(int fd, uint32_t project, uint64_t *ret_bytes, uint64_t *ret_inodes, struct error *err)
{
	struct if_dqblk q;
	int r = read_project(fd, project, &q, err);

	if (r < 0)
		return r;
	*ret_bytes = q.dqb_curspace;
	*ret_inodes = q.dqb_curinodes;
	return 0;
}
