/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/dqblk_xfs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/check.h"
#include "overlay/overlay.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443 /* on every architecture; musl 1.2.3 does not have it */
#endif

/* The directory the store is in, or would be: the nearest one there is. */
static int open_nearest(const char *path)
{
	char buf[PATH_MAX];

	snprintf(buf, sizeof(buf), "%s", path);
	for (;;) {
		int fd = open(buf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		char *slash = strrchr(buf, '/');

		if (fd >= 0 || errno != ENOENT || !slash)
			return fd < 0 ? -errno : fd;
		slash[slash == buf] = '\0';
	}
}

static int probe_idmap(const void *arg)
{
	auto_close int user = cli_check_mapped_namespace();
	auto_close int dir = open_nearest(arg);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };

	if (user < 0 || dir < 0)
		return user < 0 ? -user : -dir;

	auto_close int fd = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return errno;
	attr.userns_fd = (uint64_t)user;
	return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? errno : 0;
}

static bool has_quota(const char *store)
{
	struct fs_quota_statv state = { .qs_version = FS_QSTATV_VERSION1 };
	auto_close int fd = open_nearest(store);

	return fd >= 0 && syscall(SYS_quotactl_fd, fd, QCMD(Q_XGETQSTATV, PRJQUOTA), 0, &state) == 0 &&
	       state.qs_flags & FS_QUOTA_PDQ_ENFD;
}

static void check_sizes(struct check *c, const char *store)
{
	static const char name[] = "sandbox sizes";
	bool has_loop = access("/dev/loop-control", R_OK | W_OK) == 0;
	bool has_mkfs = access("/usr/sbin/mkfs.ext4", X_OK) == 0 || access("/sbin/mkfs.ext4", X_OK) == 0;

	if (has_quota(store)) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, name, "project quotas of the file system of %s", store);
		return;
	}
	if (has_loop && has_mkfs) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, name,
			      "images on loop devices: the file system of %s has no project quotas", store);
		return;
	}
	cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, name, "neither project quotas at %s nor %s", store,
		      has_loop ? "mkfs.ext4" : "loop devices");
	cli_check_remedy(c, has_loop ? "install the package e2fsprogs" : "modprobe loop, or mount with prjquota");
}

void cli_check_storage(struct check *c)
{
	const char *store = c->store ?: OVL_STORE_DEFAULT;
	int idmap = cli_check_in_child(probe_idmap, store);

	cli_check_add_errno(c, idmap, CHECK_MISSING, CHECK_OPTIONAL, "idmapped layers",
			    arena_printf(c->arena, "shift the owners at %s", store));
	if (idmap == EINVAL)
		cli_check_remedy(c, "keep the store (--store) on ext4, xfs, btrfs or f2fs");
	check_sizes(c, store);
}
