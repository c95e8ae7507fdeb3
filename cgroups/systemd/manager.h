/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* manager - one connection to systemd. Private to this room. */

#include "cgroups/systemd/internal.h"
#include "cgroups/systemd/sdbus.h"

#define MANAGER_NAME      "org.freedesktop.systemd1"
#define MANAGER_PATH      "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE    "org.freedesktop.systemd1.Unit"

#define CALL_TIMEOUT_US UINT64_C(30000000)
#define JOB_TIMEOUT_MS  30000

struct unit_manager {
	struct sdbus lib;
	sd_bus *bus;
	unsigned version;
	char root[4096];
	/* The job that is waited for. */
	char job[256];
	char result[32]; /* "" while it goes on */
};

/* A call of the manager that has answered -code with e: what it said, as a sentence. Frees e. Returns -code. */
int manager_error(struct unit_manager *m, int code, sd_bus_error *e, struct error *err, const char *goal,
		  const char *unit);
