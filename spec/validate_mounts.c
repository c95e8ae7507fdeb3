/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of mounts[] and of id maps. What a mount does to the root filesystem
 * (a mount inside /proc, data for a bind) is the mount planner's to judge.
 */
#include "spec/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/show.h"

#define MAX_EXTENTS 340 /* UID_GID_MAP_MAX_EXTENTS of the kernel */

/* Do [a, a + n) and [b, b + m) share an id? */
static bool overlap(uint32_t a, uint32_t n, uint32_t b, uint32_t m)
{
	return a < (uint64_t)b + m && b < (uint64_t)a + n;
}

/* The kernel's rules for uid_map (user_namespaces(7)), said before anything was made. */
int check_idmaps(const struct spec_idmaps *maps, const char *name, const char *at,
		 struct error *err)
{
	if (maps->n > MAX_EXTENTS)
		return rule_at(error_rule(err, EINVAL,
					  "%s has %zu entries: the kernel takes at most %d", name,
					  maps->n, MAX_EXTENTS),
			       err, "%s", at);

	for (size_t i = 0; i < maps->n; i++) {
		const struct spec_idmap *m = &maps->v[i];
		uint32_t first = m->container_id > m->host_id ? m->container_id : m->host_id;

		if (m->size == 0)
			return rule_at(error_rule(err, EINVAL, "%s[%zu].size is 0: it maps no id",
						  name, i),
				       err, "%s/%zu/size", at, i);
		if ((uint64_t)first + m->size > UINT32_MAX)
			return rule_at(error_rule(err, EINVAL,
						  "%s[%zu] maps %" PRIu32 " ids from %" PRIu32
						  ", beyond the last id %" PRIu32,
						  name, i, m->size, first, UINT32_MAX - 1),
				       err, "%s/%zu", at, i);
		for (size_t j = 0; j < i; j++) {
			const struct spec_idmap *o = &maps->v[j];

			if (overlap(m->container_id, m->size, o->container_id, o->size) ||
			    overlap(m->host_id, m->size, o->host_id, o->size))
				return rule_at(
					error_rule(err, EINVAL,
						   "%s[%zu] maps an id that %s[%zu] maps already",
						   name, i, name, j),
					err, "%s/%zu", at, i);
		}
	}
	return 0;
}

static const char *option_of_kind(const struct spec_mount *m, enum spec_mopt_kind kind)
{
	for (size_t i = 0; i < m->options.n; i++) {
		const struct spec_mopt *o = spec_mount_option(m->options.v[i]);

		if (o && o->kind == kind)
			return o->name;
	}
	return NULL;
}

static int check_mount_maps(const struct spec *spec, size_t i, struct error *err)
{
	const struct spec_mount *m = &spec->mounts[i];
	const char *idmap = option_of_kind(m, MOPT_IDMAP);
	bool has_uids = m->uid_maps.n > 0, has_gids = m->gid_maps.n > 0;
	char name[64], at[64];

	if (has_uids != has_gids)
		return rule_at(
			error_rule(
				err, EINVAL,
				"mounts[%zu] (%s) has %s, but no %s: an id-mapped mount needs both",
				i, show(m->destination).text,
				has_uids ? "uidMappings" : "gidMappings",
				has_uids ? "gidMappings" : "uidMappings"),
			err, "/mounts/%zu", i);
	if ((has_uids || idmap) && !option_of_kind(m, MOPT_BIND))
		return rule_at(error_rule(err, EINVAL,
					  "mounts[%zu] (%s) has %s, but is no bind mount: only "
					  "these can be id-mapped",
					  i, show(m->destination).text,
					  has_uids ? "uidMappings" : idmap),
			       err, "/mounts/%zu", i);
	if (idmap && !has_uids && !spec->linux_.ns[SPEC_NS_USER].listed)
		return rule_at(
			error_rule(err, EINVAL,
				   "mounts[%zu] (%s) has option %s, but no uidMappings, and the "
				   "config asks for no user namespace whose ids it could take",
				   i, show(m->destination).text, idmap),
			err, "/mounts/%zu/options", i);

	snprintf(name, sizeof(name), "mounts[%zu].uidMappings", i);
	snprintf(at, sizeof(at), "/mounts/%zu/uidMappings", i);

	int r = check_idmaps(&m->uid_maps, name, at, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "mounts[%zu].gidMappings", i);
	snprintf(at, sizeof(at), "/mounts/%zu/gidMappings", i);
	return check_idmaps(&m->gid_maps, name, at, err);
}

int check_mounts(const struct spec *spec, const struct log *log, struct error *err)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];

		/* config.md Mounts since 1.2: still taken, as relative to "/". */
		if (*m->destination != '/')
			log_warn(log,
				 "mounts[%zu].destination is %s: a relative destination is "
				 "deprecated and is taken as relative to /",
				 i, show(m->destination).text);

		int r = check_mount_maps(spec, i, err);

		if (r < 0)
			return r;
	}
	return 0;
}
