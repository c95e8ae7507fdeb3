/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runtime/runtime.h"

/*
 * The directory of compiled seccomp filters below the state root (0700), or -1
 * when it cannot be had: then filters are compiled each time, which is slow and right.
 */
int seccomp_cache_open(const struct rt_context *ctx);
