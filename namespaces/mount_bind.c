/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bind mounts and remounts
 *
 * A bind is a detached clone of its source that gets its attributes before
 * anyone can see it, and is attached last. mount_setattr() changes only the
 * attributes that are named, so what a locked or careful host mount has besides
 * (nosuid, noexec) stays, and what the config asks for is set or refused, never
 * dropped.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0
#endif

static void hint_locked(int code, const struct ns_attr *attr, struct error *err)
{
	if (code == EPERM && attr->clear)
		error_hint(err,
			   "the mount comes from outside of this user namespace, which locks its "
			   "flags: they can be added to, not cleared or exchanged");
}

int ns_set_attr(int fd, unsigned flags, const struct ns_attr *attr, const char *path,
		struct error *err)
{
	struct mount_attr a = { .attr_set = attr->set, .attr_clr = attr->clear };
	bool recursive = flags & AT_RECURSIVE;

	if (sys_mount_setattr(fd, "", flags | AT_EMPTY_PATH, &a) == 0)
		return 0;

	int code = errno;

	error_set(err, code, "set%s attributes of %s (set 0x%llx, clear 0x%llx)",
		  recursive ? " recursive" : "", path, (unsigned long long)attr->set,
		  (unsigned long long)attr->clear);
	hint_locked(code, attr, err);
	if (code == ENOSYS)
		error_hint(err, "mount_setattr(2) is needed: Linux 5.12 or newer");
	return -code;
}

int ns_clone_tree(struct ns_plan *plan, int dir, const char *name, unsigned flags,
		  const struct mount_attr *attr)
{
	if (!plan->no_tree_attr) {
		int fd = sys_open_tree_attr(dir, name, flags, attr);

		if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
			return fd;
		/* EPERM: a seccomp profile around us may know the call as little as an old kernel. */
		plan->no_tree_attr = true;
	}

	auto_close int fd = sys_open_tree(dir, name, flags);

	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH | (flags & AT_RECURSIVE), attr) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int idmap_tree(const struct ns_mount *m, int fd, int userns_fd, struct error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd };
	unsigned flags = AT_EMPTY_PATH | (m->idmap == NS_IDMAP_TREE ? AT_RECURSIVE : 0);

	if (sys_mount_setattr(fd, "", flags, &attr) == 0)
		return 0;

	int code = errno;

	error_set(err, code, "map the ids of %s for %s", m->source, m->place.path);
	if (code == EINVAL)
		error_hint(
			err,
			"the filesystem of %s does not support id-mapped mounts, or is id-mapped "
			"already",
			m->source);
	else if (code == EPERM)
		error_hint(err, "only root on the host may make id-mapped mounts");
	return -code;
}

/* Only what is cloned can be cut off early: the whole tree, or its single mount. */
static bool is_early_private(const struct ns_plan *plan, const struct ns_mount *m)
{
	return m->n_prop == 1 && m->prop[0].type == MS_PRIVATE &&
	       (m->prop[0].recursive || !m->recursive) && ns_lands_on_private(plan, m);
}

static int clone_source(struct ns_plan *plan, const struct ns_mount *m, struct error *err)
{
	unsigned flags = m->recursive ? AT_RECURSIVE : 0;
	const char *path = m->extra ? "" : m->source;
	int dir = m->extra ? m->extra->source_fd : AT_FDCWD;
	struct mount_attr attr = { 0 };
	bool early = false;

	if (m->extra)
		flags |= AT_EMPTY_PATH;
	if (m->source_nofollow)
		flags |= AT_SYMLINK_NOFOLLOW;
	if (is_early_private(plan, m)) {
		attr.propagation = MS_PRIVATE;
		early = true;
	}
	if (!m->recursive) { /* with AT_RECURSIVE the attributes would be recursive as well */
		attr.attr_set = m->attr.set;
		attr.attr_clr = m->attr.clear;
		early |= (attr.attr_set | attr.attr_clr) != 0;
	}

	int fd = early ? ns_clone_tree(plan, dir, path, flags, &attr)
		       : sys_open_tree(dir, path, flags);

	if (fd < 0) {
		int code = errno;

		error_set(err, code, "open bind source %s for %s",
			  m->source ? m->source : "(a descriptor)", m->place.path);
		hint_locked(code, &m->attr, err);
		return -code;
	}
	return fd;
}

