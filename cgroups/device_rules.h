/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* device_rules - what one device rule says. Private to this room. */

#include "cgroups/cgroups.h"

#define DEVICE_ANY (SPEC_DEV_READ | SPEC_DEV_WRITE | SPEC_DEV_MKNOD)

/* Every type, number and access. */
bool device_is_wildcard(const struct spec_device_rule *r);
bool device_matches(const struct spec_device_rule *r, char type, int64_t major, int64_t minor);
