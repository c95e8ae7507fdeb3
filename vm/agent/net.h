/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* net - the guest's network interfaces */

#include <stddef.h>

#include "spec/base/error.h"

/*
 * Loopback up, and with the bytes of WIRE_T_NET (payload NULL: there are none) the interface that they speak of. In
 * the guest's first network namespace, with /proc mounted and the modules loaded.
 */
int agent_net_apply(const void *payload, size_t n, struct error *err);
