/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * foreground - a command that stays with its container: signals, streams, exit
 *
 *	foreground_begin()   before the clone: no signal may be lost
 *	foreground_stdio()   before the clone: pipes in place of the caller's terminal
 *	foreground_wait()    until the process has ended; returns its exit code
 *	foreground_end()     terminal as it was
 *
 * The container gets the caller's own files and pipes, which costs nothing, but
 * never the caller's terminal: what it prints there is copied. A terminal is a
 * way to push input to the shell behind it (CVE-2017-5226). A regular file is
 * copied to as well when the program's user is not root: to re-open /dev/stdout it
 * must own what it writes to, and the caller's file is not ours to give away.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/console.h"
#include "runtime/launch/stdio.h"
#include "spec/base/error.h"
#include "spec/base/log.h"

/* One direction of copying. Small blocks: a write after POLLOUT must not block. */
struct foreground_copy {
	int from, to; /* -1: done */
	bool owns_from, owns_to;
	char data[4096];
	size_t begin, end;
};

struct foreground {
	const struct log *log;
	int signal_fd;
	struct console_host host;
	int master;                      /* the pty, or -1 */
	int child_stdio[3];              /* what the child uses as 0, 1, 2; -1: the caller's own */
	struct foreground_copy copy[3];  /* stdin, stdout, stderr; with a pty: [0] and [1] */
	int notify_sock;                 /* sd_notify socket, or -1 */
};

#define FOREGROUND_INIT \
	{ .signal_fd = -1, .host = { .fd = -1 }, .master = -1, .child_stdio = { -1, -1, -1 }, \
	  .copy = { { .from = -1, .to = -1 }, { .from = -1, .to = -1 }, { .from = -1, .to = -1 } }, \
	  .notify_sock = -1 }

int foreground_begin(struct foreground *f, struct error *err);
int foreground_stdio(struct foreground *f, const struct stdio_facts *facts, uint32_t host_uid,
		     struct error *err);
/* In the parent after the clone: the child's ends are the child's alone. */
void foreground_cloned(struct foreground *f);
/* Joins the caller's terminal and the container's pty; takes over master. */
int foreground_terminal(struct foreground *f, int master, struct error *err);

/*
 * Forwards every signal but SIGCHLD, SIGURG and SIGWINCH to pid, copies streams,
 * reaps whatever is re-parented to us. Returns when pid has ended and what it wrote is
 * copied; *ret_status is the exit code as a shell reports it. There is no deadline: a
 * container runs as long as it likes.
 */
int foreground_wait(struct foreground *f, pid_t pid, int pidfd, int *ret_status, struct error *err);

void foreground_end(struct foreground *f);
