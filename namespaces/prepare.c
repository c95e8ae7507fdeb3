/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parent does before the clone, because the child could not
 *
 * In a user namespace the container's root is somebody without rights on the
 * host: it may not even be able to walk to the bundle. So every source is opened
 * here, as a detached clone that the child only has to attach.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

int ns_idmap_fd(struct ns_plan *plan, int *ret_fd, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	int r = ns_open_paths(plan, err);

	*ret_fd = -1;
	if (r < 0 || !ns_is_own(plan, SPEC_NS_USER))
		return r;
	if (plan->ns[SPEC_NS_USER].path) {
		*ret_fd = plan->ns[SPEC_NS_USER].fd;
		return 0;
	}
	/* The container's own does not exist yet; one with the same maps does as well. */
	if (plan->idmap_fd < 0)
		plan->idmap_fd = r = ns_userns_of_maps(&linux_->uid_maps, &linux_->gid_maps, err);
	*ret_fd = plan->idmap_fd;
	return r < 0 ? r : 0;
}

/* The user namespace whose maps an id-mapped mount gets: a descriptor of our own, or -1 for none. */
static int open_idmap(struct ns_plan *plan, const struct ns_mount *m, struct error *err)
{
	int fd;

	if (m->idmap == NS_IDMAP_NONE)
		return -1;
	if (m->uid_maps)
		return ns_userns_of_maps(m->uid_maps, m->gid_maps, err);

	int r = ns_idmap_fd(plan, &fd, err);

	if (r < 0 || fd < 0)
		return r < 0 ? r : error_rule(err, EINVAL, "the user namespace to take id maps from is the host's");
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? error_set(err, errno, "dup the user namespace") : fd;
}

/*
 * Of a volume of the command line that is to be shared: what the container mounts there shall show up on
 * the host, so it is cloned before the host's mounts become masters of ours.
 */
static bool is_shared_volume(const struct ns_mount *m)
{
	return m->index < 0 && m->n_prop > 0 && m->prop[m->n_prop - 1].type == MS_SHARED;
}

static bool needs_early_source(const struct ns_plan *plan, const struct ns_mount *m)
{
	if (m->kind != NS_MOUNT_BIND)
		return false;
	if (is_shared_volume(m))
		return true;
	return m->extra || m->idmap != NS_IDMAP_NONE || ns_is_own(plan, SPEC_NS_USER);
}

/* copy-symlink: is there a link to copy? Read here, where the host's paths are. */
static int read_link(struct ns_plan *plan, struct ns_mount *m, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(AT_FDCWD, m->source, target, sizeof(target));

	if (n < 0 && errno == EINVAL)
		return 0; /* no link: a bind like any other */
	if (n < 0 || n == (ssize_t)sizeof(target))
		return error_set(err, n < 0 ? errno : ENAMETOOLONG, "read bind source %s",
				 m->source);
	m->link = arena_strndup(plan->arena, target, (size_t)n);
	return 0;
}

static int prepare_sources(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		struct ns_mount *m = &plan->mounts[i];
		int r = m->copy_link ? read_link(plan, m, err) : 0;

		if (r < 0) {
			ns_mount_at(m, err);
			return r;
		}
		if (m->link || !needs_early_source(plan, m))
			continue;
		if (m->extra && m->extra->is_detached) {
			m->tree_fd = m->extra->source_fd;
			continue;
		}

		auto_close int userns = open_idmap(plan, m, err);

		m->tree_fd = userns < -1 ? userns : ns_bind_source(plan, m, userns, err);
		if (m->tree_fd < 0) {
			ns_mount_at(m, err);
			return m->tree_fd;
		}
	}
	return 0;
}

/* With a second clone it is the first child's to enter: a clone says the new pid as the cloner sees it. */
static int enter_pid_namespace(struct ns_plan *plan, struct error *err)
{
	if (!ns_joins_pid(plan) || ns_needs_second_clone(plan))
		return 0;
	plan->own_pid_ns = openat(AT_FDCWD, "/proc/self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	if (plan->own_pid_ns < 0)
		return error_set(err, errno, "open the runtime's pid namespace");
	return ns_join_pid(plan, err);
}

int ns_prepare(struct ns_plan *plan, struct error *err)
{
	int r = ns_open_paths(plan, err);

	if (r == 0)
		r = ns_check_joined_maps(plan, err);
	if (r == 0 && ns_is_own(plan, SPEC_NS_USER) && ns_is_own(plan, SPEC_NS_MOUNT) &&
	    !plan->root_is_given)
		r = ns_open_root(plan, err);
	if (r == 0)
		r = prepare_sources(plan, err);
	if (r == 0)
		r = enter_pid_namespace(plan, err);
	/* Last: the helpers of the steps before are children too. */
	return r == 0 ? ns_prepare_time(plan, err) : r;
}
