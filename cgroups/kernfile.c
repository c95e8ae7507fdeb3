/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Single reads and writes of kernel interface files, and waiting for them to
 * change. Nothing here knows what a value means.
 */

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"

ssize_t cg_read(int dir_fd, const char *name, char *buf, size_t size)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf, size - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

int cg_write_text(int dir_fd, const char *name, const char *text)
{
	auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static bool leading_number(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*ret = v;
	return true;
}

bool cg_flat_value(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return leading_number(line + n + 1, ret);
	}
	return false;
}

int cg_read_number(int dir_fd, const char *name, uint64_t *ret)
{
	char text[64];
	ssize_t n = cg_read(dir_fd, name, text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (strncmp(text, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return leading_number(text, ret) ? 0 : -EINVAL;
}

int cg_event(int cg_fd, const char *key)
{
	char text[256];
	uint64_t v;
	ssize_t n = cg_read(cg_fd, "cgroup.events", text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (!cg_flat_value(text, key, &v))
		return -EPROTO;
	return v != 0;
}

int cg_is_frozen(int cg_fd)
{
	return cg_event(cg_fd, "frozen");
}

int cg_is_populated(int cg_fd)
{
	return cg_event(cg_fd, "populated");
}

int64_t cg_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cg_back_off(unsigned *us)
{
	struct timespec t = { .tv_nsec = (long)*us * 1000 };

	nanosleep(&t, NULL);
	*us = *us * 2 > 10000 ? 10000 : *us * 2;
}
