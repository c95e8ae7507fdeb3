/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* room - a directory of its own for each test of the overlay room, in /tmp or where OVERLAY_ROOM says */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/store.h"

static struct error err;
static char room_path[64];
static int room_fd;

__attribute__((unused)) static void room_make(void)
{
	const char *dir = getenv("OVERLAY_ROOM");

	snprintf(room_path, sizeof(room_path), "%s/overlay-unit-XXXXXX", dir ? dir : "/tmp");
	cr_assert_not_null(mkdtemp(room_path));
	room_fd = open(room_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(room_fd, 0);
}

__attribute__((unused)) static void room_remove(void)
{
	close(room_fd);
	cr_expect_eq(remove_tree(AT_FDCWD, room_path, &err), 0, "%s", err.text);
}

__attribute__((unused)) static void put(int fd, const char *name, const char *text)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(file, 0, "%s: %s", name, strerror(errno));
	cr_assert_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
	close(file);
}

__attribute__((unused)) static void room_file(const char *name, const char *text)
{
	put(room_fd, name, text);
}

__attribute__((unused)) static int open_dir(const char *name)
{
	int fd = openat(room_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s", name);
	return fd;
}

__attribute__((unused)) static bool room_has(const char *name)
{
	struct stat st;

	return fstatat(room_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

__attribute__((unused)) static void expect_text(int dir_fd, const char *name, const char *wanted)
{
	char text[32] = "";
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %d", name, errno);
	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_expect_str_eq(text, wanted);
}

__attribute__((unused)) static bool has(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Mounts of the room. */
__attribute__((unused)) static int count_mounts(void)
{
	char line[1024];
	int n = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (fgets(line, sizeof(line), f))
		n += strstr(line, room_path) != NULL;
	fclose(f);
	return n;
}

/* Loop devices that have a file of the room. */
__attribute__((unused)) static int count_loops(void)
{
	char path[64], line[256];
	int n = 0;

	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", i);

		FILE *f = fopen(path, "re");

		if (!f)
			continue;
		n += fgets(line, sizeof(line), f) && strstr(line, room_path);
		fclose(f);
	}
	return n;
}
