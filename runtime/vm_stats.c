/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_stats.h"

#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/json.h"

static void add_number(struct json_w *w, const char *name, uint64_t v)
{
	if (v != UINT64_MAX)
		json_w_uint(w, name, v);
}

static const struct json *usage_of(const struct json *memory)
{
	const struct json *usage = json_get(memory, "usage");

	return usage ? json_get(usage, "usage") : NULL;
}

static void add_raw(struct json_w *w, const char *name, const struct json *v, const char *text)
{
	if (v)
		json_w_raw(w, name, text + v->begin, v->end - v->begin);
}

static void write_memory(struct json_w *w, const struct json *host, const char *text, const struct wire_stats *g)
{
	json_w_open(w, "memory", '{');
	add_number(w, "cache", g->memory_file);
	json_w_open(w, "usage", '{');
	json_w_uint(w, "limit", g->memory_limit);
	add_number(w, "usage", g->memory_current);
	add_number(w, "max", g->memory_peak);
	add_number(w, "failcnt", g->failcnt);
	json_w_close(w, '}');
	json_w_open(w, "raw", '{');
	add_number(w, "anon", g->memory_anon);
	add_number(w, "file", g->memory_file);
	json_w_close(w, '}');
	add_raw(w, "psi", json_get(host, "psi"), text);
	json_w_open(w, "guest", '{');
	add_number(w, "total", g->guest_total);
	add_number(w, "available", g->guest_available);
	json_w_close(w, '}');
	add_raw(w, "host", usage_of(host), text);
	json_w_close(w, '}');
}

static void write_pids(struct json_w *w, const struct wire_stats *g)
{
	json_w_open(w, "pids", '{');
	add_number(w, "current", g->pids_current);
	json_w_uint(w, "limit", g->pids_limit == UINT64_MAX ? 0 : g->pids_limit);
	json_w_close(w, '}');
}

void wall_merge_stats(struct buf *data, const struct wire_stats *guest)
{
	static struct arena a = ARENA_INIT;
	auto_buf struct buf merged = BUF_INIT;
	struct json_w w = { .out = &merged };
	const struct json *doc;

	if (json_parse(data->data, data->len, "statistics", &a, &doc, NULL) < 0)
		return;
	json_w_open(&w, NULL, '{');
	json_each(v, doc)
	{
		if (strcmp(v->name, "memory") == 0)
			write_memory(&w, v, data->data, guest);
		else if (strcmp(v->name, "pids") == 0)
			write_pids(&w, guest);
		else
			json_w_raw(&w, v->name, data->data + v->begin, v->end - v->begin);
	}
	json_w_close(&w, '}');
	buf_reset(data);
	buf_add(data, merged.data, merged.len);
	arena_release(&a);
}

void wall_add_stats(const struct rt_context *ctx, const char *id, struct buf *data)
{
	struct error err = ERROR_INIT;
	struct wire_stats guest;
	char line[512];

	if (wall_stats(ctx, id, WALL_BRIEF_MS, &guest, &err) == 0) {
		wall_merge_stats(data, &guest);
		return;
	}
	error_line(&err, line, sizeof(line));
	log_warn(ctx->log, "memory and processes of container \"%s\" are the host's view: %s", id, line);
}
