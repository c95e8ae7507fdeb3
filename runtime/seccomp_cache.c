/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where compiled filters are kept. '@' keeps the name apart from every container id.
 */
#include "runtime/seccomp_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/state.h"
#include "spec/base/auto.h"

int seccomp_cache_open(const struct rt_context *ctx)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/.seccomp@", ctx->root) >= sizeof(path))
		return -1;

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT) {
		auto_close int root_fd = state_open_root(ctx, true, NULL);

		if (root_fd < 0 || (mkdirat(root_fd, ".seccomp@", 0700) < 0 && errno != EEXIST))
			return -1;
		fd = openat(root_fd, ".seccomp@", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}

	struct stat st;

	/* A filter decides what the container may do: only a directory that nobody else can write counts. */
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return -1;
	return TAKE_FD(fd);
}
