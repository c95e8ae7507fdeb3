/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state, list and ps: commands that only look.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/group.h"
#include "runtime/oom_record.h"
#include "runtime/state.h"
#include "runtime/vm_record.h"
#include "spec/base/auto.h"

static const struct rt_sandbox *has_sandbox(const struct rt_state *state)
{
	return state->sandbox && state->sandbox->name ? state->sandbox : NULL;
}

void rt_show_sandbox(const struct rt_sandbox *sandbox, struct spec_sandbox *space, struct spec_state *doc)
{
	if (!sandbox)
		return;
	*space = (struct spec_sandbox){
		.store = sandbox->store,
		.name = sandbox->name,
		.kind = sandbox->kind ?: "directory",
		.keep = sandbox->keep,
	};
	doc->rootfs = NULL; /* no directory of the host is the root */
	doc->image = sandbox->image;
	doc->sandbox = space;
}

/* A stopped container says how its memory ended it, if it did. */
static void write_state(const struct spec_state *doc, const struct rt_oom *oom, const char *death, struct buf *out)
{
	struct json_w w = { .out = out, .indent = "  " };

	spec_write_state(&w, NULL, doc);
	if (!oom && !death)
		return;
	/* One more member: the closing bracket goes and comes again. */
	out->len -= 2;
	w.depth = 1;
	w.has_member = true;
	if (oom)
		oom_write(&w, "oom", oom);
	if (death)
		json_w_str(&w, "vmDeath", death);
	json_w_close(&w, '}');
}

int rt_state(const struct rt_context *ctx, const char *id, struct buf *out, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_state state;
	int r = state_peek(ctx, id, &a, &state, err);

	if (r < 0)
		return r;

	enum rt_status status = state_status(ctx, -1, &state);
	struct spec_state doc;
	struct rt_oom oom;
	struct spec_sandbox sandbox;
	struct vm_record record;
	char group[PATH_MAX];

	state_document(&state, status, &doc);
	doc.rootfs = state.rootfs;
	rt_show_sandbox(has_sandbox(&state), &sandbox, &doc);
	doc.created = state.created;
	doc.owner = "";
	doc.isolation = state.is_vm ? "vm" : NULL;
	doc.cpu_group = group_of(ctx, state.cgroup, group, sizeof(group));
	write_state(&doc, status == RT_STOPPED && oom_recall(ctx, &state, &a, &oom) ? &oom : NULL,
		    status == RT_STOPPED && state.is_vm && vm_record_read(ctx, id, &a, &record) ? record.death : NULL, out);
	return 0;
}

static void summarise(const struct rt_context *ctx, int dir_fd, const struct rt_state *state, struct arena *a,
		      struct rt_summary *ret)
{
	char buf[PATH_MAX];
	const char *group = group_of(ctx, state->cgroup, buf, sizeof(buf));
	enum rt_status status = state_status(ctx, dir_fd, state);
	struct stat st;

	*ret = (struct rt_summary){
		.id = state->id,
		.status = state_status_name(status),
		.bundle = state->bundle,
		.rootfs = state->rootfs,
		.created = state->created,
		.cgroup = state->cgroup,
		.cpu_group = group ? arena_strdup(a, group) : "",
		.sandbox = has_sandbox(state),
		.isolation = state->is_vm ? "vm" : "process",
		.pid = status == RT_STOPPED || status == RT_CREATING ? 0 : state->pid,
		.owner = fstat(dir_fd, &st) == 0 ? st.st_uid : 0,
		.oci_version = SPEC_VERSION,
		.annotations = state->annotations,
		.n_annotations = state->n_annotations,
	};
}

static int read_one(const struct rt_context *ctx, int root_fd, const char *id, struct arena *a,
		    struct rt_summary *ret, struct error *err)
{
	struct rt_state state;
	auto_close int dir_fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (dir_fd < 0)
		return error_set(err, errno, "open the state of container \"%s\"", id);

	int r = state_load(dir_fd, id, a, &state, err);

	if (r == -ENOENT)
		state = (struct rt_state){ .id = id, .bundle = "", .rootfs = "", .created = "", .cgroup = "",
					   .cgroup_dir = "" };
	else if (r < 0)
		return r;
	summarise(ctx, dir_fd, &state, a, ret);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct rt_summary *)a)->id, ((const struct rt_summary *)b)->id);
}

/* Names of the root that can be containers; `.n` of them. */
static size_t collect_ids(DIR *dir, struct arena *a, const char ***ret)
{
	size_t n = 0, cap = 64;
	const char **ids = ARENA_NEW_N(a, const char *, cap);

	for (struct dirent *e; (e = readdir(dir));) {
		if (rt_check_id(e->d_name, NULL) < 0 || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		if (n == cap) {
			const char **more = ARENA_NEW_N(a, const char *, cap * 2);

			memcpy(more, ids, n * sizeof(*ids));
			ids = more;
			cap *= 2;
		}
		ids[n++] = arena_strdup(a, e->d_name);
	}
	*ret = ids;
	return n;
}

int rt_list(const struct rt_context *ctx, struct arena *a, struct rt_summary **ret, size_t *ret_n,
	    struct error *err)
{
	auto_close int root_fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = NULL;
	*ret_n = 0;
	if (root_fd < 0 && errno == ENOENT && ctx->root_is_default)
		return 0;
	if (root_fd < 0)
		return error_set(err, errno, "open state directory %s", ctx->root);

	auto_closedir DIR *dir = fdopendir(dup(root_fd));

	if (!dir)
		return error_set(err, errno, "read state directory %s", ctx->root);

	const char **ids;
	size_t n_ids = collect_ids(dir, a, &ids);
	struct rt_summary *list = ARENA_NEW_N(a, struct rt_summary, n_ids);
	size_t n = 0;

	for (size_t i = 0; i < n_ids; i++) {
		struct error own = ERROR_INIT;
		char line[1024];
		int r = read_one(ctx, root_fd, ids[i], a, &list[n], &own);

		if (r == 0) {
			n++;
		} else if (r != -ENOENT) {
			error_line(&own, line, sizeof(line));
			log_warn(ctx->log, "container \"%s\" is left out of the list: %s", ids[i], line);
		}
	}
	qsort(list, n, sizeof(*list), by_id);
	*ret = list;
	*ret_n = n;
	return 0;
}

int rt_pids(const struct rt_context *ctx, const char *id, struct arena *a, pid_t **ret, size_t *ret_n,
	    struct error *err)
{
	struct rt_state state;
	int r = state_peek(ctx, id, a, &state, err);

	*ret = NULL;
	*ret_n = 0;
	if (r < 0 || !state.cgroup[0])
		return r;

	auto_close int fd = state_open_cgroup(&state, err);

	if (fd == -ENOENT) /* stopped, and somebody removed the cgroup */
		return 0;
	return fd < 0 ? fd : cg_pids(fd, a, ret, ret_n, err);
}
