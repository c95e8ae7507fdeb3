/* SPDX-License-Identifier: Apache-2.0 */

/* sandbox_format - what the commands of `sandbox` print */

#include <string.h>

#include "cli/sandbox.h"
#include "cli/table.h"
#include "spec/base/json.h"

static const char *kind_name(const struct ovl_sandbox *sb)
{
	static const char *const names[] = {
		[OVL_SANDBOX_DIRECTORY] = "directory",
		[OVL_SANDBOX_QUOTA] = "quota",
		[OVL_SANDBOX_IMAGE] = "image",
		[OVL_SANDBOX_MEMORY] = "memory",
	};

	return names[sb->kind];
}

static const char *used(const struct sandbox_row *row, struct arena *a)
{
	return row->usage.is_known ? cli_bytes(row->usage.bytes, a) : "-";
}

static const char *limit(uint64_t most, struct arena *a)
{
	return most ? cli_bytes(most, a) : "-";
}

void sandbox_table(struct buf *out, const struct sandbox_row *v, size_t n, struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 7, .right = 3 << 3, .gap = 3 };

	cli_table_cells(&t, (const char *const[]){ "NAME", "IMAGE", "KIND", "USED", "LIMIT", "KEPT", "USED BY" });
	for (size_t i = 0; i < n; i++) {
		const struct ovl_sandbox *sb = &v[i].sb;

		cli_table_cells(&t, (const char *const[]){ sb->name, sb->image, kind_name(sb), used(&v[i], a),
							   limit(v[i].usage.max_bytes, a), sb->keep ? "yes" : "no",
							   sb->is_used ? sb->holder : NULL });
	}
	cli_table_print(&t, out);
}

static const char *lower_name(const struct ovl_lower *lower, struct arena *a)
{
	return lower->hex ? arena_printf(a, "sha256:%s", lower->hex) : lower->dir;
}

void sandbox_text(struct buf *out, const struct sandbox_row *row, struct arena *a)
{
	const struct ovl_sandbox *sb = &row->sb;

	buf_printf(out, "name     %s\n", cli_harmless(sb->name, a));
	if (sb->image)
		buf_printf(out, "image    %s\n", cli_harmless(sb->image, a));
	buf_printf(out, "kind     %s\nkept     %s\ncreated  %s\nused by  %s\n", kind_name(sb), sb->keep ? "yes" : "no",
		   sb->created, sb->is_used ? cli_harmless(sb->holder, a) : "-");
	buf_printf(out, "used     %s of %s\n", used(row, a), limit(row->usage.max_bytes, a));
	if (row->usage.is_known)
		buf_printf(out, "files    %llu of ", (unsigned long long)row->usage.inodes);
	else
		buf_puts(out, "files    - of ");
	if (row->usage.max_inodes)
		buf_printf(out, "%llu\n", (unsigned long long)row->usage.max_inodes);
	else
		buf_puts(out, "-\n");
	buf_printf(out, "layers   %zu, the lowest first:\n", sb->n_lowers);
	for (size_t i = 0; i < sb->n_lowers; i++)
		buf_printf(out, "  %s\n", cli_harmless(lower_name(&sb->lowers[i], a), a));
}

static void add_lower(struct json_w *w, const struct ovl_lower *lower)
{
	char text[sizeof("sha256:") + OVL_HEX_BYTES];

	snprintf(text, sizeof(text), "sha256:%s", lower->hex ? lower->hex : "");
	json_w_str(w, NULL, lower->hex ? text : lower->dir);
}

static void add_row(struct json_w *w, const struct sandbox_row *row)
{
	const struct ovl_sandbox *sb = &row->sb;

	json_w_open(w, NULL, '{');
	json_w_str(w, "name", sb->name);
	if (sb->image)
		json_w_str(w, "image", sb->image);
	json_w_str(w, "kind", kind_name(sb));
	json_w_bool(w, "keep", sb->keep);
	json_w_str(w, "created", sb->created);
	if (sb->is_used)
		json_w_str(w, "usedBy", sb->holder);
	if (row->usage.is_known) {
		json_w_uint(w, "bytes", row->usage.bytes);
		json_w_uint(w, "inodes", row->usage.inodes);
	}
	if (row->usage.max_bytes)
		json_w_uint(w, "maxBytes", row->usage.max_bytes);
	if (row->usage.max_inodes)
		json_w_uint(w, "maxInodes", row->usage.max_inodes);
	json_w_open(w, "layers", '[');
	for (size_t i = 0; i < sb->n_lowers; i++)
		add_lower(w, &sb->lowers[i]);
	json_w_close(w, ']');
	json_w_close(w, '}');
}

void sandbox_list_json(struct buf *out, const struct sandbox_row *v, size_t n)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++)
		add_row(&w, &v[i]);
	json_w_close(&w, ']');
	buf_putc(out, '\n');
}

void sandbox_json(struct buf *out, const struct sandbox_row *row)
{
	struct json_w w = { .out = out };

	add_row(&w, row);
	buf_putc(out, '\n');
}
