/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* placeholder - a process that does nothing but be in a scope. Private to this room. */

#include "cgroups/systemd/systemd.h"

int placeholder_make(struct unit_placeholder *ret, struct error *err);
