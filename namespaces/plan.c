/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan as a whole: namespaces, root, and what callers ask about it. Mounts,
 * paths and rules are planned next door (plan_mounts.c, plan_paths.c,
 * plan_rules.c); nothing here makes a system call.
 */
#include "namespaces/plan.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

static void plan_namespaces(struct ns_plan *plan)
{
	for (int k = 0; k < SPEC_NAMESPACES; k++) {
		const struct spec_namespace *from = &plan->spec->linux_.ns[k];

		plan->ns[k] = (struct ns_entry){
			.listed = from->listed,
			.path = from->path,
			.index = from->index,
			.fd = -1,
		};
	}
}

/* cl Rootfs propagation; the r-forms are what engines send. */
static int plan_propagation(struct ns_plan *plan, struct error *err)
{
	static const struct {
		const char *name;
		uint64_t type;
	} known[] = {
		{ "shared", MS_SHARED },
		{ "slave", MS_SLAVE },
		{ "private", MS_PRIVATE },
		{ "unbindable", MS_UNBINDABLE },
	};
	const char *name = plan->spec->linux_.rootfs_propagation;

	if (!name || !*name)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		bool recursive = name[0] == 'r' && strcmp(name + 1, known[i].name) == 0;

		if (!recursive && strcmp(name, known[i].name) != 0)
			continue;
		/*
		 * Without a pivot the host's mounts stay in the container's namespace: what is
		 * unmounted there must not go on the host, and what follows the host cannot be private.
		 */
		if (plan->no_pivot && (known[i].type == MS_PRIVATE || known[i].type == MS_SHARED)) {
			error_rule(err, EINVAL,
				   "rootfsPropagation \"%s\" does not go with --no-pivot", name);
			error_at(err, "/linux/rootfsPropagation");
			return -EINVAL;
		}
		plan->keep_host_peers = known[i].type == MS_SHARED;
		plan->root_follows_host = known[i].type == MS_SLAVE;
		/* Private is what the tree is before it is attached. */
		plan->has_root_prop = known[i].type == MS_SHARED || known[i].type == MS_UNBINDABLE;
		plan->root_prop = (struct ns_propagation){ known[i].type, recursive };
		return 0;
	}
	error_rule(err, EINVAL,
		   "rootfsPropagation \"%s\" is none of [r]shared, [r]slave, [r]private, "
		   "[r]unbindable",
		   name);
	error_at(err, "/linux/rootfsPropagation");
	return -EINVAL;
}

static int plan_root(struct ns_plan *plan, struct error *err)
{
	const char *path = plan->spec->root.path;
	char clean[PATH_MAX];

	if (plan->root_is_given && !plan->ns[SPEC_NS_MOUNT].listed) {
		error_rule(err, EINVAL,
			   "a root made of layers needs a mount namespace: without one it would be "
			   "mounted on the host");
		error_at(err, "/linux/namespaces");
		return -EINVAL;
	}
	if (!path && plan->root_is_given) { /* nothing to be seen at: it covers "/" until the pivot */
		plan->root_path = "/";
		return plan_propagation(plan, err);
	}
	if (!path) {
		error_rule(err, EINVAL, "root.path is missing");
		error_at(err, "/root");
		return -EINVAL;
	}
	if (!*path) {
		error_rule(err, EINVAL, "root.path is empty");
		error_at(err, "/root/path");
		return -EINVAL;
	}
	plan->root_is_relative = path[0] != '/';
	if (plan->root_is_relative)
		path = arena_printf(plan->arena, "%s/%s", plan->bundle, path);
	if (path_clean(path, clean, sizeof(clean)) < 0) {
		error_set(err, ENAMETOOLONG, "read root.path");
		error_at(err, "/root/path");
		return -ENAMETOOLONG;
	}
	if (strcmp(clean, "/") == 0) {
		error_rule(err, EINVAL, "root.path is the host's own root");
		error_at(err, "/root/path");
		return -EINVAL;
	}
	plan->root_path = arena_strdup(plan->arena, clean);
	return plan_propagation(plan, err);
}

int ns_plan_make(const struct spec *spec, const struct ns_options *opt, struct arena *a,
		 struct ns_plan **ret, struct error *err)
{
	struct ns_plan *plan = ARENA_NEW(a, struct ns_plan);

	*plan = (struct ns_plan){
		.spec = spec,
		.arena = a,
		.log = opt->log,
		.id = opt->id,
		.bundle = opt->bundle,
		.no_pivot = opt->no_pivot,
		.root_is_given = opt->root_is_given,
		.is_bare = opt->is_bare,
		.root_mount_fd = -1,
		.idmap_fd = -1,
		.proc = -1,
		.dev = -1,
		.devpts = -1,
		.root_fd = -1,
		.host_root_fd = -1,
		.procfs_fd = -1,
		.root_tree_fd = -1,
		.own_pid_ns = -1,
		.own_time_ns = -1,
		.newest_linked = -1,
	};
	plan_namespaces(plan);

	int r = plan_root(plan, err);

	if (r == 0)
		r = ns_plan_mounts(plan, opt, err);
	if (r == 0)
		r = ns_plan_paths(plan, err);
	if (r == 0)
		r = ns_plan_rules(plan, err);
	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}

uint64_t ns_clone_flags(const struct ns_plan *plan)
{
	uint64_t flags = 0;

	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (ns_is_new(plan, k))
			flags |= spec_ns_flag(k);
	return flags & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME);
}

unsigned ns_kinds(const struct ns_plan *plan)
{
	unsigned kinds = 0;

	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (ns_is_own(plan, k))
			kinds |= 1u << k;
	return kinds;
}

bool ns_needs_maps(const struct ns_plan *plan)
{
	return ns_is_new(plan, SPEC_NS_USER);
}

bool ns_needs_second_clone(const struct ns_plan *plan)
{
	bool joins_user = ns_is_own(plan, SPEC_NS_USER) && !ns_is_new(plan, SPEC_NS_USER);

	if (joins_user)
		return ns_clone_flags(plan) != 0;
	if (!ns_is_new(plan, SPEC_NS_USER))
		return false;
	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (k != SPEC_NS_PID && ns_is_own(plan, k) && !ns_is_new(plan, k))
			return true;
	return false;
}

void ns_set_root(struct ns_plan *plan, int mount_fd)
{
	plan->root_mount_fd = mount_fd;
}

int ns_root_fd(const struct ns_plan *plan)
{
	return plan->root_fd;
}

int ns_procfs_fd(const struct ns_plan *plan)
{
	return plan->procfs_fd;
}
