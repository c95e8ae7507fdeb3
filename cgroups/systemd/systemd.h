/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * systemd - a container's cgroup as a unit of systemd's
 *
 * Where systemd manages the cgroup tree, a cgroup made behind its back may be
 * undone by it. So the container's cgroup is asked of systemd: a transient scope
 * with Delegate=, and with every limit that systemd knows as a property of the
 * unit, so that a reload of systemd writes what is in force already. What systemd
 * has no property for is written to the delegated cgroup as ever (cg_apply()).
 *
 * Planning is pure: unit_name_make(), unit_plan_*(). The rest talks to systemd
 * through libsystemd's sd-bus, which is loaded on first use (spec/base/dl.h).
 *
 *	unit_connect()                    is systemd there, which version, where is its tree
 *	unit_name_make()                  linux.cgroupsPath → slice, unit and cgroup path
 *	unit_plan_base(), …               properties
 *	unit_start()                      one StartTransientUnit, waits for its job
 *	    cg_take(), cg_apply(), device program, clone into the cgroup
 *	unit_release()                    the placeholder process goes
 *	…
 *	unit_stop()
 *
 * A scope is made of processes, and the container's first one is to be born in the
 * scope (CLONE_INTO_CGROUP) and not moved there. A placeholder, a child of ours that
 * sleeps and dies with us, carries the scope until then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroups/cgroups.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/spec.h"

/* A unit, and its cgroup below that of the manager. */
struct unit_name {
	const char *slice; /* the parent: "system.slice", "-.slice" for the root */
	const char *unit;  /* "docker-0123.scope", or a slice */
	const char *path;  /* "system.slice/docker-0123.scope" */
	bool is_slice;     /* the unit itself is a slice: without processes of its own at first, not delegated */
};

/*
 * Pure. cgroups_path is exactly "slice:prefix:name", or NULL or "" for ":bulkhead:<id>".
 * An empty slice is system.slice, "-" the root. The unit is <prefix>-<name>.scope,
 * <name>.scope with an empty prefix, and <name> itself when that ends in ".slice".
 * Nothing is escaped: a character that is not one of a unit's name is -EINVAL.
 */
int unit_name_make(const char *cgroups_path, const char *id, struct arena *a, struct unit_name *ret,
		   struct error *err);

/* One property, as D-Bus has it. */
struct unit_property {
	const char *name;
	const char *type;         /* "b" "i" "t" "s" "as" "ay" "a(ss)" */
	uint64_t number;          /* b, i, t */
	const char *text;         /* s */
	const char *const *list;  /* as; a(ss): first and second of each pair in turn */
	const uint8_t *bytes;     /* ay */
	size_t n;                 /* strings in list, or bytes */
	const char *pointer;      /* member of config.json it comes from, NULL: ours */
};

struct unit_plan {
	struct unit_property *v;
	size_t n, room;
	struct arena *arena;
};

/* Pure. What every unit of ours has: description, place, delegation, accounting. */
void unit_plan_base(struct unit_plan *plan, const struct unit_name *name, const char *id);

/*
 * Pure. The writes of a cgroup plan that systemd has a property for (`unified`
 * included, the last of two wins). version is that of the manager: what it does not know, it
 * does not undo either. Some properties can only be given at the start. -EINVAL for a value that is no number.
 */
enum unit_moment { UNIT_AT_START, UNIT_LATER };
int unit_plan_limits(struct unit_plan *plan, const struct cg_plan *limits, unsigned version,
		     enum unit_moment moment, struct error *err);

/*
 * Pure. DevicePolicy= and DeviceAllow=: no less than the rules allow. The exact
 * answer is our own program's, which is attached beside systemd's: both have to agree to an access.
 */
void unit_plan_devices(struct unit_plan *plan, const struct cg_device_rules *rules, size_t n_lists);

/*
 * Pure. Annotations org.systemd.property.NAME, with a value in GVariant's text form.
 * Whoever writes annotations may be less trusted than whoever runs the engine (CVE-2024-3154: ExecStart
 * by annotation), so only names that can do the host no harm are taken; any other is -EPERM.
 */
int unit_plan_annotations(struct unit_plan *plan, const struct spec_key_value *annotations, size_t n,
			  struct error *err);

/* One line for each property, for debug records and tests. */
void unit_plan_print(const struct unit_plan *plan, struct buf *out);

/* Has systemd a property for this file that can be changed while the unit runs? */
bool unit_knows_file(const char *file);

/* A connection to systemd. */
struct unit_manager;

/*
 * Connects to the systemd of this host: -ENOTSUP with a remedy where it does not run,
 * where the cgroup tree is not version 2 alone, or for a caller who is not root; -ENOENT without libsystemd.
 */
int unit_connect(const struct cg_host *host, struct unit_manager **ret, struct error *err);
void unit_disconnect(struct unit_manager *m);
/* 252 */
unsigned unit_version(const struct unit_manager *m);
/* The manager's own cgroup below the tree's root: "" where systemd is the host's init. */
const char *unit_root(const struct unit_manager *m);

/* Does /run/systemd/system say that systemd is this host's init? (sd_booted(3)) */
bool unit_host_has_systemd(void);

/* The process that keeps a scope alive while it has no other. */
struct unit_placeholder {
	int pidfd; /* -1: none */
	pid_t pid;
};
#define UNIT_PLACEHOLDER_INIT { .pidfd = -1 }

/*
 * Starts the unit and waits for it. cgroup is where it has to appear, from the root
 * of the tree. -EEXIST when there is a unit of that name in use; a failed one of before is cleared
 * away. On failure nothing is left.
 */
int unit_start(struct unit_manager *m, const struct unit_name *name, const struct unit_plan *plan,
	       const char *cgroup, struct unit_placeholder *ret, struct error *err);

/* Ends and reaps the placeholder. */
void unit_release(struct unit_placeholder *p);

/* Changes properties of a running unit, until it ends. All or none. */
int unit_set(struct unit_manager *m, const char *unit, const struct unit_plan *plan, struct error *err);

/* Stops the unit, waits for that, and clears a failure it may have ended with. None there is success. */
int unit_stop(struct unit_manager *m, const char *unit, struct error *err);

/* Is there a unit of that name that was made for something else than the container of this id? */
bool unit_is_foreign(struct unit_manager *m, const char *unit, const char *id);
