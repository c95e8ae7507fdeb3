/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stages - the protocol between a command and the child it cloned
 *
 * One SEQPACKET socketpair, close-on-exec at both ends. The child works through
 * its stages on its own and speaks only where the parent has something to do:
 *
 *	child  → parent  STAGE_PID        (second clone only) value = init's pid
 *	parent → child   STAGE_GO         id maps are written (user namespace only)
 *	child  → parent  STAGE_ROOT_BUILT root, mounts and devices stand (runtime hooks only)
 *	parent → child   STAGE_GO         hooks have run
 *	child  → parent  STAGE_CONSOLE    with the pty master
 *	child  → parent  STAGE_LISTENER   with the seccomp notify fd
 *	child  → parent  STAGE_ERROR      a struct error; the child exits
 *	                 end of file      the stub has been executed: all is set up
 *
 * Without hooks, terminal and user namespace not one message is exchanged: the
 * end of file is the round trip. A child that dies also ends the file, so the
 * parent looks at the pidfd before it believes in success.
 *
 * After a certain stage the child runs with the container's credentials, so the
 * parent trusts nothing in a message but its bounds.
 *
 * Every wait has a deadline and watches the other side's life.
 */

#include <stdint.h>
#include <sys/types.h>

#include "spec/base/error.h"

enum stage {
	STAGE_EOF = 0,
	STAGE_PID,
	STAGE_GO,
	STAGE_ROOT_BUILT,
	STAGE_CONSOLE,
	STAGE_LISTENER,
	STAGE_ERROR,
};

struct stage_msg {
	enum stage stage;
	int32_t value;
	int fd; /* received with the message, or -1; the receiver owns it */
};

/* How long a child may take from one stage to the next. */
#define STAGE_TIMEOUT_MS 60000

/* The two ends: [0] the parent's, [1] the child's. */
int stage_pair(int ends[2], struct error *err);

/* fd: passed along when >= 0 (not closed). */
int stage_send(int sock, enum stage stage, int32_t value, int fd, struct error *err);

/* The child's last words. */
int stage_send_error(int sock, const struct error *err);

/*
 * Waits for the next message, at most timeout_ms. A reported error comes back
 * as that error. -ETIMEDOUT names `what` was waited for.
 */
int stage_recv(int sock, int timeout_ms, const char *what, struct stage_msg *ret, struct error *err);
