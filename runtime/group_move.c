/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container goes from one CPU group to another: see group_move.h for the order.
 */
#include "runtime/group_move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/resources.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/path.h"

#define FREEZE_TIMEOUT_MS 10000

/* ---- may it? ---- */

static int check_status(const struct group_mover *m, struct error *err)
{
	enum rt_status status = state_status(m->ctx, m->dir_fd, &m->state);

	if (status == RT_STOPPED)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (m->state.unit && m->state.unit[0]) {
		int r = error_rule(err, ENOTSUP, "container \"%s\" is in a scope of systemd's (%s), which cannot change its slice",
				   m->id, m->state.unit);

		error_hint(err, "create it in the right slice, or without --systemd-cgroup");
		return r;
	}
	return 0;
}

/* A container that stands still with its group would run again in the new one, and one that runs would stop. */
static int check_thawed(struct group_mover *m, const char *group, struct error *err)
{
	int r = group_check_thawed(m->ctx, &m->state, err);

	if (r < 0 || strcmp(group, "/") == 0)
		return r;

	auto_close int fd = cpg_open(&m->at.cpg, group, false, err);

	if (fd < 0)
		return fd;
	if (cg_is_frozen(fd) != 1)
		return 0;
	r = error_rule(err, EBUSY, "CPU group \"%s\" is frozen", group);
	error_hint(err, "thaw the group first: bulkhead cpugroup resume %s", group);
	return r;
}

/* ---- where to ---- */

static bool has_parent(const struct cg_host *host, const char *path)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash)
		return true;
	*slash = '\0';

	auto_close int fd = cg_open(host, parent, NULL);

	return fd >= 0;
}

/* Out of every group: back to where an absolute cgroupsPath outside of the base would have put it, if that is still there. */
static int path_of_none(struct group_mover *m, const struct spec *spec, char *buf, size_t size, struct error *err)
{
	const char *given = spec->linux_.cgroups_path;
	char clean[PATH_MAX];
	size_t n = strlen(m->at.base);

	if (given && given[0] == '/' && path_clean(given, clean, sizeof(clean)) == 0 && clean[1] &&
	    (strncmp(clean + 1, m->at.base, n) != 0 || (clean[1 + n] && clean[1 + n] != '/')) &&
	    has_parent(&m->host, clean + 1)) {
		snprintf(buf, size, "%s", clean + 1);
		return 0;
	}
	return cpg_path(&m->at.cpg, "/", m->id, buf, size, err);
}

static bool is_frozen_itself(const struct group_mover *m)
{
	auto_close int fd = cg_open(&m->host, m->state.cgroup, NULL);
	char text[16];

	return fd >= 0 && file_read_at(fd, "cgroup.freeze", text, sizeof(text), NULL) > 0 && text[0] == '1';
}

/* ---- the move ---- */

static int attach(int to_fd, void *data, struct error *err)
{
	struct group_mover *m = data;

	return m->n_device_insns ? cg_device_attach(to_fd, CG_USED, m->device_insns, m->n_device_insns, err) : 0;
}

static int on_step(enum cpg_move_step step, void *data, struct error *err)
{
	struct group_mover *m = data;

	m->record.step = group_step_name(step);

	int r = group_record_write(m->dir_fd, &m->record, err);

	if (r == 0 && step == CPG_MOVE_MOVED) {
		group_mover_remember(m, m->record.from);
		r = group_mover_settle_in(m, m->record.to, err);
	}
	return r;
}

static uint64_t residual_limit(const struct rt_move_options *opt)
{
	return opt->residual_limit ?: GROUP_UNREMARKED_BYTES;
}

