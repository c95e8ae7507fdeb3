/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[] of the config, and those the runtime adds, as steps in their order. */
#include "namespaces/plan.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

int ns_place_find(const struct ns_plan *plan, size_t n, const char *path, struct ns_place *ret,
		  struct error *err)
{
	char clean[PATH_MAX];

	if (path_clean(path, clean, sizeof(clean)) < 0)
		return error_set(err, ENAMETOOLONG, "read the container path %.100s…", path);

	*ret = (struct ns_place){ .parent = -1, .path = arena_strdup(plan->arena, clean) };
	ret->rest = ret->path + 1;
	/* The newest one counts: it covers what lies before it in the list. */
	for (size_t i = n; i-- > 0;) {
		const struct ns_mount *m = &plan->mounts[i];

		if (m->kind == NS_MOUNT_REMOUNT || !path_is_below(ret->path, m->place.path))
			continue;
		ret->parent = (int)i;
		ret->rest = ret->path + strlen(m->place.path);
		ret->rest += *ret->rest == '/';
		break;
	}
	return 0;
}

bool ns_place_is_name(const struct ns_place *place)
{
	return *place->rest && !strchr(place->rest, '/');
}

static bool is_type(const struct ns_mount *m, const char *type)
{
	return m->kind == NS_MOUNT_FS && strcmp(m->type, type) == 0;
}

/*
 * A mount inside /proc could stand in for the files that we and the container
 * trust (CVE-2019-16884, CVE-2025-52881). These few are what lxcfs and CRIU
 * provide and nobody trusts.
 */
static bool is_allowed_in_proc(const char *path)
{
	static const char *const allowed[] = {
		"cpuinfo",
		"diskstats",
		"meminfo",
		"stat",
		"swaps",
		"uptime",
		"loadavg",
		"slabinfo",
		"sys/kernel/ns_last_pid",
		"sys/crypto/fips_enabled",
	};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (strcmp(path + strlen("/proc/"), allowed[i]) == 0)
			return true;
	return false;
}

static int check_destination(const struct ns_mount *m, struct error *err)
{
	const char *path = m->place.path;

	if (strcmp(path, "/") == 0)
		return error_rule(err, EINVAL, "mountpoint is on the top of rootfs: use root.path");
	if (!path_is_below(path, "/proc") || m->kind == NS_MOUNT_REMOUNT)
		return 0;
	/* A bind of a whole procfs is told from others when it is made. */
	if (strcmp(path, "/proc") == 0 && (is_type(m, "proc") || m->kind == NS_MOUNT_BIND))
		return 0;
	if (strcmp(path, "/proc") == 0)
		return error_rule(err, EINVAL,
				  "\"/proc\" can only hold a procfs, not %s: nothing else "
				  "may be mounted at or inside /proc",
				  m->type);
	if (is_allowed_in_proc(path))
		return 0;
	return error_rule(err, EINVAL, "\"%s\" cannot be mounted because it is inside /proc", path);
}

static int check_idmap(const struct ns_plan *plan, const struct spec_mount *from,
		       struct ns_mount *m, struct error *err)
{
	bool has_uid = from->uid_maps.n > 0, has_gid = from->gid_maps.n > 0;

	if (has_uid != has_gid)
		return error_rule(err, EINVAL, "%s without %s: an id-mapped mount needs both",
				  has_uid ? "uidMappings" : "gidMappings",
				  has_uid ? "gidMappings" : "uidMappings");
	if (has_uid) {
		m->uid_maps = &from->uid_maps;
		m->gid_maps = &from->gid_maps;
		if (m->idmap == NS_IDMAP_NONE)
			m->idmap = NS_IDMAP_TOP;
	}
	if (m->idmap == NS_IDMAP_NONE)
		return 0;
	if (m->kind != NS_MOUNT_BIND)
		return error_rule(err, EINVAL,
				  "id-mapped mounts are only supported for bind-mounts");
	if (!m->uid_maps && !plan->ns[SPEC_NS_USER].listed)
		return error_rule(err, EINVAL,
				  "an id-mapped mount needs uidMappings and gidMappings, or "
				  "a user namespace to take them from");
	return 0;
}

/* The SELinux label goes to filesystems that keep labels of their own (cl Mount label). */
static void plan_label(const struct ns_plan *plan, struct ns_mount *m)
{
	const char *label = plan->spec->linux_.mount_label;

	if (!label || m->kind != NS_MOUNT_FS || m->real_dir_only)
		return;
	m->label = label;
	if (strcmp(m->type, "mqueue") != 0) /* knows no context=: relabelled once it is mounted */
		m->opts[m->n_opts++] = (struct ns_fsopt){ "context", label };
}

static bool has_opt(const struct ns_mount *m, const char *key)
{
	for (size_t i = 0; i < m->n_opts; i++)
		if (strcmp(m->opts[i].key, key) == 0)
			return true;
	return false;
}

