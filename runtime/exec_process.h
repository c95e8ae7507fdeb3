/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* exec_process - what an exec is to run: a process file, or the bundle's process with overrides */

#include "runtime/state.h"

struct exec_source {
	struct spec_process *process;
	struct spec *container; /* the config as it was at create: filter, memory policy, personality */
};

/*
 * With a process file: that object and nothing else. Without: `process` of the
 * bundle's config.json as it is now (of the saved one when the bundle is gone),
 * then the options over it.
 */
int exec_source(const struct rt_exec_options *opt, int state_dir, const struct rt_state *state,
		struct arena *a, const struct log *log, struct exec_source *ret, struct error *err);
