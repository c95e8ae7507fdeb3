/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_gate - released, and what became of it: a program in a guest, or a command's proxy for one
 *
 * The gate is the stub's (launch.h, stub.h). The verdict is not: whoever executes is another kernel, so what comes
 * back in place of a struct stub_report is the whole error, as the guest's side found it out. It is as little
 * believed as anything a guest says.
 */

#include "runtime/launch/launch.h"

/* Waits on fd: end of file means that the program runs (0), a struct error that it does not. At most a minute. */
int wall_verdict(int fd, int pidfd, const char *program, struct error *err);

/* launch_release() for a machine or a proxy. */
int wall_release(struct launch *l, const char *program, struct error *err);
