/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* inside - what a first process of a guest does before it can talk: modules, then a port of a console */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/agent/port.h"

/* group: "", or one with its '/' (vm/kernel/kernel.h). */
static inline void load_modules(const char *group)
{
	for (int i = 0; i < 100; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/modules/%s%02d.ko", group, i);

		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
			fprintf(stderr, "%s: %s\n", path, strerror(errno));
		close(fd);
	}
}

/* The driver makes a port's node, and learns that the host has opened it, some time after the module is loaded. */
static inline int open_port(unsigned port)
{
	for (int i = 0; i < 20000; i++) {
		int fd = port_open(port, O_RDWR | O_CLOEXEC);

		if (fd >= 0) {
			struct pollfd p = { .fd = fd };

			for (; i < 20000 && poll(&p, 1, 0) == 1 && (p.revents & POLLHUP); i++)
				usleep(1000);
			return fd;
		}
		usleep(1000);
	}
	return -1;
}
