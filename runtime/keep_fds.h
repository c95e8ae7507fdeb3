/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* keep_fds - for a process that gives everything up: all descriptors above 2 are closed but these (-1: none; reordered) */

#include <stddef.h>

#include "spec/base/error.h"

int keep_fds(int *keep, size_t n, struct error *err);
