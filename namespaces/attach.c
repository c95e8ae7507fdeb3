/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a mount goes
 *
 * Two ways. A single name below a descriptor we hold is given to move_mount()
 * as it is: without MOVE_MOUNT_T_SYMLINKS it follows no link, and a directory
 * can only be mounted on a directory. Everything else is resolved by
 * spec/base/path.h, and the resulting descriptor is the target.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0
#endif

#define MOUNT_POINT_MODE 0755

void ns_mount_at(const struct ns_mount *m, struct error *err)
{
	if (m->index >= 0)
		error_at(err, "/mounts/%d", m->index);
}

/* Not when a mount since then landed somewhere through a link: it may cover the parent. */
static const struct ns_mount *exact_parent(const struct ns_plan *plan, const struct ns_place *place)
{
	if (place->parent < 0 || place->parent < plan->newest_linked)
		return NULL;
	const struct ns_mount *m = &plan->mounts[place->parent];

	return m->fd >= 0 ? m : NULL;
}

bool ns_place_is_fresh(const struct ns_plan *plan, const struct ns_place *place)
{
	const struct ns_mount *m = exact_parent(plan, place);

	return m && m->is_fresh;
}

int ns_place_base(const struct ns_plan *plan, const struct ns_place *place, const char **ret_rest)
{
	const struct ns_mount *m = exact_parent(plan, place);

	/*
	 * The inside of a bind mount belongs to the container: an absolute link in
	 * it has to be taken from the container's root.
	 */
	if (m && (m->is_fresh || !*place->rest)) {
		*ret_rest = place->rest;
		return m->fd;
	}
	*ret_rest = place->path + 1;
	return plan->root_fd;
}

int ns_place_dir(const struct ns_plan *plan, const struct ns_place *place, const char **ret_name)
{
	const struct ns_mount *m = exact_parent(plan, place);

	if (!ns_place_is_name(place) || (!m && place->parent >= 0))
		return -1;
	*ret_name = place->rest;
	return m ? m->fd : plan->root_fd;
}

static bool is_in_sysfs(const struct ns_plan *plan, const struct ns_place *place)
{
	return ns_place_is_fresh(plan, place) &&
	       strcmp(plan->mounts[place->parent].type, "sysfs") == 0;
}

static int attach_name(const struct ns_plan *plan, const struct ns_mount *m, int fd, int base,
		       const char *name)
{
	bool is_empty = ns_place_is_fresh(plan, &m->place) &&
			strcmp(plan->mounts[m->place.parent].type, "tmpfs") == 0;

	/* What we just mounted is empty: the name is not there, unless the list made it. */
	if (is_empty && mkdirat(base, name, MOUNT_POINT_MODE) < 0 && errno != EEXIST)
		return -errno;
	if (sys_attach(fd, base, name) == 0)
		return 0;
	if (errno != ENOENT || is_empty)
		return -errno;
	if (mkdirat(base, name, MOUNT_POINT_MODE) < 0)
		return -errno;
	return sys_attach(fd, base, name) < 0 ? -errno : 0;
}

