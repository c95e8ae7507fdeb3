/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* host_ps - runs the host's ps(1) and keeps the rows of some processes */

#include <stdbool.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"

/* Runs `ps` with options (NULL-terminated; none: -ef) and appends what it prints. */
int cli_ps_run(char *const *options, struct arena *a, struct buf *ret, struct error *err);

/*
 * Appends the header of table and those rows whose PID column is one of pids.
 * -EINVAL when there is no such column.
 */
int cli_ps_filter(const char *table, const pid_t *pids, size_t n, struct buf *out,
		  struct error *err);
