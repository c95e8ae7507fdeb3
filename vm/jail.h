/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * jail - the system calls that a thread keeps while a guest runs
 *
 * Whoever breaks out of a guest into a thread of this process finds a filter that kills the process at any call
 * the thread does not need: no execve, no socket, no open (but in the thread of a file system), no mount, no
 * memory that is executable. Installed by the thread itself, before the guest's first instruction.
 *
 * Threads share their memory, so who has one has the others' as well, in time: the filters and capabilities of all
 * threads together are what such an attacker has, and the namespaces around the process are the wall behind them.
 */

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

enum jail_kind {
	JAIL_VCPU, /* KVM_RUN, eventfds, locks */
	JAIL_LOOP, /* devices: descriptors that are open, epoll, entropy, the size of a terminal */
	JAIL_FS,   /* what vm/fs/fs.h lists, and a loop */
	JAIL_PROXY, /* no thread of the machine, but who stands for a process of its guest's: a socket and signals, both open */
};

/*
 * What the server of file systems keeps, if it has it (vm/fs/fs.h):
 *   SETUID, SETGID   a new file belongs from birth to the guest's user who makes it
 *   CHOWN, FOWNER    the guest's kernel has decided already who may change an owner, a mode, times or an ACL
 *   DAC_OVERRIDE     and who may read, write and search
 *   FSETID           a set-group-id bit that the guest let through stays
 *   SETFCAP          security.capability of the guest's files
 * Not among them: MKNOD (the guest gets no device nodes of the host), SYS_ADMIN (trusted.* attributes do not exist
 * for it), DAC_READ_SEARCH (files are never opened by handle), SYS_RESOURCE (quotas and reserved blocks hold).
 */
#define JAIL_CAP(name) (1ull << CAP_##name)
#define VM_FS_CAPS                                                                                       \
	(JAIL_CAP(SETUID) | JAIL_CAP(SETGID) | JAIL_CAP(CHOWN) | JAIL_CAP(FOWNER) | JAIL_CAP(DAC_OVERRIDE) | \
	 JAIL_CAP(FSETID) | JAIL_CAP(SETFCAP))

/*
 * Gives up all capabilities of the calling thread but those of `keep` which it has: permitted and
 * effective are then equal, inheritable and ambient ones gone. The bounding set stays; without execve() and with
 * no_new_privs it has no meaning.
 */
int jail_keep(uint64_t keep, struct error *err);

/* more: calls that the caller's own work in this thread needs. There is no way back. */
int jail_enter(enum jail_kind kind, const int *more, size_t n_more, struct error *err);
