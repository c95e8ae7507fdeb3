/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --no-pivot has to take away
 *
 * Without pivot_root the host's mounts stay in the container's mount namespace,
 * out of sight below the new root. One of them would still do harm unseen: who
 * makes a user namespace in the container may mount a new, unmasked procfs there
 * if the kernel finds any whole one in the mount namespace (mount_too_revealing()
 * in fs/namespace.c). So each procfs and sysfs of the host's is unmounted, or
 * covered where it is locked.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define MOUNTINFO_MAX (4u << 20)
#define READ_CHUNK 65536u

/* All of it, before the /proc that it comes from goes. */
static int read_mountinfo(struct ns_plan *plan, char **ret, struct error *err)
{
	auto_close int fd = openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open /proc/self/mountinfo");
	for (size_t size = READ_CHUNK; size <= MOUNTINFO_MAX; size *= 4) {
		char *text = arena_alloc(plan->arena, size);
		size_t used = 0;
		ssize_t n;

		if (lseek(fd, 0, SEEK_SET) < 0)
			return error_set(err, errno, "rewind /proc/self/mountinfo");
		do {
			n = read(fd, text + used, size - 1 - used);
			used += n > 0 ? (size_t)n : 0;
		} while (n > 0 && used < size - 1);
		if (n < 0)
			return error_set(err, errno, "read /proc/self/mountinfo");
		if (n == 0) {
			*ret = text;
			return 0;
		}
	}
	return error_set(err, EFBIG, "read /proc/self/mountinfo");
}

/* "\040" and the like stand for blanks, tabs, newlines and backslashes (proc_pid_mountinfo(5)). */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
			     s[2] <= '7' && s[3] >= '0' && s[3] <= '7';

		*out++ = octal ? (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')) : *s;
		s += octal ? 3 : 0;
	}
	*out = '\0';
}

/* The mount point of a line about a procfs or sysfs, NULL of any other. Cuts the line up. */
static char *host_procfs_of(char *line)
{
	char *type = strstr(line, " - ");
	char *point = line;

	if (!type || (strncmp(type + 3, "proc ", 5) != 0 && strncmp(type + 3, "sysfs ", 6) != 0))
		return NULL;
	for (int field = 1; field < 5; field++) { /* id parent major:minor root POINT */
		point = strchr(point, ' ');
		if (!point)
			return NULL;
		point++;
	}
	point[strcspn(point, " ")] = '\0';
	unescape(point);
	return point;
}

static int cover(const char *point, struct error *err)
{
	int fd = ns_new_fs("tmpfs",
			   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				   MOUNT_ATTR_NOEXEC,
			   err);

	if (fd < 0)
		return fd;
	/* path-ok: a mount point of the host, as the kernel itself names it */
	if (sys_attach(fd, AT_FDCWD, point) < 0)
		return error_set(err, errno, "cover the host's %s", point);
	return 0;
}

static int drop(const char *point, struct error *err)
{
	/* path-ok: a mount point of the host, as the kernel itself names it */
	if (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	/* EINVAL: locked, as it came from a more privileged user namespace (mount_namespaces(7)). */
	if (errno == EINVAL || errno == EPERM)
		return cover(point, err);
	/* Gone with a mount that held it. */
	return errno == ENOENT ? 0 : error_set(err, errno, "unmount the host's %s", point);
}

int ns_drop_host_procfs(struct ns_plan *plan, struct error *err)
{
	char *text = "", *next;
	int r = read_mountinfo(plan, &text, err);

	for (char *line = text; r == 0 && *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] == '\n');
		line[n] = '\0';

		const char *point = host_procfs_of(line);

		/* A root that covers "/" is not to be found by a path yet: whatever has one is the host's. */
		if (point && (plan->covers_slash || !path_is_below(point, plan->root_path)))
			r = drop(point, err);
	}
	return r;
}
