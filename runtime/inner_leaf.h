/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * inner_leaf - a cgroup of its own for the program, below the container's
 *
 * A cgroup that hands controllers down holds no processes (cgroup-v2.rst, "No Internal
 * Process Constraint"). An engine or a systemd inside a container meets that rule
 * at once: it lives in the root of its cgroup namespace. With the annotation
 * dev.bulkhead.cgroup-leaf: NAME it does not: the namespace's root is the container's
 * cgroup, with the limits, and its processes start in /NAME.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "spec/base/error.h"
#include "spec/spec.h"

#define INNER_LEAF_ANNOTATION "dev.bulkhead.cgroup-leaf"

/* The name that annotations give, or NULL. */
const char *inner_leaf_name(const struct spec_key_value *annotations, size_t n);
/* One component of a path, unlike a kernel file: -EINVAL. NULL is fine. */
int inner_leaf_check(const char *name, struct error *err);

/* Makes it in the container's cgroup and puts the process there. A descriptor of it. */
int inner_leaf_enter(int cgroup_fd, const char *name, pid_t pid, struct error *err);
/* -ENOENT when the container has removed it. */
int inner_leaf_open(int cgroup_fd, const char *name);
