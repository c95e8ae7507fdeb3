/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * isolation - which wall a new container gets
 *
 * The seam between the two: create and run go the same way for both, and where they part they ask build.vm
 * (vm_wall.h), which is NULL for a container of processes. Commands for a container that exists ask its state (is_vm).
 */

#include <stdbool.h>

#include "runtime/runtime.h"
#include "spec/spec.h"

#define ISOLATION_ANNOTATION "dev.bulkhead.isolation"

/*
 * The option (or the name that this program was called by) and the annotation say the same thing, "process" or "vm";
 * two that differ are -EINVAL with both, for neither may be silently the weaker one. Neither: processes.
 */
int isolation_choose(enum rt_isolation option, const struct spec *spec, bool *ret_is_vm, struct error *err);
