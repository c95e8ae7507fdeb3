/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/check.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

/* A filesystem of this type, mounted nowhere: gone with its descriptor. */
static int detached(const char *type)
{
	auto_close int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int probe_mount_api(const void *arg)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	auto_close int fd = detached("tmpfs");

	(void)arg;
	if (fd < 0)
		return -fd;
	return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? errno : 0;
}

static int probe_overlay(const void *arg)
{
	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	(void)arg;
	return fs < 0 ? errno : 0;
}

static int write_file(const char *path, const char *text, size_t n)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, n) != (ssize_t)n ? -errno : 0;
}

int cli_check_mapped_namespace(void)
{
	int ready[2], stay[2];
	char path[64], byte = 0;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(stay, O_CLOEXEC) < 0)
		return -errno;

	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(stay[1]);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(stay[0], &byte, 1) != 0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -EPERM;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	int r = write_file(path, "0 100000 1000", 13);

	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	if (r == 0)
		r = write_file(path, "0 100000 1000", 13);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);

	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* In a child: what it leaves open and whom it leaves waiting ends with it. */
static int probe_idmap(const void *arg)
{
	auto_close int user = cli_check_mapped_namespace();
	auto_close int fd = detached(arg);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };

	if (user < 0)
		return -user;
	if (fd < 0)
		return -fd;
	attr.userns_fd = (uint64_t)user;
	return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? errno : 0;
}

void cli_check_mounts(struct check *c)
{
	int overlay = cli_check_in_child(probe_overlay, NULL);
	int idmap = cli_check_in_child(probe_idmap, "tmpfs");

	cli_check_add_errno(c, cli_check_in_child(probe_mount_api, NULL), CHECK_MISSING,
			    CHECK_NEEDED, "mount API", "make a mount by descriptors");
	cli_check_add_errno(c, overlay, CHECK_MISSING, CHECK_OPTIONAL, "overlayfs", "stack layers");
	if (overlay == ENODEV)
		cli_check_remedy(c, "modprobe overlay");
	cli_check_add_errno(c, idmap, CHECK_MISSING, CHECK_OPTIONAL, "idmapped mounts",
			    "shift the owners on a mount (tmpfs)");
	if (idmap == EINVAL)
		cli_check_remedy(
			c, "use Linux 6.3 or newer; older kernels do it for other filesystems");
}
