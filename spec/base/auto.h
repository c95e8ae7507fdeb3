/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * auto - release a resource when its variable goes out of scope
 *
 *	auto_close int fd = -1;
 *	auto_free char *path = NULL;
 *
 * A variable so marked owns its value and is initialised where it is declared.
 * TAKE_FD() and TAKE_PTR() give the value away and leave the variable empty.
 * Releasing never changes errno, so `return error_set(err, errno, …)` is safe.
 */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void auto_closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void auto_freep(void *pp)
{
	int saved = errno;

	free(*(void **)pp);
	errno = saved;
}

static inline void auto_closedirp(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	errno = saved;
}

#define auto_close    __attribute__((cleanup(auto_closep)))
#define auto_free     __attribute__((cleanup(auto_freep)))
#define auto_closedir __attribute__((cleanup(auto_closedirp)))

#define TAKE_FD(fd)  __extension__({ int take_ = (fd); (fd) = -1; take_; })
#define TAKE_PTR(p)  __extension__({ __typeof__(p) take_ = (p); (p) = NULL; take_; })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
