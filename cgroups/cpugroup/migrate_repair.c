/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * After a crash in the middle of a move. What the kernel shows is enough to decide:
 * a source with nobody in it has been left, and one that has somebody is where they
 * all go back to, unless the target runs already, which it does only after the last
 * one had arrived.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum place { AT_FROM, AT_TO };

static int open_if_there(const struct mig *m, const char *path, int *ret, struct error *err)
{
	*ret = cg_open_below(m->cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);
	return *ret < 0 && *ret != -ENOENT ? error_set(err, -*ret, "open cgroup /%s", path) : 0;
}

static bool has_mark(int fd, const char *name)
{
	return fd >= 0 && fgetxattr(fd, name, NULL, 0) >= 0;
}

static enum place where(const struct mig *m)
{
	if (m->from_fd < 0)
		return AT_TO;
	if (m->to_fd < 0)
		return AT_FROM;

	bool in_from = cg_is_populated(m->from_fd) == 1;
	bool in_to = cg_is_populated(m->to_fd) == 1;
	bool was_left = !in_from && has_mark(m->from_fd, CPG_XATTR_RESIDUAL);

	/* Not begun, or a target that was refused because somebody else has it. Or all done, and the old leaf kept. */
	if (!has_mark(m->to_fd, MIG_XATTR_MOVE))
		return was_left ? AT_TO : AT_FROM;
	if (in_to)
		return !in_from || !mig_is_freezing(m->to_fd) ? AT_TO : AT_FROM;
	/* Nobody anywhere: they have ended. */
	return was_left ? AT_TO : AT_FROM;
}

static int finish(struct mig *m, struct error *err)
{
	int r = 0;

	if (cg_is_populated(m->from_fd) == 1) {
		r = cg_freeze(m->from_fd, true, m->timeout_ms, err);
		if (r == 0)
			r = mig_move_all(m, m->from_fd, m->to_fd, &m->moved, err);
	}
	if (r == 0)
		r = mig_put_threads(m, m->to_fd, err);
	if (r == 0)
		r = mig_thaw(m, err);
	if (r < 0)
		return r;
	m->was_residual = true;
	mig_leave(m);
	return 0;
}

/* What is to become of `to` when they stay in `from`. */
static void forgo(struct mig *m)
{
	if (m->to_fd < 0)
		return;
	if (has_mark(m->to_fd, MIG_XATTR_MOVE)) {
		/* One that an earlier move left behind stays that. */
		m->was_residual = has_mark(m->to_fd, CPG_XATTR_RESIDUAL);
		m->made = !m->was_residual;
		return;
	}
	/* Perhaps made and not marked yet: then it is empty and goes. Anything else refuses. */
	if (!has_mark(m->to_fd, CPG_XATTR_RESIDUAL) && !has_mark(m->to_fd, CPG_XATTR))
		unlinkat(m->cpg->host->root_fd, m->move->to, AT_REMOVEDIR);
	close(m->to_fd);
	m->to_fd = -1;
}

static int repair(struct mig *m, bool *ret_moved, struct error *err)
{
	int r = open_if_there(m, m->move->from, &m->from_fd, err);

	if (r == 0)
		r = open_if_there(m, m->move->to, &m->to_fd, err);
	if (r < 0)
		return r;
	if (m->from_fd < 0 && m->to_fd < 0)
		return error_rule(err, ENOENT, "neither cgroup /%s nor /%s is there", m->move->from, m->move->to);
	if (m->to_fd >= 0) {
		r = mig_recall_threads(m, err);
		if (r < 0)
			return r;
	}

	enum place place = where(m);

	if (m->from_fd < 0) {
		r = mig_put_threads(m, m->to_fd, err);
		if (r == 0)
			r = mig_thaw(m, err);
		m->was_residual = true;
		if (r == 0)
			mig_unmark(m);
	} else if (place == AT_TO) {
		r = finish(m, err);
	} else {
		forgo(m);
		r = mig_undo(m, err);
	}
	if (r == 0)
		*ret_moved = place == AT_TO;
	return r;
}

int cpg_migrate_repair(struct cpg *cpg, const struct cpg_move *move, bool was_frozen, bool *ret_moved,
		       struct error *err)
{
	struct mig m = {
		.cpg = cpg,
		.move = move,
		.timeout_ms = move->timeout_ms > 0 ? move->timeout_ms : 10000,
		.from_fd = -1,
		.to_fd = -1,
		.lock_fd = { -1, -1 },
		.was_frozen = was_frozen,
		.arena = cpg_scratch_new(),
	};
	int r = cg_path_check(move->from, err);

	if (r == 0)
		r = cg_path_check(move->to, err);
	if (r == 0 && strcmp(move->from, move->to) == 0)
		r = error_rule(err, EINVAL, "cgroup /%s cannot have been moved to itself", move->from);
	if (r == 0) {
		/* The group that one of them was in may be gone. */
		struct error cause = ERROR_INIT;

		r = mig_lock(&m, &cause);
		if (r == -ENOENT)
			r = 0;
		else if (r < 0 && err)
			*err = cause;
	}
	if (r == 0)
		r = repair(&m, ret_moved, err);
	mig_close(&m);
	return r < 0 ? error_wrap(err, r, "cannot repair the move of cgroup /%s to /%s", move->from, move->to) : 0;
}
