/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* residual - a leaf that a move left behind (struct rt_residual) */

#include "cgroups/cgroups.h"
#include "runtime/state.h"

/* -ENOENT also when the name is another cgroup's by now. */
int residual_open(const struct cg_host *host, const struct rt_residual *res);
/* Gone, or never ours: 0. -EBUSY while somebody lives there. */
int residual_remove(const struct cg_host *host, const struct rt_residual *res, struct error *err);
/* With whoever lives there: for delete. */
int residual_clear(const struct cg_host *host, const struct rt_residual *res, int timeout_ms, struct error *err);
