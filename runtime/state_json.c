/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.json: what is written once at create and read by every later command.
 */
#include "runtime/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

static void write_annotations(struct json_w *w, const struct rt_state *s)
{
	if (!s->n_annotations)
		return;
	json_w_open(w, "annotations", '{');
	for (size_t i = 0; i < s->n_annotations; i++)
		json_w_str(w, s->annotations[i].key, s->annotations[i].value);
	json_w_close(w, '}');
}

static void write_residuals(struct json_w *w, const struct rt_state *s)
{
	if (!s->n_residuals)
		return;
	json_w_open(w, "residuals", '[');
	for (size_t i = 0; i < s->n_residuals; i++) {
		json_w_open(w, NULL, '{');
		json_w_str(w, "cgroup", s->residuals[i].cgroup);
		json_w_uint(w, "inode", s->residuals[i].inode);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
}

static void write_sandbox(struct json_w *w, const struct rt_sandbox *sb)
{
	if (!sb)
		return;
	json_w_open(w, "sandbox", '{');
	json_w_str(w, "store", sb->store);
	json_w_str(w, "slots", sb->slots);
	if (sb->name)
		json_w_str(w, "name", sb->name);
	if (sb->image)
		json_w_str(w, "image", sb->image);
	if (sb->kind)
		json_w_str(w, "kind", sb->kind);
	json_w_bool(w, "keep", sb->keep);
	if (sb->keeps_projects)
		json_w_bool(w, "keepsProjects", true);
	json_w_close(w, '}');
}

int state_save(int dir_fd, const struct rt_state *s, struct error *err)
{
	char space[4096];
	auto_buf struct buf b = BUF_ON(space);
	struct json_w w = { .out = &b };

	json_w_open(&w, NULL, '{');
	json_w_int(&w, "version", 1);
	json_w_str(&w, "id", s->id);
	json_w_int(&w, "pid", s->pid);
	json_w_uint(&w, "startTime", s->start_time);
	if (s->pidfd_id) {
		json_w_uint(&w, "pidfdId", s->pidfd_id);
		json_w_int(&w, "bootTime", state_boot_time());
	}
	json_w_str(&w, "bundle", s->bundle);
	json_w_str(&w, "rootfs", s->rootfs);
	json_w_str(&w, "created", s->created);
	json_w_str(&w, "program", s->program);
	json_w_str(&w, "cgroup", s->cgroup);
	json_w_str(&w, "cgroupDir", s->cgroup_dir);
	if (s->unit && s->unit[0])
		json_w_str(&w, "unit", s->unit);
	json_w_uint(&w, "namespaces", s->ns_kinds);
	if (s->has_hooks)
		json_w_bool(&w, "hooks", true);
	if (s->keyring && s->keyring[0])
		json_w_str(&w, "keyring", s->keyring);
	if (s->has_notify)
		json_w_bool(&w, "notify", true);
	if (s->reset_signals)
		json_w_bool(&w, "resetSignals", true);
	if (s->has_exec_config)
		json_w_bool(&w, "execConfig", true);
	if (s->is_vm)
		json_w_bool(&w, "vm", true);
	if (s->may_be_traced)
		json_w_bool(&w, "ptrace", true);
	write_annotations(&w, s);
	write_residuals(&w, s);
	write_sandbox(&w, s->sandbox);
	if (s->resources)
		json_w_raw(&w, "resources", s->resources, strlen(s->resources));
	json_w_close(&w, '}');
	return file_replace_at(dir_fd, "state.json", 0600, b.data, b.len, err);
}

static const char *member_text(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	return v && v->type == JSON_STRING ? v->text : "";
}

static uint64_t member_uint(const struct json *obj, const char *name)
{
	uint64_t v = 0;
	const struct json *m = json_get(obj, name);

	if (m)
		json_uint(m, UINT64_MAX, &v, NULL);
	return v;
}

static bool member_flag(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	return v && v->type == JSON_BOOL && v->boolean;
}

static void read_annotations(const struct json *doc, struct arena *a, struct rt_state *ret)
{
	const struct json *list = json_get(doc, "annotations");

	if (!list || !list->count)
		return;

	struct spec_key_value *v = ARENA_NEW_N(a, struct spec_key_value, list->count);

	json_each(it, list)
		if (it->type == JSON_STRING)
			v[ret->n_annotations++] = (struct spec_key_value){ it->name, it->text };
	ret->annotations = v;
}

static void read_residuals(const struct json *doc, struct arena *a, struct rt_state *ret)
{
	const struct json *list = json_get(doc, "residuals");

	if (!list || !list->count)
		return;

	struct rt_residual *v = ARENA_NEW_N(a, struct rt_residual, list->count);

	json_each(it, list)
		if (member_text(it, "cgroup")[0])
			v[ret->n_residuals++] = (struct rt_residual){ member_text(it, "cgroup"), member_uint(it, "inode") };
	ret->residuals = v;
}

static const char *member_or_null(const struct json *obj, const char *name)
{
	const char *text = member_text(obj, name);

	return *text ? text : NULL;
}

static void read_sandbox(const struct json *doc, struct arena *a, struct rt_state *ret)
{
	const struct json *obj = json_get(doc, "sandbox");

	if (!obj)
		return;
	ret->sandbox = ARENA_NEW(a, struct rt_sandbox);
	*ret->sandbox = (struct rt_sandbox){
		.store = member_text(obj, "store"),
		.slots = member_text(obj, "slots"),
		.name = member_or_null(obj, "name"),
		.image = member_or_null(obj, "image"),
		.kind = member_or_null(obj, "kind"),
		.keep = member_flag(obj, "keep"),
		.keeps_projects = member_flag(obj, "keepsProjects"),
	};
}

static int parse(const char *text, size_t n, const char *id, struct arena *a, struct rt_state *ret,
		 struct error *err)
{
	const struct json *doc;
	char what[64];

	snprintf(what, sizeof(what), "state of container \"%.32s\"", id);

	int r = json_parse(text, n, what, a, &doc, err);

	if (r < 0)
		return r;
	if (member_uint(doc, "version") != 1)
		return error_rule(err, EINVAL, "%s was written by another version of this program", what);

	*ret = (struct rt_state){
		.id = member_text(doc, "id"),
		.bundle = member_text(doc, "bundle"),
		.rootfs = member_text(doc, "rootfs"),
		.created = member_text(doc, "created"),
		.program = member_text(doc, "program"),
		.cgroup = member_text(doc, "cgroup"),
		.cgroup_dir = member_text(doc, "cgroupDir"),
		.unit = member_text(doc, "unit"),
		.pid = (pid_t)member_uint(doc, "pid"),
		.start_time = member_uint(doc, "startTime"),
		.pidfd_id = member_uint(doc, "pidfdId"),
		.boot_time = (int64_t)member_uint(doc, "bootTime"),
		.ns_kinds = (unsigned)member_uint(doc, "namespaces"),
		.has_hooks = member_flag(doc, "hooks"),
		.keyring = member_text(doc, "keyring"),
		.has_notify = member_flag(doc, "notify"),
		.reset_signals = member_flag(doc, "resetSignals"),
		.has_exec_config = member_flag(doc, "execConfig"),
		.is_vm = member_flag(doc, "vm"),
		.may_be_traced = member_flag(doc, "ptrace"),
	};
	read_annotations(doc, a, ret);
	read_residuals(doc, a, ret);
	read_sandbox(doc, a, ret);

	const struct json *res = json_get(doc, "resources");

	if (res)
		ret->resources = arena_strndup(a, text + res->begin, res->end - res->begin);
	if (ret->pid <= 0 || strcmp(ret->id, id) != 0)
		return error_rule(err, EINVAL, "%s is damaged", what);
	return 0;
}

/* Most states are one page; a long one (annotations) costs more reads, not more code. */
/*
 * In a root with the sticky bit anyone may make a directory with a container's name.
 * What it says is not to be acted on, nor shown as ours.
 */
static int check_owner(int fd, const char *id, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat state.json of container \"%s\"", id);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_rule(err, EPERM, "state.json of container \"%s\" belongs to user %u, not to us", id,
				  st.st_uid);
	return 0;
}

