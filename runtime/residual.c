/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/residual.h"

#include <errno.h>
#include <sys/stat.h>

#include "spec/base/auto.h"

int residual_open(const struct cg_host *host, const struct rt_residual *res)
{
	struct stat st;
	auto_close int fd = cg_open(host, res->cgroup, NULL);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_ino == res->inode ? TAKE_FD(fd) : -ENOENT;
}

int residual_remove(const struct cg_host *host, const struct rt_residual *res, struct error *err)
{
	auto_close int fd = residual_open(host, res);

	return fd < 0 ? 0 : cg_remove(host, res->cgroup, 0, err);
}

int residual_clear(const struct cg_host *host, const struct rt_residual *res, int timeout_ms, struct error *err)
{
	auto_close int fd = residual_open(host, res);

	if (fd < 0)
		return 0;

	int r = cg_remove(host, res->cgroup, 0, err);

	if (r != -EBUSY)
		return r;
	cg_kill(fd, NULL);
	return cg_remove(host, res->cgroup, timeout_ms, err);
}
