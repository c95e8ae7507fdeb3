/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cpugroup_format - the outputs of `cpugroup`: each as text for people and as JSON (pure) */

#include "cgroups/cpugroup/cpugroup.h"
#include "runtime/runtime.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/json.h"

/* "foreign", "frozen", "freezing", "populated" or "empty". */
const char *cli_group_state(const struct cpg_group *g);

void cli_groups_table(struct buf *out, const struct cpg_group *v, size_t n, struct arena *a);
/* s: the group's statistics, for the limits that are counted there; NULL: unknown. */
void cli_group_text(struct buf *out, const struct cpg_group *g, const struct cpg_stat *s, struct arena *a);
/* One object; what the kernel has no file for is null. */
void cli_group_json(struct json_w *w, const struct cpg_group *g, struct arena *a);

void cli_members_table(struct buf *out, const struct rt_group_member *v, size_t n, struct arena *a);
void cli_members_json(struct json_w *w, const struct rt_group_member *v, size_t n, struct arena *a);

void cli_topology_table(struct buf *out, const struct cpg_topology *t, struct arena *a);
void cli_topology_json(struct json_w *w, const struct cpg_topology *t);
/* With the member names of the Windows Host Compute Service. */
void cli_topology_hcs(struct json_w *w, const struct cpg_topology *t);

/* A number of CPUs in JSON is a string, "1.5", so that nobody rounds it. */
void cli_verdict_json(struct json_w *w, const struct cpg_verdict *v, struct arena *a);

/* "2.5 CPUs" for "250000 100000" of cpu.max, "max", or "" for "". */
const char *cli_cpu_max(const char *cpu_max, struct arena *a);
