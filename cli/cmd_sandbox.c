/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_sandbox - the commands of `sandbox` */

#include <errno.h>
#include <string.h>

#include "cli/cpugroup.h"
#include "cli/layer.h"
#include "cli/sandbox.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

int cmd_sandbox(struct cli *cli, struct error *err)
{
	const char *name = cli->args.operands[0];
	const char *nearest = cli_nearest_verb(cli->verb, name);
	int r = error_rule(err, ENOENT, "\"sandbox\" has no command \"%s\"", name);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
	return r;
}

/* Of one that somebody works on, or that is damaged, the use stays unknown: the rest of it is worth seeing all the same. */
static void ask_use(const struct cli *cli, const struct ovl_store *store, struct sandbox_row *row)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;

	if (row->sb.kind == OVL_SANDBOX_DIRECTORY || ovl_sandbox_open(store, row->sb.name, cli->arena, &sb, NULL) < 0)
		return;
	ovl_sandbox_usage(store, &sb, &row->usage, NULL);
	ovl_sandbox_release(store, &sb);
}

static int read_all(const struct cli *cli, const struct ovl_store *store, struct sandbox_row **ret, size_t *ret_n,
		    struct error *err)
{
	struct ovl_sandbox *v;
	int r = ovl_sandboxes(store, cli->arena, &v, ret_n, err);

	if (r < 0)
		return r;
	*ret = ARENA_NEW_N(cli->arena, struct sandbox_row, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		struct sandbox_row *row = &(*ret)[i];

		row->sb = v[i];
		row->usage = (struct ovl_usage){ .max_bytes = v[i].max_bytes, .max_inodes = v[i].max_inodes };
		/* A kept image would have to be mounted for it: that is left to `show`. */
		if (v[i].is_used || v[i].kind == OVL_SANDBOX_QUOTA)
			ask_use(cli, store, row);
	}
	return 0;
}

int cmd_sandbox_list(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct sandbox_row *v = NULL;
	size_t n = 0;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	/* No container has had one yet: that is an empty list, unless a place was named. */
	if (r == -ENOENT && !cli_text(&cli->globals, "store")) {
		if (err)
			*err = ERROR_INIT;
		r = 0;
	} else if (r == 0) {
		r = read_all(cli, &store, &v, &n, err);
	}
	if (r < 0)
		return r;
	if (cli_is_json(cli))
		sandbox_list_json(&out, v, n);
	else if (!cli_flag(&cli->args, "quiet"))
		sandbox_table(&out, v, n, cli->arena);
	else
		for (size_t i = 0; i < n; i++)
			buf_printf(&out, "%s\n", v[i].sb.name);
	return cli_print(&out, err);
}

int cmd_sandbox_show(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	auto_store struct ovl_store store = CLI_STORE_INIT;
	const char *name = cli->args.operands[0];
	struct sandbox_row *v;
	size_t n, i = 0;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	if (r == 0)
		r = read_all(cli, &store, &v, &n, err);
	if (r < 0)
		return r;
	while (i < n && strcmp(v[i].sb.name, name) != 0)
		i++;
	if (i == n) {
		r = error_rule(err, ENOENT, "the layer store %s has no sandbox \"%s\"", store.path, name);
		error_hint(err, "`bulkhead sandbox list` shows those there are");
		return r;
	}
	if (!v[i].usage.is_known)
		ask_use(cli, &store, &v[i]);
	if (cli_is_json(cli))
		sandbox_json(&out, &v[i]);
	else
		sandbox_text(&out, &v[i], cli->arena);
	return cli_print(&out, err);
}

static int print_done(const struct cli *cli, const char *what, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	if (!cli_is_json(cli))
		return 0;
	json_w_open(&w, NULL, '{');
	json_w_open(&w, what, '[');
	for (char **name = cli->args.operands; *name; name++)
		json_w_str(&w, NULL, *name);
	json_w_close(&w, ']');
	json_w_close(&w, '}');
	buf_putc(&out, '\n');
	return cli_print(&out, err);
}

int cmd_sandbox_remove(struct cli *cli, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	for (char **name = cli->args.operands; r == 0 && *name; name++)
		r = ovl_sandbox_remove(&store, *name, err);
	return r < 0 ? r : print_done(cli, "removed", err);
}

int cmd_sandbox_reset(struct cli *cli, struct error *err)
{
	auto_store struct ovl_store store = CLI_STORE_INIT;
	int r = cli_store_open(cli, OVL_EXISTING, &store, err);

	if (r == 0)
		r = ovl_sandbox_reset(&store, cli->args.operands[0], err);
	return r < 0 ? r : print_done(cli, "reset", err);
}
