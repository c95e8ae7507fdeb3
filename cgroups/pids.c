/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/* Who lives in a subtree: cgroup.procs of the group and of all below it. */

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

#define MAX_DEPTH 64
#define MAX_PROCS_BYTES (64u << 20) /* four million pids with seven digits and their newlines fit */

/* Appends the raw text of cgroup.procs. A threaded group has none: its domain lists its processes. */
static int add_procs(int dir_fd, struct buf *text, struct error *err)
{
	auto_close int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	size_t before = text->len;

	if (fd < 0)
		return error_set(err, errno, "open cgroup.procs");

	int r = file_read_fd(fd, "cgroup.procs", MAX_PROCS_BYTES, text, err);

	/* Removed since it was opened, or threaded: nobody in it. */
	if (r == -ENODEV || r == -EOPNOTSUPP) {
		text->len = before;
		if (err)
			*err = ERROR_INIT;
		return 0;
	}
	return r;
}

static int add_subtree(int dir_fd, struct buf *text, unsigned depth, struct error *err)
{
	int r = add_procs(dir_fd, text, err);

	if (r < 0 || depth > MAX_DEPTH)
		return r;

	int own = cg_open_below(dir_fd, ".", O_RDONLY | O_DIRECTORY);

	if (own < 0)
		return error_set(err, -own, "open the cgroup's directory");

	auto_closedir DIR *dir = fdopendir(own);

	if (!dir) {
		close(own);
		return error_set(err, ENOMEM, "list the cgroup's children");
	}
	for (const struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;

		auto_close int fd = cg_open_below(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY);

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return error_set(err, -fd, "open cgroup %s", e->d_name);
		r = add_subtree(fd, text, depth + 1, err);
	}
	return r;
}

int cg_pids(int cg_fd, struct arena *a, pid_t **ret, size_t *ret_n, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	int r = add_subtree(cg_fd, &text, 0, err);
	size_t lines = 0;
	size_t n = 0;

	if (r < 0)
		return error_wrap(err, r, "cannot list the processes of the cgroup");
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';

	pid_t *pids = ARENA_NEW_N(a, pid_t, lines + 1);

	for (const char *s = text.data; s && *s;) {
		pid_t pid = 0;

		for (; *s >= '0' && *s <= '9'; s++)
			pid = pid * 10 + (*s - '0');
		/* 0: a process that this pid namespace has no number for. */
		if (pid > 0)
			pids[n++] = pid;
		while (*s && (*s < '0' || *s > '9'))
			s++;
	}
	*ret = pids;
	*ret_n = n;
	return 0;
}
