/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_exec - a command's process in a guest, and what stands for it on the host
 *
 * An engine wants a pid: to signal, to wait for, to read an exit code from. It is that of a proxy, born in the
 * container's cgroup like a process of the container's. It asks the machine to execute the process with its own
 * descriptors, passes signals and the size of its terminal on, and ends as the process ends. It has no rights
 * at all by then: what it reads comes from the machine's process, which a guest may have taken over.
 */

#include "runtime/launch/launch.h"
#include "runtime/runtime.h"

struct wall_proxy {
	const struct rt_context *ctx;
	const char *id;
	int socket_fd; /* wall_connect() */
	const struct spec_process *process;
	const struct proc_seccomp *filter; /* may be empty */
	int stdio[3];  /* -1: the caller's own */
};

_Noreturn void wall_proxy(struct launch *l, const struct wall_proxy *p);
