/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's root as a mount of its own
 *
 * root.path (or a mount handed in by the runtime) becomes a detached tree that
 * no propagation ties to the host, and is attached over its own directory: hooks
 * that look at root.path from inside the mount namespace see the container's
 * root with all its mounts.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

static int open_plain(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/*
 * Opens root.path, which must be what it says: with a symlink in it, the
 * container that owns the bundle chooses what becomes its root. Of a relative
 * path only the part below the bundle is suspect.
 */
static int open_root_dir(const struct ns_plan *plan, struct error *err)
{
	int fd = open_plain(AT_FDCWD, plan->root_path);

	if (fd < 0 && errno == ELOOP && plan->root_is_relative) {
		/* path-ok: the bundle is the caller's, wherever its path leads */
		auto_close int bundle = openat(AT_FDCWD, plan->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

		fd = bundle < 0 ? -1 : open_plain(bundle, plan->spec->root.path);
	}
	if (fd >= 0)
		return fd;

	int code = errno;

	if (code == ELOOP)
		error_rule(err, code,
			   "root.path %s is not an absolute path, or a symlink: name the "
			   "directory itself",
			   plan->root_path);
	else
		error_set(err, code, "open root.path %s", plan->root_path);
	error_at(err, "/root/path");
	return -code;
}

static int clone_root(struct ns_plan *plan, int dir, struct error *err)
{
	struct mount_attr attr = { .propagation = plan->root_follows_host ? MS_SLAVE : MS_PRIVATE };
	int fd = ns_clone_tree(plan, dir, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr);

	if (fd < 0) {
		fd = error_set(err, errno, "clone the mounts of root.path %s", plan->root_path);
		error_at(err, "/root/path");
	}
	return fd;
}

int ns_open_root(struct ns_plan *plan, struct error *err)
{
	auto_close int dir = open_root_dir(plan, err);

	if (dir < 0)
		return dir;
	plan->root_tree_fd = clone_root(plan, dir, err);
	return plan->root_tree_fd < 0 ? plan->root_tree_fd : 0;
}

/* Walks up from the root's directory to the mount that holds it and makes that one private. */
static int make_holder_private(int dir, struct error *err)
{
	static const struct mount_attr private = { .propagation = MS_PRIVATE };
	auto_close int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int depth = 0; at >= 0 && depth < PATH_MAX / 2; depth++) {
		if (sys_mount_setattr(at, "", AT_EMPTY_PATH, &private) == 0)
			return 0;
		if (errno != EINVAL) /* EINVAL: not the top of a mount */
			break;
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close(at);
		at = up;
	}
	return error_set(err, errno, "make the mount that holds root.path private");
}

/*
 * Volumes that are to follow the host need their mounts to be its slaves; with
 * rootfsPropagation shared they stay its peers, and then nothing of ours may be
 * attached to a mount that is shared with the host.
 */
static int isolate_host_mounts(struct ns_plan *plan, int root_dir, struct error *err)
{
	struct mount_attr attr = { .propagation = MS_SLAVE };

	if (plan->keep_host_peers) {
		plan->host_root_fd = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (plan->host_root_fd < 0)
			return error_set(err, errno, "open /");
		return make_holder_private(root_dir, err);
	}
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr) < 0)
		return error_set(err, errno, "make / a slave of the host's mounts");
	return 0;
}

static int make_mount_private(int fd, struct error *err)
{
	static const struct mount_attr private = { .propagation = MS_PRIVATE };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &private) < 0)
		return error_set(err, errno, "make the root mount private");
	return 0;
}

int ns_mount_root(struct ns_plan *plan, struct error *err)
{
	bool is_given = plan->root_mount_fd >= 0 || plan->root_tree_fd >= 0;
	/* A given tree need not have a directory we can reach: then it covers "/" until the pivot. */
	auto_close int dir = open_root_dir(plan, is_given ? NULL : err);

	if (dir < 0 && !is_given)
		return dir;
	if (!plan->ns[SPEC_NS_MOUNT].listed) {
		plan->root_fd = TAKE_FD(dir);
		return 0;
	}
	plan->covers_slash = dir < 0 || strcmp(plan->root_path, "/") == 0;
	if (dir < 0)
		dir = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, errno, "open /");

	int r = isolate_host_mounts(plan, dir, err);
	int tree = plan->root_mount_fd >= 0 ? plan->root_mount_fd : plan->root_tree_fd;

	if (r == 0 && plan->root_mount_fd >= 0)
		r = make_mount_private(tree, err);
	if (r == 0 && tree < 0)
		tree = r = clone_root(plan, dir, err);
	if (r < 0)
		return r;
	/* A bare root takes it in where it is (bare.c); what has a directory is to be seen there by hooks. */
	if (!(plan->is_bare && is_given) && sys_attach(tree, dir, "") < 0)
		return error_set(err, errno, "mount the root on %s", plan->root_path);
	plan->root_fd = tree;
	(void)TAKE_FD(dir); /* closed by the next execve */
	return 0;
}
