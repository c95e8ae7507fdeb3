/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's standard descriptors.
 */
#include "runtime/launch/stdio.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

void stdio_look(struct stdio_facts *ret)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;
		struct termios t;

		ret->is_open[fd] = fstat(fd, &st) == 0 ||
				   (openat(AT_FDCWD, "/dev/null", O_RDWR) == fd && fstat(fd, &st) == 0);
		ret->is_pipe[fd] = ret->is_open[fd] && S_ISFIFO(st.st_mode);
		ret->is_file[fd] = ret->is_open[fd] && S_ISREG(st.st_mode);
		if (!ret->is_open[fd] || !S_ISCHR(st.st_mode))
			continue;
		ret->is_null[fd] = st.st_rdev == makedev(1, 3);
		ret->is_terminal[fd] = !ret->is_null[fd] && ioctl(fd, TCGETS, &t) == 0;
	}
}

void stdio_give_pipes(const struct stdio_facts *facts, uint32_t uid)
{
	for (int fd = 0; fd <= 2; fd++)
		if (facts->is_pipe[fd] && fchown(fd, uid, (gid_t)-1) < 0)
			return;
}
