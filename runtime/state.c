/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: see state.h for its layout and why each file exists.
 */
#include "runtime/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/group_record.h"
#include "runtime/oom_record.h"
#include "runtime/vm_record.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/proc.h"

#define LOCK_TIMEOUT_MS 10000
#define LOCK_STEP_MS    10
#define ID_MAX          1024

#define STATE_SANDBOX "sandbox"
#define STATE_CGROUP_NEXT ".cgroup.next"

int rt_check_id(const char *id, struct error *err)
{
	size_t n = strlen(id);
	int r = 0;

	if (n == 0)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": the id is empty");
	else if (n > ID_MAX)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": %zu bytes, at most %d are allowed", n, ID_MAX);
	else if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": \"%s\" is a directory reference", id);
	for (const char *p = id; r == 0 && *p; p++)
		if (!isascii((unsigned char)*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("_+-.", *p)))
			r = error_rule(err, EINVAL, TEXT_BAD_ID ": \"%.200s\" (letters, digits and _+-. only)", id);
	return r;
}

/* Who can write here decides what delete kills and removes (CVE-2019-12439 and its class). Takes over fd. */
static int check_root(int fd, const char *path, struct error *err)
{
	auto_close int own = fd;
	struct stat st;

	if (fstat(own, &st) < 0)
		return error_set(err, errno, "stat state directory %s", path);
	/* With the sticky bit others may add names, but not touch ours. */
	if ((st.st_uid == 0 || st.st_uid == geteuid()) && (!(st.st_mode & 022) || st.st_mode & S_ISVTX))
		return TAKE_FD(own);

	int r = error_rule(err, EPERM, "state directory %s can be changed by others (owner %u, mode %04o)",
			   path, st.st_uid, (unsigned)st.st_mode & 07777);

	error_hint(err, "chown root %s; chmod go-w %s", path, path);
	return r;
}

int state_open_root(const struct rt_context *ctx, bool make, struct error *err)
{
	int fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make) {
		char path[PATH_MAX];

		/* Every parent that is missing; EEXIST is what we hope for. */
		snprintf(path, sizeof(path), "%s", ctx->root);
		for (char *p = path + 1; *p; p++)
			if (*p == '/') {
				*p = '\0';
				if (mkdir(path, 0755) < 0 && errno != EEXIST) /* path-ok: host path */
					return error_set(err, errno, "make state directory %s", path);
				*p = '/';
			}
		if (mkdir(path, 0700) < 0 && errno != EEXIST) /* path-ok: host path */
			return error_set(err, errno, "make state directory %s", path);
		fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return error_set(err, errno, "open state directory %s", ctx->root);
	return make ? check_root(TAKE_FD(fd), ctx->root, err) : TAKE_FD(fd);
}

/* A lock that waits with a deadline: flock() itself would wait forever. */
static int lock(int fd, const char *id, struct error *err)
{
	for (int waited = 0;; waited += LOCK_STEP_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return error_set(err, errno, "lock the state of container \"%s\"", id);
		if (waited >= LOCK_TIMEOUT_MS)
			return error_rule(err, ETIMEDOUT,
					  "another command has been working on container \"%s\" for %d seconds",
					  id, LOCK_TIMEOUT_MS / 1000);
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000L }, NULL);
	}
}

int state_reserve(const struct rt_context *ctx, const char *id, struct error *err)
{
	auto_close int root_fd = state_open_root(ctx, true, err);

	if (root_fd < 0)
		return root_fd;
	if (mkdirat(root_fd, id, 0700) < 0) {
		if (errno != EEXIST)
			return error_set(err, errno, "make state directory %s/%s", ctx->root, id);

		int r = error_rule(err, EEXIST, TEXT_EXISTS ": %s", id);

		error_hint(err, "`bulkhead delete --force %.64s` removes the old one", id);
		return r;
	}

	auto_close int fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = error_set(err, errno, "open state directory %s/%s", ctx->root, id);

		unlinkat(root_fd, id, AT_REMOVEDIR);
		return r;
	}
	(void)TAKE_FD(root_fd); /* like the directory itself it ends with the command */
	return TAKE_FD(fd);
}

int state_no_such(const char *id, struct error *err)
{
	return error_rule(err, ENOENT, TEXT_NOT_EXIST ": %s", id);
}

int state_open(const struct rt_context *ctx, const char *id, enum state_access access,
	       struct error *err)
{
	char path[PATH_MAX];
	int r = rt_check_id(id, err);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", ctx->root, id) >= sizeof(path))
		return state_no_such(id, err);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return state_no_such(id, err);
	if (fd < 0)
		return error_set(err, errno, "open state directory %s", path);
	if (access == STATE_LOCKED)
		r = state_lock_again(fd, id, err);
	if (r == 0 && access == STATE_LOCKED)
		group_settle(ctx, fd, id);
	return r < 0 ? r : TAKE_FD(fd);
}

int state_lock_own(int dir_fd, const char *id, struct error *err)
{
	return lock(dir_fd, id, err);
}

bool state_is_there(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && st.st_nlink > 0;
}

