/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete, and what run does at its end. State goes last: whatever is interrupted
 * here can be done again.
 */
#include "runtime/destroy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cgroup_driver.h"
#include "runtime/group_record.h"
#include "runtime/launch/hooks.h"
#include "runtime/oom_record.h"
#include "runtime/vm_ask.h"
#include "runtime/vm_network.h"
#include "runtime/vm_record.h"
#include "runtime/residual.h"
#include "runtime/shared.h"
#include "runtime/storage.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define KILL_TIMEOUT_MS   10000
#define REMOVE_TIMEOUT_MS 10000

static int run_poststop(const struct destroy *d)
{
	static struct arena a = ARENA_INIT;
	const struct spec_hooks *hooks = d->hooks;
	struct spec *spec;
	struct spec_state doc;

	if (!hooks) {
		struct error err = ERROR_INIT;

		if (state_load_config(d->state_dir, &a, &spec, &err) < 0) {
			char line[512];

			error_line(&err, line, sizeof(line));
			log_warn(d->ctx->log, "poststop hooks are left out: %s", line);
			return 0;
		}
		hooks = &spec->hooks;
	}
	if (!hooks->n[SPEC_HOOK_POSTSTOP])
		return 0;
	state_document(d->state, RT_STOPPED, &doc);

	struct hook_run run = { .hooks = hooks, .kind = SPEC_HOOK_POSTSTOP, .state = &doc, .log = d->ctx->log };

	return hooks_run(&run, HOOK_KEEP_GOING, NULL);
}

/*
 * An empty cgroup goes at the first attempt. One that is not (processes beside
 * init in a shared pid namespace, sub-cgroups) is killed first.
 */
static int remove_cgroup(const struct destroy *d, struct error *err)
{
	if (!d->cgroup[0])
		return 0;
	if (d->unit && d->unit[0])
		return cgroup_destroy_unit(d->ctx, d->host, d->cgroup, d->unit, err);

	int r = cg_remove(d->host, d->cgroup, 0, err);

	if (r != -EBUSY)
		return r;

	auto_close int own = d->cgroup_fd < 0 ? cg_open(d->host, d->cgroup, err) : -1;
	int fd = d->cgroup_fd < 0 ? own : d->cgroup_fd;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	cg_kill(fd, NULL);
	return cg_remove(d->host, d->cgroup, REMOVE_TIMEOUT_MS, err);
}

/* What moves between CPU groups left behind. A warning at most: the container is gone all the same. */
static void remove_residuals(const struct destroy *d)
{
	for (size_t i = 0; i < d->state->n_residuals; i++) {
		struct error err = ERROR_INIT;
		char line[512];

		if (residual_clear(d->host, &d->state->residuals[i], REMOVE_TIMEOUT_MS, &err) == 0)
			continue;
		error_line(&err, line, sizeof(line));
		log_warn(d->ctx->log, "a leaf that a move left behind stays: %s", line);
	}
}

/* A move that was cut short and could not be repaired: neither end of it may survive the container. */
static void remove_other_end(const struct destroy *d)
{
	static struct arena a = ARENA_INIT;
	struct group_record rec;

	if (group_record_read(d->state_dir, d->state->id, &a, &rec, NULL) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		const char *path = i ? rec.to : rec.from;
		auto_close int fd = strcmp(path, d->cgroup) != 0 ? cg_open(d->host, path, NULL) : -1;

		if (fd < 0)
			continue;
		cg_kill(fd, NULL);
		cg_remove(d->host, path, REMOVE_TIMEOUT_MS, NULL);
	}
}

int destroy_container(const struct destroy *d, struct error *err)
{
	int r = remove_cgroup(d, err);

	if (r < 0)
		return error_wrap(err, r, "cannot remove cgroup %s", d->cgroup);
	remove_residuals(d);
	vm_network_give_back(d->ctx, d->state_dir, d->state);
	r = storage_end(d->state->sandbox, d->store, d->state_dir, d->state->id, err);
	if (r < 0)
		return r;
	if (d->state->has_hooks || d->hooks)
		run_poststop(d);
	r = state_remove_usual(d->ctx, d->state_dir, d->state->id, err);
	if (r <= 0)
		return r;
	/* What is more may be the record of a move. */
	remove_other_end(d);
	return state_remove(d->ctx, d->state_dir, d->state->id, err);
}

