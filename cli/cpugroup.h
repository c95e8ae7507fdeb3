/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cpugroup - what the commands of `cpugroup`, and `top`, have in common */

#include "cgroups/cpugroup/cpugroup.h"
#include "cli/cli.h"

/* The tree with the groups, open. */
struct cli_groups {
	struct cg_host host;
	struct cpg cpg;
	char base[4096];
};
/* The base is --cpu-group-base, else $BULKHEAD_CPU_GROUP_BASE, else the default. */
int cli_groups_open(const struct cli *cli, struct cli_groups *ret, struct error *err);
void cli_groups_close(struct cli_groups *groups);
#define CLI_GROUPS_INIT { .host = { .root_fd = -1 } }
#define auto_groups __attribute__((cleanup(cli_groups_close)))

/* The first operand, checked as a group's name. NULL with *err set when it is none. */
const char *cli_group_name(const struct cli *cli, struct error *err);
/* Is the output to be JSON? */
bool cli_is_json(const struct cli *cli);
/* Prints text, or with --format json {"name": name, "action": done}: what a command did that has nothing to tell. */
int cli_done(const struct cli *cli, const char *done, const char *name, struct error *err);

/* Reads a duration option in milliseconds; otherwise: not given. */
int cli_timeout(const struct cli_args *args, const char *name, int otherwise, int *ret_ms, struct error *err);

int cmd_cpugroup_adopt(struct cli *cli, struct error *err);
int cmd_cpugroup_apply(struct cli *cli, struct error *err);
int cmd_cpugroup_create(struct cli *cli, struct error *err);
int cmd_cpugroup_delete(struct cli *cli, struct error *err);
int cmd_cpugroup_export(struct cli *cli, struct error *err);
int cmd_cpugroup_freeze(struct cli *cli, struct error *err);
int cmd_cpugroup_kill(struct cli *cli, struct error *err);
int cmd_cpugroup_list(struct cli *cli, struct error *err);
int cmd_cpugroup_members(struct cli *cli, struct error *err);
int cmd_cpugroup_move(struct cli *cli, struct error *err);
int cmd_cpugroup_repair(struct cli *cli, struct error *err);
int cmd_cpugroup_reserve_host(struct cli *cli, struct error *err);
int cmd_cpugroup_resume(struct cli *cli, struct error *err);
int cmd_cpugroup_set(struct cli *cli, struct error *err);
int cmd_cpugroup_show(struct cli *cli, struct error *err);
int cmd_cpugroup_stats(struct cli *cli, struct error *err);
int cmd_cpugroup_stop(struct cli *cli, struct error *err);
int cmd_cpugroup_topology(struct cli *cli, struct error *err);
int cmd_cpugroup_wait(struct cli *cli, struct error *err);
int cmd_cpugroup_watch(struct cli *cli, struct error *err);
