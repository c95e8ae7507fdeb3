/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Handing controllers down the tree. A controller works in a cgroup only when
 * every ancestor lists it in cgroup.subtree_control (cgroup-v2.rst, "Enabling
 * and Disabling"), so it is enabled from the top down: in one write, and where
 * the kernel refuses the lot, one by one, so that a single controller that cannot
 * be had does not cost the container the others.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

const char *cg_member_name(const char *pointer, char *buf, size_t size)
{
	static const char base[] = "/linux/resources/";

	if (!pointer)
		return "a limit";
	if (strncmp(pointer, base, sizeof(base) - 1) == 0)
		pointer += sizeof(base) - 1;
	snprintf(buf, size, "%s", pointer);
	for (char *s = buf; *s; s++)
		if (*s == '/')
			*s = '.';
	return buf;
}

/* The first write of the plan that cannot do without one of `controllers`. */
static const struct cg_write *write_that_needs(const struct cg_plan *plan, unsigned controllers)
{
	for (size_t i = 0; plan && i < plan->n; i++)
		if (!plan->v[i].optional && (plan->v[i].controller & controllers))
			return &plan->v[i];
	return NULL;
}

int cg_require_controllers(const struct cg_host *host, unsigned available,
			   const struct cg_plan *plan, struct error *err)
{
	const struct cg_write *w = plan ? write_that_needs(plan, plan->controllers & ~available) : NULL;
	char member[128];

	if (!w)
		return 0;

	const char *name = cg_controller_name(w->controller);

	if (host->layout == CG_HYBRID) {
		error_rule(err, ENOTSUP, "%s needs the %s controller, which is not available in the cgroup "
			   "v2 tree (hybrid host: controllers are bound to cgroup v1)",
			   cg_member_name(w->pointer, member, sizeof(member)), name);
		error_hint(err, "boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_no_v1=%s "
				"where there is no systemd, or remove the limit", name);
	} else {
		error_rule(err, ENOTSUP, "%s needs the %s controller, which is not available in the cgroup "
			   "v2 tree (%s/cgroup.controllers does not list it)",
			   cg_member_name(w->pointer, member, sizeof(member)), name, host->mount_point);
		error_hint(err, "the kernel lacks this controller, or who made this container did not "
				"delegate it (systemd: Delegate=yes); or remove the limit");
	}
	error_at(err, "%s", w->pointer);
	return -ENOTSUP;
}

/* Why the kernel would not enable controller `c` for the children of the cgroup `at`. */
static int enable_error(const char *at, unsigned c, int code, const struct cg_plan *plan,
			struct error *err)
{
	const char *name = cg_controller_name(c);
	const struct cg_write *w = write_that_needs(plan, c);

	switch (code) {
	case EBUSY:
		error_rule(err, EBUSY, "cgroup /%s holds processes itself, so the kernel does not enable "
			   "the %s controller for its children (no internal processes)", at, name);
		error_hint(err, "move its processes into a child cgroup such as /%s%sinit, or choose a "
				"cgroupsPath whose parents hold no process", at, *at ? "/" : "");
		break;
	case ENOENT:
		error_rule(err, ENOTSUP, "the %s controller is not delegated to cgroup /%s", name, at);
		error_hint(err, "let the owner of the tree delegate it (systemd: Delegate=yes on the unit), "
				"or choose a cgroupsPath elsewhere");
		break;
	case EOPNOTSUPP:
		error_rule(err, EOPNOTSUPP, "cgroup /%s is in a threaded subtree, where the %s controller "
			   "cannot be enabled", at, name);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		error_set(err, code, "enable the %s controller in cgroup /%s", name, at);
		error_hint(err, "cgroup /%s is not delegated to this user: choose a cgroupsPath below one "
				"that is, or set no limits", at);
		break;
	default:
		error_set(err, code, "enable the %s controller in cgroup /%s", name, at);
	}
	if (w)
		error_at(err, "%s", w->pointer);
	return err && err->code ? -err->code : -code;
}

/* "+cpu +memory" */
static void enable_line(unsigned controllers, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned c = 1; c <= CG_MISC; c <<= 1)
		if ((controllers & c) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s+%s", used ? " " : "",
						 cg_controller_name(c));
}

static int try_enable(int fd, unsigned controllers)
{
	char line[128];

	enable_line(controllers, line, sizeof(line));
	return pwrite(fd, line, strlen(line), 0) < 0 ? -errno : 0;
}

/*
 * Brings `want` into the subtree_control at the cgroup `at` and takes what could
 * not be enabled out of *want. Fails only for those that the plan needs.
 */
static int enable_at(int root_fd, const char *at, unsigned *want, const struct cg_plan *plan,
		     struct error *err)
{
	char file[PATH_MAX + 32];
	char now[512];

	snprintf(file, sizeof(file), "%s%scgroup.subtree_control", at, *at ? "/" : "");

	auto_close int fd = cg_open_below(root_fd, file, O_RDWR);
	int open_errno = fd < 0 ? -fd : 0;

	if (fd < 0)
		fd = cg_open_below(root_fd, file, O_RDONLY);

	ssize_t n = fd < 0 ? -1 : pread(fd, now, sizeof(now) - 1, 0);

	now[n > 0 ? n : 0] = '\0';

	unsigned missing = *want & ~cg_controllers_parse(now);

	if (!missing)
		return 0;

	int all = open_errno ? -open_errno : try_enable(fd, missing);

	if (all == 0)
		return 0;
	/*
	 * The cgroup holds processes. cpu, cpuset and pids alone would be taken, and turn
	 * it into the root of a threaded subtree, in which no container can live.
	 */
	bool hopeless = open_errno || all == -EBUSY;

	for (unsigned c = 1; c <= CG_MISC; c <<= 1) {
		if (!(missing & c))
			continue;

		int r = hopeless ? all : try_enable(fd, c);

		if (r == 0)
			continue;
		if (plan && (plan->controllers & c))
			return enable_error(at, c, -r, plan, err);
		*want &= ~c;
	}
	return 0;
}

/* Does the parent of the leaf have it all already? The usual case, and one file to read. */
static bool is_enabled(int root_fd, const char *parent, unsigned want)
{
	char file[PATH_MAX + 32];
	char now[512];

	snprintf(file, sizeof(file), "%s%scgroup.subtree_control", parent, *parent ? "/" : "");
	return cg_read(root_fd, file, now, sizeof(now)) >= 0 && !(want & ~cg_controllers_parse(now));
}

int cg_enable_controllers(const struct cg_host *host, const char *path, unsigned want,
			  const struct cg_plan *plan, struct error *err)
{
	char at[PATH_MAX];
	char *slash;

	if (!want)
		return 0;

	snprintf(at, sizeof(at), "%s", path);
	slash = strrchr(at, '/');
	*(slash ? slash : at) = '\0';
	if (is_enabled(host->root_fd, at, want))
		return 0;

	/* Every ancestor from the root ("") to the parent. */
	size_t end = strlen(at);

	for (size_t len = 0;;) {
		char keep = at[len];

		at[len] = '\0';
		int r = enable_at(host->root_fd, at, &want, plan, err);

		at[len] = keep;
		if (r < 0 || len == end)
			return r;
		len += at[len] == '/';
		len += strcspn(at + len, "/");
	}
}
