/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cache.h.
 */
#include "vm/kernel/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/path.h"

int cache_open(const char *path, struct cache *ret, struct error *err)
{
	struct stat st;

	ret->dir_fd = -1;
	if (!path)
		return 0;

	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int made = path_mkdirs(root, path, 0755, NULL);

	if (made < 0) /* a read-only system: nothing is kept */
		return 0;

	auto_close int dir = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fstat(dir, &st) < 0)
		return error_set(err, errno, "open the cache %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return error_rule(err, EPERM, "the cache %s is not ours alone to write to", path);
	ret->dir_fd = TAKE_FD(dir);
	return 0;
}

void cache_close(struct cache *c)
{
	auto_closep(&c->dir_fd);
	c->dir_fd = -1;
}

void cache_key(const struct stat *st, const char *kind, char ret[static NAME_MAX + 1])
{
	snprintf(ret, NAME_MAX + 1, "%s-%llx-%llx-%llx-%llx.%lx-%llx.%lx", kind,
		 (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		 (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
		 (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec,
		 (unsigned long)st->st_ctim.tv_nsec);
}

int cache_find(const struct cache *c, const char *name)
{
	if (c->dir_fd < 0)
		return -ENOENT;

	int fd = openat(c->dir_fd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cache_new(const struct cache *c, struct error *err)
{
	int fd = -1;

	if (c->dir_fd >= 0)
		fd = openat(c->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	return fd < 0 ? error_set(err, errno, "create a file in memory") : fd;
}

void cache_link(const struct cache *c, const char *name, const char *key)
{
	if (c->dir_fd < 0)
		return;
	/* A link of this name is to the same content, or dangles. */
	if (symlinkat(name, c->dir_fd, key) < 0 && errno == EEXIST &&
	    faccessat(c->dir_fd, key, F_OK, 0) < 0 && unlinkat(c->dir_fd, key, 0) == 0 &&
	    symlinkat(name, c->dir_fd, key) < 0)
		return;
}

void cache_keep(const struct cache *c, int fd, const char *name, const char *key)
{
	char self[64];

	/* Whole on the disk before it has a name: the machine may stop at any time. */
	if (c->dir_fd < 0 || fdatasync(fd) < 0)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, c->dir_fd, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return;
	cache_link(c, name, key);
}
