/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a move: the state brought up to date, leaves left behind removed, and moves
 * that were cut short brought to an end. All of it may be cut short itself, and done again.
 */
#include "runtime/group_move.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cgroup_file.h"
#include "runtime/residual.h"
#include "spec/base/auto.h"

int group_mover_open(struct group_mover *m, const struct rt_context *ctx, const char *id, int dir_fd,
		     struct arena *a, struct error *err)
{
	m->ctx = ctx;
	m->id = id;
	m->dir_fd = dir_fd;
	m->arena = a;

	int r = state_load(dir_fd, id, a, &m->state, err);

	if (r == 0)
		r = cg_host_open(&m->host, err);
	if (r == 0)
		r = group_place(ctx, &m->host, &m->at, err);
	return r;
}

void group_mover_close(struct group_mover *m)
{
	cg_host_close(&m->host);
}

/* ---- the state ---- */

static void forget(struct rt_state *s, const char *path, struct arena *a)
{
	struct rt_residual *v = ARENA_NEW_N(a, struct rt_residual, s->n_residuals + 1);
	size_t n = 0;

	for (size_t i = 0; i < s->n_residuals; i++)
		if (strcmp(s->residuals[i].cgroup, path) != 0)
			v[n++] = s->residuals[i];
	s->residuals = v;
	s->n_residuals = n;
}

void group_mover_remember(struct group_mover *m, const char *path)
{
	auto_close int fd = cg_open(&m->host, path, NULL);
	struct stat st;
	struct rt_state *s = &m->state;

	forget(s, path, m->arena);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;

	struct rt_residual *v = ARENA_NEW_N(m->arena, struct rt_residual, s->n_residuals + 1);

	for (size_t i = 0; i < s->n_residuals; i++)
		v[i] = s->residuals[i];
	v[s->n_residuals] = (struct rt_residual){ arena_strdup(m->arena, path), st.st_ino };
	s->residuals = v;
	s->n_residuals++;
}

int group_mover_settle_in(struct group_mover *m, const char *path, struct error *err)
{
	struct rt_state *s = &m->state;

	s->cgroup = arena_strdup(m->arena, path);
	s->cgroup_dir = arena_printf(m->arena, "%s/%s", m->host.mount_point, path);
	forget(s, path, m->arena);

	int r = state_save(m->dir_fd, s, err);

	return r < 0 ? r : state_note_other_cgroup(m->dir_fd, path, err);
}

static bool is_charged(const struct cg_host *host, const struct rt_residual *res)
{
	auto_close int fd = residual_open(host, res);
	uint64_t bytes;

	return fd >= 0 && cgroup_file_number(fd, "memory.current", &bytes) && bytes > GROUP_UNREMARKED_BYTES;
}

int group_mover_sweep(struct group_mover *m, struct error *err)
{
	struct rt_state *s = &m->state;
	int gone = 0;

	for (size_t i = s->n_residuals; i-- > 0;) {
		const struct rt_residual *res = &s->residuals[i];

		if (is_charged(&m->host, res) || residual_remove(&m->host, res, NULL) < 0)
			continue;
		forget(s, res->cgroup, m->arena);
		gone++;
	}
	if (!gone)
		return 0;

	int r = state_save(m->dir_fd, s, err);

	return r < 0 ? r : gone;
}

/* ---- moves cut short ---- */

/* Delete has to know of a leaf that is left behind; any other that is there is somebody else's. */
static void remember_left(struct group_mover *m, const char *path)
{
	auto_close int fd = cg_open(&m->host, path, NULL);

	if (fd >= 0 && cpg_is_residual(fd))
		group_mover_remember(m, path);
}

