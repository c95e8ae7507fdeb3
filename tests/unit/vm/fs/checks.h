/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* checks - what the tests of a mounted server say of calls and files; included by whoever needs it. */

#include <criterion/criterion.h>

#include "tests/unit/vm/fs/mounted.h"

/* The configuration at hand, for messages. */
static const char *now;

#define ok(what) cr_expect((what), "%s: %s: %s", now, #what, strerror(errno))
#define must(what) cr_assert((what), "%s: %s: %s", now, #what, strerror(errno))
#define fails(what, code) cr_expect((what) < 0 && errno == (code), "%s: %s: %s", now, #what, strerror(errno))

static inline int make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return close(fd);
}

static inline bool reads(const char *path, const char *text)
{
	char buf[256] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && strcmp(buf, text) == 0;
}
