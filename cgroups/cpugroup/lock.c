/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Locks are flock(2) on the directories themselves: they need no file, work
 * across state roots, and the kernel drops them with the process. Who changes
 * groups holds the base's, then the group's; who puts a container into a group
 * holds the group's alone. So nobody waits upwards.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"

int cpg_lock(int dir_fd, enum cpg_lock_kind kind, const char *path, struct error *err)
{
	int how = (kind == CPG_LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH) | LOCK_NB;
	int64_t deadline = cg_now_ms() + CPG_LOCK_MS;
	unsigned us = 100;

	/* flock() has no time-out of its own. */
	while (flock(dir_fd, how) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, errno, "lock cgroup /%s", path);
		if (cg_now_ms() >= deadline) {
			error_rule(err, ETIMEDOUT, "cgroup /%s was locked by another command for %d ms", path, CPG_LOCK_MS);
			error_hint(err, "fuser -v on its directory names the process that holds the lock");
			return -ETIMEDOUT;
		}
		cg_back_off(&us);
	}
	return 0;
}

/*
 * Who makes a partition holds cpuset_mutex and waits for the pools of the unbound work queues, which may wait for a
 * new worker; its fork waits for cgroup_threadgroup_rwsem, and who moves a process holds that and waits for
 * cpuset_mutex. Nobody of these four can be killed. So at least none of ours makes the fourth.
 */
void cpg_membership_lock(const struct cpg *cpg, enum cpg_lock_kind kind)
{
	cpg_lock(cpg->host->root_fd, kind, "", NULL);
}

void cpg_membership_unlock(const struct cpg *cpg)
{
	flock(cpg->host->root_fd, LOCK_UN);
}

/* Was the directory replaced while we waited? Its path then leads to another inode or nowhere. */
static bool is_still(const struct cpg *cpg, int fd, const char *path)
{
	auto_close int again = cg_open_below(cpg->host->root_fd, path, O_PATH | O_DIRECTORY);
	struct stat a;
	struct stat b;

	return again >= 0 && fstat(fd, &a) == 0 && fstat(again, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* cg_create() speaks of a container's path. */
static void other_hint(struct error *err)
{
	if (err)
		err->hint[0] = '\0';
	error_hint(err, "act as root, or choose a base (--cpu-group-base) in a cgroup that is delegated to this user");
}

int cpg_lock_base(struct cpg *cpg, bool make, bool *ret_made, struct error *err)
{
	bool made = false;

	for (int tries = 0;; tries++) {
		auto_close int fd = cg_open_below(cpg->host->root_fd, cpg->base, O_RDONLY | O_DIRECTORY);

		if (fd == -ENOENT && make && tries < 4) {
			fd = cg_create(cpg->host, cpg->base, NULL, &made, err);
			if (fd == -EACCES || fd == -EPERM || fd == -EROFS)
				other_hint(err);
			if (fd < 0)
				return error_wrap(err, fd, "cannot make the base of the CPU groups, /%s", cpg->base);
		}
		if (fd < 0)
			return error_set(err, -fd, "open the base of the CPU groups, /%s", cpg->base);

		int r = cpg_lock(fd, CPG_LOCK_EXCLUSIVE, cpg->base, err);

		if (r < 0)
			return r;
		if (!is_still(cpg, fd, cpg->base) && tries < 4)
			continue;
		if (ret_made)
			*ret_made = made;
		return TAKE_FD(fd);
	}
}

int cpg_open(struct cpg *cpg, const char *name, bool locked, struct error *err)
{
	char path[PATH_MAX];
	int r = cpg_name_check(name, err);

	if (r == 0 && strcmp(name, "/") == 0)
		r = error_rule(err, EINVAL, "\"/\" stands for no group and cannot be opened as one");
	if (r == 0)
		r = cpg_path(cpg, name, NULL, path, sizeof(path), err);
	for (int tries = 0; r == 0; tries++) {
		auto_close int fd = cg_open_below(cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);

		if (fd == -ENOENT)
			return error_rule(err, ENOENT, "there is no CPU group \"%s\" (cgroup /%s)", name, path);
		if (fd < 0)
			return error_set(err, -fd, "open CPU group \"%s\" (cgroup /%s)", name, path);
		r = cpg_is_group(fd);
		if (r == 1 && locked) {
			r = cpg_lock(fd, CPG_LOCK_EXCLUSIVE, path, err);
			if (r < 0)
				return r;
			if (!is_still(cpg, fd, path) && tries < 4)
				continue;
			r = cpg_is_group(fd);
		}
		if (r == 1)
			return TAKE_FD(fd);
		if (r < 0)
			return error_set(err, -r, "read the attribute of cgroup /%s", path);
		r = error_rule(err, EBUSY, "cgroup /%s is no CPU group: somebody else made it", path);
		error_hint(err, "bulkhead cpugroup adopt %s makes it one", name);
	}
	return r;
}
