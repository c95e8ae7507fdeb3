/* SPDX-License-Identifier: Apache-2.0 */
/* The apply loop of the child: everything up to the hooks, and everything after them. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "namespaces/apply.h"
#include "namespaces/sys.h"
#include "spec/base/proc.h"

#define BUSY_RETRIES 5

static int make_mount(struct ns_plan *plan, struct ns_mount *m, struct error *err)
{
	switch (m->kind) {
	case NS_MOUNT_FS:
		return ns_mount_fs(plan, m, m->type, err);
	case NS_MOUNT_BIND:
		return ns_mount_bind(plan, m, err);
	case NS_MOUNT_CGROUP:
		return ns_mount_cgroup(plan, m, err);
	case NS_MOUNT_REMOUNT:
		return ns_remount(plan, m, err);
	}
	return error_rule(err, EINVAL, "mount of unknown kind %d", m->kind);
}

static int make_mounts(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		int r = make_mount(plan, &plan->mounts[i], err);

		if (r < 0) {
			ns_mount_at(&plan->mounts[i], err);
			return r;
		}
	}
	return 0;
}

/*
 * The container's own /proc serves when nobody can have touched it. Without one
 * a detached one is tried: a kernel that refuses (a user namespace below a masked
 * /proc) leaves -1, and who needs the handle says so.
 */
static void open_procfs(struct ns_plan *plan)
{
	const struct ns_mount *m = plan->proc >= 0 ? &plan->mounts[plan->proc] : NULL;

	if (m && m->fd >= 0 && !((m->attr.set | m->rec_attr.set) & MOUNT_ATTR_RDONLY))
		plan->procfs_fd = m->fd;
	else
		plan->procfs_fd = procfs_open(PROCFS_PIDS, NULL);
}

int ns_build_root(struct ns_plan *plan, struct error *err)
{
	int r = 0;

	umask(0);
	if (ns_is_new(plan, SPEC_NS_NETWORK))
		r = ns_loopback_up(err);
	/*
	 * Volumes that stay peers of the host's mounts are cloned before the mount that
	 * holds the root is made private: it may be the one that holds them too.
	 */
	if (r == 0 && plan->keep_host_peers)
		r = ns_bind_sources(plan, err);
	if (r == 0)
		r = ns_mount_root(plan, err);
	if (r == 0)
		r = make_mounts(plan, err);
	if (r < 0)
		return r;
	open_procfs(plan);
	if (plan->populate_dev)
		r = ns_make_links(plan, err);
	if (r == 0)
		r = ns_make_devices(plan, err);
	return r;
}

static int set_read_only(int fd, const char *path, struct error *err)
{
	static const struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	struct timespec pause = { .tv_nsec = 1000000 };

	/* A hook's last write may still be on its way. */
	for (int tries = 0; sys_mount_setattr(fd, "", AT_EMPTY_PATH, &ro) < 0; tries++) {
		if (errno != EBUSY || tries == BUSY_RETRIES)
			return error_set(err, errno, "make %s read-only", path);
		nanosleep(&pause, NULL);
		pause.tv_nsec *= 2;
	}
	return 0;
}

static int set_all_read_only(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct ns_mount *m = &plan->mounts[i];
		int r = m->late_ro ? set_read_only(m->fd, m->place.path, err) : 0;

		if (r < 0) {
			ns_mount_at(m, err);
			return r;
		}
	}
	if (!plan->spec->root.readonly)
		return 0;

	int r = set_read_only(plan->root_fd, "/", err);

	if (r < 0)
		error_at(err, "/root/readonly");
	return r;
}

int ns_enter_root(struct ns_plan *plan, struct error *err)
{
	int r = ns_set_names(plan, err);

	if (r == 0)
		r = ns_write_sysctls(plan, err);
	if (r == 0)
		r = ns_mask_paths(plan, err);
	if (r == 0)
		r = ns_readonly_paths(plan, err);
	if (r == 0)
		r = set_all_read_only(plan, err);
	return r == 0 ? ns_pivot(plan, err) : r;
}
