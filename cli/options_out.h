/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* options_out - diff and commit: part of the table of options.c */

#include "cli/options.h"

enum { CLI_DIFF_OPTIONS = 1, CLI_COMMIT_OPTIONS = 7 };
extern const struct cli_option cli_diff_options[CLI_DIFF_OPTIONS];
extern const struct cli_option cli_commit_options[CLI_COMMIT_OPTIONS];