int state_lock_again(int dir_fd, const char *id, struct error *err)
{
	struct stat st;
	int r = lock(dir_fd, id, err);

	if (r < 0)
		return r;
	/* While we waited, the holder may have deleted the container. */
	if (fstat(dir_fd, &st) < 0 || st.st_nlink == 0)
		return state_no_such(id, err);
	/* A root with the sticky bit lets anyone make a directory of that name. */
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_rule(err, EPERM, "the state of container \"%s\" belongs to user %u, not to us", id,
				  st.st_uid);
	return 0;
}

void state_unlock(int dir_fd)
{
	flock(dir_fd, LOCK_UN);
}

int state_note_cgroup(int dir_fd, const char *path, struct error *err)
{
	if (symlinkat(path, dir_fd, "cgroup") < 0)
		return error_set(err, errno, "note the cgroup %s in the state directory", path);
	return 0;
}

int state_note_unit(int dir_fd, const char *unit, struct error *err)
{
	if (symlinkat(unit, dir_fd, "unit") < 0)
		return error_set(err, errno, "note the unit %s in the state directory", unit);
	return 0;
}

int state_note_sandbox(int dir_fd, const char *slots, const char *store, struct error *err)
{
	char text[PATH_MAX];

	if ((size_t)snprintf(text, sizeof(text), "%s:%s", slots, store) >= sizeof(text))
		return error_set(err, ENAMETOOLONG, "note the sandbox in %s in the state directory", store);
	if (symlinkat(text, dir_fd, STATE_SANDBOX) < 0)
		return error_set(err, errno, "note the sandbox in %s in the state directory", store);
	return 0;
}

int state_note_other_cgroup(int dir_fd, const char *path, struct error *err)
{
	if ((unlinkat(dir_fd, STATE_CGROUP_NEXT, 0) < 0 && errno != ENOENT) ||
	    symlinkat(path, dir_fd, STATE_CGROUP_NEXT) < 0 ||
	    renameat(dir_fd, STATE_CGROUP_NEXT, dir_fd, "cgroup") < 0)
		return error_set(err, errno, "note the cgroup %s in the state directory", path);
	return 0;
}

static int read_note(int dir_fd, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir_fd, name, buf, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}

int state_noted_cgroup(int dir_fd, char *buf, size_t size)
{
	return read_note(dir_fd, "cgroup", buf, size);
}

int state_noted_unit(int dir_fd, char *buf, size_t size)
{
	return read_note(dir_fd, "unit", buf, size);
}

int state_noted_sandbox(int dir_fd, char *buf, size_t size, struct rt_sandbox *ret)
{
	int r = read_note(dir_fd, STATE_SANDBOX, buf, size);
	char *colon = r == 0 ? strchr(buf, ':') : NULL;

	if (!colon)
		return r < 0 ? r : -EINVAL;
	*colon = '\0';
	*ret = (struct rt_sandbox){ .slots = buf, .store = colon + 1 };
	return 0;
}

void state_drop_note_of_sandbox(int dir_fd)
{
	unlinkat(dir_fd, STATE_SANDBOX, 0);
}

int state_note_config(int dir_fd, const struct spec *spec, struct error *err)
{
	auto_close int fd = openat(dir_fd, "config.json",
				   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(err, errno, "create config.json in the state directory");

	int r = file_write_all(fd, "config.json in the state directory", spec->raw, spec->raw_len, err);

	return r;
}

int state_remove_usual(const struct rt_context *ctx, int dir_fd, const char *id, struct error *err)
{
	char path[PATH_MAX];

	/* state.json goes first of the things that make it look whole, the directory last. */
	if (unlinkat(dir_fd, "state.json", 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove state.json of container \"%s\"", id);

	snprintf(path, sizeof(path), "%s/%s", ctx->root, id);
	unlinkat(dir_fd, "config.json", 0);
	unlinkat(dir_fd, "cgroup", 0);
	return rmdir(path) < 0 && errno != ENOENT; /* path-ok: host path */
}

int state_remove(const struct rt_context *ctx, int dir_fd, const char *id, struct error *err)
{
	static const char *const files[] = { STATE_EXEC_FIFO, STATE_STATUS_FIFO, "config.json",
					     ".state.json.tmp", "cgroup", "unit", STATE_SANDBOX, STATE_CGROUP_NEXT, GROUP_RECORD,
					     "." GROUP_RECORD ".tmp", OOM_RECORD, "." OOM_RECORD ".tmp",
					     STATE_NOTIFY_DIR "/notify.sock", VM_SOCKET, VM_RECORD };
	char path[PATH_MAX];
	int left = state_remove_usual(ctx, dir_fd, id, err);

	if (left <= 0)
		return left;
	snprintf(path, sizeof(path), "%s/%s", ctx->root, id);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(dir_fd, files[i], 0) < 0 && errno != ENOENT && errno != ENOTDIR)
			return error_set(err, errno, "remove %s/%s", path, files[i]);
	if (unlinkat(dir_fd, STATE_NOTIFY_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s/" STATE_NOTIFY_DIR, path);
	if (unlinkat(dir_fd, STATE_ATTENDED, 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s/" STATE_ATTENDED, path);
	if (rmdir(path) < 0 && errno != ENOENT) { /* path-ok: host path */
		int r = error_set(err, errno, "remove state directory %s", path);

		if (-r == ENOTEMPTY)
			error_hint(err, "it holds files this program did not put there");
		return r;
	}
	return 0;
}
