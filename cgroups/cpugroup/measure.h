/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* measure - what the files that ask about members share: pressure, and who is in a directory. */

#include "cgroups/cpugroup/internal.h"

/* Pure. False, and *ret as it was, for a text that is not of this form. */
bool cpg_psi_parse(const char *text, struct cpg_psi *ret);
/* has is false where the file is missing (-ENOENT) or switched off (-EOPNOTSUPP). */
int cpg_psi_read(int cg_fd, const char *file, struct cpg_psi *ret);

/* What a directory inside a group is. */
enum cpg_kind { CPG_LEAF, CPG_GROUP, CPG_RESIDUAL };
/* -errno when it cannot be told, -ENOENT and -ENODEV for one that has gone. */
int cpg_kind_of(int dir_fd);

/* -EDEADLK when this very process lives in the cgroup: frozen, it could not thaw anybody. */
int cpg_refuse_own(const char *path, struct error *err);
