/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that must not outlive their command: see attended.h. */
#include "runtime/attended.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/state.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"

#define DIRECTORY	".attended@"
#define LOCK_TRIES	100
#define LOCK_STEP_NS	10000000L

static int open_directory(int root_fd)
{
	return openat(root_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int make_directory(const struct rt_context *ctx, struct error *err)
{
	auto_close int root_fd = state_open_root(ctx, true, err);
	auto_close int fd = root_fd < 0 ? root_fd : open_directory(root_fd);

	if (root_fd < 0)
		return root_fd;
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(root_fd, DIRECTORY, 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "make directory %s/" DIRECTORY, ctx->root);
		fd = open_directory(root_fd);
	}
	return fd < 0 ? error_set(err, errno, "open directory %s/" DIRECTORY, ctx->root) : TAKE_FD(fd);
}

/* A sweep unlinks what it has locked: an entry that nobody can find any more is no entry. */
static bool is_gone(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_nlink == 0;
}

static int delete_left(const struct rt_context *ctx, int root_fd, const char *id, struct error *err)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/" STATE_ATTENDED, id) >= sizeof(path))
		return 0;
	if (faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return rt_delete(ctx, id, RT_DELETE_FORCE, err);
	/* Killed before the mark, or after it was taken away: an empty directory. Another's has files in it. */
	unlinkat(root_fd, id, AT_REMOVEDIR);
	return 0;
}

static void sweep_one(const struct rt_context *ctx, int root_fd, int dir_fd, const char *id)
{
	struct error err = ERROR_INIT;
	auto_close int fd = openat(dir_fd, id, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || is_gone(fd))
		return;
	if (delete_left(ctx, root_fd, id, &err) < 0) {
		char line[1024];

		error_line(&err, line, sizeof(line));
		log_warn(ctx->log, "container \"%s\", whose command is gone, stays: %s", id, line);
		return;
	}
	unlinkat(dir_fd, id, 0);
}

void rt_sweep(const struct rt_context *ctx)
{
	auto_close int root_fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int dir_fd = root_fd < 0 ? -1 : open_directory(root_fd);
	struct stat st;

	/* What a stranger could write is no reason to kill anything. */
	if (dir_fd < 0 || fstat(dir_fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return;

	int listed = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = listed < 0 ? NULL : fdopendir(listed);

	for (struct dirent *e; dir && (e = readdir(dir));)
		if (e->d_name[0] != '.' || rt_check_id(e->d_name, NULL) == 0)
			sweep_one(ctx, root_fd, dir_fd, e->d_name);
}

int attended_begin(const struct rt_context *ctx, const char *id, struct error *err)
{
	auto_close int dir_fd = make_directory(ctx, err);

	if (dir_fd < 0)
		return dir_fd;
	for (int i = 0; i < LOCK_TRIES; i++) {
		auto_close int fd = openat(dir_fd, id, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

		if (fd < 0)
			return error_set(err, errno, "create %s/" DIRECTORY "/%s", ctx->root, id);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (is_gone(fd))
				continue;
			return TAKE_FD(fd);
		}
		if (errno != EWOULDBLOCK)
			return error_set(err, errno, "lock %s/" DIRECTORY "/%s", ctx->root, id);
		/* A sweep holds it for moments; a living command for as long as it lives. */
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_NS }, NULL);
	}
	return error_rule(err, EEXIST, TEXT_EXISTS ": %s", id);
}

int attended_note(int state_dir, struct error *err)
{
	if (mknodat(state_dir, STATE_ATTENDED, S_IFREG | 0600, 0) < 0)
		return error_set(err, errno, "make " STATE_ATTENDED " in the state directory");
	return 0;
}

void attended_end(const struct rt_context *ctx, const char *id, int fd)
{
	char path[PATH_MAX];
	struct stat st;

	if (fd < 0)
		return;
	/* What could not be taken down is for the next sweep to try. */
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", ctx->root, id) < sizeof(path) &&
	    lstat(path, &st) < 0 && /* path-ok: host path */
	    (size_t)snprintf(path, sizeof(path), "%s/" DIRECTORY "/%s", ctx->root, id) < sizeof(path))
		unlink(path); /* path-ok: host path */
	close(fd);
}