/* cgroup.kill reaches what a signal to init does not: frozen tasks, other members of a shared pid namespace. */
static int kill_all(struct destroy *d, struct error *err)
{
	auto_close int pidfd = state_pidfd(d->state, NULL);
	auto_close int cgroup_fd = d->cgroup[0] ? cg_open(d->host, d->cgroup, NULL) : -1;

	if (cgroup_fd >= 0) {
		int r = cg_kill(cgroup_fd, err);

		if (r < 0)
			return r;
	}
	if (pidfd < 0)
		return 0;
	if (cgroup_fd < 0)
		proc_pidfd_send(pidfd, SIGKILL);

	int r = proc_pidfd_wait(pidfd, KILL_TIMEOUT_MS);

	if (r == -ETIMEDOUT)
		return error_rule(err, EBUSY, "process %d did not die within %d seconds after SIGKILL",
				  (int)d->state->pid, KILL_TIMEOUT_MS / 1000);
	return r < 0 ? error_set(err, -r, "wait for process %d to die", (int)d->state->pid) : 0;
}

static int delete_whole(struct destroy *d, enum rt_delete_mode mode, struct error *err)
{
	enum rt_status status = state_status(d->ctx, d->state_dir, d->state);

	if (mode != RT_DELETE_FORCE && status != RT_STOPPED && status != RT_CREATED)
		return error_rule(err, EBUSY, TEXT_NOT_STOPPED, d->state->id, state_status_name(status));
	if (status == RT_STOPPED) {
		static struct arena a = ARENA_INIT;
		struct rt_oom oom;

		/* Told by `run`, if that was it. */
		if (faccessat(d->state_dir, OOM_RECORD, F_OK, 0) < 0 && oom_find(d->ctx, d->state, &a, &oom))
			oom_warn(d->ctx->log, d->state->id, &oom, OOM_SOMEBODY);
		vm_record_tell_death(d->ctx, d->state);
	}
	remove_other_end(d);
	if (status == RT_RUNNING && d->state->is_vm && storage_is_kept(d->state->sandbox, d->state->id))
		wall_let_end(d->ctx, d->state);
	if (status != RT_STOPPED || mode == RT_DELETE_FORCE) {
		int r = kill_all(d, err);

		if (r < 0)
			return r;
	}
	return destroy_container(d, err);
}

/*
 * The creation was cut short: no state.json. The noted cgroup leads to whatever
 * runs. Without force this reports what it found, as there never was a container.
 */
static int delete_remnant(struct destroy *d, enum rt_delete_mode mode, struct error *err)
{
	static struct arena a = ARENA_INIT;
	char path[PATH_MAX];
	struct spec *spec = NULL;

	if (state_noted_cgroup(d->state_dir, path, sizeof(path)) == 0)
		d->cgroup = path;
	/* Noted before it was asked for: another's unit of that name is not to be killed. */
	if (d->unit[0] && cgroup_unit_is_foreign(d->host, d->unit, d->state->id))
		d->cgroup = d->unit = "";
	if (state_load_config(d->state_dir, &a, &spec, NULL) == 0)
		d->hooks = &spec->hooks;
	remove_other_end(d);

	int r = kill_all(d, err);

	if (r == 0)
		r = storage_end_noted(d->ctx, d->state_dir, d->state->id, err);
	if (r == 0)
		r = destroy_container(d, err);
	if (r == 0 && mode != RT_DELETE_FORCE)
		return error_rule(err, ENOENT, TEXT_NOT_EXIST ": %s (the remnant of an interrupted create was removed)",
				  d->state->id);
	return r;
}

static const char *noted_unit(int dir_fd, struct arena *a)
{
	char unit[PATH_MAX];

	return state_noted_unit(dir_fd, unit, sizeof(unit)) == 0 ? arena_strdup(a, unit) : "";
}

int rt_delete(const struct rt_context *ctx, const char *id, enum rt_delete_mode mode, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state = { .id = id, .bundle = "", .cgroup = "", .cgroup_dir = "" };
	struct cg_host host = { .root_fd = -1 };
	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, err);

	if (dir_fd == -ENOENT && mode == RT_DELETE_FORCE)
		return 0;
	if (dir_fd < 0)
		return dir_fd;

	int loaded = state_load(dir_fd, id, &a, &state, err);
	const char *unit = loaded == 0 ? state.unit : noted_unit(dir_fd, &a);

	/* Without that other binary the unit is left to systemd, which takes it away when it is empty. */
	if (unit[0])
		shared_for_systemd(ctx, NULL);

	int r = cg_host_open(&host, err);

	if (r < 0)
		return r;

	struct destroy d = { .ctx = ctx, .state_dir = dir_fd, .state = &state, .host = &host,
			     .cgroup = state.cgroup, .unit = unit, .cgroup_fd = -1 };

	if (loaded == 0)
		r = delete_whole(&d, mode, err);
	else if (loaded == -ENOENT || mode == RT_DELETE_FORCE)
		r = delete_remnant(&d, mode, err);
	else
		r = loaded;
	cg_host_close(&host);
	return r;
}
