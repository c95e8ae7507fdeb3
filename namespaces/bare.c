/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare root: for a process that serves a container's files instead of living among them
 *
 * The process of a virtual machine needs nothing of what a program sees but the files that its guest may reach:
 *
 *	/            a file system in memory, read-only
 *	/root        the container's root, with what the host has mounted in it
 *	/volumes/m0  the source of /mounts/0 of the config where that is a bind, with the attributes it asks for
 *	/volumes/x0  that of the first mount the runtime adds
 *
 * All that is mounted on the container's root, masked or made there is the guest's own affair. Nothing here may be
 * executed, and no device node opened: the guest's kernel judges modes for itself, and this process needs neither.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "spec/base/proc.h"

#ifndef ST_NODEV /* musl knows the first two alone */
#define ST_NODEV  4
#define ST_NOEXEC 8
#endif
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000 /* include/linux/statfs.h */
#endif

#define BARE_ATTR (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

int ns_build_bare(struct ns_plan *plan, struct error *err)
{
	int r = 0;

	umask(0);
	if (ns_is_new(plan, SPEC_NS_NETWORK))
		r = ns_loopback_up(err);
	if (r == 0)
		r = ns_mount_root(plan, err);
	if (r == 0)
		r = ns_bind_sources(plan, err);
	if (r == 0)
		plan->procfs_fd = r = procfs_open(PROCFS_PIDS, err);
	return r < 0 ? r : 0;
}

/*
 * The guest makes what is missing of its mount points through the file server, and cannot where the root is to be
 * read-only: then they are made here, before it is. As in a container of processes they stay.
 */
static int make_mount_points(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct ns_mount *m = &plan->mounts[i];
		struct stat st = { .st_mode = S_IFDIR };

		if (m->place.parent >= 0 || m->kind == NS_MOUNT_REMOUNT || m->link)
			continue;
		if (m->kind == NS_MOUNT_BIND && fstat(m->tree_fd, &st) < 0)
			return error_set(err, errno, "stat bind source %s", m->source ?: "(a descriptor)");

		auto_close int target = path_make_target(plan->root_fd, m->place.path, S_ISDIR(st.st_mode), err);

		if (target < 0) {
			ns_mount_at(m, err);
			return target;
		}
	}
	return 0;
}

static int make_read_only(struct ns_plan *plan, struct error *err)
{
	static const struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	int r = plan->spec->root.readonly ? make_mount_points(plan, err) : 0;

	if (r < 0 || !plan->spec->root.readonly)
		return r;
	if (sys_mount_setattr(plan->root_fd, "", AT_EMPTY_PATH, &ro) < 0) {
		r = error_set(err, errno, "make / read-only");
		error_at(err, "/root/readonly");
	}
	return r;
}

/* Attaches a tree below the bare root, where nothing in it can be executed. */
static int attach(int fd, int bare, const char *name, struct error *err)
{
	static const struct mount_attr attr = { .attr_set = BARE_ATTR };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) < 0)
		return error_set(err, errno, "set attributes of /%s for the virtual machine", name);
	if (sys_attach(fd, bare, name) < 0)
		return error_set(err, errno, "mount /%s for the virtual machine", name);
	return 0;
}

static int attach_volume(struct ns_plan *plan, struct ns_mount *m, int bare, const char *name, struct error *err)
{
	struct stat st;

	if (m->link) /* the guest copies the link */
		return symlinkat(m->link, bare, name) < 0 ? error_set(err, errno, "symlink %s", name) : 0;
	if (fstat(m->tree_fd, &st) < 0)
		return error_set(err, errno, "stat bind source %s", m->source ?: "(a descriptor)");
	if (S_ISDIR(st.st_mode) ? mkdirat(bare, name, 0755) < 0 : mknodat(bare, name, S_IFREG | 0644, 0) < 0)
		return error_set(err, errno, "make /%s for the virtual machine", name);

	int r = attach(m->tree_fd, bare, name, err);

	return r < 0 ? r : ns_propagate(plan, m, m->tree_fd, err);
}

static int attach_volumes(struct ns_plan *plan, int bare, struct error *err)
{
	size_t extra = 0;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		struct ns_mount *m = &plan->mounts[i];
		bool is_extra = m->index < 0;
		char name[48];

		snprintf(name, sizeof(name), "volumes/%c%zu", is_extra ? 'x' : 'm', is_extra ? extra : (size_t)m->index);
		extra += is_extra;
		if (m->kind != NS_MOUNT_BIND)
			continue;

		int r = attach_volume(plan, m, bare, name, err);

		if (r < 0) {
			ns_mount_at(m, err);
			return r;
		}
	}
	return 0;
}

static int attach_bare(int bare, struct error *err)
{
	auto_close int slash = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (slash < 0)
		return error_set(err, errno, "open /");
	if (sys_attach(bare, slash, "") < 0)
		return error_set(err, errno, "mount the root of the virtual machine");
	if (mkdirat(bare, "root", 0755) < 0 || mkdirat(bare, "volumes", 0755) < 0)
		return error_set(err, errno, "make directories of the virtual machine");
	return 0;
}

int ns_enter_bare(struct ns_plan *plan, struct error *err)
{
	static const struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	int r = ns_set_names(plan, err);

	if (r == 0)
		r = make_read_only(plan, err);
	if (r < 0)
		return r;

	/* Stays open: it is the root from now on. */
	int bare = ns_new_fs("tmpfs", BARE_ATTR, err);

	r = bare < 0 ? bare : attach_bare(bare, err);
	if (r == 0)
		r = attach(plan->root_fd, bare, "root", err);
	if (r == 0)
		r = attach_volumes(plan, bare, err);
	if (r == 0 && sys_mount_setattr(bare, "", AT_EMPTY_PATH, &ro) < 0)
		r = error_set(err, errno, "make the root of the virtual machine read-only");
	if (r < 0)
		return r;
	plan->root_fd = bare;
	plan->covers_slash = true;
	return ns_pivot(plan, err);
}

static uint32_t attributes_of(int tree_fd)
{
	static const struct {
		unsigned long flag; /* of statfs(2) */
		uint32_t attr;
	} known[] = {
		{ ST_RDONLY, MOUNT_ATTR_RDONLY },
		{ ST_NOSUID, MOUNT_ATTR_NOSUID },
		{ ST_NODEV, MOUNT_ATTR_NODEV },
		{ ST_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ ST_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
	};
	struct statfs fs;
	uint32_t attr = 0;

	if (fstatfs(tree_fd, &fs) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if ((unsigned long)fs.f_flags & known[i].flag)
			attr |= known[i].attr;
	return attr;
}

bool ns_next_volume(const struct ns_plan *plan, struct ns_volume *v)
{
	uint32_t extra = 0;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct ns_mount *m = &plan->mounts[i];
		bool is_extra = m->index < 0;

		extra += is_extra;
		if (i < v->next || m->kind != NS_MOUNT_BIND || m->tree_fd < 0)
			continue;
		v->next = i + 1;
		v->is_extra = is_extra;
		v->number = is_extra ? extra - 1 : (uint32_t)m->index;
		v->attr = attributes_of(m->tree_fd);
		return true;
	}
	return false;
}

bool ns_has_volumes(const struct ns_plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i].kind == NS_MOUNT_BIND)
			return true;
	return false;
}
