/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Handing a cgroup to a user (config-linux.md, Cgroup ownership): the directory,
 * so that children can be made, and the files the kernel names as safe to give
 * away. Limits stay with the owner of the parent.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What kernels before 4.15 would have listed (config-linux.md). */
static const char default_files[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

int cg_delegate(int cg_fd, uid_t uid, gid_t gid, struct error *err)
{
	char list[CG_FILE_MAX];

	if (cg_read(AT_FDCWD, "/sys/kernel/cgroup/delegate", list, sizeof(list)) <= 0)
		memcpy(list, default_files, sizeof(default_files));

	for (char *name = list; *name;) {
		size_t n = strcspn(name, "\n");
		char *next = name + n + (name[n] == '\n');

		name[n] = '\0';
		/* A file of a controller that is not enabled is not there. */
		if (n && !strchr(name, '/') && fchownat(cg_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return error_set(err, errno, "change the owner of %s to %u", name, uid);
		name = next;
	}
	/* Last: from here on the new owner can make children. */
	if (fchownat(cg_fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return error_set(err, errno, "change the owner of the cgroup to %u", uid);
	return 0;
}
