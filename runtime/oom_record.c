/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oom_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cgroup_file.h"
#include "runtime/vm_record.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

static uint64_t number(int cg_fd, const char *file)
{
	uint64_t v;

	return cgroup_file_number(cg_fd, file, &v) ? v : UINT64_MAX;
}

/*
 * Whose limit was it? Each cgroup counts in memory.events.local how often its own limit was
 * hit for good; a cgroup that a program made below the leaf shows in the leaf's
 * hierarchical count alone. Nobody's: the host had no memory left.
 */
static void blame(int leaf_fd, const char *leaf, struct arena *a, struct rt_oom *ret)
{
	char path[PATH_MAX];
	auto_close int up = -1;
	int fd = leaf_fd;

	ret->cgroup = "";
	snprintf(path, sizeof(path), "%s", leaf);
	if (cgroup_file_counter(leaf_fd, "memory.events", "oom") == 0) {
		do {
			char *slash = strrchr(path, '/');
			int next = slash ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

			if (up >= 0)
				close(up);
			fd = up = next;
			if (fd < 0)
				return;
			*slash = '\0';
		} while (cgroup_file_counter(fd, "memory.events.local", "oom") == 0);
	}
	ret->cgroup = arena_strdup(a, path);
	ret->limit = number(fd, "memory.max");
	ret->peak = number(fd, "memory.peak");
}

bool oom_ask(const struct rt_state *state, struct arena *a, struct rt_oom *ret)
{
	auto_close int fd = state->cgroup[0] ? state_open_cgroup(state, NULL) : -1;
	struct rt_oom oom = { .limit = UINT64_MAX, .peak = UINT64_MAX };

	if (fd < 0)
		return false;
	oom.kills = cgroup_file_counter(fd, "memory.events", "oom_kill");
	if (!oom.kills)
		return false;
	blame(fd, state->cgroup, a, &oom);
	*ret = oom;
	return true;
}

bool oom_find(const struct rt_context *ctx, const struct rt_state *state, struct arena *a, struct rt_oom *ret)
{
	struct vm_record record;

	if (state->is_vm && vm_record_read(ctx, state->id, a, &record) && record.has_oom) {
		*ret = record.oom;
		return true;
	}
	return oom_ask(state, a, ret);
}

static void add_bytes(struct buf *out, uint64_t n)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned u = 0;
	uint64_t scale = 1;

	while (u + 1 < ARRAY_SIZE(units) && n / scale >= 1024) {
		scale *= 1024;
		u++;
	}

	uint64_t tenths = n % scale / (scale > 10 ? scale / 10 : 1);

	if (u && tenths && tenths < 10)
		buf_printf(out, "%" PRIu64 ".%" PRIu64 " %s", n / scale, tenths, units[u]);
	else
		buf_printf(out, "%" PRIu64 " %s", n / scale, units[u]);
}

void oom_describe(const struct rt_oom *oom, struct buf *out)
{
	buf_puts(out, "out of memory: ");
	if (!oom->cgroup[0] && !oom->is_guests) {
		buf_puts(out, "the host had none left, no limit was hit");
	} else {
		buf_puts(out, "limit ");
		if (oom->limit != UINT64_MAX) {
			add_bytes(out, oom->limit);
			buf_puts(out, " ");
		}
		if (oom->is_guests)
			buf_puts(out, "in its virtual machine");
		else
			buf_printf(out, "of cgroup /%s", oom->cgroup);
		if (oom->peak != UINT64_MAX) {
			buf_puts(out, ", peak ");
			add_bytes(out, oom->peak);
		}
	}
	buf_printf(out, ", %" PRIu64 " process%s killed", oom->kills, oom->kills == 1 ? "" : "es");
}

void oom_warn(const struct log *log, const char *id, const struct rt_oom *oom, enum oom_victim who)
{
	char space[512];
	auto_buf struct buf b = BUF_ON(space);

	oom_describe(oom, &b);
	if (who == OOM_INIT)
		log_warn(log, "container \"%s\" was killed: %s", id, b.data);
	else
		log_warn(log, "in container \"%s\" somebody was killed: %s", id, b.data);
}

void oom_write(struct json_w *w, const char *name, const struct rt_oom *oom)
{
	json_w_open(w, name, '{');
	json_w_uint(w, "kills", oom->kills);
	if (oom->cgroup[0])
		json_w_str(w, "cgroup", oom->cgroup);
	if (oom->is_guests)
		json_w_bool(w, "guest", true);
	if (oom->limit != UINT64_MAX)
		json_w_uint(w, "limit", oom->limit);
	if (oom->peak != UINT64_MAX)
		json_w_uint(w, "peak", oom->peak);
	json_w_close(w, '}');
}

int oom_keep(int dir_fd, const struct rt_oom *oom, struct error *err)
{
	char space[1024];
	auto_buf struct buf b = BUF_ON(space);
	struct json_w w = { .out = &b };

	json_w_open(&w, NULL, '{');
	json_w_int(&w, "version", 1);
	oom_write(&w, "oom", oom);
	json_w_close(&w, '}');
	return file_replace_at(dir_fd, OOM_RECORD, 0600, b.data, b.len, err);
}

static uint64_t member(const struct json *obj, const char *name, uint64_t otherwise)
{
	const struct json *v = json_get(obj, name);
	uint64_t n = otherwise;

	return v && json_uint(v, UINT64_MAX, &n, NULL) == 0 ? n : otherwise;
}

static bool read_kept(const struct rt_context *ctx, const char *id, struct arena *a, struct rt_oom *ret)
{
	char path[PATH_MAX];
	char *text;
	size_t n;
	const struct json *doc;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/" OOM_RECORD, ctx->root, id) >= sizeof(path) ||
	    file_load_at(AT_FDCWD, path, JSON_MAX_BYTES, a, &text, &n, NULL) < 0 ||
	    json_parse(text, n, OOM_RECORD, a, &doc, NULL) < 0)
		return false;

	const struct json *oom = json_get(doc, "oom");

	if (!oom)
		return false;
	*ret = (struct rt_oom){
		.kills = member(oom, "kills", 0),
		.cgroup = "",
		.limit = member(oom, "limit", UINT64_MAX),
		.peak = member(oom, "peak", UINT64_MAX),
	};
	json_string(json_get(oom, "cgroup"), &ret->cgroup, NULL);
	json_bool(json_get(oom, "guest"), &ret->is_guests, NULL);
	return true;
}

bool oom_recall(const struct rt_context *ctx, const struct rt_state *state, struct arena *a, struct rt_oom *ret)
{
	return read_kept(ctx, state->id, a, ret) || oom_find(ctx, state, a, ret);
}
