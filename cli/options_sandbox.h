/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* options_sandbox - the commands of `sandbox`: part of the table of options.c */

#include "cli/options.h"

enum { CLI_SANDBOX_VERBS = 6 };
extern const struct cli_verb cli_sandbox_verbs[CLI_SANDBOX_VERBS];
