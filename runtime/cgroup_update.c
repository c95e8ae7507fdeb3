/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New limits for a cgroup that is systemd's unit. The order:
 *
 *	1. the files that systemd has a property for, all or none (a memory limit that
 *	   shrinks is approached here as it has to be; systemd would just write it)
 *	2. the properties, in one call
 *	3. the whole plan: what only the files can say, and exact values where systemd rounds
 *
 * When 2 or 3 fails, files and properties get the values they had before 1.
 */
#include "runtime/cgroup_driver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

/* A file of one value that a step before the last writes. */
static bool is_early(const char *file)
{
	/* The kernel wants burst and quota to fit each other at any moment. */
	return unit_knows_file(file) || strcmp(file, "cpu.max.burst") == 0;
}

static bool has_file(const struct cg_plan *plan, const char *file)
{
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->v[i].file, file) == 0)
			return true;
	return false;
}

static void add(struct cg_plan *plan, const struct cg_write *w)
{
	plan->v[plan->n++] = *w;
}

/* The writes of the plan that step 1 makes. A weight for one device stays for step 3. */
static struct cg_plan early_part(const struct cg_plan *plan, struct arena *a)
{
	struct cg_plan part = *plan;

	part.v = ARENA_NEW_N(a, struct cg_write, plan->n + 1);
	part.n = 0;
	for (size_t i = 0; i < plan->n; i++)
		if (is_early(plan->v[i].file) && !strchr(plan->v[i].value, ':'))
			add(&part, &plan->v[i]);
	return part;
}

/* What the files of the plan hold now, as a plan that puts it back. */
static struct cg_plan snapshot(int cg_fd, const struct cg_plan *plan, struct arena *a)
{
	struct cg_plan before = { .v = ARENA_NEW_N(a, struct cg_write, plan->n + 2) };
	struct cg_write burst = { .file = NULL };

	for (size_t i = 0; i < plan->n; i++) {
		struct cg_write w = plan->v[i];
		char text[4096];

		if (w.other_file && faccessat(cg_fd, w.file, F_OK, 0) < 0)
			w.file = w.other_file;
		if (has_file(&before, w.file) || file_read_at(cg_fd, w.file, text, sizeof(text), NULL) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		/* An idle group shows a weight of 0, which cannot be written. */
		if (strcmp(w.file, "cpu.weight") == 0 && strcmp(text, "0") == 0)
			continue;
		w.value = arena_strdup(a, text);
		w.other_file = w.other_value = NULL;
		w.optional = true;
		if (strcmp(w.file, "cpu.max.burst") == 0) {
			burst = w;
			w.value = "0";
		}
		add(&before, &w);
	}
	if (burst.file)
		add(&before, &burst);
	return before;
}

static int set_properties(struct unit_manager *m, const char *unit, const struct cg_plan *plan, struct arena *a,
			  struct error *err)
{
	struct unit_plan props = { .arena = a };
	int r = unit_plan_limits(&props, plan, unit_version(m), UNIT_LATER, err);

	return r < 0 ? r : unit_set(m, unit, &props, err);
}

static int update_unit(struct unit_manager *m, int cg_fd, const char *unit, const struct cg_plan *plan,
		       struct arena *a, struct error *err)
{
	struct cg_plan early = early_part(plan, a);
	struct cg_plan before = snapshot(cg_fd, &early, a);
	struct cg_plan whole = *plan;
	int r = cg_apply(cg_fd, &early, err);

	if (r < 0)
		return r;
	r = set_properties(m, unit, &early, a, err);
	/* Usage was compared with the limit already. */
	whole.check_memory = whole.check_memory_swap = 0;
	if (r == 0)
		r = cg_apply(cg_fd, &whole, err);
	if (r < 0) {
		set_properties(m, unit, &before, a, NULL);
		cg_apply(cg_fd, &before, NULL);
	}
	return r;
}

int cgroup_update(const struct rt_state *state, const struct cg_plan *plan, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct unit_manager *m = NULL;
	struct cg_host host = { .root_fd = -1 };
	auto_close int fd = state_open_cgroup(state, err);

	if (fd < 0)
		return fd;
	if (!state->unit[0])
		return cg_apply(fd, plan, err);

	/* First of all: without systemd nothing is begun. */
	int r = cg_host_open(&host, err);

	if (r == 0)
		r = unit_connect(&host, &m, err);
	if (r == 0)
		r = update_unit(m, fd, state->unit, plan, &a, err);
	unit_disconnect(m);
	cg_host_close(&host);
	return r;
}
