/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpcopyup: a tmpfs that starts with what the image has at its place
 *
 * The copy is made into the tmpfs while that is still detached, name by name on
 * directory descriptors. Nothing of the image is opened before it is known to
 * be a regular file or a directory: a fifo would block, a device would act.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define MAX_DEPTH 128 /* each level holds two descriptors */
#define CHUNK (1u << 24)
#define XATTR_LIST 4096
#define ENTRIES_SIZE 8192 /* of one read of a directory; MAX_DEPTH of them fit a stack */

static int copy_tree(int from, int to, unsigned depth);

static int copy_bytes(int from, int to)
{
	for (;;) {
		ssize_t n = sendfile(to, from, NULL, CHUNK);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* What tmpfs cannot hold (user.* before Linux 6.6) is left out, as cp -a does. */
static void copy_xattrs(int from, int to)
{
	char names[XATTR_LIST], value[XATTR_LIST];
	ssize_t len = flistxattr(from, names, sizeof(names));

	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t n = fgetxattr(from, names + i, value, sizeof(value));

		if (n >= 0)
			fsetxattr(to, names + i, value, (size_t)n, 0);
	}
}

/* Owner before mode: chown clears set-user-ID. Times last. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	copy_xattrs(from, to);
	return futimens(to, times) < 0 ? -errno : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int to = -1;
	struct stat now;

	if (from < 0 || fstat(from, &now) < 0)
		return -errno;
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return -ESTALE; /* exchanged under our hands */
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;

	int r = copy_bytes(from, to);

	return r < 0 ? r : copy_attributes(from, to, st);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	char target[4096];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	if (n == (ssize_t)sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0 ||
	    fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0)
		return errno == EPERM ? 0 : -errno; /* a device, and we may not make one */
	return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_dir(int from_dir, int to_dir, const char *name, const struct stat *st,
		    unsigned depth)
{
	if (depth == MAX_DEPTH)
		return -ELOOP;
	if (mkdirat(to_dir, name, 0700) < 0)
		return -errno;

	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0 || to < 0)
		return -errno;

	int r = copy_tree(from, to, depth + 1);

	return r < 0 ? r : copy_attributes(from, to, st);
}

static int copy_entry(int from_dir, int to_dir, const char *name, unsigned depth)
{
	struct stat st;

	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(from_dir, to_dir, name, &st);
	case S_IFDIR:
		return copy_dir(from_dir, to_dir, name, &st, depth);
	case S_IFLNK:
		return copy_link(from_dir, to_dir, name, &st);
	default:
		return copy_node(to_dir, name, &st);
	}
}

/* What getdents64(2) fills in; no opendir(), which would allocate. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int copy_tree(int from, int to, unsigned depth)
{
	_Alignas(struct entry) char entries[ENTRIES_SIZE];

	for (;;) {
		long n = syscall(SYS_getdents64, from, entries, sizeof(entries));

		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(entries + at);

			at += e->length;
			if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
				continue;

			int r = copy_entry(from, to, e->name, depth);

			if (r < 0)
				return r;
		}
	}
}

int ns_copy_up(struct ns_plan *plan, struct ns_mount *m, int fd, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &m->place, &rest);
	auto_close int from = path_try(base, *rest ? rest : ".", O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (from == -ENOENT)
		return 0; /* the image has nothing there */
	if (from < 0)
		return error_set(err, -from, "open %s to copy it up", m->place.path);

	/* The mount's own descriptor is O_PATH: attributes need a real one. */
	auto_close int to = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (to < 0 || fstat(from, &st) < 0)
		return error_set(err, errno, "open the new tmpfs for %s", m->place.path);

	int r = copy_tree(from, to, 0);

	/* mode= of the config stays in force; the rest is as it was. */
	if (r == 0 && fchown(to, st.st_uid, st.st_gid) < 0)
		r = -errno;
	return r < 0 ? error_set(err, -r, "copy %s up into its tmpfs", m->place.path) : 0;
}
