/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* overlay - an overlayfs over directories of the room, mounted nowhere, as the sandbox's is mounted */

#include <sys/mount.h>

#include "tests/unit/overlay/room.h"

static void set_dir(int fs, const char *key, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", room_path, name);
	cr_assert_eq(fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0), 0, "%s: %s", key, strerror(errno));
}

/* upper and lower2 may be NULL. Its descriptor. */
static int mount_it(const char *upper, const char *lower1, const char *lower2)
{
	int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	cr_assert_geq(fs, 0);
	set_dir(fs, "lowerdir+", lower1);
	if (lower2)
		set_dir(fs, "lowerdir+", lower2);
	if (upper) {
		set_dir(fs, "upperdir", upper);
		set_dir(fs, "workdir", "work");
	}
	fsconfig(fs, FSCONFIG_SET_STRING, "redirect_dir", upper ? "on" : "follow", 0);
	fsconfig(fs, FSCONFIG_SET_STRING, "metacopy", "on", 0);
	cr_assert_eq(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0, "%s", strerror(errno));

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	close(fs);
	return fd;
}
