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

#include "cgroups/systemd/systemd.h"
#include "runtime/state.h"
#include "spec/base/dl.h"

#define SHARED_NAME "bulkhead-shared"

/* Returns only when that cannot be done. */
static int execute(const struct rt_context *ctx, uint32_t preserve_fds, const char *what, struct error *err)
{
	char path[PATH_MAX + sizeof(SHARED_NAME)];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	if (n < 0)
		return error_set(err, errno, "find this program");
	path[n] = '\0';

	char *name = strrchr(path, '/');

	snprintf(name ? name + 1 : path, sizeof(SHARED_NAME), SHARED_NAME);
	for (uint32_t i = 0; i < preserve_fds; i++)
		fcntl(3 + (int)i, F_SETFD, 0);
	execv(path, ctx->argv);

	int r = error_set(err, errno, "execute %s, which can load %s", path, what);

	error_hint(err, "it is built together with bulkhead; put it beside it");
	return r;
}

int shared_if_needed(const struct rt_context *ctx, const struct spec *spec, uint32_t preserve_fds,
		     struct error *err)
{
	if (dl_can_load())
		return 0;
	if (spec->linux_.n_net_devices) {
		int r = execute(ctx, preserve_fds, "libmnl for network devices", err);

		error_at(err, "/linux/netDevices");
		return r;
	}
	/* Where systemd does not run, this build can say so itself. */
	if (ctx->systemd_cgroup && unit_host_has_systemd())
		return execute(ctx, preserve_fds, "libsystemd for the systemd cgroup driver", err);
	return 0;
}

int shared_for_systemd(const struct rt_context *ctx, struct error *err)
{
	return dl_can_load() || !unit_host_has_systemd() ?
		       0 : execute(ctx, 0, "libsystemd for a container of the systemd cgroup driver", err);
}

int rt_need_libraries(const struct rt_context *ctx, const char *what, struct error *err)
{
	return dl_can_load() ? 0 : execute(ctx, 0, what, err);
}

int rt_hand_over(const struct rt_context *ctx, const char *id, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;

	if (dl_can_load())
		return 0;

	int r = state_peek(ctx, id, &a, &state, err);

	return r == 0 && state.unit && state.unit[0] ? shared_for_systemd(ctx, err) : r;
}
