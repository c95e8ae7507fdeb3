/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creation below a root we do not trust.
 *
 * The kernel resolves what exists. What is missing is made one component at a
 * time, each by a call on the fd of its parent, none of which follows a link.
 * Only a symlink that points to something missing is read by us; its text is
 * walked like the rest of the path, from the root's fd when it is absolute. So
 * whatever a racing enemy puts there, no name is ever resolved from our own root.
 *
 * Modes are subject to the umask, as in mkdir(2).
 */
#include "spec/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define MAX_LINKS 40   /* as the kernel, path_resolution(7) */
#define MAX_RACES 128  /* a name that comes and goes between two calls */
#define DIR_MODE  0755
#define FILE_MODE 0644

struct walk {
	int root_fd;
	int fd;              /* the directory reached; -1: the root */
	mode_t mode;         /* of directories made */
	bool wants_file;     /* the last component is a regular file */
	unsigned links;
	size_t done_len;
	char done[PATH_MAX]; /* where fd is: "" or "/a/b", no links and no ".." in it */
	char rest[PATH_MAX]; /* what remains to be walked */
};

static int at_fd(const struct walk *w)
{
	return w->fd >= 0 ? w->fd : w->root_fd;
}

/* Takes ownership of fd. */
static void step_to(struct walk *w, int fd)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = fd;
}

static int step_up(struct walk *w)
{
	while (w->done_len > 0 && w->done[--w->done_len] != '/')
		;
	w->done[w->done_len] = '\0';
	if (w->done_len == 0) {
		step_to(w, -1);
		return 0;
	}

	/* Not "..": the directory may have been moved since, even out of the root. */
	int fd = path_try(w->root_fd, w->done, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return fd;
	step_to(w, fd);
	return 0;
}

static int step_down(struct walk *w, const char *name, int fd)
{
	size_t n = strlen(name);

	if (w->done_len + 1 + n >= sizeof(w->done)) {
		close(fd);
		return -ENAMETOOLONG;
	}
	w->done[w->done_len++] = '/';
	memcpy(w->done + w->done_len, name, n + 1);
	w->done_len += n;
	step_to(w, fd);
	return 0;
}

/* Puts the text of a symlink before what remains. */
static int splice_link(struct walk *w, int link_fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target));

	if (n < 0)
		return -errno;
	if (++w->links > MAX_LINKS)
		return -ELOOP;

	size_t rest = strlen(w->rest);

	if ((size_t)n + 1 + rest >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n + 1, w->rest, rest + 1);
	memcpy(w->rest, target, (size_t)n);
	w->rest[n] = '/';
	if (rest == 0)
		w->rest[n] = '\0'; /* "link" must not become "target/" */
	if (target[0] == '/') {
		w->done_len = 0;
		w->done[0] = '\0';
		step_to(w, -1);
	}
	return 0;
}

/* Makes name below the reached directory. 0 also when somebody else was faster. */
static int make_one(const struct walk *w, const char *name, bool file)
{
	int r = file ? mknodat(at_fd(w), name, S_IFREG | FILE_MODE, 0)
		     : mkdirat(at_fd(w), name, w->mode);

	return r < 0 && errno != EEXIST ? -errno : 0;
}

