/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* exec_options - the words of `exec` as numbers and lists */

#include "cli/args.h"
#include "runtime/runtime.h"
#include "spec/base/arena.h"

/* "UID" or "UID:GID", decimal, nothing else (CVE-2026-30892). Sets uid, gid and their has_ flags. */
int cli_exec_user(const char *text, struct rt_exec_options *ret, struct error *err);

/* All options and operands of exec. */
int cli_exec_options(const struct cli_args *args, struct arena *a, struct rt_exec_options *ret,
		     struct error *err);
