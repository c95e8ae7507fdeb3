/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * proc - processes by pidfd, and procfs through a handle of our own
 *
 * A write to "/proc/self/attr/exec" that lands on a file the container put
 * there is a write that did nothing (CVE-2019-16884) or did something else
 * (CVE-2025-52881). So code that may run in sight of a container's mounts uses
 * a detached procfs: fsopen("proc"), never attached anywhere, reached by
 * openat2(RESOLVE_BENEATH|RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS) only.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/error.h"

enum procfs_scope {
	PROCFS_PIDS, /* subset=pid: attr, uid_map, status, fd; no /proc/sys */
	PROCFS_ALL,  /* the whole of it, for sysctl */
};

/*
 * Makes a detached procfs of the caller's pid namespace. Returns a directory fd.
 * A caller that may not mount (rootless) gets the /proc it sees, after a check
 * that this is the root of a procfs; procfs_openat() holds what it promises there too.
 * Closing the last fd waits for an RCU grace period (40 us or more): keep one handle.
 */
int procfs_open(enum procfs_scope scope, struct error *err);

/*
 * Opens name below a procfs fd, refusing magic links, a link at the end, over-
 * mounted files and other filesystems. "self/…" works. O_PATH opens a link itself.
 */
int procfs_openat(int procfs_fd, const char *name, int flags, struct error *err);

int procfs_write(int procfs_fd, const char *name, const char *text, struct error *err);

/*
 * What /proc/<pid>/stat says, read through the host's /proc (callers are in the
 * host's mount namespace). -ESRCH when there is no such process.
 */
struct proc_stat {
	char state;           /* 'R', 'S', 'Z', … */
	uint64_t start_time;  /* field 22, ticks since boot: with the pid, names a process for good */
};
int proc_stat(pid_t pid, struct proc_stat *ret);

/*
 * A number that this process alone has for as long as the machine runs: the inode of its
 * pidfd on pidfs (Linux 6.9). 0 where pidfds have no identity of their own.
 */
uint64_t proc_pidfd_id(int pidfd);
/* Is it still the process with this id, and has it not ended (a zombie has)? */
bool proc_pidfd_is(int pidfd, uint64_t id);

/* pidfd_open(2), quietly: the descriptor or -errno. */
int proc_pidfd_open(pid_t pid);

/*
 * pidfd_open(), then checks that the process still is the one that started at
 * start_time: -ESRCH if not.
 */
int proc_pidfd(pid_t pid, uint64_t start_time, struct error *err);

int proc_pidfd_send(int pidfd, int signo);

/* Waits until the process behind pidfd has exited. timeout_ms < 0 is not allowed. -ETIMEDOUT. */
int proc_pidfd_wait(int pidfd, int timeout_ms);

/*
 * Blocks every signal there is: those, too, that a C library keeps for itself and leaves out of sigfillset(). Of
 * the calling thread alone. but: one that is let through; 0: none.
 */
void proc_block_signals(int but);
/*
 * What the calling thread blocks, bit n - 1 for signal n; and that again. A C library lets those that it keeps for itself
 * through when the process's first thread or handler is made.
 */
uint64_t proc_blocked_signals(void);
void proc_block_again(uint64_t signals);
/* A descriptor to read them from: CLOEXEC, not blocking. -errno. */
int proc_signal_fd(void);
