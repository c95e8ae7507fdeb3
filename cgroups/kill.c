/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * SIGKILL to a whole subtree. cgroup.kill (Linux 5.14) does it atomically, frozen
 * or not, and no fork slips through. Without it the group is frozen, so that its
 * list stands still, and everyone on the list is killed.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define FREEZE_MS 500
#define MAX_ROUNDS 100

static int kill_listed(int cg_fd, size_t *ret_n, struct error *err)
{
	struct arena *a = calloc(1, sizeof(*a));
	pid_t *pids;

	if (!a)
		return error_set(err, ENOMEM, "list the processes of the cgroup");

	int r = cg_pids(cg_fd, a, &pids, ret_n, err);

	for (size_t i = 0; r == 0 && i < *ret_n; i++)
		if (kill(pids[i], SIGKILL) < 0 && errno != ESRCH)
			r = error_set(err, errno, "kill process %d", pids[i]);
	arena_release(a);
	free(a);
	return r;
}

/* Frozen processes die of SIGKILL as well, so there is no thaw between the rounds; new ones are born frozen. */
int cg_kill_by_list(int cg_fd, struct error *err)
{
	bool was_frozen = cg_is_frozen(cg_fd) == 1;
	bool froze = !was_frozen && cg_freeze(cg_fd, true, FREEZE_MS, NULL) == 0;
	unsigned us = 100;
	size_t n = 1;
	int r = 0;

	for (int round = 0; r == 0 && n && round < MAX_ROUNDS; round++) {
		r = kill_listed(cg_fd, &n, err);
		if (r == 0 && n)
			cg_back_off(&us);
	}
	if (froze)
		cg_write_text(cg_fd, "cgroup.freeze", "0");
	return r;
}

int cg_kill(int cg_fd, struct error *err)
{
	int r = cg_write_text(cg_fd, "cgroup.kill", "1");

	if (r == -ENODEV || (r == -ENOENT && faccessat(cg_fd, "cgroup.procs", F_OK, 0) < 0))
		return 0; /* removed: nobody is left */
	/* EOPNOTSUPP: a threaded group, whose threads are killed with their process. */
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return cg_kill_by_list(cg_fd, err);
	return r < 0 ? error_set(err, -r, "write 1 to cgroup.kill") : 0;
}