static int migrate(struct group_mover *m, const struct rt_move_options *opt, struct rt_moved *ret, struct error *err)
{
	struct cpg_move move = {
		.from = m->record.from,
		.to = m->record.to,
		.timeout_ms = opt->timeout_ms > 0 ? opt->timeout_ms : FREEZE_TIMEOUT_MS,
		.residual_limit = m->record.residual_limit,
		.require_clean = opt->require_clean,
		.attach = attach,
		.step = on_step,
		.data = m,
		.ret_residual = &ret->residual,
		.ret_residual_bytes = &ret->residual_bytes,
		.ret_processes = &ret->processes,
	};
	int r = group_record_write(m->dir_fd, &m->record, err);

	if (r == 0)
		r = cpg_migrate(&m->at.cpg, &move, err);
	if (r < 0) {
		char told[256];

		/* It has moved everybody back; what is left to do is what is left after a crash at this point. */
		group_mover_repair(m, told, sizeof(told), NULL);
		return r;
	}
	r = group_mover_sweep(m, err);
	ret->residual = false;
	for (size_t i = 0; i < m->state.n_residuals; i++)
		ret->residual |= strcmp(m->state.residuals[i].cgroup, m->record.from) == 0;
	return r < 0 ? r : group_record_remove(m->dir_fd, err);
}

static int plan(struct group_mover *m, const char *group, const char *now, struct rt_moved *ret, struct error *err)
{
	struct spec *spec;
	struct spec_resources *res;
	int r = state_load_config(m->dir_fd, m->arena, &spec, err);

	if (r == 0)
		r = resources_now(spec, &m->state, m->arena, &res, err);
	if (r == 0)
		r = cg_container_device_program(spec->linux_.resources, m->arena, &m->device_insns, &m->n_device_insns, err);
	if (r == 0)
		r = check_thawed(m, group, err);
	if (r == 0 && strcmp(group, "/") != 0)
		/* Below a common group above both it is counted already. */
		r = group_admits(&m->at, group, res, spec, now ? m->state.cgroup : NULL, err);
	if (r == 0 && strcmp(group, "/") == 0)
		r = path_of_none(m, spec, ret->to, sizeof(ret->to), err);
	else if (r == 0)
		r = cpg_path(&m->at.cpg, group, m->id, ret->to, sizeof(ret->to), err);
	return r;
}

static int move(struct group_mover *m, const char *group, const struct rt_move_options *opt, struct rt_moved *ret,
		struct error *err)
{
	char name[PATH_MAX];
	const char *now = cpg_of_path(&m->at.cpg, m->state.cgroup, name, sizeof(name));
	int r = check_status(m, err);

	if (r < 0)
		return r;
	snprintf(ret->from, sizeof(ret->from), "%s", m->state.cgroup);
	if (strcmp(now ?: "/", group) == 0) {
		snprintf(ret->to, sizeof(ret->to), "%s", m->state.cgroup);
		ret->same = true;
		r = group_mover_sweep(m, err);
		return r < 0 ? r : 0;
	}
	r = plan(m, group, now, ret, err);
	if (r < 0 || opt->check)
		return r;
	m->record = (struct group_record){
		.from = ret->from,
		.to = ret->to,
		.step = "begun",
		.was_frozen = is_frozen_itself(m),
		.residual_limit = residual_limit(opt),
	};
	return migrate(m, opt, ret, err);
}

int rt_group_move(const struct rt_context *ctx, const char *id, const char *group, const struct rt_move_options *opt,
		  struct rt_moved *ret, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct group_mover m = GROUP_MOVER_INIT;
	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, err);
	int r = dir_fd < 0 ? dir_fd : cpg_name_check(group, err);

	*ret = (struct rt_moved){ .same = false };
	if (r == 0) {
		r = group_mover_open(&m, ctx, id, dir_fd, &a, err);
		if (r == -ENOENT)
			r = error_rule(err, EAGAIN, "cannot move a container in the creating state");
	}
	if (r == 0)
		r = move(&m, group, opt, ret, err);
	group_mover_close(&m);
	arena_release(&a);
	return r < 0 ? error_wrap(err, r, "cannot move container \"%s\" to CPU group \"%s\"", id, group) : 0;
}
