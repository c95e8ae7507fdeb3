/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

#include <errno.h>

/* Evidence of the out-of-memory killer: memory.events counts its victims, in the group and below it. */

int cg_oom_kills(int cg_fd, uint64_t *ret, struct error *err)
{
	char text[CG_FILE_MAX];
	ssize_t n = cg_read(cg_fd, "memory.events", text, sizeof(text));
	uint64_t kills = 0;

	if (n == -ENOENT) {
		*ret = 0;
		return 0;
	}
	if (n < 0)
		return error_set(err, (int)-n, "read memory.events");
	cg_flat_value(text, "oom_kill", &kills);
	*ret = kills;
	return 0;
}
