/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_cpugroup_act - the commands that do something to whoever lives in a group */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/table.h"
#include "spec/base/auto.h"
#include "spec/base/parse.h"

enum { DEFAULT_TIMEOUT_MS = 10000 };

static int freeze(struct cli *cli, bool is_freeze, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = cli_group_name(cli, err);
	int timeout_ms;
	int r = name ? cli_timeout(&cli->args, "timeout", DEFAULT_TIMEOUT_MS, &timeout_ms, err)
		     : -EINVAL;

	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r == 0)
		r = cpg_freeze(&groups.cpg, name, is_freeze, timeout_ms, err);
	return r < 0 ? r : cli_done(cli, is_freeze ? "frozen" : "resumed", name, err);
}

int cmd_cpugroup_freeze(struct cli *cli, struct error *err)
{
	return freeze(cli, true, err);
}

int cmd_cpugroup_resume(struct cli *cli, struct error *err)
{
	return freeze(cli, false, err);
}

static int read_signal(const char *text, int *ret, struct error *err)
{
	if (text && parse_signal(text, ret) < 0)
		return error_rule(err, EINVAL, "unknown signal \"%s\"", text);
	return 0;
}

int cmd_cpugroup_kill(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = cli_group_name(cli, err);
	int signo = SIGKILL;
	int r = name ? read_signal(cli->args.operands[1], &signo, err) : -EINVAL;

	if (r < 0)
		return r;
	if (signo != SIGKILL) {
		r = rt_group_signal(&cli->ctx, name, signo, err);
	} else {
		r = cli_groups_open(cli, &groups, err);
		if (r == 0)
			r = cpg_kill(&groups.cpg, name, err);
	}
	return r < 0 ? r : cli_done(cli, signo == SIGKILL ? "killed" : "signalled", name, err);
}

int cmd_cpugroup_stop(struct cli *cli, struct error *err)
{
	const char *name = cli_group_name(cli, err);
	int signo = SIGTERM;
	int timeout_ms;
	int r = name ? read_signal(cli_text(&cli->args, "signal"), &signo, err) : -EINVAL;

	if (r == 0)
		r = cli_timeout(&cli->args, "timeout", DEFAULT_TIMEOUT_MS, &timeout_ms, err);
	if (r == 0)
		r = rt_group_stop(&cli->ctx, name, signo, timeout_ms, err);
	return r < 0 ? r : cli_done(cli, "stopped", name, err);
}

int cmd_cpugroup_wait(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	const char *name = cli_group_name(cli, err);
	int timeout_ms;
	int r = name ? cli_timeout(&cli->args, "timeout", -1, &timeout_ms, err) : -EINVAL;

	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r == 0)
		r = cpg_wait(&groups.cpg, name, timeout_ms, err);
	return r < 0 ? r : cli_done(cli, "empty", name, err);
}

static int read_move(const struct cli_args *args, struct rt_move_options *ret, struct error *err)
{
	const char *clean = cli_text(args, "require-clean");
	int64_t bytes = 0;

	if (clean && (parse_bytes(clean, &bytes) < 0 || bytes < 0))
		return error_rule(err, EINVAL,
				  "option --require-clean needs bytes such as 0 or 16m, not \"%s\"",
				  clean);
	*ret = (struct rt_move_options){
		.residual_limit = (uint64_t)bytes,
		.require_clean = clean != NULL,
		.check = cli_flag(args, "check"),
	};
	return cli_timeout(args, "timeout", DEFAULT_TIMEOUT_MS, &ret->timeout_ms, err);
}

static void moved_text(struct buf *out, const char *id, const struct rt_moved *m, struct arena *a)
{
	if (m->same) {
		buf_printf(out, "%s is there already: /%s\n", id, cli_harmless(m->to, a));
		return;
	}
	buf_printf(out, "%s: %zu process%s moved from /%s to /%s\n", id, m->processes,
		   m->processes == 1 ? "" : "es", cli_harmless(m->from, a), cli_harmless(m->to, a));
	if (m->residual_bytes)
		buf_printf(out, "%s of its memory stay charged to the old group%s\n",
			   cli_bytes(m->residual_bytes, a),
			   m->residual ? arena_printf(a, "; /%s is kept until they are freed",
						      cli_harmless(m->from, a))
				       : "");
}

static void moved_json(struct buf *out, const char *id, const struct rt_moved *m, struct arena *a)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "id", id);
	json_w_bool(&w, "moved", !m->same);
	json_w_str(&w, "from", arena_printf(a, "/%s", m->from));
	json_w_str(&w, "to", arena_printf(a, "/%s", m->to));
	json_w_uint(&w, "processes", m->processes);
	json_w_bool(&w, "residual", m->residual);
	json_w_uint(&w, "residualBytes", m->residual_bytes);
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}

int cmd_cpugroup_move(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	const char *id = cli_id(cli, err);
	const char *group = cli->args.operands[1];
	struct rt_moved *moved = ARENA_NEW(cli->arena, struct rt_moved);
	struct rt_move_options opt;

	if (!id || (strcmp(group, "/") != 0 && cpg_name_check(group, err) < 0))
		return -EINVAL;

	int r = read_move(&cli->args, &opt, err);

	if (r == 0)
		r = rt_group_move(&cli->ctx, id, group, &opt, moved, err);
	if (r < 0)
		return r;
	if (opt.check)
		buf_puts(&out, "{\"admitted\":true}\n");
	else if (cli_is_json(cli))
		moved_json(&out, id, moved, cli->arena);
	else
		moved_text(&out, id, moved, cli->arena);
	return cli_print(&out, err);
}

struct repaired {
	struct buf text;
	struct json_w json;
};

static void told(const char *line, void *data)
{
	struct repaired *to = data;

	if (to->json.out)
		json_w_str(&to->json, NULL, line);
	else
		buf_printf(&to->text, "%s\n", line);
}

int cmd_cpugroup_repair(struct cli *cli, struct error *err)
{
	struct repaired to = { .text = BUF_INIT };
	const char *id = cli->args.operands[0]; /* NULL: every container */
	size_t n = 0;

	if (id && !cli_id(cli, err))
		return -EINVAL;
	if (cli_is_json(cli)) {
		to.json.out = &to.text;
		json_w_open(&to.json, NULL, '{');
		json_w_open(&to.json, "repaired", '[');
	}

	int r = rt_group_repair(&cli->ctx, id, told, &to, &n, err);

	if (cli_is_json(cli)) {
		json_w_close(&to.json, ']');
		json_w_uint(&to.json, "count", n);
		json_w_close(&to.json, '}');
		buf_putc(&to.text, '\n');
	}
	if (r == 0)
		r = cli_print(&to.text, err);
	buf_release(&to.text);
	return r;
}
