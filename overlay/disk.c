/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See disk.h.
 */
#include "overlay/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "overlay/mkfs.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/mountapi.h"
#include "spec/base/parse.h"

#define IMAGE "disk.img"
#define IMAGE_NEW "disk.new"
#define LOOP "loop"
#define MOST_TRIES 100
#define BLOCK_BYTES 4096

/* _IOR('X', 125, __u32) of fs/ext4/ext4.h, which no header exports. */
#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_SHUTDOWN_NOW 2u

int disk_make(int dir_fd, uint64_t bytes, uint64_t inodes, enum disk_life life, struct error *err)
{
	if (faccessat(dir_fd, IMAGE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (bytes < DISK_MIN_BYTES)
		return error_rule(err, EINVAL, "a sandbox on a file system without project quota has %u bytes at least",
				  DISK_MIN_BYTES);
	unlinkat(dir_fd, IMAGE_NEW, 0);

	auto_close int fd = openat(dir_fd, IMAGE_NEW, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, errno, "make " IMAGE_NEW);
	if (ftruncate(fd, (off_t)(bytes / BLOCK_BYTES * BLOCK_BYTES)) < 0)
		return error_set(err, errno, "make " IMAGE_NEW " of %llu bytes", (unsigned long long)bytes);

	int r = mkfs_ext4(dir_fd, IMAGE_NEW, inodes, life == DISK_KEEP, err);

	if (r < 0)
		return r;
	if (life == DISK_KEEP && fsync(fd) < 0)
		return error_set(err, errno, "write " IMAGE_NEW " to the disk");
	if (renameat(dir_fd, IMAGE_NEW, dir_fd, IMAGE) < 0)
		return error_set(err, errno, "rename " IMAGE_NEW " to " IMAGE);
	return 0;
}

static int open_device(unsigned number, char path[static 32])
{
	snprintf(path, 32, "/dev/loop%u", number);
	return open(path, O_RDWR | O_CLOEXEC); /* path-ok: the host's /dev */
}

/* The device that the number in the file names, when it has our image. */
static int open_used(int dir_fd, int image_fd, char path[static 32])
{
	char text[32];
	uint32_t number;
	struct loop_info64 info;
	struct stat st;

	if (file_read_at(dir_fd, LOOP, text, sizeof(text), NULL) < 0 || parse_u32(text, &number) < 0)
		return -1;

	auto_close int fd = open_device(number, path);

	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0 || fstat(image_fd, &st) < 0)
		return -1;
	return info.lo_inode == st.st_ino && info.lo_device == st.st_dev ? TAKE_FD(fd) : -1;
}

static int set_up(int device_fd, int image_fd)
{
	struct loop_config config = {
		.fd = (unsigned)image_fd,
		.block_size = BLOCK_BYTES,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};

	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "bulkhead sandbox");
	if (ioctl(device_fd, LOOP_CONFIGURE, &config) == 0)
		return 0;

	/* Not every file system has direct I/O, nor every block size. */
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	config.block_size = 0;
	return ioctl(device_fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

static int write_number(int dir_fd, unsigned number, struct error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return file_replace_at(dir_fd, LOOP, 0600, text, strlen(text), err);
}

/* Others look for a free device as well: the one we were told about may be theirs by now. */
static int open_free(int dir_fd, int image_fd, char path[static 32], struct error *err)
{
	auto_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC); /* path-ok: the host's /dev */

	if (control < 0)
		return error_set(err, errno, "open /dev/loop-control");
	for (unsigned tries = 0; tries < MOST_TRIES; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return error_set(err, errno, "find a free loop device");

		auto_close int fd = open_device((unsigned)number, path);

		if (fd < 0)
			return error_set(err, errno, "open %s", path);

		int r = write_number(dir_fd, (unsigned)number, err);

		if (r < 0)
			return r;
		r = set_up(fd, image_fd);
		if (r == 0)
			return TAKE_FD(fd);
		if (r != -EBUSY)
			return error_set(err, -r, "put " IMAGE " on %s", path);
	}
	return error_rule(err, EBUSY, "%u free loop devices in a row were taken by others", MOST_TRIES);
}

static int mount_device(const char *path, enum disk_life life, struct error *err)
{
	auto_close int fs = fsopen("ext4", FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_set(err, errno, "open the ext4 file system");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) < 0)
		return error_set(err, errno, "set the source of an ext4 mount to %s", path);

	/* What is to be thrown away need not survive a power cut in good order. */
	if (life == DISK_DISCARD) {
		fsconfig(fs, FSCONFIG_SET_FLAG, "nobarrier", NULL, 0);
		fsconfig(fs, FSCONFIG_SET_FLAG, "noauto_da_alloc", NULL, 0);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "mount the image of a sandbox, %s", path);

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	return fd < 0 ? error_set(err, errno, "mount the image of a sandbox, %s", path) : fd;
}

int disk_mount(int dir_fd, enum disk_life life, struct error *err)
{
	char path[32];
	auto_close int image = openat(dir_fd, IMAGE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (image < 0)
		return error_set(err, errno, "open " IMAGE);

	int used = open_used(dir_fd, image, path);
	auto_close int device = used >= 0 ? used : open_free(dir_fd, image, path, err);

	return device < 0 ? device : mount_device(path, life, err);
}

void disk_forget(int fd)
{
	uint32_t how = EXT4_SHUTDOWN_NOW;

	ioctl(fd, EXT4_SHUTDOWN, &how);
}
