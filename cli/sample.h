/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* sample - the statistics of groups and containers at one moment, and what happened between two such moments */

#include <stdbool.h>
#include <stdint.h>

#include "cgroups/cpugroup/cpugroup.h"
#include "runtime/runtime.h"
#include "spec/base/arena.h"
#include "spec/base/error.h"

struct cli_row {
	struct cpg_stat s;
	unsigned depth; /* in the tree: 0 for a group directly below the base */
	const char *status, *wall; /* of a container: "running", "process"; else NULL */
	/* Since the sample before this one. */
	bool has_rate;
	uint64_t of_cap; /* of what the cap allows, or of one CPU without a cap; hundredths of a percent */
	uint64_t cpus; /* thousandths of a CPU */
	uint64_t throttled; /* periods that were cut short, hundredths of a percent */
};
struct cli_sample {
	struct cli_row *v; /* in tree order, groups before their members */
	size_t n;
};

#define CLI_NO_GROUP "(no group)"

/* name NULL: all groups. members: what lives in them as well. */
int cli_sample_groups(struct cpg *cpg, const char *name, bool members, struct arena *a,
		      struct cli_sample *ret, struct error *err);
/* Tells status and wall of the members, and, when everybody is wanted, adds the containers in no group. */
int cli_sample_containers(const struct rt_context *ctx, struct cpg *cpg, bool all, struct arena *a,
			  struct cli_sample *sample, struct error *err);
/* Fills in the rates of the rows that are in both (pure). */
void cli_sample_rates(const struct cli_sample *before, struct cli_sample *now);
/* "populated", "frozen" … of a group; the status of a container. */
const char *cli_row_state(const struct cli_row *row);
/* Has it a limit of CPU time? */
bool cli_row_is_capped(const struct cli_row *row);

/* The object of `stats` and `top` with --format json: cpg_stat_write() and the rates. One line. */
void cli_row_json(struct buf *out, const struct cli_row *row);
/* The text exposition format 0.0.4 of Prometheus: every row of the sample. */
void cli_sample_prom(struct buf *out, const struct cli_sample *sample);
