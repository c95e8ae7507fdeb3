/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* options_cpugroup - the commands of `cpugroup`: part of the table of options.c */

#include "cli/options.h"

enum { CLI_CPUGROUP_VERBS = 20 };
extern const struct cli_verb cli_cpugroup_verbs[CLI_CPUGROUP_VERBS];
