/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * guard - against a container that may trace who enters it
 *
 * A process is out of the reach of others while it is not dumpable, except for
 * those with CAP_SYS_PTRACE over the user namespace of its memory. A container
 * without a user namespace of its own may hold just that, and then sees whatever
 * is born in its pid namespace: descriptors, root, memory, and the file it
 * executes (CVE-2016-9962, CVE-2019-5736, CVE-2024-21626). So there
 *
 *  - the runtime executes itself once more from a sealed memory file, so that
 *    its executable is no file of the host's;
 *  - an exec is born outside the pid namespace, becomes what it is to be, closes
 *    what the program is not given, and only then is cloned into it (become.c).
 *
 * All other containers pay nothing for this.
 */

#include <stdint.h>

#include "runtime/process/process.h"
#include "runtime/runtime.h"
#include "spec/base/error.h"
#include "spec/spec.h"

/*
 * Executes this command anew from a sealed copy of this program, with descriptors
 * 3 … 2+preserve_fds; returns 0 where that has been done already. Before
 * anything with a consequence, and before anything is read that can be read only once.
 */
int guard_seal_self(const struct rt_context *ctx, uint32_t preserve_fds, struct error *err);

/* Before a container is made in a pid namespace that others live in. */
int guard_if_shared(const struct rt_context *ctx, const struct spec *spec, uint32_t preserve_fds,
		    struct error *err);

/* In a child: what /proc/<pid>/environ shows of the caller is overwritten. getenv() finds nothing afterwards. */
void guard_forget_environment(void);
