/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_cpugroup - what its commands share, and those that make, change and remove groups */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/cpugroup_format.h"
#include "cli/cpugroup_options.h"
#include "spec/base/auto.h"
#include "spec/base/parse.h"

int cmd_cpugroup(struct cli *cli, struct error *err)
{
	const char *name = cli->args.operands[0];
	const char *nearest = cli_nearest_verb(cli->verb, name);
	int r = error_rule(err, ENOENT, "\"cpugroup\" has no command \"%s\"", name);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
	return r;
}

int cli_groups_open(const struct cli *cli, struct cli_groups *ret, struct error *err)
{
	const char *base = cli->ctx.cpu_group_base ? cli->ctx.cpu_group_base : CPG_DEFAULT_BASE;
	int r = cpg_base_clean(base, ret->base, sizeof(ret->base), err);

	if (r < 0)
		return r;
	r = cg_host_open(&ret->host, err);
	if (r < 0)
		return r;
	ret->cpg = (struct cpg){ .host = &ret->host, .base = ret->base, .log = &cli->log };
	return 0;
}

void cli_groups_close(struct cli_groups *groups)
{
	if (groups->cpg.host)
		cg_host_close(&groups->host);
}

const char *cli_group_name(const struct cli *cli, struct error *err)
{
	const char *name = cli->args.operands[0];

	return cpg_name_check(name, err) < 0 ? NULL : name;
}

bool cli_is_json(const struct cli *cli)
{
	const char *format = cli_text(&cli->args, "format");

	return format && !strcmp(format, "json");
}

int cli_done(const struct cli *cli, const char *done, const char *name, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	if (!cli_is_json(cli))
		return 0; /* a command that did what it was told says nothing */
	json_w_open(&w, NULL, '{');
	json_w_str(&w, "name", name);
	json_w_str(&w, "action", done);
	json_w_close(&w, '}');
	buf_putc(&out, '\n');
	return cli_print(&out, err);
}

int cli_timeout(const struct cli_args *args, const char *name, int otherwise, int *ret_ms,
		struct error *err)
{
	const char *text = cli_text(args, name);
	int64_t ns;

	*ret_ms = otherwise;
	if (!text)
		return 0;
	if (parse_duration(text, &ns) < 0)
		return error_rule(err, EINVAL,
				  "--%s \"%s\" is no duration: write 500ms, 2s or 1m30s", name,
				  text);
	ns = (ns + 999999) / 1000000;
	*ret_ms = ns > INT_MAX ? INT_MAX : (int)ns;
	return 0;
}

/* The name with --parent before it. */
static const char *full_name(const struct cli *cli, struct error *err)
{
	const char *parent = cli_text(&cli->args, "parent");
	const char *name = cli_group_name(cli, err);

	if (!name || !parent || !strcmp(parent, "/"))
		return name;
	name = arena_printf(cli->arena, "%s/%s", parent, name);
	return cpg_name_check(name, err) < 0 ? NULL : name;
}

/* --check: the numbers of what would be admitted. */
static int print_verdict(struct cli *cli, struct cpg *cpg, const char *name,
			 const struct cpg_policy *policy, unsigned flags, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	struct cpg_verdict verdict = { 0 };
	int r = cpg_judge(cpg, name, policy, flags, &verdict, err);

	if (r < 0)
		return r;
	cli_verdict_json(&w, &verdict, cli->arena);
	buf_putc(&out, '\n');
	return cli_print(&out, err);
}

int cmd_cpugroup_create(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = full_name(cli, err);
	struct cpg_policy policy;
	unsigned flags;

	if (!name)
		return -EINVAL;

	int r = cli_cpugroup_policy(&cli->args, &policy, &flags, err);

	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r < 0)
		return r;
	if (policy.set & CPG_SET_SHARE && policy.share != CPG_BY_NICE && !policy.weight)
		policy.weight =
			100; /* --idle and --idle=false speak of a weight it had: it had none */
	if (cli_flag(&cli->args, "if-not-exists"))
		flags |= CPG_IF_NOT_EXISTS;
	r = cpg_create(&groups.cpg, name, &policy, flags, err);
	if (r == 0 && flags & CPG_CHECK)
		return print_verdict(cli, &groups.cpg, name, &policy, flags, err);
	return r < 0 ? r : cli_done(cli, "created", name, err);
}

int cmd_cpugroup_set(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = cli_group_name(cli, err);
	struct cpg_policy policy;
	unsigned flags;

	if (!name)
		return -EINVAL;

	int r = cli_cpugroup_policy(&cli->args, &policy, &flags, err);

	if (r < 0)
		return r;
	if (!policy.set)
		return error_rule(err, EINVAL,
				  "nothing to set: name at least one member of the policy");
	r = cli_groups_open(cli, &groups, err);
	if (r < 0)
		return r;
	if (cli_flag(&cli->args, "force"))
		flags |= CPG_FORCE;
	r = cpg_set(&groups.cpg, name, &policy, flags, err);
	if (r == 0 && flags & CPG_CHECK)
		return print_verdict(cli, &groups.cpg, name, &policy, flags, err);
	return r < 0 ? r : cli_done(cli, "set", name, err);
}

int cmd_cpugroup_adopt(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = cli_group_name(cli, err);
	int r = name ? cli_groups_open(cli, &groups, err) : -EINVAL;

	if (r == 0)
		r = cpg_adopt(&groups.cpg, name, err);
	return r < 0 ? r : cli_done(cli, "adopted", name, err);
}

static int delete_one(struct cli *cli, struct cpg *cpg, const char *name, unsigned flags,
		      struct error *err)
{
	struct error why = ERROR_INIT;
	int r = cpg_name_check(name, err);

	if (r < 0)
		return r;
	r = cpg_delete(cpg, name, flags, &why);
	if (r == -ENOENT && cli_flag(&cli->args, "if-exists"))
		return 0;
	if (r < 0)
		*err = why;
	return r < 0 ? r : 1;
}

int cmd_cpugroup_delete(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	unsigned flags = (cli_flag(&cli->args, "recursive") ? CPG_RECURSIVE : 0) |
			 (cli_flag(&cli->args, "kill") ? CPG_KILL : 0);
	int r = cli_groups_open(cli, &groups, err);

	json_w_open(&w, NULL, '{');
	json_w_open(&w, "deleted", '[');
	for (char **name = cli->args.operands; *name && r >= 0; name++) {
		r = delete_one(cli, &groups.cpg, *name, flags, err);
		if (r > 0)
			json_w_str(&w, NULL, *name);
	}
	json_w_close(&w, ']');
	json_w_close(&w, '}');
	buf_putc(&out, '\n');
	if (r < 0 || !cli_is_json(cli))
		return r < 0 ? r : 0;
	return cli_print(&out, err);
}
