/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest - the first process of a guest under test: loads the modules and does what the command line says (do=…)
 *
 *	talk     says "online N, memory N KiB", echoes what comes on port 1 until "bye"
 *	fs       the same on the root of the file system "root": reads, writes, finds
 *	panic    ends the first process
 *	spin     all CPUs, for ever
 *	flood    writes to port 2 for ever
 *	reset    boots again
 *
 * Talks on port 1 (/dev/vport0p1 of the console), then switches the machine off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vm/inside.h"

static int channel = -1;

static void say(const char *format, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(line, sizeof(line), format, ap);

	va_end(ap);
	if (write(channel >= 0 ? channel : 2, line, (size_t)n) < 0)
		perror("write");
}

static void word(const char *name, char *ret, size_t size)
{
	char line[2048] = "";
	int fd = open("/proc/cmdline", O_RDONLY);

	ret[0] = 0;
	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		return;
	close(fd);
	char *p = strstr(line, name);

	if (p)
		snprintf(ret, size, "%.*s", (int)strcspn(p + strlen(name), " \n"), p + strlen(name));
}

static void talk(void)
{
	char line[256] = "", text[4096] = "";
	int fd = open("/proc/meminfo", O_RDONLY);
	long total = 0;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "MemTotal: %ld", &total);
	say("online %ld, memory %ld MiB\n", sysconf(_SC_NPROCESSORS_ONLN), total >> 10);
	fd = open("/dev/hwrng", O_RDONLY);
	say("rng %zd\n", fd < 0 ? (ssize_t)-errno : read(fd, line, 64));
	for (;;) {
		ssize_t n = read(channel, line, sizeof(line) - 1);

		if (n <= 0) /* the host's end is gone, in both directions */
			return;
		line[n] = 0;
		say("echo %s", line);
		if (strstr(line, "bye"))
			return;
	}
}

static long count(const char *path)
{
	DIR *d = opendir(path);
	long n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void fs(void)
{
	char line[256] = "";

	mkdir("/mnt", 0755);
	if (mount("root", "/mnt", "virtiofs", 0, "") < 0) {
		say("mount: %s\n", strerror(errno));
		return;
	}
	int fd = open("/mnt/hello", O_RDONLY);

	say("read %zd: %s\n", fd < 0 ? (ssize_t)-errno : read(fd, line, sizeof(line) - 1), line);
	close(fd);
	fd = open("/mnt/written", O_CREAT | O_TRUNC | O_WRONLY, 0640);
	say("wrote %zd\n", fd < 0 ? (ssize_t)-errno : write(fd, "by the guest", 12));
	close(fd);
	/* Another user's from birth, and given to another one. */
	mkdir("/mnt/users", 0777);
	chmod("/mnt/users", 0777);
	if (setegid(1001) < 0 || seteuid(1000) < 0)
		say("seteuid: %s\n", strerror(errno));
	fd = open("/mnt/users/own", O_CREAT | O_WRONLY, 0600);
	say("own %d\n", fd >= 0);
	close(fd);
	if (seteuid(0) < 0 || chown("/mnt/users/own", 1000, 7) < 0)
		say("chown: %s\n", strerror(errno));
	say("entries %ld\n", count("/mnt"));
	if (umount("/mnt") < 0)
		say("umount: %s\n", strerror(errno));
}

int main(void)
{
	char what[32];

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	word("do=", what, sizeof(what));
	load_modules("");
	load_modules("late/");
	if (!strcmp(what, "reset"))
		reboot(RB_AUTOBOOT);
	channel = open_port(1);
	if (!strcmp(what, "talk"))
		talk();
	else if (!strcmp(what, "fs"))
		fs();
	else if (!strcmp(what, "panic"))
		return 3;
	else if (!strcmp(what, "flood")) {
		static char block[32768];
		int fd = open_port(2);

		memset(block, 'x', sizeof(block));
		say("flood %d\n", fd >= 0);
		while (write(fd, block, sizeof(block)) > 0)
			;
	} else if (!strcmp(what, "spin")) {
		say("spin\n");
		if (fork() == 0)
			for (;;)
				;
		for (;;)
			;
	}
	close(channel);
	reboot(RB_POWER_OFF);
	return 1;
}
