/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * jail - the system calls that a thread keeps while a guest runs
 *
 * Whoever breaks out of a guest into a thread of this process finds a filter that kills the process at any call
 * the thread does not need: no execve, no socket, no open (but in the thread of a file system), no mount, no
 * memory that is executable. Installed by the thread itself, before the guest's first instruction.
 */

#include <stddef.h>

#include "spec/base/error.h"

enum jail_kind {
	JAIL_VCPU, /* KVM_RUN, eventfds, locks */
	JAIL_LOOP, /* devices: descriptors that are open, epoll, entropy, the size of a terminal */
	JAIL_FS,   /* what vm/fs/fs.h lists, and a loop */
};

/* more: calls that the caller's own work in this thread needs. There is no way back. */
int jail_enter(enum jail_kind kind, const int *more, size_t n_more, struct error *err);
