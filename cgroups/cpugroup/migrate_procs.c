/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * Processes and threads. Writing a process's number to cgroup.procs moves all its
 * threads; the source is frozen, so that the list stands still, and what it names
 * may only have ended meanwhile. One read for each list, one write for each process.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "spec/base/file.h"

#define LIST_MAX (64u << 20) /* four million numbers with their newlines */

/* A list of numbers; a file that this kind of cgroup does not answer for is empty. */
static int read_list(int dir_fd, const char *file, struct buf *out, struct error *err)
{
	auto_close int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	struct error cause = ERROR_INIT;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : error_set(err, errno, "open %s", file);

	int r = file_read_fd(fd, file, LIST_MAX, out, &cause);

	/* Threaded (its domain lists its processes), or removed by now. */
	if (r == -EOPNOTSUPP || r == -ENODEV) {
		buf_reset(out);
		return 0;
	}
	if (r < 0 && err)
		*err = cause;
	return r < 0 ? r : 0;
}

static int move_error(int code, const char *what, const char *line, int dst_fd, struct error *err)
{
	struct error cause = ERROR_INIT;
	int r = error_set(err, code, "move %s %.*s", what, (int)strcspn(line, "\n"), line);

	if (code == EACCES || code == EPERM) {
		error_hint(err, "moving between cgroups needs write access to cgroup.procs of the closest one above both");
	} else if (code == ENOSPC) {
		error_hint(err, "the target has no CPU or no memory node: look at its cpuset.cpus.effective and "
				"cpuset.mems.effective");
	} else {
		cg_join_error(dst_fd, code, &cause);
		if (*cause.hint)
			error_hint(err, "%s", cause.hint);
	}
	return r;
}

/* Writes each line of a list to dst/file. Those that have ended are none. */
static int write_list(int dst_fd, const char *file, const char *what, const char *list, size_t *ret_n,
		      struct error *err)
{
	auto_close int fd = openat(dst_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open %s of the place to move to", file);
	for (const char *s = list; *s;) {
		size_t n = strcspn(s, "\n");

		/* 0 is one that this pid namespace has no number for; written, it would mean ourselves. */
		if (n && !(n == 1 && *s == '0')) {
			if (write(fd, s, n) >= 0)
				(*ret_n)++;
			else if (errno == EINTR || errno == EAGAIN)
				continue;
			else if (errno != ESRCH)
				return move_error(errno, what, s, dst_fd, err);
		}
		s += n + (s[n] == '\n');
	}
	return 0;
}

/* One pass over the subtree. */
static int move_round(struct mig *m, int src_fd, int dst_fd, unsigned depth, size_t *ret_n, struct error *err)
{
	auto_buf struct buf list = BUF_INIT;
	const char **child;
	size_t n;
	int r = read_list(src_fd, "cgroup.procs", &list, err);

	if (r == 0 && list.len)
		r = write_list(dst_fd, "cgroup.procs", "process", list.data, ret_n, err);
	if (r == 0)
		r = cpg_children(src_fd, m->arena, &child, &n, err);
	if (r < 0 || depth >= CPG_MAX_DEPTH)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_close int src = cpg_open_child(src_fd, child[i]);

		if (src < 0 || cg_is_populated(src) == 0)
			continue;

		auto_close int dst = cpg_open_child(dst_fd, child[i]);

		/* Made from outside since we looked. */
		if (dst == -ENOENT)
			dst = mig_copy_child(m, src_fd, dst_fd, child[i], depth, err);
		if (dst < 0)
			return err && err->code ? dst : error_set(err, -dst, "open the sub-cgroup %s", child[i]);
		r = move_round(m, src, dst, depth + 1, ret_n, err);
	}
	return r;
}

static int nobody_moves(struct mig *m, int src_fd, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	pid_t *pids;
	size_t n = 0;

	if (cg_pids(src_fd, a, &pids, &n, NULL) == 0 && n)
		return error_rule(err, ETIMEDOUT, "process %d does not leave its cgroup within %d ms", pids[0],
				  m->timeout_ms);
	return error_rule(err, ETIMEDOUT, "the cgroup is not empty after %d ms: it holds a process that this pid "
			  "namespace has no number for, or one that does not end", m->timeout_ms);
}

