/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that exist already: opened by the parent, entered by the child. */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

/* Under /proc/self/ns the network namespace is "net" and the mount namespace "mnt". */
static const char *procfs_name(enum spec_ns_kind kind)
{
	return kind == SPEC_NS_NETWORK ? "net" : kind == SPEC_NS_MOUNT ? "mnt" : spec_ns_name(kind);
}

static const char *kind_of_flag(int flag)
{
	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (spec_ns_flag(k) == (unsigned long)flag)
			return spec_ns_name(k);
	return "unknown";
}

static int check_type(int fd, enum spec_ns_kind kind, const char *path, struct error *err)
{
	int type = ioctl(fd, NS_GET_NSTYPE);

	if (type < 0)
		return error_rule(err, EINVAL, "%s is not a namespace", path);
	if ((unsigned long)type != spec_ns_flag(kind))
		return error_rule(err, EINVAL, "%s is a %s namespace, not a %s namespace", path,
				  kind_of_flag(type), spec_ns_name(kind));
	return 0;
}

/* Naming our own namespace by path is a long way to say "share the host's". */
static int check_same(struct ns_entry *ns, enum spec_ns_kind kind, struct error *err)
{
	struct stat theirs, ours;
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/ns/%s", procfs_name(kind));
	/* path-ok: the host's /proc */
	if (fstat(ns->fd, &theirs) < 0 || stat(self, &ours) < 0)
		return error_set(err, errno, "stat %s and %s", ns->path, self);
	ns->same = theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
	return 0;
}

static int open_one(struct ns_entry *ns, enum spec_ns_kind kind, struct error *err)
{
	/* O_NONBLOCK: it may be a fifo, whose open would wait for ever. path-ok: a path of the host. */
	ns->fd = openat(AT_FDCWD, ns->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	int r = ns->fd < 0 ? error_set(err, errno, "open %s namespace %s", spec_ns_name(kind),
				       ns->path)
			   : check_type(ns->fd, kind, ns->path, err);

	if (r == 0)
		r = check_same(ns, kind, err);
	if (r < 0)
		error_at(err, "/linux/namespaces/%u/path", ns->index);
	return r;
}

static int check_shared_sysctls(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	for (size_t i = 0; i < linux_->n_sysctl; i++) {
		const char *key = linux_->sysctl[i].key;
		enum spec_ns_kind owner = SPEC_NAMESPACES;
		char path[256];

		if (spec_sysctl_path(key, path, sizeof(path)) == 0)
			owner = spec_sysctl_owner(path);
		if (owner == SPEC_NAMESPACES || !plan->ns[owner].same)
			continue;
		error_rule(err, EINVAL, "sysctl \"%s\" is not allowed in the host's %s namespace", key, spec_ns_name(owner));
		error_at(err, "/linux/sysctl/%s", key);
		return -EINVAL;
	}
	return 0;
}

/* What the plan's rules allowed because a namespace was listed, and now turns out to be the host's. */
static int check_shared(const struct ns_plan *plan, struct error *err)
{
	if (plan->ns[SPEC_NS_UTS].same && (plan->spec->hostname || plan->spec->domainname)) {
		error_rule(err, EINVAL, "unable to set %s: the uts namespace given is the host's",
			   plan->spec->hostname ? "hostname" : "domainname");
		error_at(err, plan->spec->hostname ? "/hostname" : "/domainname");
		return -EINVAL;
	}
	if (plan->ns[SPEC_NS_MOUNT].same) {
		error_rule(err, EINVAL,
			   "the mount namespace given is the host's: the container's mounts "
			   "would be made there");
		error_at(err, "/linux/namespaces/%u/path", plan->ns[SPEC_NS_MOUNT].index);
		return -EINVAL;
	}
	return check_shared_sysctls(plan, err);
}

int ns_open_paths(struct ns_plan *plan, struct error *err)
{
	if (plan->paths_are_open)
		return 0;
	plan->paths_are_open = true;
	for (int k = 0; k < SPEC_NAMESPACES; k++) {
		int r = plan->ns[k].path ? open_one(&plan->ns[k], k, err) : 0;

		if (r < 0)
			return r;
	}
	return check_shared(plan, err);
}

static int join_one(const struct ns_plan *plan, enum spec_ns_kind kind, struct error *err)
{
	const struct ns_entry *ns = &plan->ns[kind];

	if (setns(ns->fd, (int)spec_ns_flag(kind)) == 0)
		return 0;

	int r = error_set(err, errno, "setns to the %s namespace %s", spec_ns_name(kind), ns->path);

	error_at(err, "/linux/namespaces/%u/path", ns->index);
	return r;
}

bool ns_joins_pid(const struct ns_plan *plan)
{
	return ns_is_own(plan, SPEC_NS_PID) && plan->ns[SPEC_NS_PID].path;
}

int ns_join_pid(const struct ns_plan *plan, struct error *err)
{
	return ns_joins_pid(plan) ? join_one(plan, SPEC_NS_PID, err) : 0;
}

/*
 * The user namespace comes first: it gives the rights over those it owns. Before it
 * the pid namespace, which may be the host's and is about children only
 * (pid_namespaces(7)): without a second clone the parent has entered it.
 */
int ns_join(struct ns_plan *plan, struct error *err)
{
	int r = ns_needs_second_clone(plan) ? ns_join_pid(plan, err) : 0;

	for (int k = 0; r == 0 && k < SPEC_NAMESPACES; k++)
		if (k != SPEC_NS_PID && ns_is_own(plan, k) && plan->ns[k].path)
			r = join_one(plan, k, err);
	return r;
}

/*
 * Before this we are an id the namespace does not know, which owns nothing in it.
 * A namespace without an id 0 gives nobody root's rules (user_namespaces(7)), so that
 * the program's own ids keep the capabilities just as well.
 */
static int become_known_id(const struct spec_user *user, struct error *err)
{
	int r = 0;

	if (setresgid(0, 0, 0) < 0 &&
	    (errno != EINVAL || setresgid(user->gid, user->gid, user->gid) < 0))
		r = error_set(err, errno, "setresgid 0 or %u in the user namespace", user->gid);
	else if (setresuid(0, 0, 0) < 0 &&
		 (errno != EINVAL || setresuid(user->uid, user->uid, user->uid) < 0))
		r = error_set(err, errno, "setresuid 0 or %u in the user namespace", user->uid);
	if (r == -EINVAL)
		error_hint(err, "the namespace maps neither id 0 nor that of process.user");
	return r;
}

int ns_become_root(struct ns_plan *plan, struct error *err)
{
	bool in_userns = ns_is_own(plan, SPEC_NS_USER);
	int r = in_userns ? ns_make_own_time(plan, err) : 0;

	if (r == 0 && in_userns)
		r = become_known_id(&plan->spec->process.user, err);
	if (r < 0 || !ns_is_new(plan, SPEC_NS_CGROUP))
		return r;
	/* Only a user namespace can be refused a cgroup2 mount, and then this path is the way out. */
	for (size_t i = 0; in_userns && r == 0 && i < plan->n_mounts; i++)
		if (plan->mounts[i].kind == NS_MOUNT_CGROUP && !plan->own_cgroup)
			r = ns_read_own_cgroup(plan, err);
	if (r < 0)
		return r;
	/* Not in clone3(): there it would be rooted at the parent's cgroup, not at our leaf. */
	if (unshare(CLONE_NEWCGROUP) < 0)
		return error_set(err, errno, "unshare the cgroup namespace");
	return 0;
}
