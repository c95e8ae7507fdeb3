/* SPDX-License-Identifier: Apache-2.0 */
/* Files and mounts, one call each. */
#include "probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int open_flags(const char *text)
{
	static const struct {
		const char *name;
		int flag;
	} names[] = {
		{ "rdwr", O_RDWR },       { "wronly", O_WRONLY }, { "rdonly", O_RDONLY },
		{ "creat", O_CREAT },     { "trunc", O_TRUNC },   { "excl", O_EXCL },
		{ "directory", O_DIRECTORY }, { "nofollow", O_NOFOLLOW }, { "append", O_APPEND },
		{ "nonblock", O_NONBLOCK }, { "noctty", O_NOCTTY }, { "path", O_PATH },
	};
	int flags = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strstr(text, names[i].name))
			flags |= names[i].flag;
	}
	return flags;
}

static int cmd_open(char **argv)
{
	return verdict(open(arg(argv, 0, ""), open_flags(arg(argv, 1, "rdonly")) | O_CLOEXEC, 0644) >= 0);
}

static int cmd_read(char **argv)
{
	int fd = open(arg(argv, 0, ""), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return verdict(false);
	char buf[4096];
	ssize_t n = read(fd, buf, (size_t)number(argv, 1, sizeof(buf)) % (sizeof(buf) + 1));
	if (n < 0)
		return verdict(false);
	fwrite(buf, 1, (size_t)n, stdout);
	return 0;
}

static int cmd_write(char **argv)
{
	const char *text = arg(argv, 1, "");
	int fd = open(arg(argv, 0, ""), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return verdict(false);
	return verdict(write(fd, text, strlen(text)) >= 0);
}

/* probe mknod PATH c|b|p MAJOR MINOR */
static int cmd_mknod(char **argv)
{
	char type = *arg(argv, 1, "c");
	mode_t mode = type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
	dev_t dev = makedev((unsigned)number(argv, 2, 1), (unsigned)number(argv, 3, 3));
	return verdict(mknod(arg(argv, 0, "/tmp/node"), mode | 0666, dev) == 0);
}

static int cmd_stat(char **argv)
{
	struct stat st;
	if (lstat(arg(argv, 0, "/"), &st) < 0)
		return verdict(false);
	const char *type = S_ISDIR(st.st_mode)  ? "directory" :
			   S_ISCHR(st.st_mode)  ? "char" :
			   S_ISBLK(st.st_mode)  ? "block" :
			   S_ISFIFO(st.st_mode) ? "fifo" :
			   S_ISLNK(st.st_mode)  ? "symlink" :
			   S_ISSOCK(st.st_mode) ? "socket" :
						  "file";
	printf("type %s\nmode %04o\nuid %u\ngid %u\nrdev %u:%u\nsize %lld\n", type, st.st_mode & 07777,
	       st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev), (long long)st.st_size);
	char target[PATH_MAX];
	ssize_t n = S_ISLNK(st.st_mode) ? readlink(argv[0], target, sizeof(target) - 1) : -1;
	if (n >= 0)
		printf("target %.*s\n", (int)n, target);
	return 0;
}

static int cmd_statfs(char **argv)
{
	struct statfs fs;
	if (statfs(arg(argv, 0, "/"), &fs) < 0)
		return verdict(false);
	printf("type %lx\nbytes %llu\nflags %lx\n", (unsigned long)fs.f_type,
	       (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize, (unsigned long)fs.f_flags);
	return 0;
}

static int cmd_ls(char **argv)
{
	DIR *d = opendir(arg(argv, 0, "/"));
	if (!d)
		return verdict(false);
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			puts(e->d_name);
	}
	closedir(d);
	return 0;
}

static int cmd_mount(char **argv)
{
	return verdict(mount("none", arg(argv, 0, "/tmp"), arg(argv, 1, "tmpfs"), 0, NULL) == 0);
}

static int cmd_remount_rw(char **argv)
{
	return verdict(mount(NULL, arg(argv, 0, "/"), NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
}

static int cmd_umount(char **argv)
{
	return verdict(umount2(arg(argv, 0, "/proc"), MNT_DETACH) == 0);
}

const struct fact facts_of_file[] = {
	{ "open", cmd_open },
	{ "read", cmd_read },
	{ "write", cmd_write },
	{ "mknod", cmd_mknod },
	{ "stat", cmd_stat },
	{ "statfs", cmd_statfs },
	{ "ls", cmd_ls },
	{ "mount", cmd_mount },
	{ "remount-rw", cmd_remount_rw },
	{ "umount", cmd_umount },
	{ NULL, NULL },
};
