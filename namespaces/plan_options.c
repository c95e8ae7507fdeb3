/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts[].options to attributes, propagation and filesystem data
 *
 * Generic options come from the one table in spec; what the table does not know
 * is the filesystem's own. Options count in their order: a later one wins over
 * its opposite (c Linux mount options).
 */
#include "namespaces/plan.h"

#include <errno.h>
#include <string.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

static void set_attr(struct ns_attr *attr, const struct spec_mopt *opt)
{
	uint64_t v = opt->value;

	/*
	 * The atime policy is one field of three values and not a bit: relatime is
	 * zero. mount_setattr(2) wants the whole field cleared before it is set.
	 */
	if ((v & ~(uint64_t)MOUNT_ATTR__ATIME) == 0) {
		attr->clear |= MOUNT_ATTR__ATIME;
		if (!opt->clear)
			attr->set = (attr->set & ~(uint64_t)MOUNT_ATTR__ATIME) | v;
		else if ((attr->set & MOUNT_ATTR__ATIME) == v)
			attr->set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		return;
	}
	if (opt->clear) {
		attr->set &= ~v;
		attr->clear |= v;
	} else {
		attr->set |= v;
		attr->clear &= ~v;
	}
}

static void drop_opt(struct ns_mount *m, const char *key)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_opts; i++)
		if (strcmp(m->opts[i].key, key) != 0)
			m->opts[kept++] = m->opts[i];
	m->n_opts = kept;
}

static void add_opt(struct ns_mount *m, const char *key, const char *value)
{
	m->opts[m->n_opts++] = (struct ns_fsopt){ key, value };
}

/* "sync" and "async" are one superblock flag with two names for fsconfig(2). */
static const char *opposite_sb_flag(const char *flag)
{
	static const char *const pairs[][2] = { { "sync", "async" }, { "lazytime", "nolazytime" } };

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		for (int side = 0; side < 2; side++)
			if (strcmp(pairs[i][side], flag) == 0)
				return pairs[i][!side];
	return "";
}

static void set_sb_flag(struct ns_mount *m, const struct spec_mopt *opt)
{
	drop_opt(m, opt->sb_flag);
	drop_opt(m, opposite_sb_flag(opt->sb_flag));
	/* Cleared is how a new filesystem starts; only a remount has to say so. */
	if (!opt->clear || m->kind == NS_MOUNT_REMOUNT)
		add_opt(m, opt->sb_flag, NULL);
}

/* Words that today's kernels take and ignore: each would be a system call for nothing. */
static bool is_no_op(const struct ns_mount *m, const char *option)
{
	return strcmp(m->type, "devpts") == 0 && strcmp(option, "newinstance") == 0;
}

static void set_data(struct ns_plan *plan, struct ns_mount *m, const char *option)
{
	const char *eq = strchr(option, '=');

	if (!*option || is_no_op(m, option))
		return;
	if (eq)
		add_opt(m, arena_strndup(plan->arena, option, (size_t)(eq - option)), eq + 1);
	else
		add_opt(m, option, NULL);
}

/* Options of binds that engines for crun send (podman's no-dereference, for one); not the specification's. */
static bool set_bind_extra(struct ns_mount *m, const char *option)
{
	const struct {
		const char *name;
		bool *flag;
	} extras[] = {
		{ "copy-symlink", &m->copy_link },
		{ "src-nofollow", &m->source_nofollow },
		{ "dest-nofollow", &m->target_nofollow },
	};

	for (size_t i = 0; m->kind == NS_MOUNT_BIND && i < ARRAY_SIZE(extras); i++) {
		if (strcmp(extras[i].name, option) != 0)
			continue;
		*extras[i].flag = true;
		return true;
	}
	return false;
}

/* What an entry is depends on its options wherever they stand in the list. */
static enum ns_mount_kind kind_of(const struct spec_mount *from, bool *ret_bind)
{
	bool bind = false, again = false;

	for (size_t i = 0; i < from->options.n; i++) {
		const struct spec_mopt *opt = spec_mount_option(from->options.v[i]);

		bind |= opt && opt->kind == MOPT_BIND;
		again |= opt && opt->kind == MOPT_REMOUNT;
	}
	*ret_bind = bind;
	if (again)
		return NS_MOUNT_REMOUNT;
	if (bind)
		return NS_MOUNT_BIND;
	if (from->type && (strcmp(from->type, "cgroup") == 0 || strcmp(from->type, "cgroup2") == 0))
		return NS_MOUNT_CGROUP;
	return NS_MOUNT_FS;
}

static int apply_option(struct ns_plan *plan, struct ns_mount *m, const char *name,
			const struct spec_mopt *opt, struct error *err)
{
	bool bind = m->kind == NS_MOUNT_BIND || m->of_bind;

	switch (opt ? opt->kind : MOPT_DATA) {
	case MOPT_IGNORE:
	case MOPT_REMOUNT:
		break;
	case MOPT_ATTR:
		set_attr(&m->attr, opt);
		break;
	case MOPT_ATTR_REC:
		set_attr(&m->rec_attr, opt);
		break;
	case MOPT_SB:
		if (!bind) /* a bind shares its superblock with the host; mount(2) ignores these too */
			set_sb_flag(m, opt);
		break;
	case MOPT_BIND:
		m->recursive = opt->recursive;
		break;
	case MOPT_PROPAGATION:
		m->prop[m->n_prop++] = (struct ns_propagation){ opt->value, opt->recursive };
		break;
	case MOPT_IDMAP:
		m->idmap = opt->recursive ? NS_IDMAP_TREE : NS_IDMAP_TOP;
		break;
	case MOPT_COPYUP:
		m->copy_up = true;
		break;
	case MOPT_DATA:
		if (bind)
			return error_rule(err, EINVAL,
					  "option \"%s\" belongs to a filesystem: a bind "
					  "mount cannot have any",
					  name);
		set_data(plan, m, name);
		break;
	}
	return 0;
}

int ns_plan_options(struct ns_plan *plan, const struct spec_mount *from, struct ns_mount *m,
		    struct error *err)
{
	const struct spec_strings *options = &from->options;
	bool bind;

	m->kind = kind_of(from, &bind);
	m->of_bind = bind && m->kind == NS_MOUNT_REMOUNT;
	m->type = bind ? "bind" : from->type ? from->type : "none";
	/* One more each: label, late additions. */
	m->opts = ARENA_NEW_N(plan->arena, struct ns_fsopt, options->n + 2);
	m->prop = ARENA_NEW_N(plan->arena, struct ns_propagation, options->n + 1);

	for (size_t i = 0; i < options->n; i++) {
		const char *name = options->v[i];
		int r = 0;

		if (strncmp(name, "idmap=", 6) == 0)
			r = ns_plan_idmap(plan, m, name + 6, err);
		else if (!set_bind_extra(m, name))
			r = apply_option(plan, m, name, spec_mount_option(name), err);
		if (r < 0) {
			if (m->index >= 0)
				error_at(err, "/mounts/%d/options/%zu", m->index, i);
			return r;
		}
	}
	return 0;
}
