/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"

int file_write_at(int dir_fd, const char *name, const char *text, struct error *err)
{
	auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open %s for writing", name);
	if (write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "write \"%s\" to %s", text, name);
	return 0;
}

ssize_t file_read_at(int dir_fd, const char *name, char *buf, size_t size, struct error *err)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open %s", name);

	size_t used = 0;

	/* A kernel file ends with a zero read; a full buffer may hide a rest. */
	for (;;) {
		ssize_t n = read(fd, buf + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read %s", name);
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == size)
			return error_set(err, EFBIG, "read %s (more than %zu bytes)", name,
					 size - 1);
	}
	buf[used] = '\0';
	return (ssize_t)used;
}

int file_read_fd(int fd, const char *name, size_t max, struct buf *b, struct error *err)
{
	size_t start = b->len;

	for (size_t step = 16384;; step = 65536) {
		char *to = buf_reserve(b, step);
		ssize_t n = read(fd, to, step);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read %s", name);
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (b->len - start > max)
			return error_rule(err, EFBIG, "%s is larger than %zu bytes", name, max);
		if (n == 0)
			return 0;
	}
}

/* O_NONBLOCK: opening a fifo without a writer would wait forever. */
static int open_waitless(int dir_fd, const char *name, struct error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? error_set(err, errno, "open %s", name) : fd;
}

static int check_regular(int fd, const char *name, struct stat *ret, struct error *err)
{
	if (fstat(fd, ret) < 0)
		return error_set(err, errno, "stat %s", name);
	if (S_ISDIR(ret->st_mode))
		return error_set(err, EISDIR, "open %s", name);
	if (!S_ISREG(ret->st_mode))
		return error_rule(err, EINVAL, "%s is not a regular file", name);
	return 0;
}

int file_open_regular(int dir_fd, const char *name, struct error *err)
{
	auto_close int fd = open_waitless(dir_fd, name, err);
	struct stat st;
	int r = fd < 0 ? fd : check_regular(fd, name, &st, err);

	return r < 0 ? r : TAKE_FD(fd);
}

/* What follows the first *n bytes at *text: as much as the file has now, or until its end where it does not say (procfs). */
static int load_rest(int fd, const char *name, size_t size, size_t max, struct arena *a, char **text, size_t *n,
		     struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	char *whole;
	int r = 0;

	if (size > max)
		return error_rule(err, EFBIG, "%s is larger than %zu bytes", name, max);
	if (size <= *n) {
		buf_add(&b, *text, *n);
		r = file_read_fd(fd, name, max, &b, err);
		*text = arena_strndup(a, b.data, b.len);
		*n = b.len;
		return r;
	}
	whole = arena_alloc(a, size + 1);
	memcpy(whole, *text, *n);
	*text = whole;
	while (*n < size) {
		ssize_t got = read(fd, whole + *n, size - *n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, errno, "read %s", name);
		if (got == 0)
			break;
		*n += (size_t)got;
	}
	return 0;
}

int file_load_at(int dir_fd, const char *name, size_t max, struct arena *a, char **ret, size_t *ret_n,
		 struct error *err)
{
	enum { USUAL = 16384 };
	auto_close int fd = open_waitless(dir_fd, name, err);

	if (fd < 0)
		return fd;

	/* A short read of a regular file is its end. What else it may be shows in how it reads. */
	char *text = arena_alloc(a, USUAL + 1);
	ssize_t n = read(fd, text, USUAL);

	struct stat st;
	int code = errno;
	int r = n <= 0 || n == USUAL ? check_regular(fd, name, &st, err) : 0;

	if (r < 0)
		return r;
	if (n < 0)
		return error_set(err, code, "read %s", name);

	size_t len = (size_t)n;

	if (n == USUAL)
		r = load_rest(fd, name, (size_t)st.st_size, max, a, &text, &len, err);
	if (r < 0)
		return r;
	*ret = text;
	*ret_n = len;
	return 0;
}

int file_write_all(int fd, const char *name, const void *data, size_t n, struct error *err)
{
	for (const char *p = data; n > 0;) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return error_set(err, errno, "write %s", name);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/*
 * The directory may be one that others write to (a pid file's): there the name may
 * be a fifo, a link, or a file that somebody holds open. What stands there is ours
 * from a command that was killed, or it is nobody's.
 */
static int create_new(int dir_fd, const char *name, mode_t mode)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags, mode);

	if (fd < 0 && errno == EEXIST && unlinkat(dir_fd, name, 0) == 0)
		fd = openat(dir_fd, name, flags, mode);
	return fd;
}

int file_replace_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n,
		    struct error *err)
{
	char tmp[256];

	if ((size_t)snprintf(tmp, sizeof(tmp), ".%s.tmp", name) >= sizeof(tmp))
		return error_set(err, ENAMETOOLONG, "write %s", name);

	auto_close int fd = create_new(dir_fd, tmp, mode);

	if (fd < 0)
		return error_set(err, errno, "create %s", tmp);

	int r = file_write_all(fd, tmp, data, n, err);

	if (r == 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
		r = error_set(err, errno, "rename %s to %s", tmp, name);
	if (r < 0)
		unlinkat(dir_fd, tmp, 0);
	return r;
}