static int read_and_parse(int fd, const char *id, struct arena *a, struct rt_state *ret,
			  struct error *err)
{
	int owned = check_owner(fd, id, err);

	if (owned < 0)
		return owned;

	char small[8192];
	ssize_t n = read(fd, small, sizeof(small));

	if (n < 0)
		return error_set(err, errno, "read state.json");
	if ((size_t)n < sizeof(small))
		return parse(small, (size_t)n, id, a, ret, err);

	auto_buf struct buf b = BUF_INIT;

	buf_add(&b, small, (size_t)n);

	int r = file_read_fd(fd, "state.json", JSON_MAX_BYTES, &b, err);

	return r < 0 ? r : parse(b.data, b.len, id, a, ret, err);
}

int state_load(int dir_fd, const char *id, struct arena *a, struct rt_state *ret, struct error *err)
{
	auto_close int fd = openat(dir_fd, "state.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_set(err, errno, "open state.json of container \"%s\"", id);
	return read_and_parse(fd, id, a, ret, err);
}

int state_peek(const struct rt_context *ctx, const char *id, struct arena *a, struct rt_state *ret,
	       struct error *err)
{
	char path[PATH_MAX];
	int r = rt_check_id(id, err);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/state.json", ctx->root, id) >= sizeof(path))
		return state_no_such(id, err);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return read_and_parse(fd, id, a, ret, err);
	if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
		return error_set(err, errno, "open %s", path);

	/* No state.json: never there, or being created right now? */
	auto_close int dir_fd = state_open(ctx, id, STATE_SHARED, err);

	if (dir_fd < 0)
		return dir_fd;
	*ret = (struct rt_state){ .id = arena_strdup(a, id), .bundle = "", .rootfs = "", .created = "",
				  .cgroup = "", .cgroup_dir = "" };
	return 0;
}

int state_load_config(int dir_fd, struct arena *a, struct spec **ret, struct error *err)
{
	/* Checked at create; the rules of a newer version must not lock anyone out of delete. */
	char *text;
	size_t n;
	int r = file_load_at(dir_fd, "config.json", JSON_MAX_BYTES, a, &text, &n, err);

	if (r >= 0)
		r = spec_parse(text, n, a, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read the container's saved config") : 0;
}
