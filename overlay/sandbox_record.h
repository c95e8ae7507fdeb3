/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandbox_record - what the store writes down about a sandbox, and finding its directory
 */

#include "overlay/sandbox.h"

#define SANDBOX_RECORD "sandbox.json"

/* Opens STORE/sandboxes; made when how says so. -ENOENT, quietly, otherwise. */
int sandboxes_dir(const struct ovl_store *store, enum ovl_open how, struct error *err);

/* A name that a directory can have. -EINVAL. */
int sandbox_check_name(const char *name, struct error *err);

/*
 * Opens the directory of that name and locks it: alone, for as long as the descriptor lives. seconds: how long to
 * wait for whoever has it, -EBUSY then. -ENOENT when there is none (any more), without a message.
 */
int sandbox_lock(int sandboxes_fd, const char *name, unsigned seconds, struct error *err);

/*
 * Writes the record of sb into its directory; the caller has it locked, and the store's lock, shared at least, since
 * this is what keeps the layers. SANDBOX_NEW: the directory was made just now (-EEXIST, -ENOENT when somebody was
 * quicker); else what is there is replaced. That of a kept one is on the disk afterwards.
 */
enum sandbox_age { SANDBOX_NEW, SANDBOX_OLD };
int sandbox_write(const struct ovl_sandbox *sb, enum sandbox_age age, struct error *err);

/* Reads it, all but descriptors. -ENOENT, -EBADMSG: of a sandbox that was never made whole. */
int sandbox_read(int dir_fd, const char *name, struct arena *a, struct ovl_sandbox *ret, struct error *err);

/* Nobody uses it and nobody will: its holder is gone, and it is not to be kept. */
bool sandbox_is_garbage(const struct ovl_sandbox *sb);
