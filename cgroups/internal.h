/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * internal - what the files of this room share
 *
 * Reading and writing the kernel's files is kernfile.h; here is what making a plan
 * and making a leaf have in common.
 */

#include "cgroups/cgroups.h"
#include "cgroups/kernfile.h"

#include <limits.h>

#define CG_ALL_CONTROLLERS \
	(CG_CPU | CG_CPUSET | CG_MEMORY | CG_PIDS | CG_IO | CG_HUGETLB | CG_RDMA | CG_MISC)

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
