/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Making the leaf a container lives in. The usual case, a leaf right below the
 * root of a tree without controllers, is one mkdir and one open; everything else
 * is asked only when there is a reason.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define DIR_MODE 0755

/* How much of the path is ours to take away again: bytes of `path` that existed before. */
struct made {
	const char *path;
	size_t existed; /* strlen(path) when nothing was made */
};

static int mkdir_error(const char *path, int code, struct error *err)
{
	int r = error_set(err, code, "create cgroup /%s", path);

	if (code == EAGAIN)
		error_hint(err, "a parent's cgroup.max.depth or cgroup.max.descendants is reached");
	if (code == EACCES || code == EPERM || code == EROFS)
		error_hint(err, "this user may not create cgroups there: choose a cgroupsPath below one "
				"that is delegated to it");
	return r;
}

/* Makes the parents of path that are missing, top down. */
static int make_parents(int root_fd, struct made *made, struct error *err)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", made->path);
	for (char *slash = strchr(dir, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(root_fd, dir, DIR_MODE) == 0) {
			char *up = strrchr(dir, '/');
			size_t existed = up ? (size_t)(up - dir) : 0;

			if (existed < made->existed)
				made->existed = existed;
		} else if (errno != EEXIST) {
			return mkdir_error(dir, errno, err);
		}
		*slash = '/';
	}
	return 0;
}

/* Makes path. A parent may be removed by a delete that runs beside us: a few more tries are enough. */
static int make_leaf(int root_fd, struct made *made, struct error *err)
{
	for (int tries = 0;; tries++) {
		if (mkdirat(root_fd, made->path, DIR_MODE) == 0) {
			const char *slash = strrchr(made->path, '/');
			size_t existed = slash ? (size_t)(slash - made->path) : 0;

			if (existed < made->existed)
				made->existed = existed;
			return 1;
		}
		if (errno == EEXIST)
			return 0;
		if (errno != ENOENT || tries == 4)
			return mkdir_error(made->path, errno, err);

		int r = make_parents(root_fd, made, err);

		if (r < 0)
			return r;
	}
}

/* Takes back what make_leaf() made; stops at the first directory that somebody else uses by now. */
static void unmake(int root_fd, const struct made *made)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", made->path);
	for (size_t len = strlen(dir); len > made->existed;) {
		dir[len] = '\0';
		if (unlinkat(root_fd, dir, AT_REMOVEDIR) < 0)
			return;

		const char *slash = strrchr(dir, '/');

		len = slash ? (size_t)(slash - dir) : 0;
	}
}

/* A leaf that was there before is only fit for a new container when nobody lives in it. */
static int check_unused(int cg_fd, const char *path, struct error *err)
{
	char text[256];
	char who[128];
	uint64_t v;
	ssize_t n = cg_read(cg_fd, "cgroup.events", text, sizeof(text));

	if (n < 0)
		return error_set(err, (int)-n, "read /%s/cgroup.events", path);
	if (cg_flat_value(text, "populated", &v) && v) {
		cg_culprit(cg_fd, CG_ANYONE, who, sizeof(who));
		error_rule(err, EBUSY, "container's cgroup is not empty: /%s holds %s", path,
			   *who ? who : "a process");
		error_hint(err, "delete the container that lives there, or choose another cgroupsPath");
		return -EBUSY;
	}
	if (cg_flat_value(text, "frozen", &v) && v) {
		error_rule(err, EBUSY, "container's cgroup unexpectedly frozen: /%s", path);
		error_hint(err, "thaw it or the parent that froze it: write 0 to its cgroup.freeze");
		return -EBUSY;
	}
	return 0;
}

/* Which controllers to hand down to the leaf, having made sure that those the plan needs exist. */
static int wanted_controllers(struct cg_host *host, const struct cg_plan *plan, unsigned *ret,
			      struct error *err)
{
	unsigned need = plan ? plan->controllers : 0;
	unsigned available;

	*ret = 0;
	if (!need && host->layout != CG_UNIFIED)
		return 0;

	int r = cg_controllers(host, &available, err);

	if (r == 0)
		r = cg_require_controllers(host, available, plan, err);
	if (r < 0)
		return r;
	/* All of them on a v2 host: stats and a later update want what this plan does not. */
	*ret = host->layout == CG_UNIFIED ? available : need;
	return 0;
}

int cg_create(struct cg_host *host, const char *path, const struct cg_plan *plan, bool *ret_made,
	      struct error *err)
{
	unsigned want = 0;
	int r = cg_path_check(path, err);

	if (r == 0)
		r = wanted_controllers(host, plan, &want, err);
	if (r < 0)
		return r;

	struct made made = { .path = path, .existed = strlen(path) };
	int is_new = make_leaf(host->root_fd, &made, err);

	if (is_new < 0) {
		r = is_new;
		goto undo;
	}
	r = cg_enable_controllers(host, path, want, plan, err);
	if (r < 0)
		goto undo;

	auto_close int fd = cg_open_below(host->root_fd, path, O_RDONLY | O_DIRECTORY);

	if (fd < 0) {
		r = error_set(err, -fd, "open cgroup /%s", path);
		goto undo;
	}
	if (!is_new) {
		r = check_unused(fd, path, err);
		if (r < 0)
			return r;
	}
	*ret_made = is_new;
	return TAKE_FD(fd);
undo:
	unmake(host->root_fd, &made);
	return r;
}

int cg_take(struct cg_host *host, const char *path, const struct cg_plan *plan, struct error *err)
{
	unsigned available;
	int r = cg_path_check(path, err);

	/* The ancestors are not ours: what nobody asked for is not enabled in them. */
	if (r == 0 && plan->controllers) {
		r = cg_controllers(host, &available, err);
		if (r == 0)
			r = cg_require_controllers(host, available, plan, err);
		if (r == 0)
			r = cg_enable_controllers(host, path, plan->controllers, plan, err);
	}
	return r < 0 ? r : cg_open(host, path, err);
}

int cg_join_error(int cg_fd, int code, struct error *err)
{
	char type[64] = "";
	int r = error_set(err, code, "join the container's cgroup");

	cg_read(cg_fd, "cgroup.type", type, sizeof(type));
	if (code == EOPNOTSUPP && strncmp(type, "domain invalid", 14) == 0)
		error_hint(err, "the cgroup lies below a threaded one and cannot hold a process: choose a "
				"cgroupsPath elsewhere");
	else if (code == EOPNOTSUPP)
		error_hint(err, "the cgroup is threaded: it takes threads, not processes");
	else if (code == EBUSY)
		error_hint(err, "controllers are enabled for the children of this cgroup, so it cannot hold "
				"processes itself (no internal processes): use a child of it");
	return r;
}
