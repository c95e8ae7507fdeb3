/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

#include "spec/base/path.h"

/*
 * Names of cgroups. A path here is relative to the top of the v2 tree, has no
 * leading slash and no ".." in it, and is opened so that the kernel enforces
 * the same: BENEATH, no links, no other file system mounted over a cgroup.
 */

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"

int cg_open_below(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	/* EAGAIN: a rename or mount raced with the walk and the kernel will not swear to BENEATH. */
	do {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : (int)fd;
}

static bool is_component(const char *s, size_t n)
{
	if (n == 0 || n > NAME_MAX)
		return false;
	if (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.')))
		return false;
	return !memchr(s, '\n', n);
}

int cg_path_check(const char *path, struct error *err)
{
	if (strlen(path) >= PATH_MAX)
		return error_rule(err, ENAMETOOLONG, "cgroup path is longer than %d bytes", PATH_MAX - 1);
	for (const char *s = path;; s++) {
		size_t n = strcspn(s, "/");

		if (!is_component(s, n))
			return error_rule(err, EINVAL, "\"%s\" is not a path of a cgroup below the root of "
					  "the tree", path);
		s += n;
		if (!*s)
			return 0;
	}
}

/* The part of /proc/<pid>/cgroup that names the v2 cgroup ("0::/a/b"), cut out in place. */
static char *v2_line(char *text)
{
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');

		if (strncmp(line, "0::/", 4) == 0) {
			if (end)
				*end = '\0';
			return line + 4;
		}
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

int cg_path_of_pid(pid_t pid, char *buf, size_t size, struct error *err)
{
	char name[48] = "/proc/self/cgroup";
	char text[PATH_MAX + 2048];
	static const char deleted[] = " (deleted)";

	if (pid > 0)
		snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);

	ssize_t n = cg_read(AT_FDCWD, name, text, sizeof(text));

	if (n == -ENOENT)
		n = -ESRCH;
	if (n < 0)
		return error_set(err, (int)-n, "read %s", name);

	const char *path = v2_line(text);

	if (!path)
		return error_rule(err, ENOTSUP, "%s names no cgroup v2 path", name);

	size_t len = strlen(path);

	if (len >= sizeof(deleted) - 1 && strcmp(path + len - (sizeof(deleted) - 1), deleted) == 0)
		return error_rule(err, ENOENT, "the cgroup of process %d has been removed", pid);
	if (len >= size)
		return error_set(err, ENAMETOOLONG, "read %s", name);
	memcpy(buf, path, len + 1);
	return 0;
}

/* Parent of our own cgroup without slashes at the ends, "" for the top. */
static int own_parent(char *buf, size_t size, struct error *err)
{
	int r = cg_path_of_pid(0, buf, size, err);

	if (r < 0)
		return r;

	/* A path that starts with ".." lies outside this cgroup namespace: only the top is ours to name. */
	char *slash = strncmp(buf, "..", 2) == 0 ? NULL : strrchr(buf, '/');

	if (slash)
		*slash = '\0';
	else
		buf[0] = '\0';
	return 0;
}

int cg_container_path(const struct cg_host *host, const char *spec_path, const char *id, char *buf,
		      size_t size, struct error *err)
{
	char clean[PATH_MAX];
	char parent[PATH_MAX] = "";

	(void)host;
	if (spec_path && !*spec_path)
		spec_path = NULL;

	/* Cleaned as if absolute, so ".." stops at the place the path starts from. */
	if (path_clean(spec_path ? spec_path : id, clean, sizeof(clean)) < 0) {
		error_rule(err, ENAMETOOLONG, "cgroup path is longer than %d bytes", PATH_MAX - 1);
		error_at(err, "/linux/cgroupsPath");
		return -ENAMETOOLONG;
	}

	if (!spec_path || spec_path[0] != '/') {
		int r = own_parent(parent, sizeof(parent), err);

		if (r < 0)
			return error_wrap(err, r, "cannot place the container beside its creator");
	}

	const char *name = clean[0] == '/' ? clean + 1 : clean;

	if (!*name) {
		error_rule(err, EINVAL, "cgroupsPath \"%s\" is the root of the tree, which cannot hold a "
			   "container", spec_path ? spec_path : id);
		error_at(err, "/linux/cgroupsPath");
		return -EINVAL;
	}
	if ((size_t)snprintf(buf, size, "%s%s%s", parent, *parent ? "/" : "", name) >= size)
		return error_set(err, ENAMETOOLONG, "build the cgroup path %s/%s", parent, name);

	int r = cg_path_check(buf, err);

	if (r < 0)
		error_at(err, "/linux/cgroupsPath");
	return r;
}

int cg_open(const struct cg_host *host, const char *path, struct error *err)
{
	int r = cg_path_check(path, err);

	if (r < 0)
		return r;
	r = cg_open_below(host->root_fd, path, O_RDONLY | O_DIRECTORY);
	return r < 0 ? error_set(err, -r, "open cgroup /%s", path) : r;
}
