/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * diagnose - why the container's program did not start
 *
 * "permission denied" and "no such file or directory" from execve() stand for a
 * dozen causes: no x bit, a noexec mount, a directory, a missing interpreter, a
 * shebang with a carriage return, a program for another machine. The stub reports
 * the errno and waits; the runtime looks at the file through the container's own
 * root (/proc/<pid>/root, entered by path.h only) and says which it was.
 */

#include <sys/types.h>

#include "spec/base/error.h"

/*
 * Waits on fd for the stub's verdict: end of file means that the program runs (0).
 * A report means it does not: the cause is found out, -errno. A stub that died is
 * told apart by its pidfd. At most timeout_ms.
 */
int diagnose_wait(int fd, pid_t pid, int pidfd, const char *program, int timeout_ms, struct error *err);

/* The sentence for execve(program) = code, with root_fd the container's root. Returns -code. */
int diagnose_exec(int root_fd, const char *program, int code, struct error *err);
