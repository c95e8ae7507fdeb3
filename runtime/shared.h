/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * shared - handing a command on to the build that can load libraries
 *
 * The static binary has no dynamic loader. The few configs that need a library it
 * is not linked with (network devices: libmnl; the systemd cgroup driver: libsystemd) are
 * run by bulkhead-shared, the same program linked with the shared libc and installed beside it.
 */

#include <stdint.h>

#include "runtime/runtime.h"
#include "spec/spec.h"

/*
 * Executes bulkhead-shared with the same arguments when this build cannot do what
 * spec asks for and nothing has been changed yet. Returns 0 when this build can do it, -E… when
 * there is nobody to hand it to. preserve_fds descriptors from 3 on stay open.
 */
int shared_if_needed(const struct rt_context *ctx, const struct spec *spec, uint32_t preserve_fds,
		     struct error *err);

/* The same for a container whose cgroup is a unit of systemd's. */
int shared_for_systemd(const struct rt_context *ctx, struct error *err);
