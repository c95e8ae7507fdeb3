/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* update_options - the options of `update` as a resources object */

#include "cli/args.h"
#include "spec/base/arena.h"
#include "spec/spec.h"

int cli_update_options(const struct cli_args *args, struct arena *a, struct spec_resources *ret,
		       struct error *err);
