/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* vm_network - the network namespace after its guest */

#include "runtime/state.h"

/*
 * A namespace that the container joined by path lives on: its interface is the host's again (namespaces/tap.h). After the
 * machine's process has ended, and before hooks that take the interface away. Of a container of the other wall nothing.
 */
void vm_network_give_back(const struct rt_context *ctx, int state_dir, const struct rt_state *state);
