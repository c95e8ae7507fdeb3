/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_diff - what a container did to its files */

#include <errno.h>
#include <sys/stat.h>

#include "cli/cpugroup.h"
#include "cli/layer.h"
#include "cli/out.h"
#include "cli/table.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

struct printer {
	const struct cli *cli;
	struct buf out;
	struct json_w w;
};

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

static void add_json(struct json_w *w, const struct ovl_diff *d)
{
	static const char *const words[] = { [OVL_DIFF_ADDED] = "added", [OVL_DIFF_MODIFIED] = "modified",
					     [OVL_DIFF_DELETED] = "deleted" };

	json_w_open(w, NULL, '{');
	json_w_str(w, "change", words[d->kind]);
	json_w_str(w, "path", d->path);
	if (d->kind != OVL_DIFF_DELETED) {
		json_w_str(w, "type", type_of(d->mode));
		if (S_ISREG(d->mode))
			json_w_uint(w, "size", d->size);
	}
	json_w_close(w, '}');
}

/* A line is a change: a newline in a name must not make two of it. */
static void add_path(struct buf *out, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < ' ' || c == 0x7f || c == '\\')
			buf_printf(out, "\\%03o", c);
		else
			buf_putc(out, *path);
	}
}

static int take(void *data, const struct ovl_diff *d)
{
	struct printer *p = data;

	if (cli_is_json(p->cli)) {
		add_json(&p->w, d);
		return 0;
	}
	buf_printf(&p->out, "%c ", "AMD"[d->kind]);
	add_path(&p->out, d->path);
	buf_putc(&p->out, '\n');
	return 0;
}

int cmd_diff(struct cli *cli, struct error *err)
{
	struct printer p = { .cli = cli, .out = BUF_INIT };
	const char *id = cli_id(cli, err);
	int r;

	if (!id)
		return -EINVAL;
	p.w.out = &p.out;
	if (cli_is_json(cli))
		json_w_open(&p.w, NULL, '[');
	r = rt_diff(&cli->ctx, id, take, &p, cli->arena, err);
	if (r == 0 && cli_is_json(cli)) {
		json_w_close(&p.w, ']');
		buf_putc(&p.out, '\n');
	}
	if (r == 0)
		r = cli_print(&p.out, err);
	buf_release(&p.out);
	return r;
}
