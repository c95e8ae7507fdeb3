/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * root - where the state of containers is kept
 *
 * --root when given; else /run/bulkhead for the root of the host and
 * $XDG_RUNTIME_DIR/bulkhead for everyone else who has that variable, including a
 * user namespace's root who is not $USER "root". The filesystem's root itself is
 * refused: `delete` removes what is below.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"

#define CLI_DEFAULT_ROOT "/run/bulkhead"

/* Who calls. */
struct cli_caller {
	uid_t euid;
	const char *xdg_runtime_dir; /* NULL: not set */
	const char *user; /* $USER, NULL: not set */
	bool (*in_user_namespace)(void); /* asked only when it decides */
};

struct cli_root {
	const char *path; /* absolute, cleaned */
	bool is_default; /* --root was not given */
	bool is_users_own; /* below $XDG_RUNTIME_DIR */
};

/* given: the value of --root or NULL. */
int cli_root_find(const char *given, const struct cli_caller *caller, struct arena *a,
		  struct cli_root *ret, struct error *err);

struct cli_caller cli_caller_now(void);

/*
 * Makes a root below $XDG_RUNTIME_DIR, sticky: cleaners leave such files alone
 * (XDG Base Directory Specification).
 */
int cli_root_make_users_own(const char *path, struct error *err);
