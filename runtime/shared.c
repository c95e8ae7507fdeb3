/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See shared.h.
 */
#include "runtime/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/dl.h"

#define SHARED_NAME "bulkhead-shared"

int shared_if_needed(const struct rt_context *ctx, const struct spec *spec, uint32_t preserve_fds,
		     struct error *err)
{
	char path[PATH_MAX + sizeof(SHARED_NAME)];

	if (!spec->linux_.n_net_devices || dl_can_load())
		return 0;

	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	if (n < 0)
		return error_set(err, errno, "find this program");
	path[n] = '\0';

	char *name = strrchr(path, '/');

	snprintf(name ? name + 1 : path, sizeof(SHARED_NAME), SHARED_NAME);
	for (uint32_t i = 0; i < preserve_fds; i++)
		fcntl(3 + (int)i, F_SETFD, 0);
	execv(path, ctx->argv);

	int r = error_set(err, errno, "execute %s, which can load libmnl for network devices", path);

	error_at(err, "/linux/netDevices");
	error_hint(err, "it is built together with bulkhead; put it beside it");
	return r;
}
