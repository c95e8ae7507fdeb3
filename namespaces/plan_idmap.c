/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "idmap=uids=0-1000-10#20-5000-1;gids=@0-0-10"
 *
 * The maps of one bind mount inside an option, as podman-run(1) writes them: ids
 * of the filesystem, the ids they become on the host, and how many; '#' between
 * ranges. Behind '@' the second number is an id of the container, which the
 * container's own maps turn into one of the host.
 */
#include "namespaces/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/parse.h"

/* Cuts the next number off *p, up to one of the characters of `ends` or the end. */
static int next_id(const char **p, const char *ends, uint32_t *ret)
{
	char digits[16];
	size_t n = strcspn(*p, ends);

	if (n == 0 || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, *p, n);
	digits[n] = '\0';
	*p += n;
	return parse_u32(digits, ret);
}

/* From an id of the container to one of the host: a range of one map, or nothing. */
static int to_host(const struct spec_idmaps *own, struct spec_idmap *map)
{
	for (size_t i = 0; i < own->n; i++) {
		const struct spec_idmap *o = &own->v[i];

		if (map->host_id < o->container_id ||
		    (uint64_t)map->host_id + map->size > (uint64_t)o->container_id + o->size)
			continue;
		map->host_id = o->host_id + (map->host_id - o->container_id);
		return 0;
	}
	return -ERANGE;
}

static int parse_range(const char **p, const struct spec_idmaps *own, struct spec_idmap *ret)
{
	bool is_relative = **p == '@';

	*p += is_relative;
	if (next_id(p, "-", &ret->container_id) < 0 || *(*p)++ != '-' ||
	    next_id(p, "-", &ret->host_id) < 0 || *(*p)++ != '-' ||
	    next_id(p, "#;", &ret->size) < 0 || ret->size == 0)
		return -EINVAL;
	return is_relative ? to_host(own, ret) : 0;
}

/* The ranges behind "uids=" or "gids=". */
static int parse_ranges(struct ns_plan *plan, const char **p, const struct spec_idmaps *own,
			const struct spec_idmaps **ret)
{
	struct spec_idmaps *maps = ARENA_NEW(plan->arena, struct spec_idmaps);
	size_t room = 1;

	for (const char *c = *p; *c && *c != ';'; c++)
		room += *c == '#';
	maps->v = ARENA_NEW_N(plan->arena, struct spec_idmap, room);
	for (;;) {
		int r = parse_range(p, own, &maps->v[maps->n++]);

		if (r < 0)
			return r;
		if (**p != '#')
			break;
		(*p)++;
	}
	*ret = maps;
	return 0;
}

static int parse_option(struct ns_plan *plan, struct ns_mount *m, const char *p)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	int r = 0;

	while (r == 0 && *p) {
		bool is_uids = strncmp(p, "uids=", 5) == 0;

		if (!is_uids && strncmp(p, "gids=", 5) != 0)
			return -EINVAL;
		p += 5;
		r = is_uids ? parse_ranges(plan, &p, &linux_->uid_maps, &m->uid_maps)
			    : parse_ranges(plan, &p, &linux_->gid_maps, &m->gid_maps);
		if (r == 0 && *p == ';')
			p++;
	}
	return r < 0 ? r : m->uid_maps || m->gid_maps ? 0 : -EINVAL;
}

static const struct spec_idmaps *identity(struct ns_plan *plan)
{
	struct spec_idmaps *maps = ARENA_NEW(plan->arena, struct spec_idmaps);

	maps->v = ARENA_NEW(plan->arena, struct spec_idmap);
	*maps->v = (struct spec_idmap){ 0, 0, UINT32_MAX };
	maps->n = 1;
	return maps;
}

int ns_plan_idmap(struct ns_plan *plan, struct ns_mount *m, const char *value, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	int r = parse_option(plan, m, value);

	if (r == -ERANGE)
		return error_rule(err, EINVAL,
				  "option \"idmap=%s\" names ids that the container's user "
				  "namespace does not map",
				  value);
	if (r < 0)
		return error_rule(err, EINVAL,
				  "option \"idmap=%s\" is not of the form "
				  "idmap=uids=FROM-TO-SIZE[#…];gids=…",
				  value);
	/* Who names only one kind leaves the other as the container has it. */
	if (!m->uid_maps)
		m->uid_maps = linux_->uid_maps.n ? &linux_->uid_maps : identity(plan);
	if (!m->gid_maps)
		m->gid_maps = linux_->gid_maps.n ? &linux_->gid_maps : identity(plan);
	m->idmap = NS_IDMAP_TOP;
	return 0;
}
