/* SPDX-License-Identifier: Apache-2.0 */

/*
 * stack - the least that files from layers ask of the kernel
 *
 *	stack mount PLACE LIST   an overlay of the layers that the file LIST has a line for each, topmost first, with an
 *	                         upper and a work directory made and removed in PLACE, is mounted at PLACE/root and unmounted
 *	stack idle PLACE LIST    reads the list, no more: what starting this program takes
 *	stack walk DIR           asks for the attributes of every file below DIR, without leaving its file system
 */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int add(int fs, const char *key, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32];

	/* Descriptors are taken by newer kernels only. */
	if (fd < 0 || !syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, key, NULL, fd))
		return fd < 0 || close(fd);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, name, 0) || close(fd);
}

static char list[1 << 16];

static int read_list(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || read(fd, list, sizeof(list) - 1) <= 0 || close(fd);
}

static int stack(void)
{
	int fs, fd, bad = mkdir("upper", 0755) || mkdir("work", 0755);

	fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	for (char *at = list, *layer; !bad && (layer = strsep(&at, "\n")) && *layer;)
		bad = add(fs, "lowerdir+", layer);
	bad = bad || add(fs, "upperdir", "upper") || add(fs, "workdir", "work") ||
	      syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	bad = bad || syscall(SYS_move_mount, fd, "", AT_FDCWD, "root", MOVE_MOUNT_F_EMPTY_PATH);
	close(fs);
	close(fd);
	bad = bad || umount2("root", MNT_DETACH);
	return bad || rmdir("work/work") || rmdir("work") || rmdir("upper");
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)st, (void)type, (void)at;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || chdir(argv[2]))
		return 2;
	if (!strcmp(argv[1], "walk"))
		return nftw(".", visit, 32, FTW_PHYS | FTW_MOUNT) != 0;
	if (argc == 4 && !read_list(argv[3]) && (!strcmp(argv[1], "idle") || !stack()))
		return 0;
	fprintf(stderr, "stack: %s\n", strerror(errno));
	return 1;
}
