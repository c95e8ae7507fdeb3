/* SPDX-License-Identifier: Apache-2.0 */

/* mover FROM TO - the least a move of all processes from one cgroup to a new one asks of the kernel. */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

static char list[1 << 20];

static int file(const char *dir, const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC);
}

static int put(const char *dir, const char *name, const char *text, size_t n)
{
	int fd = file(dir, name, O_WRONLY);
	int r = write(fd, text, n) == (ssize_t)n ? 0 : 1;

	close(fd);
	return r;
}

int main(int argc, char **argv)
{
	const char *from = argv[1], *to = argv[argc - 1];
	char events[128] = "";
	int fd, procs, bad = argc != 3 || mkdir(to, 0755);

	bad = bad || put(to, "cgroup.freeze", "1", 1) || put(from, "cgroup.freeze", "1", 1);
	for (fd = file(from, "cgroup.events", O_RDONLY); !bad && !strstr(events, "frozen 1"); sched_yield())
		bad = pread(fd, events, sizeof(events) - 1, 0) <= 0;
	fd = file(from, "cgroup.procs", O_RDONLY);
	procs = file(to, "cgroup.procs", O_WRONLY);
	for (size_t have = 0, n; !bad && (n = (size_t)read(fd, list + have, sizeof(list) - 1 - have)) > 0; have += n)
		;
	for (char *s = list, *end; !bad && (end = strchr(s, '\n')); s = end + 1)
		bad = write(procs, s, (size_t)(end - s)) < 0;
	return bad || put(to, "cgroup.freeze", "0", 1) || rmdir(from);
}
