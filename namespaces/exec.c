/* SPDX-License-Identifier: Apache-2.0 */
/* exec: into the namespaces of a running init, by its pidfd alone. */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/parse.h"

static int flags_of(unsigned kinds)
{
	unsigned long flags = 0;

	for (int k = 0; k < SPEC_NAMESPACES; k++)
		if (kinds & 1u << k)
			flags |= spec_ns_flag(k);
	return (int)flags;
}

static int enter(int pidfd, int flags, struct error *err)
{
	if (setns(pidfd, flags) == 0)
		return 0;

	int code = errno;

	error_set(err, code, "setns to the container's namespaces (0x%x)", (unsigned)flags);
	if (code == ESRCH)
		error_hint(err, "the container's init has exited");
	return -code;
}

int ns_exec_parent(int init_pidfd, unsigned kinds, struct error *err)
{
	if (!(kinds & 1u << SPEC_NS_PID))
		return 0;
	return enter(init_pidfd, CLONE_NEWPID, err);
}

/* The pid behind a pidfd, as our procfs shows it; still the same process as long as it has not been reaped. */
static int pid_of(int pidfd, uint32_t *ret, struct error *err)
{
	char path[40], text[512];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);

	ssize_t n = file_read_at(AT_FDCWD, path, text, sizeof(text), err);

	if (n < 0)
		return (int)n;

	char *line = strstr(text, "\nPid:\t");

	if (line) {
		line += strlen("\nPid:\t");
		line[strcspn(line, "\n")] = '\0';
	}
	if (!line || parse_u32(line, ret) < 0 || *ret == 0)
		return error_set(err, ESRCH, "find the process of the container's init");
	return 0;
}

/* A container without a mount namespace lives in a chroot: its init's root is the only name for that. */
static int open_init_root(int pidfd, struct error *err)
{
	char path[40];
	uint32_t pid;
	int r = pid_of(pidfd, &pid, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%u/root", pid);

	/* path-ok: the host's /proc; its magic link is the very object, resolved by nobody else. */
	int fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open %s", path) : fd;
}

int ns_exec_child(int init_pidfd, unsigned kinds, struct error *err)
{
	bool has_mounts = kinds & 1u << SPEC_NS_MOUNT;
	auto_close int root = has_mounts ? -1 : open_init_root(init_pidfd, err);

	if (!has_mounts && root < 0)
		return root;

	/* One call: the kernel orders them, and joins all or none. */
	int flags = flags_of(kinds & ~(1u << SPEC_NS_PID));
	int r = flags ? enter(init_pidfd, flags, err) : 0;

	if (r < 0)
		return r;
	if (has_mounts) /* setns() made the root of that namespace our root and working directory */
		return 0;
	if (fchdir(root) < 0 || chroot(".") < 0)
		return error_set(err, errno, "chroot to the container's root");
	return 0;
}
