/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's descriptors and its pid file.
 */
#include "runtime/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/parse.h"

/* More would be a mistake of the caller's, and the loop over them long. */
#define DESCRIPTORS_MAX 65536

static uint32_t listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	uint32_t p, n;

	if (!pid || !fds || parse_u32(pid, &p) < 0 || parse_u32(fds, &n) < 0 || p != (uint32_t)getpid())
		return 0;
	return n;
}

int caller_descriptors(uint32_t preserve, const struct log *log, struct arena *a, uint32_t *ret_n,
		       char ***ret_env, struct error *err)
{
	uint32_t listening = listen_fds();
	uint64_t n = (uint64_t)preserve + listening;

	if (n > DESCRIPTORS_MAX)
		return error_rule(err, EINVAL, "%llu descriptors are to be kept, at most %d can be",
				  (unsigned long long)n, DESCRIPTORS_MAX);
	for (uint32_t i = 0; i < n; i++)
		if ((log && log->fd == 3 + (int)i) || fcntl(3 + (int)i, F_GETFD) < 0)
			return error_set(err, EBADF, "unable to stat preserved-fd %u (of %llu)", 3 + i,
					 (unsigned long long)n);

	char **env = ARENA_NEW_N(a, char *, 8);

	if (listening) {
		env[0] = arena_printf(a, "LISTEN_FDS=%u", listening);
		env[1] = arena_strdup(a, "LISTEN_PID=1");
		if (getenv("LISTEN_FDNAMES"))
			env[2] = arena_printf(a, "LISTEN_FDNAMES=%s", getenv("LISTEN_FDNAMES"));
	}
	*ret_n = (uint32_t)n;
	*ret_env = env;
	return 0;
}

int caller_write_pid(const char *path, pid_t pid, struct error *err)
{
	char text[16];
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	auto_free char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
	auto_close int dir_fd = dir ? openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir && dir_fd < 0)
		return error_set(err, errno, "open directory %s of the pid file", dir);

	int n = snprintf(text, sizeof(text), "%d", (int)pid);
	int r = file_replace_at(dir ? dir_fd : AT_FDCWD, name, 0644, text, (size_t)n, err);

	return r < 0 ? error_wrap(err, r, "cannot write pid file %s", path) : 0;
}