/* Opens or makes one component. Returns 1 when it was the file asked for, then w->fd is that. */
static int step(struct walk *w, const char *name, bool is_last)
{
	bool file = is_last && w->wants_file;
	int fd = -1;

	for (int tries = 0; fd < 0; tries++) {
		fd = openat(at_fd(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			break;
		if (errno != ENOENT || tries == MAX_RACES)
			return -errno;

		int r = make_one(w, name, file);

		if (r < 0)
			return r;
	}

	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && S_ISLNK(st.st_mode)) {
		r = splice_link(w, fd);
	} else if (r == 0 && S_ISDIR(st.st_mode)) {
		return file ? (close(fd), -EISDIR) : step_down(w, name, fd);
	} else if (r == 0 && file) {
		step_to(w, fd);
		return 1;
	} else if (r == 0) {
		r = -ENOTDIR;
	}
	close(fd);
	return r;
}

/* Cuts the first component off w->rest. False when nothing is left. */
static bool next_component(struct walk *w, char name[NAME_MAX + 1], int *error, bool *is_last)
{
	const char *begin = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(begin, "/");

	*error = 0;
	if (n == 0)
		return false;
	if (n > NAME_MAX) {
		*error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, begin, n);
	name[n] = '\0';

	const char *after = begin + n + strspn(begin + n, "/");

	*is_last = *after == '\0';
	memmove(w->rest, after, strlen(after) + 1);
	return true;
}

static int walk_all(struct walk *w)
{
	char name[NAME_MAX + 1];
	bool is_last;
	int r = 0;

	while (next_component(w, name, &r, &is_last)) {
		if (strcmp(name, ".") == 0)
			continue;
		r = strcmp(name, "..") == 0 ? step_up(w) : step(w, name, is_last);
		if (r < 0)
			return r;
		if (r == 1)
			return TAKE_FD(w->fd);
	}
	if (r < 0)
		return r;
	if (w->wants_file)
		return -EISDIR;
	if (w->fd < 0) /* every component was ".." or "." */
		return path_try(w->root_fd, "/", O_PATH | O_DIRECTORY);
	return TAKE_FD(w->fd);
}

/* Opens path O_PATH, making what is missing. Returns the fd or -E…. */
static int make_path(int root_fd, const char *path, mode_t mode, bool wants_file)
{
	struct walk w = { .root_fd = root_fd, .fd = -1, .mode = mode, .wants_file = wants_file };
	size_t n = strlen(path);

	if (n >= sizeof(w.rest))
		return -ENAMETOOLONG;
	memcpy(w.rest, path, n + 1);

	int r = walk_all(&w);

	step_to(&w, -1);
	return r;
}

/* Opens a directory, making what is missing. Most often all of it is there: one call. */
static int make_dirs(int root_fd, const char *path, mode_t mode)
{
	int fd = path_try(root_fd, path, O_PATH | O_DIRECTORY);

	return fd == -ENOENT && *path ? make_path(root_fd, path, mode, false) : fd;
}

int path_mkdirs(int root_fd, const char *path, mode_t mode, struct error *err)
{
	int fd = make_dirs(root_fd, path, mode);

	if (fd < 0)
		return error_set(err, -fd, "make directory %s below the container's root", path);
	return fd;
}

static int make_file(int root_fd, const char *given)
{
	char path[PATH_MAX];
	size_t n = strlen(given);

	/* "/etc/hosts/" as a mount point for a file means the file. */
	while (n > 1 && given[n - 1] == '/')
		n--;
	if (n >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, given, n);
	path[n] = '\0';

	auto_close int fd = path_try(root_fd, path, O_PATH);

	if (fd == -ENOENT && *path)
		return make_path(root_fd, path, DIR_MODE, true);
	if (fd < 0)
		return fd;

	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return TAKE_FD(fd);
}

int path_make_target(int root_fd, const char *path, bool dir, struct error *err)
{
	int fd = dir ? make_dirs(root_fd, path, DIR_MODE) : make_file(root_fd, path);

	if (fd < 0)
		return error_set(err, -fd, "make the mount point %s (a %s)", path,
				 dir ? "directory" : "file");
	return fd;
}

int path_parent(int root_fd, const char *path, bool make, char *name, struct error *err)
{
	char parent[PATH_MAX];
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;

	size_t begin = n;

	while (begin > 0 && path[begin - 1] != '/')
		begin--;

	const char *last = path + begin;
	size_t len = n - begin;

	if (len == 0 || (len == 1 && last[0] == '.') ||
	    (len == 2 && last[0] == '.' && last[1] == '.'))
		return error_rule(err, EINVAL, "path \"%s\" does not end in a name", path);
	if (len > NAME_MAX || begin >= sizeof(parent))
		return error_set(err, ENAMETOOLONG, "open the parent of %s", path);

	memcpy(parent, path, begin);
	parent[begin] = '\0';
	if (begin == 0)
		snprintf(parent, sizeof(parent), "/");

	int fd = make ? path_mkdirs(root_fd, parent, DIR_MODE, err)
		      : path_open(root_fd, parent, O_PATH | O_DIRECTORY, err);

	if (fd < 0)
		return fd;
	memcpy(name, last, len);
	name[len] = '\0';
	return fd;
}
