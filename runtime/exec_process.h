/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* exec_process - what an exec is to run: a process file, or the bundle's process with overrides */

#include "runtime/state.h"

struct exec_source {
	struct spec_process *process;
	const struct spec_linux *linux_; /* as it was at create: filter, memory policy, personality; else zero */
};

/*
 * With a process file: that object and nothing else. Without: `process` of the
 * bundle's config.json as it is now (of the saved one when the bundle is gone),
 * then the options over it.
 */
int exec_source(const struct rt_context *ctx, const struct rt_exec_options *opt,
		const struct rt_state *state, struct arena *a, struct exec_source *ret, struct error *err);
