/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes, masked paths and read-only paths, each with the mount it lies in. */
#include "namespaces/plan.h"

#include <errno.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/path.h"

static bool is_mount_point(const struct ns_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i].kind != NS_MOUNT_REMOUNT &&
		    strcmp(plan->mounts[i].place.path, path) == 0)
			return true;
	return false;
}

/* Does linux.devices[] or a mount of the config bring its own? */
static bool is_overridden(const struct ns_plan *plan, const char *path)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	for (size_t i = 0; i < linux_->n_devices; i++)
		if (linux_->devices[i].path && strcmp(linux_->devices[i].path, path) == 0)
			return true;
	return is_mount_point(plan, path);
}

static int add_device(struct ns_plan *plan, const struct spec_device *dev, int index,
		      struct error *err)
{
	struct ns_device *d = &plan->devices[plan->n_devices];

	*d = (struct ns_device){ .spec = dev, .index = index };

	int r = ns_place_find(plan, plan->n_mounts, dev->path, &d->place, err);

	if (r < 0)
		return r;
	if (strcmp(d->place.path, "/") == 0)
		return error_rule(err, EINVAL, "device path \"%s\" has no name", dev->path);
	/* A /dev of the user's is complete as it is. */
	if (!plan->populate_dev && path_is_below(d->place.path, "/dev"))
		return 0;
	/* Always the link into the container's own devpts (cl Default devices). */
	if (strcmp(d->place.path, "/dev/ptmx") == 0)
		return 0;
	plan->n_devices++;
	return 0;
}

static int plan_devices(struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	size_t n_defaults;
	const struct spec_device *defaults = spec_default_devices(&n_defaults);

	plan->populate_dev = plan->dev < 0 || plan->mounts[plan->dev].kind != NS_MOUNT_BIND;
	plan->devices = ARENA_NEW_N(plan->arena, struct ns_device, n_defaults + linux_->n_devices);

	int r = ns_place_find(plan, plan->n_mounts, "/dev", &plan->dev_place, err);

	for (size_t i = 0; r == 0 && i < n_defaults; i++)
		if (!is_overridden(plan, defaults[i].path))
			r = add_device(plan, &defaults[i], -1, err);
	for (size_t i = 0; r == 0 && i < linux_->n_devices; i++) {
		r = add_device(plan, &linux_->devices[i], (int)i, err);
		if (r < 0)
			error_at(err, "/linux/devices/%zu", i);
	}
	return r;
}

static bool has_inner_mounts(const struct ns_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (strcmp(plan->mounts[i].place.path, path) != 0 &&
		    path_is_below(plan->mounts[i].place.path, path))
			return true;
	return false;
}

static int plan_covers(struct ns_plan *plan, const struct spec_strings *paths, const char *member,
		       struct ns_cover **ret, size_t *ret_n, struct error *err)
{
	struct ns_cover *v = ARENA_NEW_N(plan->arena, struct ns_cover, paths->n + 1);

	for (size_t i = 0; i < paths->n; i++) {
		int r = 0;

		if (!plan->ns[SPEC_NS_MOUNT].listed)
			r = error_rule(err, EINVAL, "%s need a mount namespace", member);
		else if (paths->v[i][0] != '/')
			r = error_rule(err, EINVAL, "\"%s\" is not an absolute path", paths->v[i]);
		else
			r = ns_place_find(plan, plan->n_mounts, paths->v[i], &v[i].place, err);
		if (r == 0 && strcmp(v[i].place.path, "/") == 0)
			r = error_rule(err, EINVAL, "\"/\" as a whole is root.readonly's business");
		if (r < 0) {
			error_at(err, "/linux/%s/%zu", member, i);
			return r;
		}
		v[i].index = (int)i;
		v[i].has_inner_mounts = has_inner_mounts(plan, v[i].place.path);
	}
	*ret = v;
	*ret_n = paths->n;
	return 0;
}

int ns_plan_paths(struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	int r = plan_devices(plan, err);

	if (r == 0)
		r = plan_covers(plan, &linux_->masked_paths, "maskedPaths", &plan->masked,
				&plan->n_masked, err);
	if (r == 0)
		r = plan_covers(plan, &linux_->readonly_paths, "readonlyPaths", &plan->readonly,
				&plan->n_readonly, err);
	return r;
}
