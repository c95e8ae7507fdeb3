/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove - taking directories of the store away
 *
 * A layer disappears in one rename into work/, where nothing looks for it, and is then removed file by
 * file: whoever is killed meanwhile leaves a directory in work/ for the next sweep.
 */
#include "overlay/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_list(int dir_fd, DIR **ret, struct error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open a directory to list it");
	*ret = fdopendir(fd);
	if (*ret)
		return 0;

	int r = error_set(err, errno, "list a directory");

	close(fd);
	return r;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Every name and its NUL. */
static int read_names(DIR *dir, struct buf *b, size_t *ret_n, struct error *err)
{
	for (*ret_n = 0;;) {
		errno = 0;
		struct dirent *e = readdir(dir);

		if (!e)
			return errno ? error_set(err, errno, "list a directory") : 0;
		if (is_dots(e->d_name))
			continue;
		buf_add(b, e->d_name, strlen(e->d_name) + 1);
		(*ret_n)++;
	}
}

int dir_list_read(struct dir_list *ret, int dir_fd, struct error *err)
{
	auto_closedir DIR *dir = NULL;
	struct buf b = BUF_INIT;
	size_t n = 0;
	int r = open_list(dir_fd, &dir, err);

	if (r == 0)
		r = read_names(dir, &b, &n, err);

	char **names = r == 0 ? calloc(n + 1, sizeof(*names)) : NULL;

	if (r == 0 && !names)
		r = error_set(err, ENOMEM, "list a directory");
	if (r < 0) {
		buf_release(&b);
		return r;
	}

	char *p = b.data;

	for (size_t i = 0; i < n; i++) {
		names[i] = p;
		p += strlen(p) + 1;
	}
	qsort(names, n, sizeof(*names), by_name);
	*ret = (struct dir_list){ .names = names, .n = n, .bytes = b.data };
	return 0;
}

void dir_list_release(struct dir_list *list)
{
	free(list->names);
	free(list->bytes);
	*list = (struct dir_list){ 0 };
}

int dir_names(int dir_fd, struct arena *a, char ***ret, size_t *ret_n, struct error *err)
{
	struct dir_list list;
	int r = dir_list_read(&list, dir_fd, err);

	if (r < 0)
		return r;

	char **names = arena_array(a, list.n + 1, sizeof(*names));

	for (size_t i = 0; i < list.n; i++)
		names[i] = arena_strdup(a, list.names[i]);
	*ret = names;
	*ret_n = list.n;
	dir_list_release(&list);
	return 0;
}

static void make_mutable(int fd)
{
	unsigned flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return;
	flags &= ~(unsigned)(FS_IMMUTABLE_FL | FS_APPEND_FL);
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* A container with CAP_LINUX_IMMUTABLE can leave files that even root cannot remove, until their flags are gone. */
static int unlink_at(int dir_fd, const char *name, int flags)
{
	struct stat st;

	if (unlinkat(dir_fd, name, flags) == 0)
		return 0;
	if (errno != EPERM || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	make_mutable(dir_fd);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd >= 0)
			make_mutable(fd);
	}
	return unlinkat(dir_fd, name, flags);
}

/*
 * Depth-first without recursion: an archive decides how deep a tree is, and what somebody put into the
 * store by hand may be deeper. Each directory that is not empty is moved up to the top before it is looked
 * into, so two descriptors are enough for any depth.
 */
static int remove_dir(int top_fd, int parent_fd, const char *name, unsigned *counter, struct error *err)
{
	if (unlink_at(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return error_set(err, errno, "remove the directory %s", name);

	char moved[32];

	do {
		snprintf(moved, sizeof(moved), ".remove-%u", (*counter)++);
		if (rename_new(parent_fd, name, top_fd, moved) == 0)
			return 0;
	} while (errno == EEXIST); /* of a removal that was killed */
	return error_set(err, errno, "move the directory %s away", name);
}

static int empty_dir(int top_fd, int dir_fd, unsigned *counter, struct error *err)
{
	auto_closedir DIR *dir = NULL;
	int r = open_list(dir_fd, &dir, err);

	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (is_dots(e->d_name))
			continue;
		if (unlink_at(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return error_set(err, errno, "remove %s", e->d_name);
		r = remove_dir(top_fd, dirfd(dir), e->d_name, counter, err);
	}
	return r;
}

/* One directory at the top: emptied, its subdirectories moved beside it, gone. */
static int flatten(int top_fd, const char *name, unsigned *counter, struct error *err)
{
	auto_close int fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "open %s to remove it", name);

	int r = empty_dir(top_fd, fd, counter, err);

	if (r == 0 && unlink_at(top_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = error_set(err, errno, "remove the directory %s", name);
	return r;
}

/* Until nothing is left: what flatten() moves up may or may not show in a listing that is open already. */
static int remove_below(int top_fd, struct error *err)
{
	unsigned counter = 0;

	for (bool again = true; again;) {
		auto_closedir DIR *dir = NULL;
		int r = open_list(top_fd, &dir, err);

		again = false;
		for (struct dirent *e; r == 0 && (e = readdir(dir));) {
			if (is_dots(e->d_name))
				continue;
			again = true;
			if (unlink_at(top_fd, e->d_name, 0) == 0 || errno == ENOENT)
				continue;
			if (errno != EISDIR && errno != EPERM)
				return error_set(err, errno, "remove %s", e->d_name);
			r = flatten(top_fd, e->d_name, &counter, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int remove_tree(int dir_fd, const char *name, struct error *err)
{
	if (unlink_at(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_set(err, errno, "remove %s", name);

	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "open %s to remove it", name);

	int r = remove_below(fd, err);

	if (r == 0 && unlink_at(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = error_set(err, errno, "remove the directory %s", name);
	return r;
}

int store_move_away(const struct ovl_store *store, int dir_fd, const char *name, struct error *err)
{
	char gone[NAME_MAX + 1];
	auto_close int work = store_dir(store, "work", err);

	if (work < 0)
		return work;
	snprintf(gone, sizeof(gone), "gone-%llx-%.64s", unique_number(), name);
	if (renameat(dir_fd, name, work, gone) < 0)
		return error_set(err, errno, "move %s to %s/work", name, store->path);
	return 0;
}

/* A record that was not renamed: its writer had the store's lock alone, and so must we. */
static int sweep_record(const struct ovl_store *store, int work, size_t *ret_n, struct error *err)
{
	struct stat st;

	if (fstatat(work, STORE_RECORD, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;

	auto_close int lock = store_lock(store, LOCK_EX, err);

	if (lock < 0)
		return lock;
	if (unlinkat(work, STORE_RECORD, 0) == 0)
		(*ret_n)++;
	return 0;
}

int store_sweep_work(const struct ovl_store *store, size_t *ret_n, struct error *err)
{
	auto_closedir DIR *dir = NULL;
	auto_close int work = store_dir(store, "work", err);
	int r = work < 0 ? work : sweep_record(store, work, ret_n, err);

	if (r == 0)
		r = open_list(work, &dir, err);

	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (is_dots(e->d_name) || !strcmp(e->d_name, STORE_RECORD))
			continue;

		auto_close int fd = openat(work, e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		if (fd < 0 && errno == ENOENT)
			continue;
		r = remove_tree(work, e->d_name, err);
		if (r == 0)
			(*ret_n)++;
	}
	return r;
}
