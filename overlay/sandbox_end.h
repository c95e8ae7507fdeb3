/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandbox_end - taking sandboxes away
 */

#include "overlay/sandbox.h"

/*
 * Removes a sandbox whose directory is open and locked, whatever is in it: first what is mounted, last the record.
 * Its name, dir_fd, kind and project are looked at.
 */
int sandbox_discard(int sandboxes_fd, const struct ovl_sandbox *sb, struct error *err);

/*
 * What nobody will come back for: sandboxes of killed commands go to work/, and what kept ones have mounted is
 * unmounted. The caller has the store's lock alone.
 */
int sandboxes_sweep(const struct ovl_store *store, struct arena *a, struct error *err);
