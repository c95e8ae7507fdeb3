/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update: new limits for a container that runs. All of them are in force afterwards,
 * or the old ones are and the saved state has not changed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cgroup_driver.h"
#include "runtime/group.h"
#include "runtime/resources.h"
#include "runtime/state.h"
#include "runtime/texts.h"
#include "runtime/vm_update.h"
#include "spec/base/auto.h"

static int write_limits(const struct rt_context *ctx, const struct rt_state *state,
			const struct spec_resources *delta, struct arena *a, struct error *err)
{
	struct cg_plan plan;
	int r = cg_plan_make(delta, a, ctx->log, &plan, err);

	if (r < 0)
		return r;

	return cgroup_update(state, &plan, err);
}

int rt_update(const struct rt_context *ctx, const char *id, const struct spec_resources *res,
	      struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	struct spec_resources *now = NULL;
	struct spec *spec;
	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, err);

	if (dir_fd < 0)
		return dir_fd;

	int r = state_load(dir_fd, id, &a, &state, err);

	if (r == -ENOENT || (r == 0 && state_status(ctx, dir_fd, &state) == RT_STOPPED))
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (r == 0)
		r = state_load_config(dir_fd, &a, &spec, err);
	if (r == 0)
		r = resources_now(spec, &state, &a, &now, err);
	if (r < 0)
		return r;

	struct spec_resources *merged = resources_merge(now, res, &a);
	auto_buf struct buf text = BUF_INIT;

	r = group_still_admits(ctx, &state, merged, spec, err);
	if (r == 0) {
		struct wall_change change = { .now = now, .delta = resources_delta(res, merged, &a) };

		r = state.is_vm ? wall_update(ctx, &state, spec, &change, &a, err)
				: write_limits(ctx, &state, change.delta, &a, err);
	}
	if (r < 0)
		return error_wrap(err, r, "cannot update container \"%s\"", id);
	resources_write(merged, &text);
	state.resources = text.data;
	return state_save(dir_fd, &state, err);
}
