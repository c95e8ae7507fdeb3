/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* trees - what a walk needs of a sandbox: the mounts of its lowers and of the whole */

#include "overlay/sandbox.h"
#include "overlay/walk.h"

struct trees {
	struct walk walk; /* its descriptors but for the upper's belong here */
	struct stat root; /* of the topmost lower that says what the root is */
};

#define TREES_INIT { .walk = { .upper_fd = -1, .lower_fd = -1, .view_fd = -1 } }

int trees_open(struct trees *t, const struct ovl_store *store, const struct ovl_sandbox *sb, struct arena *a,
	       struct error *err);
void trees_close(struct trees *t);
#define auto_trees __attribute__((cleanup(trees_close)))
