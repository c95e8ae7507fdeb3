/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stub - the agreement between the runtime and the last program before the
 * container's own
 *
 * The runtime's child, when the container is built around it and its credentials
 * and filter are final, does execveat(stub_open(), "", argv, envp, AT_EMPTY_PATH):
 *
 *	argv[0]   control string, below
 *	argv[1]   path of the program, resolved already
 *	argv[2…]  the program's own argv; at least one
 *	envp      the program's environment, handed on as it is
 *
 * Control string: STUB_NAME, then words separated by one blank, each at most once.
 *
 *	s=FD      required. Where reports go: a stream socket, our end not shared with
 *	          anyone, or a fifo (then g is one too).
 *	g=FD      wait: read one byte, STUB_GO or STUB_GO_RESET releases, anything else ends the stub
 *	          with STUB_EXIT_QUIET. May be the same number as s.
 *	w=1       while waiting, SIGTERM, SIGINT, SIGQUIT and SIGHUP end the stub with
 *	          128 + signal. As pid 1 of a namespace it would not notice them. They
 *	          stay caught until execve() resets them, so no moment is uncovered.
 *	p=FD      a procfs directory (procfs_open(PROCFS_PIDS)) for the label
 *	a=a|s     AppArmor or SELinux
 *	l=LABEL   profile or label of the program; the last word, may hold blanks.
 *	          p, a and l come together or not at all.
 *
 * All numbers are >= 3 and the descriptors must survive the stub's own exec (no
 * FD_CLOEXEC); the stub closes p, and marks s and g, before the program's exec.
 *
 * A silent end of file on s means that the program runs. Otherwise one struct
 * stub_report comes first, and the stub then waits for end of file on g (on s without
 * g), so that the runtime can look at the world through /proc/<pid>/root; then it exits with
 * STUB_EXIT_NOT_FOUND or STUB_EXIT_NOT_RUN. What arrives on s comes from a process
 * that the container may control: check the size and the magic, trust nothing.
 *
 * System calls made: fcntl, execve; with g also read, close; with w or a reset rt_sigaction;
 * with a label openat, write, close; after an error write, read, exit_group. A
 * seccomp filter must allow these or the program is not started (never: started
 * without its label or with our descriptors).
 */

#define STUB_NAME "bulkhead-init"
#define STUB_GO 'x'
#define STUB_GO_RESET 'r' /* the same, and every signal that is ignored becomes default first */

#define STUB_REPORT_MAGIC 0x42485354u /* "BHST" */

enum stub_step {
	STUB_STEP_FDS = 1, /* closing or marking our descriptors */
	STUB_STEP_LABEL,   /* writing the LSM label */
	STUB_STEP_EXEC,    /* execve() of the program */
};

struct stub_report {
	unsigned magic;
	int err; /* errno, positive */
	unsigned step;
};

#define STUB_EXIT_QUIET     255 /* not released, or not called by the runtime */
#define STUB_EXIT_NOT_FOUND 127 /* ENOENT, ENOTDIR from execve() */
#define STUB_EXIT_NOT_RUN   126 /* every other failure */