/* The mount point for those that must not be reached through a link (CVE-2023-27561, CVE-2019-19921). */
static int open_real_dir(const struct ns_mount *m, int base, const char *rest, struct error *err)
{
	int fd = path_try_resolve(base, rest, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	if (fd == -ENOENT) {
		/* What is missing may be made; what we get then has to be what we asked for. */
		auto_close int made = path_make_target(base, rest, true, err);

		if (made < 0)
			return made;
		fd = path_try_resolve(base, rest, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	}
	if (fd == -ELOOP || fd == -ENOTDIR)
		return error_rule(err, -fd, "%s must be mounted on ordinary directory: %s is %s",
				  m->type, m->place.path,
				  fd == -ELOOP ? "a symlink, or lies behind one" : "no directory");
	if (fd < 0)
		return error_set(err, -fd, "open the mount point %s", m->place.path);
	return fd;
}

/*
 * A link may have led to a place that the plan's rules did not see. Inside a
 * procfs nothing may be mounted but what check_destination() let pass.
 */
static int check_linked(const struct ns_mount *m, int target, struct error *err)
{
	struct statfs fs;

	if (path_is_below(m->place.path, "/proc"))
		return 0;
	if (fstatfs(target, &fs) < 0)
		return error_set(err, errno, "statfs the mount point %s", m->place.path);
	if (fs.f_type == PROC_SUPER_MAGIC)
		return error_rule(err, EINVAL,
				  "\"%s\" cannot be mounted because it is inside /proc: the "
				  "image has a symlink there",
				  m->place.path);
	return 0;
}

/* dest-nofollow: the name itself, whatever it is. */
static int open_name(const struct ns_mount *m, int base, const char *rest, bool dir,
		     struct error *err)
{
	char name[NAME_MAX + 1];
	auto_close int parent = path_parent(base, rest, true, name, err);

	if (parent < 0)
		return parent;
	if (dir ? mkdirat(parent, name, MOUNT_POINT_MODE) < 0
		: mknodat(parent, name, S_IFREG | 0644, 0) < 0) {
		if (errno != EEXIST)
			return error_set(err, errno, "make the mount point %s", m->place.path);
	}

	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open the mount point %s", m->place.path) : fd;
}

static int open_target(struct ns_plan *plan, const struct ns_mount *m, int base, const char *rest,
		       bool dir, struct error *err)
{
	if (m->real_dir_only)
		return open_real_dir(m, base, rest, err);

	int fd = path_try_resolve(base, rest, O_PATH, RESOLVE_NO_SYMLINKS);

	if (fd >= 0)
		return fd;

	auto_close int target = m->target_nofollow ? open_name(m, base, rest, dir, err)
						   : path_make_target(base, rest, dir, err);

	if (target < 0)
		return target;

	/* Made by us just now, or behind a link? In the second case later places cannot rely on ours. */
	auto_close int plain = path_try_resolve(base, rest, O_PATH, RESOLVE_NO_SYMLINKS);

	if (plain < 0) {
		int r = check_linked(m, target, err);

		if (r < 0)
			return r;
		plan->newest_linked = (int)(m - plan->mounts);
	}
	return TAKE_FD(target);
}

/* Attaches by a single call where the place allows it. -ENOENT and such: it does not. */
static int attach_directly(const struct ns_plan *plan, const struct ns_mount *m, int fd, bool dir)
{
	const char *name;
	int base = ns_place_dir(plan, &m->place, &name);

	/* A file would also fit on a symlink, which is to be followed: only directories. */
	if (!dir)
		return -ENOTDIR;
	if (base >= 0)
		return attach_name(plan, m, fd, base, name);
	/* The directories of our own sysfs are the kernel's: "fs/cgroup" needs no walk. */
	if (is_in_sysfs(plan, &m->place) && *m->place.rest)
		return sys_attach(fd, plan->mounts[m->place.parent].fd, m->place.rest) < 0 ? -errno
											   : 0;
	return -ENOENT;
}

static int attach_carefully(struct ns_plan *plan, const struct ns_mount *m, int fd, bool dir,
			    struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &m->place, &rest);
	/* Left open, like all descriptors of the container's own objects: it goes at execve. */
	int target = *rest ? open_target(plan, m, base, rest, dir, err) : base;

	if (target < 0)
		return target;
	if (sys_attach(fd, target, "") < 0)
		return error_set(err, errno, "mount %s on %s (a %s)",
				 m->source ? m->source : m->type, m->place.path,
				 dir ? "directory" : "file");
	return 0;
}

int ns_attach(struct ns_plan *plan, struct ns_mount *m, int fd, bool dir, struct error *err)
{
	int r = attach_directly(plan, m, fd, dir);

	if (r < 0)
		r = attach_carefully(plan, m, fd, dir, err);
	if (r == 0)
		m->fd = fd;
	return r;
}

/*
 * The kernel makes a mount shared when it lands on a shared one, and leaves it
 * alone otherwise. Conservative: false when in doubt.
 */
bool ns_lands_on_private(const struct ns_plan *plan, const struct ns_mount *m)
{
	if (m->place.parent < 0)
		return true; /* the root is private until the very end */
	if (plan->newest_linked >= 0)
		return false; /* who knows where it lands */

	const struct ns_mount *parent = &plan->mounts[m->place.parent];

	if (parent->copy_link)
		return false;
	if (parent->n_prop > 0)
		return parent->n_prop == 1 && parent->prop[0].type == MS_PRIVATE;
	return (parent->kind != NS_MOUNT_BIND || !plan->keep_host_peers) &&
	       ns_lands_on_private(plan, parent);
}

int ns_propagate(const struct ns_plan *plan, const struct ns_mount *m, int fd, struct error *err)
{
	/* A new filesystem is private from the start. */
	bool is_private = m->kind == NS_MOUNT_FS && ns_lands_on_private(plan, m);

	for (size_t i = 0; i < m->n_prop; i++) {
		struct mount_attr attr = { .propagation = m->prop[i].type };
		unsigned flags = AT_EMPTY_PATH | (m->prop[i].recursive ? AT_RECURSIVE : 0);

		if (is_private && m->prop[i].type == MS_PRIVATE)
			continue;
		is_private = false;
		if (sys_mount_setattr(fd, "", flags, &attr) < 0)
			return error_set(err, errno, "set propagation of %s", m->place.path);
	}
	return 0;
}
