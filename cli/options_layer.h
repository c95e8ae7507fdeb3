/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* options_layer - the commands of `layer`: part of the table of options.c */

#include "cli/options.h"

enum { CLI_LAYER_VERBS = 6 };
extern const struct cli_verb cli_layer_verbs[CLI_LAYER_VERBS];
