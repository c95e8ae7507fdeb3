/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_stdio.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Opening the other end of a pseudo-terminal makes a new pair (Documentation/admin-guide/devices.txt, 5:2). */
static bool is_multiplexer(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2);
}

/* With no right that the caller's descriptor has not. */
static int open_again(int fd)
{
	char path[32];
	int flags = fcntl(fd, F_GETFL), mode = fd == 0 ? O_RDONLY : O_WRONLY;

	if (flags < 0 || ((flags & O_ACCMODE) != O_RDWR && (flags & O_ACCMODE) != mode) || is_multiplexer(fd))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return openat(AT_FDCWD, path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void wall_take_stdio(const struct stdio_facts *facts, int child_stdio[3])
{
	for (int fd = 0; fd <= 2; fd++) {
		/* A pipe to the foreground's copying: this end is the child's alone. */
		if (child_stdio[fd] >= 0)
			fcntl(child_stdio[fd], F_SETFL, fcntl(child_stdio[fd], F_GETFL) | O_NONBLOCK);
		else if (facts->is_pipe[fd] || facts->is_terminal[fd])
			child_stdio[fd] = open_again(fd);
	}
}
