/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * hooks - programs of the operator that run at the seams of a container's life
 * (config.md POSIX-platform Hooks)
 *
 * A hook gets exactly the argv and environment that the config gives it, the
 * state document on stdin, and no descriptor of ours. What it prints is kept
 * (bounded) and becomes part of the error when it fails.
 */

#include <sys/types.h>

#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/base/trace.h"
#include "spec/spec.h"

/* A hook whose config gives no timeout is ended after this long. */
#define HOOK_TIMEOUT_S 600

struct hook_run {
	const struct spec_hooks *hooks;
	enum spec_hook_kind kind;
	const struct spec_state *state;
	/* startContainer: joins the container in the forked child before the exec; NULL otherwise. */
	int (*enter)(void *data, struct error *err);
	void *data;
	char *const *default_env; /* environment when a hook has none of its own; NULL: empty */
	const struct log *log;
	const struct trace *trace; /* NULL: none */
};

/*
 * Runs every hook of one kind in order. The first that fails (exit status,
 * signal, timeout, not executable) ends the row with an error that names it.
 * For poststop pass keep_going: failures become warnings and the rest still runs.
 */
enum hook_policy { HOOK_STOP_ON_FAILURE, HOOK_KEEP_GOING };
int hooks_run(const struct hook_run *run, enum hook_policy policy, struct error *err);