int mig_move_all(struct mig *m, int src_fd, int dst_fd, size_t *ret_n, struct error *err)
{
	int64_t deadline = cg_now_ms() + m->timeout_ms;
	unsigned us = 50;

	for (;;) {
		cpg_membership_lock(m->cpg, CPG_LOCK_SHARED);

		int r = move_round(m, src_fd, dst_fd, 0, ret_n, err);
		int left = r < 0 ? r : cg_is_populated(src_fd);

		cpg_membership_unlock(m->cpg);
		if (r < 0 || left == 0)
			return r;
		if (left < 0)
			return left == -ENODEV ? 0 : error_set(err, -left, "read cgroup.events");
		/* Somebody joined meanwhile, or is on the way out: the kernel skips who is exiting. */
		if (cg_now_ms() >= deadline)
			return nobody_moves(m, src_fd, err);
		cg_back_off(&us);
	}
}

static void note(struct mig *m, const char *path, const char *tids)
{
	if ((m->n_threads & (m->n_threads - 1)) == 0) {
		struct mig_threads *v =
			ARENA_NEW_N(m->arena, struct mig_threads, m->n_threads ? m->n_threads * 2 : 1);

		if (m->n_threads)
			memcpy(v, m->threads, m->n_threads * sizeof(*v));
		m->threads = v;
	}
	m->threads[m->n_threads++] = (struct mig_threads){ .path = path, .tids = tids };
}

static bool is_threaded(int dir_fd)
{
	char kind[64];

	return cg_read(dir_fd, "cgroup.type", kind, sizeof(kind)) > 0 && strncmp(kind, "threaded", 8) == 0;
}

/* fd: a sub-cgroup of from; to_fd: its counterpart. */
static int note_one(struct mig *m, int fd, int to_fd, const char *path, struct error *err)
{
	auto_buf struct buf list = BUF_INIT;
	int r = is_threaded(fd) ? read_list(fd, "cgroup.threads", &list, err) : 0;

	if (r < 0 || !list.len)
		return r;
	note(m, path, arena_strdup(m->arena, list.data));
	/* More threads than an attribute holds: then a crash costs them their places, and nothing else. */
	fsetxattr(to_fd, MIG_XATTR_THREADS, list.data, list.len, 0);
	return 0;
}

static int recall_one(struct mig *m, int fd, const char *path)
{
	ssize_t size = fgetxattr(fd, MIG_XATTR_THREADS, NULL, 0);

	if (size <= 0)
		return 0;

	char *tids = ARENA_NEW_N(m->arena, char, (size_t)size + 1);

	if (fgetxattr(fd, MIG_XATTR_THREADS, tids, (size_t)size) == size)
		note(m, path, tids);
	return 0;
}

enum source { FROM_KERNEL, FROM_NOTES };

static int gather(struct mig *m, enum source source, int fd, int to_fd, const char *path, unsigned depth,
		  struct error *err)
{
	const char **child;
	size_t n;
	int r = cpg_children(fd, m->arena, &child, &n, err);

	for (size_t i = 0; r == 0 && depth < CPG_MAX_DEPTH && i < n; i++) {
		auto_close int sub = cpg_open_child(fd, child[i]);
		auto_close int to = to_fd < 0 ? -1 : cpg_open_child(to_fd, child[i]);
		const char *below = arena_printf(m->arena, "%s%s%s", path, *path ? "/" : "", child[i]);

		if (sub < 0)
			continue;
		r = source == FROM_KERNEL ? note_one(m, sub, to, below, err) : recall_one(m, sub, below);
		if (r == 0)
			r = gather(m, source, sub, to, below, depth + 1, err);
	}
	return r;
}

int mig_note_threads(struct mig *m, struct error *err)
{
	m->n_threads = 0;
	return gather(m, FROM_KERNEL, m->from_fd, m->to_fd, "", 0, err);
}

int mig_recall_threads(struct mig *m, struct error *err)
{
	m->n_threads = 0;
	return gather(m, FROM_NOTES, m->to_fd, -1, "", 0, err);
}

int mig_put_threads(struct mig *m, int dst_fd, struct error *err)
{
	for (size_t i = 0; i < m->n_threads; i++) {
		const struct mig_threads *t = &m->threads[i];
		auto_close int fd = cg_open_below(dst_fd, t->path, O_RDONLY | O_DIRECTORY);
		size_t moved = 0;
		int r = fd < 0 ? error_set(err, -fd, "open the sub-cgroup %s", t->path) :
				 write_list(fd, "cgroup.threads", "thread", t->tids, &moved, err);

		if (r < 0)
			return error_wrap(err, r, "cannot put the threads of %s in their place", t->path);
	}
	return 0;
}
