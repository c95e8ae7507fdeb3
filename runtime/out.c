/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out - diff, commit and export of a container's sandbox
 */
#include <errno.h>
#include <string.h>

#include "runtime/state.h"
#include "runtime/still.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"

/* A sandbox that is open, and the container that may be writing to it. */
struct out {
	struct ovl_store store;
	struct ovl_sandbox sb;
	struct still still;
};

static void out_close(struct out *o)
{
	if (o->sb.dir_fd >= 0)
		ovl_sandbox_release(&o->store, &o->sb);
	ovl_sandbox_close(&o->sb);
	ovl_store_close(&o->store);
}
#define auto_out __attribute__((cleanup(out_close)))
#define OUT_INIT { .store = { .fd = -1 }, .sb = OVL_SANDBOX_INIT }

static int open_kept(struct out *o, const char *id, struct error *err)
{
	const char *store = o->still.ctx->store;
	int r = ovl_store_open(store ? store : OVL_STORE_DEFAULT, OVL_EXISTING, &o->store, err);

	if (r == 0)
		r = ovl_sandbox_open(&o->store, id, o->still.a, &o->sb, err);
	if (r == -ENOENT)
		return state_no_such(id, err);
	return r;
}

static int open_of_container(struct out *o, const struct rt_state *state, struct error *err)
{
	int r;

	if (!state->sandbox || !state->sandbox->name)
		return error_rule(err, ENOTSUP,
				  "container \"%s\" has no sandbox: its root filesystem is %s, which whoever created it takes care of",
				  state->id, state->rootfs);
	r = ovl_store_open(state->sandbox->store, OVL_EXISTING, &o->store, err);
	return r < 0 ? r : ovl_sandbox_open(&o->store, state->sandbox->name, o->still.a, &o->sb, err);
}

static int out_open(struct out *o, const struct rt_context *ctx, const char *id,
		    struct arena *a, struct error *err)
{
	struct rt_state state;

	o->still = (struct still){ .ctx = ctx, .a = a };

	int r = state_peek(ctx, id, a, &state, NULL);

	if (r == -ENOENT)
		return open_kept(o, id, err);
	if (r < 0)
		return state_peek(ctx, id, a, &state, err);
	o->still.id = id;
	return open_of_container(o, &state, err);
}

/* The files are read between begin and end; the first error is the one that is told. */
static int finish(struct out *o, int r, struct error *err)
{
	struct error why = ERROR_INIT;
	int ended = still_end(&o->still, &why);

	if (r == 0 && ended < 0 && err)
		*err = why;
	return r < 0 ? r : ended;
}

int rt_diff(const struct rt_context *ctx, const char *id,
	    int (*tell)(void *data, const struct ovl_diff *d), void *data, struct arena *a, struct error *err)
{
	auto_out struct out o = OUT_INIT;
	int r = out_open(&o, ctx, id, a, err);

	if (r == 0)
		r = still_begin(&o.still, err);
	return r < 0 ? r : finish(&o, ovl_diff(&o.store, &o.sb, tell, data, a, err), err);
}

int rt_commit(const struct rt_context *ctx, const char *id, const struct ovl_commit *options,
	      struct arena *a, struct ovl_committed *ret, struct error *err)
{
	auto_out struct out o = OUT_INIT;
	struct ovl_commit commit = *options;
	int r = out_open(&o, ctx, id, a, err);

	commit.before = still_begin;
	commit.after = still_end;
	commit.data = &o.still;
	return r < 0 ? r : ovl_commit(&o.store, &o.sb, &commit, a, ret, err);
}

int rt_sandbox_export(const struct rt_context *ctx, const char *id, int fd,
		      enum ovl_compression c, struct arena *a, struct error *err)
{
	auto_out struct out o = OUT_INIT;
	int r = out_open(&o, ctx, id, a, err);

	if (r == 0)
		r = still_begin(&o.still, err);
	return r < 0 ? r : finish(&o, ovl_sandbox_export(&o.store, &o.sb, fd, c, a, err), err);
}
