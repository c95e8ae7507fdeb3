/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/list_format.h"

#include <fcntl.h>
#include <string.h>

#include "cli/table.h"
#include "spec/base/file.h"
#include "spec/base/json.h"
#include "spec/base/parse.h"

enum { OWNER = 5, CELL_MIN = 12, CELL_GAP = 3 };

/* NULL: in none. */
static const char *in_group(const struct rt_summary *v)
{
	return v->cpu_group && *v->cpu_group ? v->cpu_group : NULL;
}

const char *cli_list_owner_in(const char *passwd, uid_t uid, struct arena *a)
{
	for (const char *line = passwd; *line;) {
		size_t len = strcspn(line, "\n");
		size_t name = strcspn(line, ":\n");
		const char *p = line + name;

		if (*p == ':')
			p++;
		p += strcspn(p, ":\n"); /* the password */
		if (*p == ':') {
			size_t n = strcspn(++p, ":\n");
			uint32_t id;

			if (name > 0 && parse_id(arena_strndup(a, p, n), &id) == 0 && id == uid)
				return arena_strndup(a, line, name);
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

/*
 * /etc/passwd only, read by ourselves: asking the name services would load
 * libraries and talk to daemons for one word in a table.
 */
const char *cli_list_owner(uid_t uid, struct arena *a)
{
	static const size_t enough = 1 << 20;
	const char *name = NULL;

	if (uid == 0)
		return "root";

	char *text = arena_alloc(a, enough);

	if (file_read_at(AT_FDCWD, "/etc/passwd", text, enough, NULL) > 0)
		name = cli_list_owner_in(text, uid, a);
	return name ? name : arena_printf(a, "#%u", uid);
}

void cli_list_table(struct buf *out, const struct rt_summary *v, size_t n, struct arena *a)
{
	static const char *const head[] = { "ID",      "PID",	"STATUS", "BUNDLE",
					    "CREATED", "OWNER", "GROUP" };
	struct cli_table t = {
		.arena = a, .columns = OWNER + 1, .least = CELL_MIN, .gap = CELL_GAP, .empty = ""
	};
	const char *owner = NULL;

	/* Scripts know the first six: the seventh is there only when it says something. */
	for (size_t i = 0; i < n; i++)
		if (in_group(&v[i]))
			t.columns = OWNER + 2;
	cli_table_cells(&t, head);
	for (size_t i = 0; i < n; i++) {
		/* Most containers have one owner: look the name up once. */
		if (i == 0 || v[i].owner != v[i - 1].owner)
			owner = cli_list_owner(v[i].owner, a);
		cli_table_cell(&t, v[i].id);
		cli_table_cell(&t, arena_printf(a, "%d", v[i].pid));
		cli_table_cell(&t, v[i].status);
		cli_table_cell(&t, v[i].bundle);
		cli_table_cell(&t, v[i].created);
		cli_table_cell(&t, owner);
		if (t.columns > OWNER + 1)
			cli_table_cell(&t, in_group(&v[i]) ? in_group(&v[i]) : "-");
	}
	cli_table_print(&t, out);
}

void cli_list_json(struct buf *out, const struct rt_summary *v, size_t n, struct arena *a)
{
	struct json_w w = { .out = out };

	if (n == 0) {
		buf_puts(out, "null\n");
		return;
	}
	json_w_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++) {
		struct spec_state state = {
			.id = v[i].id,
			.status = v[i].status,
			.bundle = v[i].bundle,
			.pid = v[i].pid,
			.rootfs = v[i].rootfs,
			.created = v[i].created,
			.owner = cli_list_owner(v[i].owner, a),
			.annotations = v[i].annotations,
			.n_annotations = v[i].n_annotations,
			.cpu_group = in_group(&v[i]),
		};
		struct spec_sandbox sandbox;

		rt_show_sandbox(v[i].sandbox, &sandbox, &state);
		spec_write_state(&w, NULL, &state);
	}
	json_w_close(&w, ']');
	buf_putc(out, '\n');
}

void cli_list_ids(struct buf *out, const struct rt_summary *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s\n", v[i].id);
}
