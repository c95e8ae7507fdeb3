/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"
#include "cgroups/cpugroup/measure.h"

/*
 * Moving everybody from one cgroup to another that is made like it. A cgroup cannot
 * be renamed or given another parent, so its processes go over one by one while both
 * stand still. The order is what the promises rest on: the limits of `to` are in
 * force before the first one arrives, `from` is frozen before and `to` frozen until
 * after the last one has, so nobody runs while the others are elsewhere. Processes
 * that are born meanwhile (an exec into the old leaf) are born frozen, and go over too.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 10000

bool mig_is_freezing(int cg_fd)
{
	uint64_t v;

	return cg_read_number(cg_fd, "cgroup.freeze", &v) == 0 && v;
}

uint64_t mig_charge(int cg_fd)
{
	uint64_t v;

	return cg_read_number(cg_fd, "memory.current", &v) == 0 ? v : 0;
}

/* "a/b" of "a/b/c"; "" at the top. */
static void parent_of(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(buf, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static int check_paths(const struct cpg_move *move, struct error *err)
{
	size_t from = strlen(move->from);
	size_t to = strlen(move->to);
	size_t n = from < to ? from : to;
	int r = cg_path_check(move->from, err);

	if (r == 0)
		r = cg_path_check(move->to, err);
	if (r == 0 && from != to && strncmp(move->from, move->to, n) == 0 &&
	    (from < to ? move->to[n] : move->from[n]) == '/')
		r = error_rule(err, EINVAL, "cgroup /%s and cgroup /%s lie in one another", move->from, move->to);
	return r;
}

/* One that was removed while its lock was waited for has no files left: nothing is to be made in it. */
static int lock_one(const struct mig *m, const char *path, int *ret, struct error *err)
{
	*ret = cg_open_below(m->cpg->host->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY);
	if (*ret < 0)
		return error_set(err, -*ret, "open cgroup /%s", path);

	int r = cpg_lock(*ret, CPG_LOCK_EXCLUSIVE, path, err);

	if (r < 0)
		return r;
	if (faccessat(*ret, "cgroup.procs", F_OK, 0) < 0)
		return error_set(err, ENOENT, "open cgroup /%s", path);
	return 0;
}

/* In the order of their paths, which is the same for everybody and has each directory before those in it. */
int mig_lock(struct mig *m, struct error *err)
{
	char path[2][PATH_MAX];

	parent_of(m->move->from, path[0], sizeof(path[0]));
	parent_of(m->move->to, path[1], sizeof(path[1]));

	int order = strcmp(path[0], path[1]);
	const char *at[2] = { path[order > 0], path[order <= 0] };

	int r = lock_one(m, at[0], &m->lock_fd[0], err);

	return r < 0 || !order ? r : lock_one(m, at[1], &m->lock_fd[1], err);
}

void mig_close(struct mig *m)
{
	int fds[] = { m->from_fd, m->to_fd, m->lock_fd[0], m->lock_fd[1] };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	cpg_scratch_free(&m->arena);
}

static int check_clean(const struct mig *m, struct error *err)
{
	uint64_t charge = m->move->require_clean ? mig_charge(m->from_fd) : 0;

	if (charge <= m->move->residual_limit)
		return 0;
	error_rule(err, EBUSY, "%llu bytes of memory would stay charged to cgroup /%s, more than the %llu allowed",
		   (unsigned long long)charge, m->move->from, (unsigned long long)m->move->residual_limit);
	error_hint(err, "memory stays charged to the cgroup that first touched it: choose the group when the container "
			"is created, or move it without asking for a clean one");
	return -EBUSY;
}

static int open_from(struct mig *m, struct error *err)
{
	m->from_fd = cg_open_below(m->cpg->host->root_fd, m->move->from, O_RDONLY | O_DIRECTORY);
	if (m->from_fd < 0)
		return error_set(err, -m->from_fd, "open cgroup /%s", m->move->from);
	if (cpg_is_group(m->from_fd) == 1)
		return error_rule(err, EINVAL, "cgroup /%s is a CPU group, and only its members can be moved",
				  m->move->from);
	m->was_frozen = mig_is_freezing(m->from_fd);
	return check_clean(m, err);
}

/* The controllers of `from`: nothing in them may be missing where it goes. */
static int controllers_of(struct mig *m, char *text, size_t size, unsigned *ret, struct error *err)
{
	ssize_t n = cg_read(m->from_fd, "cgroup.controllers", text, size);

	if (n < 0)
		return error_set(err, (int)-n, "read cgroup.controllers of /%s", m->move->from);
	*ret = 0;
	for (unsigned c = 1; c <= CG_MISC; c <<= 1) {
		const char *name = cg_controller_name(c);
		size_t len = strlen(name);

		for (const char *s = text; (s = strstr(s, name)); s += len)
			if ((s == text || s[-1] == ' ') && (s[len] == ' ' || s[len] == '\n' || !s[len]))
				*ret |= c;
	}
	return 0;
}

static int check_controllers(const struct mig *m, const char *need, struct error *err)
{
	char have[512];

	if (cg_read(m->to_fd, "cgroup.controllers", have, sizeof(have)) < 0)
		have[0] = '\0';
	for (const char *s = need; *s;) {
		size_t n = strcspn(s, " \n");
		bool found = n == 0;

		for (const char *t = have; !found && *t;) {
			size_t k = strcspn(t, " \n");

			found = k == n && strncmp(s, t, n) == 0;
			t += k + (t[k] != '\0');
		}
		if (!found) {
			error_rule(err, ENOTSUP, "the %.*s controller is there in cgroup /%s and missing in /%s", (int)n, s,
				   m->move->from, m->move->to);
			error_hint(err, "cgroup.subtree_control of every cgroup above /%s must list it", m->move->to);
			return -ENOTSUP;
		}
		s += n + (s[n] != '\0');
	}
	return 0;
}

/* An empty leaf that is there is taken: one that an earlier move left behind, with the memory that is coming home. */
static int take_existing(struct mig *m, struct error *err)
{
	int kind = cpg_is_group(m->to_fd);

	if (kind == 1)
		return error_rule(err, EEXIST, "cgroup /%s is a CPU group", m->move->to);
	if (cg_is_populated(m->to_fd) != 0)
		return error_rule(err, EBUSY, "cgroup /%s exists and holds processes", m->move->to);
	m->was_residual = fgetxattr(m->to_fd, CPG_XATTR_RESIDUAL, NULL, 0) >= 0;
	return mig_clear(m->to_fd, err);
}

static int open_to(struct mig *m, struct error *err)
{
	char need[512];
	struct cg_plan plan = { .n = 0 };
	int r = controllers_of(m, need, sizeof(need), &plan.controllers, err);

	if (r < 0)
		return r;
	m->to_fd = cg_open_below(m->cpg->host->root_fd, m->move->to, O_RDONLY | O_DIRECTORY);
	if (m->to_fd == -ENOENT)
		m->to_fd = cg_create(m->cpg->host, m->move->to, &plan, &m->made, err);
	else if (m->to_fd < 0)
		return error_set(err, -m->to_fd, "open cgroup /%s", m->move->to);
	else
		r = take_existing(m, err);
	if (r < 0) {
		/* Not ours: nothing in it is to be moved or removed. */
		close(m->to_fd);
		m->to_fd = -1;
		return r;
	}
	return m->to_fd < 0 ? m->to_fd : check_controllers(m, need, err);
}

/* The write alone: of one that is empty or stands still already there is nobody to wait for. */
static int ask_to_freeze(int fd, struct error *err)
{
	int r = cg_write_text(fd, "cgroup.freeze", "1");

	return r < 0 ? error_set(err, -r, "write 1 to cgroup.freeze") : 0;
}

static int step(const struct mig *m, enum cpg_move_step which, struct error *err)
{
	return m->move->step ? m->move->step(which, m->move->data, err) : 0;
}

static int mark(const struct mig *m, struct error *err)
{
	if (fsetxattr(m->to_fd, MIG_XATTR_MOVE, m->move->from, strlen(m->move->from), 0) == 0)
		return 0;

	int r = error_set(err, errno, "mark the cgroup as the target of a move");

	if (errno == ENOTSUP)
		error_hint(err, "moving needs a kernel of 5.7 or later: before, cgroups had no extended attributes");
	return r;
}

static int prepare(struct mig *m, struct error *err)
{
	int r = open_to(m, err);

	if (r == 0)
		r = mark(m, err);
	if (r == 0)
		r = ask_to_freeze(m->to_fd, err);
	if (r == 0)
		r = mig_copy_tree(m, m->from_fd, m->to_fd, MIG_LEAF, 0, err);
	if (r == 0 && m->move->attach)
		r = m->move->attach(m->to_fd, m->move->data, err);
	if (r < 0)
		return error_wrap(err, r, "cannot prepare cgroup /%s", m->move->to);
	m->prepared = true;
	return step(m, CPG_MOVE_PREPARED, err);
}

/* A directory of kernfs has a link for each one in it. */
static bool has_children(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) < 0 || st.st_nlink > 2;
}

static int freeze(struct mig *m, struct error *err)
{
	int r = cg_freeze(m->from_fd, true, m->timeout_ms, err);

	if (r < 0)
		return error_wrap(err, r, "cannot freeze cgroup /%s", m->move->from);
	r = check_clean(m, err);
	/* Sub-cgroups are the container's to change as long as it runs; now it does not. */
	if (r == 0 && has_children(m->from_fd)) {
		r = mig_copy_tree(m, m->from_fd, m->to_fd, MIG_LEAF, 0, err);
		if (r == 0)
			r = mig_note_threads(m, err);
	}
	return r < 0 ? r : step(m, CPG_MOVE_FROZEN, err);
}

static int carry(struct mig *m, struct error *err)
{
	int r = mig_move_all(m, m->from_fd, m->to_fd, &m->moved, err);

	if (r == 0)
		r = mig_put_threads(m, m->to_fd, err);
	if (r < 0)
		return error_wrap(err, r, "cannot move the processes of cgroup /%s to /%s", m->move->from, m->move->to);
	return step(m, CPG_MOVE_MOVED, err);
}

static int restore_freezer(const struct mig *m, int fd, const char *path, struct error *err)
{
	struct error cause = ERROR_INIT;
	int r = m->was_frozen ? ask_to_freeze(fd, &cause) : cg_freeze(fd, false, m->timeout_ms, &cause);

	/* A group above that is frozen keeps everybody where he is, as it would have anyone in it. */
	if (r == -EBUSY)
		return 0;
	if (r < 0 && err)
		*err = cause;
	return r < 0 ? error_wrap(err, r, "cannot restore the freezer of cgroup /%s", path) : 0;
}

int mig_thaw(struct mig *m, struct error *err)
{
	return restore_freezer(m, m->to_fd, m->move->to, err);
}

/* `to` as it was before: not there, or left behind by an earlier move. */
static int drop_to(struct mig *m, struct error *err)
{
	if (m->to_fd < 0)
		return 0;
	if (!m->made) {
		int r = mig_clear(m->to_fd, err);

		/* Closed to processes again (migrate_rest.c), if it was. */
		if (m->was_residual)
			cg_write_text(m->to_fd, "cgroup.subtree_control", "+memory");
		cg_write_text(m->to_fd, "cgroup.freeze", "0");
		fremovexattr(m->to_fd, MIG_XATTR_MOVE);
		return r;
	}
	return cg_remove(m->cpg->host, m->move->to, m->timeout_ms, err);
}

int mig_undo(struct mig *m, struct error *err)
{
	size_t back = 0;
	int r = 0;

	if (m->to_fd >= 0 && cg_is_populated(m->to_fd) == 1) {
		r = cg_freeze(m->to_fd, true, m->timeout_ms, err);
		if (r == 0)
			r = ask_to_freeze(m->from_fd, err);
		if (r == 0)
			r = mig_move_all(m, m->to_fd, m->from_fd, &back, err);
		if (r == 0)
			r = mig_put_threads(m, m->from_fd, err);
	}
	/* Split over both, they stay frozen: a repair can still bring them together. */
	if (r < 0)
		return error_wrap(err, r, "cannot move the processes back to cgroup /%s", m->move->from);
	r = restore_freezer(m, m->from_fd, m->move->from, err);
	if (r < 0)
		return r;
	return drop_to(m, err);
}

static int undo(struct mig *m, int r, struct error *err)
{
	struct error why = ERROR_INIT;
	char line[512];

	if (mig_undo(m, &why) == 0)
		return r;
	error_line(&why, line, sizeof(line));
	log_warn(m->cpg->log, "the move of cgroup /%s to /%s was not undone: %s", m->move->from, m->move->to, line);
	return error_wrap(err, r, "cannot undo the move (%.200s)", line);
}

static void report(const struct mig *m)
{
	if (m->move->ret_processes)
		*m->move->ret_processes = m->moved;
	log_at(m->cpg->log, LOG_INFO, "moved %zu processes from cgroup /%s to /%s", m->moved, m->move->from,
	       m->move->to);
}

static int migrate(struct mig *m, struct error *err)
{
	int r = prepare(m, err);

	if (r == 0)
		r = freeze(m, err);
	if (r == 0)
		r = carry(m, err);
	if (r == 0)
		r = mig_thaw(m, err);
	if (r == 0)
		r = step(m, CPG_MOVE_THAWED, err);
	if (r < 0)
		return undo(m, r, err);
	mig_leave(m);
	report(m);
	return 0;
}

int cpg_migrate(struct cpg *cpg, const struct cpg_move *move, struct error *err)
{
	struct mig m = {
		.cpg = cpg,
		.move = move,
		.timeout_ms = move->timeout_ms > 0 ? move->timeout_ms : DEFAULT_TIMEOUT_MS,
		.from_fd = -1,
		.to_fd = -1,
		.lock_fd = { -1, -1 },
		.arena = cpg_scratch_new(),
	};
	int r = check_paths(move, err);
	bool same = r == 0 && strcmp(move->from, move->to) == 0;

	if (r == 0 && !same)
		r = cpg_refuse_own(move->from, err);
	if (r == 0 && !same)
		r = mig_lock(&m, err);
	if (r == 0)
		r = open_from(&m, err);
	if (r == 0 && !same)
		r = migrate(&m, err);
	mig_close(&m);
	return r;
}
