/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * internal - what the files of this room share
 *
 * Kernel interface files are small and answer in one read, so the helpers here
 * make one call each and build no message: they return -errno and the caller,
 * who knows what it was after, speaks.
 */

#include "cgroups/cgroups.h"

#include <limits.h>

#define CG_FILE_MAX 4096 /* what any single-valued or flat keyed file fits in */
#define CG_ALL_CONTROLLERS \
	(CG_CPU | CG_CPUSET | CG_MEMORY | CG_PIDS | CG_IO | CG_HUGETLB | CG_RDMA | CG_MISC)

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

/* Bits of a line such as "cpu io memory". Unknown names are skipped. */
unsigned cg_controllers_parse(const char *line);
/* The controller that owns a file, by its prefix; 0 for core files ("cgroup.freeze", "memory.pressure") and unknown ones. */
unsigned cg_controller_of_file(const char *file);
/* "/linux/resources/memory/limit" as people write it: "memory.limit". */
const char *cg_member_name(const char *pointer, char *buf, size_t size);
/* Enables `need` and, as far as possible, `want` for the children of every ancestor of path. */
int cg_enable_controllers(const struct cg_host *host, const char *path, unsigned want,
			  const struct cg_plan *plan, struct error *err);
/* -ENOTSUP with pointer and remedy when the plan needs what is not in `available`. */
int cg_require_controllers(const struct cg_host *host, unsigned available,
			   const struct cg_plan *plan, struct error *err);

enum cg_blame { CG_ANYONE, CG_NOT_FROZEN };
/* "process 123 (sleep, state D, in do_nanosleep)" for the first process of the subtree to blame; "" when there is none. */
const char *cg_culprit(int cg_fd, enum cg_blame blame, char *buf, size_t size);

/* What cg_kill() does where there is no cgroup.kill. */
int cg_kill_by_list(int cg_fd, struct error *err);

/* Compares what was written with what the file says now. NULL, or what is wrong, for a message. */
const char *cg_readback_fault(const char *file, const char *wrote, const char *now, char *buf,
			      size_t size);

/* Writes "psi": {some, full} from a pressure file; nothing where there is none. */
void cg_write_psi(int cg_fd, struct json_w *w, const char *file);
