/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * What becomes of the cgroup that everybody has left. Memory stays charged to who
 * touched it first (cgroup-v2.rst, Memory Ownership). When that is much, the cgroup is
 * kept with its limit, so that the memory is still bounded and can be seen; else it
 * goes, and what little is left is counted by the group above.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRY_MS 20

/* Who came in after the last look, by a descriptor opened before the move, follows the others. */
static int follow(struct mig *m, struct error *err)
{
	int r = cg_is_populated(m->from_fd) == 1 ? mig_move_all(m, m->from_fd, m->to_fd, &m->moved, err) : 0;

	return r < 0 ? error_wrap(err, r, "cannot move who joined cgroup /%s late", m->move->from) : 0;
}

/*
 * A cgroup that hands a domain controller down holds no processes (cgroup-v2.rst, No Internal Process
 * Constraint), so none can join the one that is kept.
 */
static int bar(struct mig *m, struct error *err)
{
	int r;

	for (int tries = 0;; tries++) {
		r = mig_clear(m->from_fd, err);
		if (r < 0)
			return r;
		r = cg_write_text(m->from_fd, "cgroup.subtree_control", "+memory");
		if (r != -EBUSY || tries == 10)
			break;
		r = follow(m, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? error_set(err, -r, "close cgroup /%s to processes", m->move->from) : 0;
}

static int keep(struct mig *m, uint64_t charge, struct error *err)
{
	int r = bar(m, err);

	if (r == 0 && fsetxattr(m->from_fd, CPG_XATTR_RESIDUAL, m->move->to, strlen(m->move->to), 0) < 0)
		r = error_set(err, errno, "mark cgroup /%s as left behind", m->move->from);
	if (r < 0)
		return r;
	cg_write_text(m->from_fd, "cgroup.freeze", "0");
	log_warn(m->cpg->log, "cgroup /%s is kept for %llu bytes of memory that stay charged to it", m->move->from,
		 (unsigned long long)charge);
	return 0;
}

static int remove_from(struct mig *m, struct error *err)
{
	int64_t deadline = cg_now_ms() + m->timeout_ms;

	for (;;) {
		struct error cause = ERROR_INIT;
		int r = cg_remove(m->cpg->host, m->move->from, TRY_MS, &cause);

		if (r == 0)
			return 0;
		if (r != -EBUSY || cg_now_ms() >= deadline) {
			if (err)
				*err = cause;
			return r;
		}
		r = follow(m, err);
		if (r < 0)
			return r;
	}
}

void mig_leave(struct mig *m)
{
	struct error why = ERROR_INIT;
	uint64_t charge = mig_charge(m->from_fd);
	bool is_kept = charge > m->move->residual_limit;
	int r = is_kept ? keep(m, charge, &why) : remove_from(m, &why);

	/* They have moved, whatever becomes of the place they left: the next repair or delete finds it by its mark. */
	if (r < 0) {
		char line[512];

		error_line(&why, line, sizeof(line));
		log_warn(m->cpg->log, "cgroup /%s, whose processes are in /%s now, stays: %s", m->move->from, m->move->to,
			 line);
		fsetxattr(m->from_fd, CPG_XATTR_RESIDUAL, m->move->to, strlen(m->move->to), 0);
		is_kept = true;
	}
	mig_unmark(m);
	if (m->move->ret_residual)
		*m->move->ret_residual = is_kept;
	if (m->move->ret_residual_bytes)
		*m->move->ret_residual_bytes = is_kept ? charge : 0;
}

void mig_unmark(struct mig *m)
{
	for (size_t i = 0; i < m->n_threads; i++) {
		auto_close int fd = cg_open_below(m->to_fd, m->threads[i].path, O_RDONLY | O_DIRECTORY);

		if (fd >= 0)
			fremovexattr(fd, MIG_XATTR_THREADS);
	}
	if (m->was_residual)
		fremovexattr(m->to_fd, CPG_XATTR_RESIDUAL);
	fremovexattr(m->to_fd, MIG_XATTR_MOVE);
}
