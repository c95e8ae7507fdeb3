/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* caller - what the caller hands in besides options, and what it gets back in files */

#include <stdint.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/base/log.h"

/*
 * Descriptors for the container's program: socket activation (LISTEN_FDS, when
 * LISTEN_PID names us; sd_listen_fds(3)) first, then --preserve-fds. *ret_n counts
 * both from descriptor 3. *ret_env gets LISTEN_FDS=…, LISTEN_PID=1 or is empty.
 * -EBADF when one of them is not open (our own log, which may have taken a free number, does not count).
 */
int caller_descriptors(uint32_t preserve, const struct log *log, struct arena *a, uint32_t *ret_n,
		       char ***ret_env, struct error *err);

/* The pid in decimal without a newline, written beside the file and renamed: a reader never sees half of it. */
int caller_write_pid(const char *path, pid_t pid, struct error *err);
