/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cgroup_driver - who makes a container's cgroup: we, or systemd when asked to
 *
 * With cgroupfs the cgroup is a directory that we make and remove. With systemd it is
 * a unit (cgroups/systemd/systemd.h) whose cgroup is delegated to us; limits are said to systemd as well
 * as written. Everything else of a container's life goes by the cgroup's path either way.
 */

#include "cgroups/systemd/systemd.h"
#include "runtime/state.h"

struct build;

/* The unit of a container under construction. */
struct cgroup_unit {
	struct unit_manager *manager; /* NULL: not systemd's */
	struct unit_name name;
	struct unit_plan plan;
	struct unit_placeholder placeholder;
};
#define CGROUP_UNIT_INIT { .placeholder = UNIT_PLACEHOLDER_INIT }

/* Where it will be: b->cgroup, and with systemd the unit's plan. No side effect. */
int cgroup_locate(struct build *b, struct error *err);

/* Makes it with its limits: b->cgroup_fd, b->cgroup_made. */
int cgroup_make(struct build *b, struct error *err);

/* The container's first process is in it. */
int cgroup_settle(struct build *b, struct error *err);

/* On the way back: kills what is in it and removes it, when we have made it. */
void cgroup_unmake(struct build *b);

/* New limits: all, or the old ones are in force. */
int cgroup_update(const struct rt_state *state, const struct cg_plan *plan, struct error *err);

/*
 * Everybody in it is dead or is killed: stops the unit and removes the cgroup. A systemd that cannot be
 * reached is warned about, as it takes the empty unit away itself.
 */
int cgroup_destroy_unit(const struct rt_context *ctx, const struct cg_host *host, const char *cgroup,
			const char *unit, struct error *err);

/* A create that was cut short noted this unit. Was there one of that name already, another's? */
bool cgroup_unit_is_foreign(const struct cg_host *host, const char *unit, const char *id);
