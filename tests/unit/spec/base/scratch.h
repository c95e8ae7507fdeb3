/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* scratch - a directory for one test, and a count of its open files */

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_path[64];
static int scratch_fd = -1;

static inline int scratch_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* Makes <tmp>/root and <tmp>/outside. scratch_fd is the former, scratch_path the <tmp>. */
static inline void scratch_make(void)
{
	char dir[128];

	umask(0);
	snprintf(scratch_path, sizeof(scratch_path), "/tmp/base-test-XXXXXX");
	cr_assert(mkdtemp(scratch_path));
	snprintf(dir, sizeof(dir), "%s/outside", scratch_path);
	cr_assert_eq(mkdir(dir, 0755), 0);
	snprintf(dir, sizeof(dir), "%s/root", scratch_path);
	cr_assert_eq(mkdir(dir, 0755), 0);
	scratch_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(scratch_fd, 0);
}

static inline void scratch_remove(void)
{
	close(scratch_fd);
	nftw(scratch_path, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* Entries below <tmp>/outside: zero unless something escaped. */
static inline int scratch_outside(void)
{
	char dir[128];
	int n = 0;

	snprintf(dir, sizeof(dir), "%s/outside", scratch_path);

	DIR *d = opendir(dir);

	cr_assert(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static inline int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	cr_assert(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
