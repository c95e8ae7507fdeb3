/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group_record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/state.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

const char *group_step_name(enum cpg_move_step step)
{
	static const char *const names[] = {
		[CPG_MOVE_PREPARED] = "prepared", [CPG_MOVE_FROZEN] = "frozen",
		[CPG_MOVE_MOVED] = "moved",	  [CPG_MOVE_THAWED] = "thawed",
	};

	return names[step];
}

int group_record_write(int dir_fd, const struct group_record *rec, struct error *err)
{
	char space[4096];
	auto_buf struct buf b = BUF_ON(space);
	struct json_w w = { .out = &b };

	json_w_open(&w, NULL, '{');
	json_w_int(&w, "version", 1);
	json_w_str(&w, "from", rec->from);
	json_w_str(&w, "to", rec->to);
	json_w_str(&w, "step", rec->step);
	json_w_bool(&w, "wasFrozen", rec->was_frozen);
	json_w_uint(&w, "residualLimit", rec->residual_limit);
	json_w_close(&w, '}');
	return file_replace_at(dir_fd, GROUP_RECORD, 0600, b.data, b.len, err);
}

static int parse(const struct json *doc, struct group_record *ret, struct error *err)
{
	uint64_t version = 0;
	const struct json *v = json_get(doc, "version");
	int r = v ? json_uint(v, 1, &version, err) : -EINVAL;

	if (r < 0 || version != 1)
		return error_rule(err, EINVAL, GROUP_RECORD " was written by another version of this program");
	r = json_string(json_get(doc, "from"), &ret->from, err);
	if (r == 0)
		r = json_string(json_get(doc, "to"), &ret->to, err);
	if (r == 0)
		r = json_string(json_get(doc, "step"), &ret->step, err);
	if (r == 0)
		r = json_bool(json_get(doc, "wasFrozen"), &ret->was_frozen, err);
	if (r == 0)
		r = json_uint(json_get(doc, "residualLimit"), UINT64_MAX, &ret->residual_limit, err);
	return r;
}

int group_record_read(int dir_fd, const char *id, struct arena *a, struct group_record *ret, struct error *err)
{
	const struct json *doc;
	char *text;
	size_t n;
	char what[96];

	if (faccessat(dir_fd, GROUP_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return -ENOENT;
	snprintf(what, sizeof(what), GROUP_RECORD " of container \"%.32s\"", id);

	int r = file_load_at(dir_fd, GROUP_RECORD, JSON_MAX_BYTES, a, &text, &n, err);

	if (r == 0)
		r = json_parse(text, n, what, a, &doc, err);
	return r < 0 ? r : parse(doc, ret, err);
}

int group_record_remove(int dir_fd, struct error *err)
{
	if (unlinkat(dir_fd, GROUP_RECORD, 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove " GROUP_RECORD);
	return 0;
}

bool group_record_is_there(const struct rt_context *ctx, const char *id)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/" GROUP_RECORD, ctx->root, id) >= sizeof(path))
		return false;
	return access(path, F_OK) == 0; /* path-ok: host path */
}

void group_settle_unlocked(const struct rt_context *ctx, const char *id)
{
	if (!group_record_is_there(ctx, id))
		return;

	auto_close int dir_fd = state_open(ctx, id, STATE_LOCKED, NULL);
}
