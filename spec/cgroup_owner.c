/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a container's cgroup is (config-linux.md Cgroup ownership). */
#include <string.h>

#include "spec/spec.h"

bool spec_wants_cgroup(const struct spec *spec)
{
	if (!spec->linux_.ns[SPEC_NS_CGROUP].listed || spec->linux_.ns[SPEC_NS_CGROUP].path)
		return false;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];

		if (!m->type || strncmp(m->type, "cgroup", 6) != 0 ||
		    strcmp(m->destination, "/sys/fs/cgroup") != 0)
			continue;
		for (size_t k = 0; k < m->options.n; k++)
			if (strcmp(m->options.v[k], "ro") == 0)
				return false;
		return true;
	}
	return false;
}
