/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * space - where the upper and the work directory of a sandbox are, by kind
 */

#include "overlay/sandbox_record.h"

enum space_place { SPACE_ON_DISK, SPACE_IN_MEMORY };

/*
 * Decides the kind of a new sandbox from its limits and what the store's file system can do, and writes its record.
 * The store is locked meanwhile. -EEXIST, -ENOENT: see sandbox_write().
 */
int space_begin(const struct ovl_store *store, struct ovl_sandbox *sb, enum space_place place, struct error *err);

/*
 * Opens upper_fd and work_fd of sb, whose directory is open and locked; what is missing is made, mounted, limited.
 * A new upper's root is that of the topmost lower that has one. Safe to repeat after a kill at any moment.
 */
int space_attach(const struct ovl_store *store, struct ovl_sandbox *sb, enum sandbox_age age, struct error *err);

/* Unmounts what the sandbox has mounted; nothing is lost by it but what is in memory alone. */
int space_detach(const struct ovl_sandbox *sb, struct error *err);

/* The same before all of it is removed: nothing need be written, and its limits are anybody's again. */
int space_forget(const struct ovl_sandbox *sb, struct error *err);

/* Opens the directory that has upper and work in it. -1 and errno. */
int space_base(const struct ovl_sandbox *sb);

/* Empties the upper. A kill meanwhile leaves what space_attach() goes on with. */
int space_reset(const struct ovl_store *store, struct ovl_sandbox *sb, struct error *err);
