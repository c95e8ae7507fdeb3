/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* room - a directory of its own for each test of the overlay room, in /tmp or where OVERLAY_ROOM says */

#include <criterion/criterion.h>
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

__attribute__((unused)) static void room_file(const char *name, const char *text)
{
	int fd = openat(room_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

__attribute__((unused)) static bool room_has(const char *name)
{
	struct stat st;

	return fstatat(room_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
