/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/list_format.h"

#include <fcntl.h>
#include <string.h>

#include "spec/base/file.h"
#include "spec/base/json.h"
#include "spec/base/parse.h"

enum { COLUMNS = 6, CELL_MIN = 12, CELL_GAP = 3 };

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

/* Length in characters of UTF-8, as a terminal shows it. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *harmless(const char *s, struct arena *a)
{
	char *copy = arena_strdup(a, s ? s : "");

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* a bundle's name must not drive the terminal */
	return copy;
}

void cli_list_table(struct buf *out, const struct rt_summary *v, size_t n, struct arena *a)
{
	const char *(*rows)[COLUMNS] = arena_array(a, n + 1, sizeof(*rows));
	size_t widths[COLUMNS] = { 0 };
	static const char *const head[COLUMNS] = { "ID",     "PID",	"STATUS",
						   "BUNDLE", "CREATED", "OWNER" };

	memcpy(rows[0], head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		rows[i + 1][0] = harmless(v[i].id, a);
		rows[i + 1][1] = arena_printf(a, "%d", v[i].pid);
		rows[i + 1][2] = harmless(v[i].status, a);
		rows[i + 1][3] = harmless(v[i].bundle, a);
		rows[i + 1][4] = harmless(v[i].created, a);
		/* Most containers have one owner: look the name up once. */
		rows[i + 1][5] = i > 0 && v[i].owner == v[i - 1].owner
					 ? rows[i][5]
					 : cli_list_owner(v[i].owner, a);
	}
	for (size_t c = 0; c < COLUMNS; c++) {
		widths[c] = CELL_MIN;
		for (size_t i = 0; i <= n; i++)
			if (width(rows[i][c]) + CELL_GAP > widths[c])
				widths[c] = width(rows[i][c]) + CELL_GAP;
	}
	for (size_t i = 0; i <= n; i++) {
		for (size_t c = 0; c + 1 < COLUMNS; c++)
			buf_printf(out, "%s%*s", rows[i][c], (int)(widths[c] - width(rows[i][c])),
				   "");
		buf_printf(out, "%s\n", rows[i][COLUMNS - 1]);
	}
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
		const struct spec_state state = {
			.id = v[i].id,
			.status = v[i].status,
			.bundle = v[i].bundle,
			.pid = v[i].pid,
			.rootfs = v[i].rootfs,
			.created = v[i].created,
			.owner = cli_list_owner(v[i].owner, a),
			.annotations = v[i].annotations,
			.n_annotations = v[i].n_annotations,
		};

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
