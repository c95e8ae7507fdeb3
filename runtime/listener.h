/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* listener - the seccomp agent that SCMP_ACT_NOTIFY talks to (cl Seccomp, Container process state) */

#include "runtime/state.h"
#include "spec/spec.h"

/*
 * Connects to profile->listenerPath and sends the container process state
 * with the notify descriptor in the first message. pid is the process the filter is on: init, or the
 * one exec made.
 */
int listener_send(const struct spec_seccomp *profile, const struct rt_state *state,
		  enum rt_status status, pid_t pid, int notify_fd, struct error *err);
