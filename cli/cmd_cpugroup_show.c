/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_cpugroup_show - the commands that look: list, show, members, topology, export */

#include <errno.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/cpugroup_format.h"
#include "spec/base/auto.h"

static int print_line(struct buf *out, struct error *err)
{
	buf_putc(out, '\n');
	return cli_print(out, err);
}

int cmd_cpugroup_list(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	struct cpg_group *v = NULL;
	size_t n = 0;
	int r = cli_groups_open(cli, &groups, err);

	if (r == 0)
		r = cpg_list(&groups.cpg, NULL, cli->arena, &v, &n, err);
	if (r < 0)
		return r;
	if (cli_flag(&cli->args, "quiet")) {
		for (size_t i = 0; i < n; i++)
			if (!v[i].foreign)
				buf_printf(&out, "%s\n", v[i].name);
		return cli_print(&out, err);
	}
	if (!cli_is_json(cli)) {
		cli_groups_table(&out, v, n, cli->arena);
		return cli_print(&out, err);
	}
	json_w_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++)
		cli_group_json(&w, &v[i], cli->arena);
	json_w_close(&w, ']');
	return print_line(&out, err);
}

int cmd_cpugroup_show(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out, .indent = "  " };
	const char *name = cli_group_name(cli, err);
	struct cpg_group group;
	int r = name ? cli_groups_open(cli, &groups, err) : -EINVAL;

	if (r == 0)
		r = cpg_get(&groups.cpg, name, cli->arena, &group, err);
	if (r < 0)
		return r;
	if (!cli_is_json(cli)) {
		struct cpg_stat *stat = NULL;
		size_t n = 0;

		if (!group.foreign)
			cpg_stats(&groups.cpg, name, false, cli->arena, &stat, &n, NULL);
		cli_group_text(&out, &group, n ? stat : NULL, cli->arena);
		return cli_print(&out, err);
	}
	cli_group_json(&w, &group, cli->arena);
	return print_line(&out, err);
}

/* The members of all groups, each once, in the order of the groups. */
static int all_members(struct cli *cli, struct cpg *cpg, struct rt_group_member **ret,
		       size_t *ret_n, struct error *err)
{
	struct rt_group_member *all = NULL;
	struct cpg_group *groups = NULL;
	size_t n_groups = 0;
	size_t n_all = 0;
	int r = cpg_list(cpg, NULL, cli->arena, &groups, &n_groups, err);

	for (size_t i = 0; i < n_groups && r >= 0; i++) {
		struct rt_group_member *v = NULL;
		size_t n = 0;

		if (groups[i].foreign || !groups[i].n_members)
			continue;
		r = rt_group_members(&cli->ctx, groups[i].name, false, cli->arena, &v, &n, err);
		if (r == -ENOENT) { /* deleted meanwhile */
			r = 0;
			continue;
		}
		if (r < 0 || !n)
			continue;

		struct rt_group_member *more =
			ARENA_NEW_N(cli->arena, struct rt_group_member, n_all + n);

		if (n_all)
			memcpy(more, all, n_all * sizeof(*all));
		memcpy(more + n_all, v, n * sizeof(*v));
		all = more;
		n_all += n;
	}
	*ret = all;
	*ret_n = n_all;
	return r;
}

int cmd_cpugroup_members(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	const char *name = cli->args.operands[0]; /* NULL: of all groups */
	struct rt_group_member *v = NULL;
	size_t n = 0;
	int r = 0;

	if (name) {
		if (strcmp(name, "/") != 0)
			r = cpg_name_check(name, err);
		if (r == 0)
			r = rt_group_members(&cli->ctx, name, cli_flag(&cli->args, "deep"),
					     cli->arena, &v, &n, err);
	} else {
		r = cli_groups_open(cli, &groups, err);
		if (r == 0)
			r = all_members(cli, &groups.cpg, &v, &n, err);
	}
	if (r < 0)
		return r;
	if (!cli_is_json(cli)) {
		cli_members_table(&out, v, n, cli->arena);
		return cli_print(&out, err);
	}
	cli_members_json(&w, v, n, cli->arena);
	return print_line(&out, err);
}

int cmd_cpugroup_topology(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	struct cpg_topology t;
	/* The CPUs are there without a tree of cgroups as well; then no group has any. */
	bool has_groups = cli_groups_open(cli, &groups, NULL) == 0;
	int r = cpg_topology(has_groups ? &groups.cpg : NULL, -1, cli->arena, &t, err);

	if (r < 0)
		return r;
	if (cli_flag(&cli->args, "hcs"))
		cli_topology_hcs(&w, &t);
	else if (cli_is_json(cli))
		cli_topology_json(&w, &t);
	else
		cli_topology_table(&out, &t, cli->arena);
	return cli_is_json(cli) || cli_flag(&cli->args, "hcs") ? print_line(&out, err)
							       : cli_print(&out, err);
}

int cmd_cpugroup_export(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out, .indent = "  " };
	const char *name = cli->args.operands[0]; /* NULL: all */
	int r = name ? cpg_name_check(name, err) : 0;

	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r == 0)
		r = cpg_export(&groups.cpg, name, &w, err);
	return r < 0 ? r : print_line(&out, err);
}
