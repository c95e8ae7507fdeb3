/* SPDX-License-Identifier: Apache-2.0 */
/* The last step: the container's root becomes "/", and the host's tree goes. */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

/*
 * pivot_root(2): with "." for both, the old root ends up stacked on the new one
 * at "/", and umount2(".") finds it there. After that "." is the new root.
 */
static int pivot(struct ns_plan *plan, struct error *err)
{
	if (sys_pivot_root(".", ".") < 0) {
		int code = errno;

		error_set(err, code, "pivot_root to %s", plan->root_path);
		if (code == EINVAL)
			error_hint(err, "the host's root may be a ramdisk, which cannot be left: "
					"--no-pivot is for these");
		return -code;
	}
	if (plan->host_root_fd >= 0) {
		struct mount_attr slave = { .propagation = MS_SLAVE };

		/* Peers of the host's mounts would take these along when they are unmounted. */
		if (sys_mount_setattr(plan->host_root_fd, "", AT_EMPTY_PATH | AT_RECURSIVE,
				      &slave) < 0)
			return error_set(err, errno,
					 "make the old root a slave of the host's mounts");
	}
	if (umount2(".", MNT_DETACH) < 0)
		return error_set(err, errno, "unmount the old root");
	return 0;
}

/*
 * For a host that runs from its initial ramdisk: the new root covers the old
 * one, and the host's other mounts stay where they are, below it.
 */
static int cover_root(struct ns_plan *plan, struct error *err)
{
	int r = ns_drop_host_procfs(plan, err);

	if (r < 0)
		return r;
	if (plan->covers_slash) /* a mount cannot be moved onto itself */
		return chroot(".") < 0 ? error_set(err, errno, "chroot to the root") : 0;

	auto_close int slash = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (slash < 0)
		return error_set(err, errno, "open /");
	if (syscall(SYS_move_mount, plan->root_fd, "", slash, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "move the root over /");
	if (chroot(".") < 0)
		return error_set(err, errno, "chroot to the root");
	return 0;
}

int ns_pivot(struct ns_plan *plan, struct error *err)
{
	if (fchdir(plan->root_fd) < 0)
		return error_set(err, errno, "chdir to the root");
	if (!plan->ns[SPEC_NS_MOUNT].listed)
		return chroot(".") < 0 ? error_set(err, errno, "chroot to %s", plan->root_path) : 0;

	int r = plan->no_pivot ? cover_root(plan, err) : pivot(plan, err);

	if (r < 0 || !plan->has_root_prop)
		return r;

	struct mount_attr attr = { .propagation = plan->root_prop.type };

	if (sys_mount_setattr(plan->root_fd, "",
			      AT_EMPTY_PATH | (plan->root_prop.recursive ? AT_RECURSIVE : 0),
			      &attr) < 0)
		return error_set(err, errno, "set rootfsPropagation");
	return 0;
}
