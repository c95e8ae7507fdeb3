/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kernfile - the interface files of a cgroup, for this room and those below its directory
 *
 * Kernel interface files are small and answer in one read, so the helpers here
 * make one call each and build no message: they return -errno and the caller,
 * who knows what it was after, speaks.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/error.h"
#include "spec/base/json.h"

#define CG_FILE_MAX 4096 /* what any single-valued or flat keyed file fits in */

/* One read of dir_fd/name into buf, NUL-terminated. The length, or -errno. */
ssize_t cg_read(int dir_fd, const char *name, char *buf, size_t size);
/* One write. 0 or -errno. */
int cg_write_text(int dir_fd, const char *name, const char *text);
/* The number after "key " at the start of a line of a flat keyed file ("populated 1"). */
bool cg_flat_value(const char *text, const char *key, uint64_t *ret);
/* A file that holds one number; "max" is UINT64_MAX. 0 or -errno. */
int cg_read_number(int dir_fd, const char *name, uint64_t *ret);
/* Does cgroup.events say 1 for key ("populated", "frozen")? -errno when it cannot be read. */
int cg_event(int cg_fd, const char *key);

/* Milliseconds of the monotonic clock. */
int64_t cg_now_ms(void);
/* Sleeps *us microseconds and doubles it, up to 10 ms: the kernel coalesces cgroup events to that. */
void cg_back_off(unsigned *us);

/* Opens a cgroup below dir_fd: no way up, no link, no other file system. -errno. */
int cg_open_below(int dir_fd, const char *path, int flags);
/* -EINVAL unless path is clean, relative, and below the root. */
int cg_path_check(const char *path, struct error *err);

/* Compares what was written with what the file says now. NULL, or what is wrong, for a message. */
const char *cg_readback_fault(const char *file, const char *wrote, const char *now, char *buf,
			      size_t size);

/* Writes "psi": {some, full} from a pressure file; nothing where there is none. */
void cg_write_psi(int cg_fd, struct json_w *w, const char *file);
