/* SPDX-License-Identifier: Apache-2.0 */
/* What the process sees of the system: its namespaces and what is in them. */
#include "probe.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int cmd_ns(char **argv)
{
	(void)argv;
	static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char path[64], text[128];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		ssize_t n = readlink(path, text, sizeof(text) - 1);
		if (n > 0) {
			text[n] = 0;
			printf("%s %s\n", kinds[i], text);
		}
	}
	return 0;
}

static int cmd_mounts(char **argv)
{
	(void)argv;
	return print_lines("/proc/self/mountinfo", NULL);
}

static int cmd_sysctl(char **argv)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/sys/%s", arg(argv, 0, ""));
	for (char *c = path + strlen("/proc/sys/"); *c; c++) {
		if (*c == '.')
			*c = '/';
	}
	return print_lines(path, NULL);
}

static int cmd_uname(char **argv)
{
	(void)argv;
	struct utsname u;
	uname(&u);
	printf("hostname %s\ndomainname %s\nrelease %s\nmachine %s\n", u.nodename, u.domainname, u.release,
	       u.machine);
	return 0;
}

static int cmd_clocks(char **argv)
{
	(void)argv;
	struct timespec m, b;
	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_BOOTTIME, &b);
	printf("monotonic %lld\nboottime %lld\n", (long long)m.tv_sec, (long long)b.tv_sec);
	return 0;
}

static int cmd_links(char **argv)
{
	(void)argv;
	/* The interfaces of this network namespace with their IFF_UP bit, by SIOCGIFFLAGS on indexes. */
	for (unsigned i = 1; i < 64; i++) {
		struct {
			char name[16];
			union {
				int index;
				short flags;
				char pad[24];
			};
		} req = { .index = (int)i };
		int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (s >= 0 && ioctl(s, 0x8910 /* SIOCGIFNAME */, &req) == 0 &&
		    ioctl(s, 0x8913 /* SIOCGIFFLAGS */, &req) == 0)
			printf("%s %s\n", req.name, req.flags & 1 ? "up" : "down");
		if (s >= 0)
			close(s);
	}
	return 0;
}

const struct fact facts_of_world[] = {
	{ "ns", cmd_ns },
	{ "mounts", cmd_mounts },
	{ "sysctl", cmd_sysctl },
	{ "uname", cmd_uname },
	{ "clocks", cmd_clocks },
	{ "links", cmd_links },
	{ NULL, NULL },
};
