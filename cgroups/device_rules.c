/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/device_rules.h"

/*
 * What a list of device rules means (config-linux.md, Allowed device list): the
 * entries are applied in order, so for each kind of access (read, write, mknod)
 * the last rule that speaks of it decides. An access that asks for several kinds
 * needs all of them. A rule for every device and every access starts anew.
 *
 * What no rule speaks of is allowed as long as nothing is denied anywhere, as in a
 * fresh cgroup of v1, and denied from the first rule on that denies: a list that
 * restricts is a list of what is allowed.
 */

#include <string.h>

bool device_is_wildcard(const struct spec_device_rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && (r->access & DEVICE_ANY) == DEVICE_ANY;
}

bool device_matches(const struct spec_device_rule *r, char type, int64_t major, int64_t minor)
{
	return (r->type == 'a' || r->type == type) && (r->major < 0 || r->major == major) &&
	       (r->minor < 0 || r->minor == minor);
}

bool cg_device_allows(const struct cg_device_rules *rules, size_t n_lists, char type, int64_t major,
		      int64_t minor, unsigned access)
{
	unsigned granted = DEVICE_ANY;

	for (size_t l = 0; l < n_lists; l++)
		for (size_t i = 0; i < rules[l].n; i++)
			if (!rules[l].v[i].allow)
				granted = 0;

	for (size_t l = 0; l < n_lists; l++)
		for (size_t i = 0; i < rules[l].n; i++) {
			const struct spec_device_rule *r = &rules[l].v[i];

			if (!device_matches(r, type, major, minor))
				continue;
			granted = r->allow ? granted | r->access : granted & ~r->access;
		}
	return (access & ~granted) == 0;
}

/* The order in which runc builds its list too. */
void cg_device_lists(const struct spec_resources *res, struct cg_device_rules ret[CG_DEVICE_LISTS])
{
	static const struct spec_device_rule deny_all = {
		.type = 'a', .major = -1, .minor = -1,
		.access = SPEC_DEV_READ | SPEC_DEV_WRITE | SPEC_DEV_MKNOD,
	};

	ret[0] = (struct cg_device_rules){ .v = &deny_all, .n = 1 };
	ret[1] = (struct cg_device_rules){ .v = res ? res->devices : NULL, .n = res ? res->n_devices : 0 };
	ret[2].v = spec_default_device_rules(&ret[2].n);
}

int cg_container_device_program(const struct spec_resources *res, struct arena *a, void **ret_insns,
				size_t *ret_n, struct error *err)
{
	struct cg_device_rules lists[CG_DEVICE_LISTS];

	cg_device_lists(res, lists);
	return cg_device_program(lists, CG_DEVICE_LISTS, a, ret_insns, ret_n, err);
}
