/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* init - what the first process of a container does on its way, whether it ends as the stub or as a machine (vm_init.c) */

#include "runtime/build.h"

/* Joins, clones once more, waits for id maps, becomes root: as the plan has it. */
int init_enter_namespaces(struct build *b, struct error *err);
/* The runtime's hooks, by the parent, then createContainer. */
int init_run_hooks(struct build *b, struct error *err);
void init_make_cwd(const struct build *b);
