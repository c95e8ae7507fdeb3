/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_update.h"

#include <errno.h>
#include <string.h>

#include "runtime/cgroup_driver.h"
#include "runtime/vm_ask.h"
#include "spec/base/auto.h"

/* What the guest's cgroup enforces. */
static struct spec_resources guests_part(const struct spec_resources *res, struct arena *a)
{
	struct spec_resources part = { .memory = res->memory, .pids_limit = res->pids_limit };

	part.unified = ARENA_NEW_N(a, struct spec_key_value, res->n_unified + 1);
	for (size_t i = 0; i < res->n_unified; i++)
		if (strncmp(res->unified[i].key, "memory.", 7) == 0 || strncmp(res->unified[i].key, "pids.", 5) == 0)
			part.unified[part.n_unified++] = res->unified[i];
	return part;
}

static bool is_empty(const struct spec_resources *part)
{
	return !part->memory && !part->pids_limit.set && !part->n_unified;
}

static int tell_guest(const struct rt_context *ctx, const char *id, const struct spec_resources *part, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	auto_buf struct buf items = BUF_INIT;

	resources_write(part, &text);
	wire_add(&items, WIRE_T_RESOURCES, text.data, text.len);
	return wall_tell(ctx, id, WIRE_UPDATE, &items, WALL_ASK_MS, err);
}

/* The machine has what it was started with. */
static int check_memory(const struct spec_resources *part, uint64_t memory, struct error *err)
{
	const struct spec_memory *m = part->memory;

	if (!m || !m->limit.set || m->limit.v <= 0 || (uint64_t)m->limit.v <= memory)
		return 0;

	int r = error_rule(err, ENOTSUP, "the virtual machine was started with %llu MiB of memory, which is less than the new limit",
			   (unsigned long long)(memory / WALL_MIB));

	error_hint(err, "vm.hwConfig.memory in the config makes room for later");
	return r;
}

static int write_host(const struct rt_context *ctx, const struct rt_state *state, const struct spec_resources *res,
		      struct arena *a, struct error *err)
{
	struct cg_plan plan;
	int r = cg_plan_make(res, a, ctx->log, &plan, err);

	return r < 0 ? r : cgroup_update(state, &plan, err);
}

int wall_update(const struct rt_context *ctx, const struct rt_state *state, const struct spec *spec,
		const struct wall_change *change, struct arena *a, struct error *err)
{
	struct spec_resources guest = guests_part(change->delta, a), before = guests_part(change->now, a);
	struct wall_plan plan;
	int r = wall_plan_make(spec, 1, a, &plan, err);

	if (r == 0)
		r = check_memory(&guest, plan.memory, err);
	if (r == 0 && !is_empty(&guest))
		r = tell_guest(ctx, state->id, &guest, err);
	if (r < 0)
		return r;
	r = write_host(ctx, state, wall_host_resources(change->delta, plan.memory, a), a, err);
	if (r < 0 && !is_empty(&guest))
		tell_guest(ctx, state->id, &before, NULL);
	return r;
}