int ns_bind_source(struct ns_plan *plan, struct ns_mount *m, int userns_fd, struct error *err)
{
	auto_close int fd = clone_source(plan, m, err);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && m->recursive && (m->attr.set | m->attr.clear))
		r = ns_set_attr(fd, 0, &m->attr, m->place.path, err);
	if (r == 0 && (m->rec_attr.set | m->rec_attr.clear))
		r = ns_set_attr(fd, AT_RECURSIVE, &m->rec_attr, m->place.path, err);
	if (r == 0 && m->idmap != NS_IDMAP_NONE)
		r = idmap_tree(m, fd, userns_fd, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int ns_bind_sources(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		struct ns_mount *m = &plan->mounts[i];

		if (m->kind != NS_MOUNT_BIND || m->tree_fd >= 0 || m->link)
			continue;
		m->tree_fd = ns_bind_source(plan, m, -1, err);
		if (m->tree_fd < 0) {
			ns_mount_at(m, err);
			return m->tree_fd;
		}
	}
	return 0;
}

/* On /proc itself only a procfs may be bound, and the whole of it. */
static int check_is_procfs(const struct ns_mount *m, int fd, struct error *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return error_set(err, errno, "statfs %s", m->source);
	if (fs.f_type != PROC_SUPER_MAGIC)
		return error_rule(err, EINVAL,
				  "\"/proc\" can only hold a procfs: %s, to be mounted at or "
				  "inside /proc, is none",
				  m->source);
	return 0;
}

/* copy-symlink: the source was a link, and the container gets the same one. */
static int make_link(struct ns_plan *plan, const struct ns_mount *m, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &m->place, &rest);
	char name[NAME_MAX + 1], there[PATH_MAX];
	auto_close int dir = path_parent(base, rest, true, name, err);

	if (dir < 0)
		return dir;
	if (symlinkat(m->link, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return error_set(err, errno, "symlink %s to %s", m->place.path, m->link);

	ssize_t n = readlinkat(dir, name, there, sizeof(there));

	if (n != (ssize_t)strlen(m->link) || memcmp(there, m->link, (size_t)n) != 0)
		return error_rule(err, EEXIST, "%s exists and is not the link to %s that %s is",
				  m->place.path, m->link, m->source);
	return 0;
}

int ns_mount_bind(struct ns_plan *plan, struct ns_mount *m, struct error *err)
{
	if (m->link)
		return make_link(plan, m, err);

	/* Whether cloned early by the parent or here, it is attached or the container is not made. */
	int fd = m->tree_fd >= 0 ? m->tree_fd : ns_bind_source(plan, m, -1, err);
	struct stat st;

	if (fd < 0)
		return fd;
	m->tree_fd = -1;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat bind source %s", m->source);
	if (strcmp(m->place.path, "/proc") == 0) {
		int r = check_is_procfs(m, fd, err);

		if (r < 0)
			return r;
	}

	bool early = is_early_private(plan, m);
	int r = ns_attach(plan, m, fd, S_ISDIR(st.st_mode), err);

	if (r == 0 && !early)
		r = ns_propagate(plan, m, fd, err);
	return r;
}

int ns_remount(struct ns_plan *plan, struct ns_mount *m, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &m->place, &rest);
	int fd = *rest ? path_open(base, rest, O_PATH, err) : base;

	if (fd < 0)
		return fd;

	int r = 0;

	if (!m->of_bind)
		r = ns_remount_fs(plan, m, fd, err);
	if (r == 0 && (m->attr.set | m->attr.clear))
		r = ns_set_attr(fd, 0, &m->attr, m->place.path, err);
	if (r == 0 && (m->rec_attr.set | m->rec_attr.clear))
		r = ns_set_attr(fd, AT_RECURSIVE, &m->rec_attr, m->place.path, err);
	if (r == 0)
		r = ns_propagate(plan, m, fd, err);
	return r;
}
