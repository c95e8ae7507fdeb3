/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* agent_image - the first process of a guest (agent/), which travels inside our binary as bytes */

#include <stddef.h>

#include "spec/base/error.h"

const void *vm_agent_image(size_t *ret_size);

/* A memory file with the archive to unpack first: /init, and the console that the kernel opens for it. */
int vm_agent_archive(struct error *err);
