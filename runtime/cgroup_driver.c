/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and removing a container's cgroup; see cgroup_driver.h. cgroup_update.c has the rest.
 */
#include "runtime/cgroup_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/build.h"
#include "runtime/group.h"
#include "runtime/resources.h"
#include "spec/base/auto.h"

#define REMOVE_TIMEOUT_MS 10000
#define NOTICE_MS 2000 /* for systemd to see that a cgroup of its own is empty */

static int plan_unit(struct build *b, struct error *err)
{
	struct cgroup_unit *u = &b->unit;
	struct cg_device_rules rules[CG_DEVICE_LISTS];

	u->plan = (struct unit_plan){ .arena = b->arena };
	unit_plan_base(&u->plan, &u->name, b->opt->id);
	cg_device_lists(b->spec->linux_.resources, rules);
	if (!b->vm) /* the guest has its own */
		unit_plan_devices(&u->plan, rules, CG_DEVICE_LISTS);

	int r = unit_plan_limits(&u->plan, &b->cg, unit_version(u->manager), UNIT_AT_START, err);

	if (r == 0)
		r = unit_plan_annotations(&u->plan, b->spec->annotations, b->spec->n_annotations, err);
	return r;
}

static int locate_unit(struct build *b, struct error *err)
{
	struct cgroup_unit *u = &b->unit;
	int r = unit_name_make(b->spec->linux_.cgroups_path, b->opt->id, b->arena, &u->name, err);

	if (r == 0)
		r = unit_connect(&b->host, &u->manager, err);
	if (r < 0)
		return r;

	const char *root = unit_root(u->manager);

	if ((size_t)snprintf(b->cgroup, sizeof(b->cgroup), "%s%s%s", root, *root ? "/" : "", u->name.path) >=
	    sizeof(b->cgroup))
		return error_set(err, ENAMETOOLONG, "build the cgroup path /%s/%s", root, u->name.path);
	b->state.unit = u->name.unit;
	return plan_unit(b, err);
}

int cgroup_locate(struct build *b, struct error *err)
{
	int r = b->ctx->systemd_cgroup ? locate_unit(b, err) :
					 cg_container_path(&b->host, b->spec->linux_.cgroups_path, b->opt->id,
							   b->cgroup, sizeof(b->cgroup), err);
	if (r < 0)
		return r;

	const char *units = b->ctx->systemd_cgroup ? arena_strdup(b->arena, b->cgroup) : NULL;

	r = group_enter(b->ctx, &b->host, b->opt, b->spec, b->cgroup, sizeof(b->cgroup), &b->group_lock, err);
	if (r == 0 && units && strcmp(units, b->cgroup) != 0) {
		r = error_rule(err, ENOTSUP, "the systemd cgroup driver puts the container into a slice, not into a CPU group");
		error_at(err, "/linux/cgroupsPath");
		error_hint(err, "adopt the slice as a CPU group and name the slice in cgroupsPath, or leave out "
				"--systemd-cgroup");
	}
	return r;
}

/* The limit on processes that the plan ends up with, or NULL. */
static const struct cg_write *pids_limit(const struct cg_plan *plan)
{
	const struct cg_write *found = NULL;

	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->v[i].file, "pids.max") == 0)
			found = &plan->v[i];
	return found && strcmp(found->value, "max") != 0 ? found : NULL;
}

/* The placeholder counts as a process; a limit of 1 would leave no room for the container's first. */
static int write_pids_limit(const struct build *b, const char *value, struct error *err)
{
	const struct cg_write *limit = pids_limit(&b->cg);
	struct cg_write w;

	if (!limit || b->unit.placeholder.pidfd < 0)
		return 0;
	w = *limit;
	w.value = value ?: limit->value;

	struct cg_plan one = { .v = &w, .n = 1 };

	return cg_apply(b->cgroup_fd, &one, err);
}

static int make_unit(struct build *b, struct error *err)
{
	struct cgroup_unit *u = &b->unit;
	int r = unit_start(u->manager, &u->name, &u->plan, b->cgroup, &u->placeholder, err);

	if (r < 0)
		return r;
	b->cgroup_made = true;
	b->cgroup_fd = r = cg_take(&b->host, b->cgroup, &b->cg, err);
	if (r >= 0)
		r = cg_apply(b->cgroup_fd, &b->cg, err);
	if (r == 0)
		r = write_pids_limit(b, "max", err);
	return r;
}

int cgroup_make(struct build *b, struct error *err)
{
	int r;

	if (b->unit.manager) {
		r = make_unit(b, err);
	} else {
		b->cgroup_fd = r = cg_create(&b->host, b->cgroup, &b->cg, &b->cgroup_made, err);
		if (r >= 0)
			r = cg_apply(b->cgroup_fd, &b->cg, err);
	}
	/* The child would hold it, too. */
	if (b->group_lock >= 0)
		close(TAKE_FD(b->group_lock));
	return r < 0 ? error_wrap(err, r, "cannot set up cgroup %s", b->cgroup) : 0;
}

/* systemd tells every connection of every job: nobody who waits for a container stays connected. */
static void disconnect(struct cgroup_unit *u)
{
	unit_disconnect(TAKE_PTR(u->manager));
}

int cgroup_settle(struct build *b, struct error *err)
{
	if (!b->unit.manager)
		return 0;

	int r = write_pids_limit(b, NULL, err);

	unit_release(&b->unit.placeholder);
	disconnect(&b->unit);
	return r;
}

static void warn(const struct rt_context *ctx, const struct error *err)
{
	char line[1024];

	error_line(err, line, sizeof(line));
	log_warn(ctx->log, "%s", line);
}

void cgroup_unmake(struct build *b)
{
	struct error err = ERROR_INIT;
	int r = 0;

	unit_release(&b->unit.placeholder);
	disconnect(&b->unit);
	if (!b->cgroup_made)
		return;
	if (b->state.unit)
		r = cgroup_destroy_unit(b->ctx, &b->host, b->cgroup, b->state.unit, &err);
	else
		r = cg_remove(&b->host, b->cgroup, REMOVE_TIMEOUT_MS, &err);
	if (r < 0)
		warn(b->ctx, &err);
}

static int stop_unit(const struct cg_host *host, const char *unit, struct error *err)
{
	struct unit_manager *m = NULL;
	int r = unit_connect(host, &m, err);

	if (r == 0)
		r = unit_stop(m, unit, err);
	unit_disconnect(m);
	return r;
}

int cgroup_destroy_unit(const struct rt_context *ctx, const struct cg_host *host, const char *cgroup,
			const char *unit, struct error *err)
{
	struct error own = ERROR_INIT;
	auto_close int fd = cg_open(host, cgroup, NULL);

	if (fd >= 0 && cg_is_populated(fd) > 0)
		cg_kill(fd, NULL);
	if (stop_unit(host, unit, &own) < 0) {
		warn(ctx, &own);
		/*
		 * systemd then hears of the empty cgroup from the kernel, and removes it with the unit. It does not hear where
		 * the cgroup goes before the notification, which the kernel defers: the unit would stay for ever.
		 */
		cg_wait_gone(host, cgroup, NOTICE_MS);
	}
	/* Sub-cgroups, and all of it where systemd did nothing. */
	return cg_remove(host, cgroup, REMOVE_TIMEOUT_MS, err);
}

bool cgroup_unit_is_foreign(const struct cg_host *host, const char *unit, const char *id)
{
	struct unit_manager *m = NULL;
	bool foreign = unit_connect(host, &m, NULL) == 0 && unit_is_foreign(m, unit, id);

	unit_disconnect(m);
	return foreign;
}
