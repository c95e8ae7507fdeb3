/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masked and read-only paths (cl Masked paths, Readonly paths)
 *
 * All masked directories share one empty read-only tmpfs, all masked files one
 * /dev/null that is proven to be the null device on the very descriptor that is
 * mounted (CVE-2025-31133). Nothing is cloned before it is certain to be
 * attached: dropping an unattached clone waits for an RCU grace period. The first
 * of each kind is made for any path of that kind, of which some are everywhere.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

enum kind { A_FILE, A_DIRECTORY, KINDS };

struct covers {
	int first[KINDS]; /* once attached; -1 */
	int spare[KINDS]; /* made, and not attached yet; -1 */
};

/* What the kernel makes of these names in a procfs and a sysfs of ours. Others are looked at. */
static const struct {
	const char *path;
	enum kind kind;
} usual[] = {
	{ "/proc/acpi", A_DIRECTORY }, { "/sys/firmware", A_DIRECTORY }, { "/proc/keys", A_FILE },
	{ "/proc/kcore", A_FILE },     { "/proc/timer_list", A_FILE },
};

/* An object to cover: name below dir, or dir itself when name is "". */
struct target {
	int dir;
	const char *name;
	mode_t type;
	int owned; /* dir, when it was opened for this */
};

static bool is_missing(int code)
{
	return code == ENOENT || code == ENOTDIR;
}

/* 1: found, 0: there is no such path, -E…. */
static int find(struct ns_plan *plan, const struct ns_place *place, struct target *ret,
		struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, place, &rest);
	struct stat st;

	*ret = (struct target){ .dir = base, .name = rest, .owned = -1 };
	if (strcmp(place->path, "/proc/kcore") == 0 && plan->knows_kcore && !plan->has_kcore)
		return 0;
	if (*rest && ns_place_is_name(place) && ns_place_is_fresh(plan, place)) {
		if (fstatat(base, rest, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return is_missing(errno) ? 0
						 : error_set(err, errno, "stat %s", place->path);
		ret->type = st.st_mode & S_IFMT;
		if (!S_ISLNK(st.st_mode))
			return 1;
	}
	if (*rest) {
		int fd = path_try(base, rest, O_PATH);

		if (fd < 0)
			return is_missing(-fd) ? 0 : error_set(err, -fd, "open %s", place->path);
		ret->dir = ret->owned = fd;
		ret->name = "";
	}
	if (fstat(ret->dir, &st) < 0)
		return error_set(err, errno, "stat %s", place->path);
	ret->type = st.st_mode & S_IFMT;
	return 1;
}

/* A mount for one more path: the first is made, the others are clones of it. */
static int next_cover(struct ns_plan *plan, struct covers *covers, enum kind kind, struct error *err)
{
	if (covers->first[kind] >= 0) {
		int fd = sys_open_tree(covers->first[kind], "", AT_EMPTY_PATH);

		return fd < 0 ? error_set(err, errno, "clone the mount for masked paths") : fd;
	}
	if (covers->spare[kind] < 0)
		covers->spare[kind] = kind == A_DIRECTORY ?
					      ns_new_fs("tmpfs",
							MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
								MOUNT_ATTR_NOEXEC,
							err) :
					      ns_open_null(plan, err);
	return covers->spare[kind];
}

/* 1: done. 0: it has to be looked at. */
static int mask_usual(struct ns_plan *plan, const struct ns_place *place, struct covers *covers, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, place, &rest);

	if (!ns_place_is_name(place) || !ns_place_is_fresh(plan, place))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		enum kind kind = usual[i].kind;

		if (strcmp(place->path, usual[i].path) != 0 || covers->first[kind] >= 0)
			continue;
		if (strcmp(place->path, "/proc/kcore") == 0 && plan->knows_kcore && !plan->has_kcore)
			return 1;

		int fd = next_cover(plan, covers, kind, err);

		if (fd < 0)
			return fd;
		if (sys_attach(fd, base, rest) < 0)
			return is_missing(errno);
		covers->first[kind] = fd;
		return 1;
	}
	return 0;
}

static int mask(struct ns_plan *plan, const struct ns_cover *cover, struct covers *covers,
		struct error *err)
{
	int r = mask_usual(plan, &cover->place, covers, err);

	if (r != 0)
		return r < 0 ? r : 0;

	struct target t;

	r = find(plan, &cover->place, &t, err);

	auto_close int owned = t.owned;

	if (r <= 0)
		return r;

	enum kind kind = S_ISDIR(t.type) ? A_DIRECTORY : A_FILE;
	int fd = next_cover(plan, covers, kind, err);

	if (fd < 0)
		return fd;
	if (sys_attach(fd, t.dir, t.name) < 0)
		return error_set(err, errno, "mask %s", cover->place.path);
	if (covers->first[kind] < 0)
		covers->first[kind] = fd;
	return 0;
}

int ns_mask_paths(struct ns_plan *plan, struct error *err)
{
	struct covers covers = { .first = { -1, -1 }, .spare = { -1, -1 } };

	for (size_t i = 0; i < plan->n_masked; i++) {
		int r = mask(plan, &plan->masked[i], &covers, err);

		if (r < 0) {
			error_at(err, "/linux/maskedPaths/%d", plan->masked[i].index);
			return r;
		}
	}
	return 0;
}

/*
 * A path of our own procfs or sysfs without mounts below it: one clone that is
 * born read-only. A symlink there (/proc/net) leads to a directory, which does
 * not fit on a link: EINVAL, and the caller takes the long way.
 */
static int make_readonly_fresh(struct ns_plan *plan, int base, const char *name)
{
	static const struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd = ns_clone_tree(plan, base, name, 0, &ro);

	return fd < 0 || sys_attach(fd, base, name) < 0 ? -errno : 0;
}

static int make_readonly(struct ns_plan *plan, const struct ns_cover *cover, struct error *err)
{
	static const struct ns_attr ro = { .set = MOUNT_ATTR_RDONLY };
	const struct ns_place *place = &cover->place;
	const char *rest;
	int base = ns_place_base(plan, place, &rest);

	if (ns_place_is_name(place) && ns_place_is_fresh(plan, place) && !cover->has_inner_mounts) {
		int r = make_readonly_fresh(plan, base, rest);

		if (r == 0 || is_missing(-r))
			return 0;
	}

	struct target t;
	int r = find(plan, place, &t, err);
	auto_close int owned = t.owned;

	if (r <= 0)
		return r;

	/* With what is mounted below, which keeps its own flags. */
	int fd = sys_open_tree(t.dir, t.name, AT_RECURSIVE | (*t.name ? 0 : AT_EMPTY_PATH));

	if (fd < 0)
		return error_set(err, errno, "clone %s", place->path);
	r = ns_set_attr(fd, 0, &ro, place->path, err);
	if (r == 0 && sys_attach(fd, t.dir, t.name) < 0)
		r = error_set(err, errno, "make %s read-only", place->path);
	return r;
}

int ns_readonly_paths(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_readonly; i++) {
		int r = make_readonly(plan, &plan->readonly[i], err);

		if (r < 0) {
			error_at(err, "/linux/readonlyPaths/%d", plan->readonly[i].index);
			return r;
		}
	}
	return 0;
}