int group_mover_repair(struct group_mover *m, char *told, size_t size, struct error *err)
{
	const struct group_record *rec = &m->record;
	struct cpg_move move = { .from = rec->from, .to = rec->to, .timeout_ms = 10000,
				 .residual_limit = rec->residual_limit };
	bool moved = false;
	int r = cpg_migrate_repair(&m->at.cpg, &move, rec->was_frozen, &moved, err);

	if (r < 0)
		return r;
	remember_left(m, moved ? rec->from : rec->to);
	r = group_mover_settle_in(m, moved ? rec->to : rec->from, err);
	if (r == 0)
		r = group_mover_sweep(m, err);
	if (r >= 0)
		r = group_record_remove(m->dir_fd, err);
	snprintf(told, size, "container \"%.64s\": the move from /%.64s to /%.64s, cut short when it had %s, was %s", m->id,
		 rec->from, rec->to, rec->step, moved ? "finished" : "undone");
	return r;
}

/* 1 and the line when there was something to do. */
static int repair_record(struct group_mover *m, char *told, size_t size, struct error *err)
{
	int r = group_record_read(m->dir_fd, m->id, m->arena, &m->record, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = group_mover_repair(m, told, size, err);
	return r < 0 ? r : 1;
}

void group_settle(const struct rt_context *ctx, int dir_fd, const char *id)
{
	static struct arena a = ARENA_INIT;
	struct group_mover m = GROUP_MOVER_INIT;
	struct error err = ERROR_INIT;
	char line[1024];

	if (!group_record_is_there(ctx, id))
		return;

	int r = group_mover_open(&m, ctx, id, dir_fd, &a, &err);

	if (r == 0)
		r = repair_record(&m, line, sizeof(line), &err);
	if (r < 0)
		error_line(&err, line, sizeof(line));
	if (r != 0)
		log_warn(ctx->log, "%s%s", r < 0 ? "cannot repair the move that was cut short: " : "", line);
	group_mover_close(&m);
	arena_release(&a);
}

/* ---- repair as a command ---- */

struct repair {
	const struct rt_context *ctx;
	void (*tell)(const char *line, void *data);
	void *data;
	size_t n;
};

static void tell(struct repair *p, const char *line)
{
	p->n++;
	if (p->tell)
		p->tell(line, p->data);
}

static int repair_one(struct repair *p, const char *id, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct group_mover m = GROUP_MOVER_INIT;
	auto_close int dir_fd = state_open(p->ctx, id, STATE_SHARED, err);
	char line[1024];
	int r = dir_fd < 0 ? dir_fd : state_lock_again(dir_fd, id, err);

	if (r == 0)
		r = group_mover_open(&m, p->ctx, id, dir_fd, &a, err);
	if (r == 0)
		r = repair_record(&m, line, sizeof(line), err);
	if (r == 1)
		tell(p, line);
	if (r >= 0)
		r = group_mover_sweep(&m, err);
	if (r > 0) {
		snprintf(line, sizeof(line), "container \"%.64s\": %d leaves that moves left behind were removed", id, r);
		tell(p, line);
	}
	group_mover_close(&m);
	arena_release(&a);
	return r < 0 ? r : 0;
}

static int repair_all(struct repair *p, struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_summary *list;
	size_t n;
	int result = 0;
	int r = rt_list(p->ctx, &a, &list, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct error own = ERROR_INIT;

		r = repair_one(p, list[i].id, &own);
		/* -ENOENT: deleted meanwhile, or still being created. */
		if (r < 0 && r != -ENOENT && result == 0) {
			result = error_wrap(&own, r, "cannot repair container \"%s\"", list[i].id);
			if (err)
				*err = own;
		}
	}
	arena_release(&a);
	return result;
}

int rt_group_repair(const struct rt_context *ctx, const char *id, void (*tell_)(const char *line, void *data),
		    void *data, size_t *ret_n, struct error *err)
{
	struct repair p = { .ctx = ctx, .tell = tell_, .data = data };
	int r = id ? repair_one(&p, id, err) : repair_all(&p, err);

	*ret_n = p.n;
	return r;
}
