/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See store.h.
 */
#include "overlay/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/fs.h> /* RENAME_NOREPLACE */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/path.h"

#define FORMAT "1\n"
#define LOCK_SECONDS 10

static const char *const dirs[] = { "layers", "images", "refs", "work" };

static int check_owner(const struct ovl_store *store, struct error *err)
{
	struct stat st;

	if (fstat(store->fd, &st) < 0)
		return error_set(err, errno, "stat %s", store->path);
	if (st.st_uid == geteuid() && !(st.st_mode & 022))
		return 0;

	int r = error_rule(err, EPERM, "the layer store %s can be written to by others (mode %04o, owner %u)",
			   store->path, st.st_mode & 07777, st.st_uid);

	error_hint(err, "whoever can change a layer changes every container on it: chown root %s; chmod 700 %s",
		   store->path, store->path);
	return r;
}

static int check_format(const struct ovl_store *store, struct error *err)
{
	char text[32];
	auto_close int fd = openat(store->fd, "format", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		int r = error_set(err, errno, "%s format", fd < 0 ? "open" : "read");

		return error_wrap(err, r, "%s is no layer store", store->path);
	}
	text[n] = '\0';
	if (strcmp(text, FORMAT) != 0)
		return error_rule(err, ENOTSUP, "the layer store %s has format %.*s, this program knows 1",
				  store->path, (int)strcspn(text, "\n"), text);
	return 0;
}

/* Each step can have been done by somebody before us, or by a command that was killed. */
static int furnish(const struct ovl_store *store, struct error *err)
{
	struct stat st;

	if (fstatat(store->fd, "format", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(store->fd, dirs[i], 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "make %s/%s", store->path, dirs[i]);

	auto_close int lock = openat(store->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (lock < 0)
		return error_set(err, errno, "make %s/lock", store->path);

	int r = lock_within(lock, LOCK_EX, LOCK_SECONDS, "the layer store", err);

	return r < 0 ? r : store_put(store, store->fd, "format", FORMAT, strlen(FORMAT), err);
}

static int make_dir(const char *path, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_set(err, errno, "open /");

	auto_close int parent = path_parent(root, path, true, name, err);

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "make the directory %s", path);
	return 0;
}

int ovl_store_open(const char *path, enum ovl_open how, struct ovl_store *ret, struct error *err)
{
	if (path[0] != '/')
		return error_rule(err, EINVAL, "the path of a layer store must be absolute: %s", path);
	if (how == OVL_MAKE) {
		int r = make_dir(path, err);

		if (r < 0)
			return error_wrap(err, r, "cannot make the layer store %s", path);
	}

	/* path-ok: the administrator's own path, no container's */
	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		int r = error_set(err, errno, "open the layer store %s", path);

		if (r == -ENOENT)
			error_hint(err, "`layer import` makes one");
		return r;
	}

	const struct ovl_store store = { .fd = fd, .path = path };
	int r = check_owner(&store, err);

	if (r == 0 && how == OVL_MAKE)
		r = furnish(&store, err);
	if (r == 0)
		r = check_format(&store, err);
	if (r < 0)
		return r;
	*ret = (struct ovl_store){ .fd = TAKE_FD(fd), .path = path };
	return 0;
}

void ovl_store_close(struct ovl_store *store)
{
	auto_closep(&store->fd);
	store->fd = -1;
}

int store_dir(const struct ovl_store *store, const char *name, struct error *err)
{
	int fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_set(err, errno, "open %s/%s", store->path, name) : fd;
}

int lock_within(int fd, int how, unsigned seconds, const char *what, struct error *err)
{
	const unsigned step_ms = 10;

	for (unsigned waited = 0;; waited += step_ms) {
		if (flock(fd, how | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, errno, "lock %s", what);
		if (waited >= seconds * 1000)
			return error_rule(err, EBUSY, "%s is still locked by another command after %u seconds",
					  what, seconds);
		nanosleep(&(struct timespec){ .tv_nsec = step_ms * 1000000L }, NULL);
	}
}

int store_lock(const struct ovl_store *store, int how, struct error *err)
{
	auto_close int fd = openat(store->fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_set(err, errno, "open %s/lock", store->path);

	int r = lock_within(fd, how, LOCK_SECONDS, "the layer store", err);

	return r < 0 ? r : TAKE_FD(fd);
}

unsigned long long unique_number(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec) ^
	       (unsigned long long)getpid() << 44;
}

int rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, RENAME_NOREPLACE);
}

static int write_durably(int dir_fd, const char *name, const void *data, size_t n, struct error *err)
{
	auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(err, errno, "make %s", name);

	int r = file_write_all(fd, name, data, n, err);

	if (r == 0 && fsync(fd) < 0)
		r = error_set(err, errno, "write %s to the disk", name);
	return r;
}

int store_put(const struct ovl_store *store, int dir_fd, const char *name, const void *data, size_t n,
	      struct error *err)
{
	auto_close int work = store_dir(store, "work", err);

	if (work < 0)
		return work;

	int r = write_durably(work, STORE_RECORD, data, n, err);

	if (r == 0 && renameat(work, STORE_RECORD, dir_fd, name) < 0)
		r = error_set(err, errno, "rename %s/work/" STORE_RECORD " to %s", store->path, name);
	if (r < 0) {
		unlinkat(work, STORE_RECORD, 0);
		return r;
	}
	if (fsync(dir_fd) < 0)
		return error_set(err, errno, "write the directory of %s to the disk", name);
	return 0;
}

/* Characters that need no escape in any shell; a dot is one unless it comes first. */
static bool is_plain(const char *text, size_t i)
{
	unsigned char c = (unsigned char)text[i];

	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("_-:@+=,", c) != NULL || (c == '.' && i > 0);
}

int name_escape(const char *text, char ret[static 256], struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; text[i]; i++) {
		bool plain = is_plain(text, i);

		if (n + (plain ? 1 : 3) > NAME_MAX)
			return error_rule(err, ENAMETOOLONG, "the image name \"%.60s…\" is too long", text);
		if (plain)
			ret[n++] = text[i];
		else
			n += (size_t)snprintf(ret + n, 4, "%%%02x", (unsigned char)text[i]);
	}
	ret[n] = '\0';
	return n ? 0 : error_rule(err, EINVAL, "an image name must not be empty");
}