/* A read-only block device or overlay has to know before it is opened; the kernel's own do not care. */
static void plan_read_only(struct ns_mount *m, bool is_kernels)
{
	uint64_t ro = (m->attr.set | m->rec_attr.set) & MOUNT_ATTR_RDONLY;
	bool rw = m->attr.clear & MOUNT_ATTR_RDONLY;

	if (is_type(m, "tmpfs") || (m->kind == NS_MOUNT_FS && strcmp(m->place.path, "/dev") == 0)) {
		m->late_ro = ro;
		m->attr.set &= ~ro;
		m->rec_attr.set &= ~ro;
	} else if (ro && !is_kernels && m->kind == NS_MOUNT_FS) {
		m->opts[m->n_opts++] = (struct ns_fsopt){ "ro", NULL };
	} else if (m->kind == NS_MOUNT_REMOUNT && !m->of_bind && (ro || rw)) {
		m->opts[m->n_opts++] = (struct ns_fsopt){ ro ? "ro" : "rw", NULL };
	}
}

static void classify(struct ns_plan *plan, struct ns_mount *m)
{
	static const char *const kernels[] = { "proc", "sysfs", "devpts", "mqueue" };
	bool is_kernels = m->kind == NS_MOUNT_CGROUP;

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++)
		is_kernels |= is_type(m, kernels[i]);
	m->real_dir_only = is_type(m, "proc") || is_type(m, "sysfs");
	m->is_fresh = is_kernels || (is_type(m, "tmpfs") && !m->copy_up);
	m->takes_mode = is_type(m, "tmpfs") && !has_opt(m, "mode");
	plan_read_only(m, is_kernels);
	plan_label(plan, m);
}

static const char *bind_source(const struct ns_plan *plan, const char *source)
{
	if (!source || source[0] == '/')
		return source;
	return arena_printf(plan->arena, "%s/%s", plan->bundle,
			    source); /* c Mounts: relative to the bundle */
}

/* Which of ours hold what later steps need by descriptor. A later mount on the same place takes that away. */
static void note_special(struct ns_plan *plan, int i)
{
	const struct ns_mount *m = &plan->mounts[i];
	const char *path = m->place.path;

	if (m->kind == NS_MOUNT_REMOUNT)
		return;
	if (strcmp(path, "/proc") == 0)
		plan->proc = is_type(m, "proc") ? i : -1;
	if (strcmp(path, "/dev") == 0)
		plan->dev = i;
	if (strcmp(path, "/dev") == 0 || strcmp(path, "/dev/pts") == 0)
		plan->devpts = is_type(m, "devpts") ? i : -1;
}

/* index: in mounts[] of the config; -1: not one of these. */
static int plan_one(struct ns_plan *plan, size_t i, const struct spec_mount *from, int index, struct error *err)
{
	struct ns_mount *m = &plan->mounts[i];

	*m = (struct ns_mount){ .index = index, .tree_fd = -1, .fd = -1 };
	if (!from->destination || !*from->destination)
		return error_rule(err, EINVAL, "destination is empty");

	int r = ns_place_find(plan, i, from->destination, &m->place, err);

	if (r == 0)
		r = ns_plan_options(plan, from, m, err);
	if (r == 0)
		r = check_destination(m, err);
	if (r == 0)
		r = check_idmap(plan, from, m, err);
	if (r < 0)
		return r;

	m->source = m->kind == NS_MOUNT_BIND ? bind_source(plan, from->source) : from->source;
	if (m->kind == NS_MOUNT_BIND && (!m->source || !*from->source))
		return error_rule(err, EINVAL, "a bind mount on %s without a source",
				  m->place.path);
	if (m->copy_up && !is_type(m, "tmpfs"))
		return error_rule(err, EINVAL, "tmpcopyup is for tmpfs, not for %s", m->type);
	classify(plan, m);
	note_special(plan, (int)i);
	return 0;
}

static int plan_extra(struct ns_plan *plan, size_t i, const struct ns_extra_mount *from,
		      struct error *err)
{
	struct ns_mount *m = &plan->mounts[i];

	if (from->bind) {
		int r = plan_one(plan, i, from->bind, -1, err);

		return r < 0 ? error_wrap(err, r, "cannot mount volume %s on %s", from->bind->source,
					  from->bind->destination) : 0;
	}
	*m = (struct ns_mount){
		.kind = NS_MOUNT_BIND,
		.index = -1,
		.type = "bind",
		.attr.set = from->attr_set,
		.extra = from,
		.tree_fd = -1,
		.fd = -1,
	};

	int r = ns_place_find(plan, i, from->destination, &m->place, err);

	return r < 0 ? r : check_destination(m, err);
}

int ns_plan_mounts(struct ns_plan *plan, const struct ns_options *opt, struct error *err)
{
	size_t n = plan->spec->n_mounts;

	plan->mounts = ARENA_NEW_N(plan->arena, struct ns_mount, n + opt->n_extra_mounts + 1);
	if (n + opt->n_extra_mounts > 0 && !plan->ns[SPEC_NS_MOUNT].listed) {
		error_rule(err, EINVAL,
			   "mounts need a mount namespace: without one they would be made "
			   "on the host");
		error_at(err, "/linux/namespaces");
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		int r = plan_one(plan, i, &plan->spec->mounts[i], (int)i, err);

		if (r < 0) {
			error_at(err, "/mounts/%zu", i);
			return r;
		}
	}
	plan->n_mounts = n;
	for (size_t i = 0; i < opt->n_extra_mounts; i++) {
		int r = plan_extra(plan, n + i, &opt->extra_mounts[i], err);

		if (r < 0)
			return r;
		plan->n_mounts++;
	}
	return 0;
}
