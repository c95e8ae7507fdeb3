/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * error - what went wrong, where in the config, and what to do about it
 *
 * Contract of every function whose last argument is a `struct error *err`:
 *
 *   success  returns >= 0 and leaves *err alone
 *   failure  returns -E… (never 0, never a bare -1); *err holds the cause and
 *            at most one frame from each caller that had something to add
 *
 * err may be NULL: the caller has decided that this failure does not matter
 * (the usual case is undoing work on a path that already failed).
 *
 * The object is flat: no pointers, no allocation, and smaller than PIPE_BUF, so
 * a child between clone and execve fills it in and hands it to its parent with
 * one write that the kernel never tears.
 *
 * A cause is an operation and its operands: error_set(err, errno, "mount %s on
 * %s", …). A wrap is a goal: "cannot set up the root filesystem". Neither ends
 * in the errno text; printing adds it. Library code never prints.
 */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct error {
	int32_t code;     /* errno of the cause, positive; 0 when unset */
	uint16_t used;    /* bytes of text[] taken */
	uint16_t dropped; /* outer frames that no longer fitted */
	uint8_t quiet;    /* errno text adds nothing (validation, state rules): do not print it */
	char at[135];     /* "file /json/pointer", or "" */
	char hint[384];   /* one thing the reader can do, or "" */
	char text[1536];  /* NUL-terminated frames, the cause first */
};

_Static_assert(sizeof(struct error) <= PIPE_BUF, "an error must travel in one write");

#define ERROR_INIT ((struct error){ 0 })
#define error_printf_(fmt, args) __attribute__((format(printf, fmt, args)))

/* Starts a chain with the operation that failed and its operands. Returns -code (code > 0). */
int error_set(struct error *err, int code, const char *fmt, ...) error_printf_(3, 4);

/*
 * Starts a chain whose sentence is complete without the errno text: a rule of
 * ours was broken ("id is empty"), not a system call refused. Returns -code.
 */
int error_rule(struct error *err, int code, const char *fmt, ...) error_printf_(3, 4);

/* Adds what the caller was trying to do ("cannot …"). Returns r, the callee's -E…. */
int error_wrap(struct error *err, int r, const char *fmt, ...) error_printf_(3, 4);

/* Names the part of the config that asked for it ("/mounts/3"). The innermost caller wins. */
void error_at(struct error *err, const char *fmt, ...) error_printf_(2, 3);

/* Records a remedy. Only for causes we are sure about: a wrong hint costs more than none. */
void error_hint(struct error *err, const char *fmt, ...) error_printf_(2, 3);

/*
 * Renders "outer: inner: cause: permission denied" on one line without a
 * newline. The errno text is in lower case: engines search for it.
 * Returns the full length, like snprintf().
 */
size_t error_line(const struct error *err, char *buf, size_t size);

/*
 * Moves an error over a pipe or SEQPACKET socket. error_recv() returns 0 when
 * the peer closed without reporting one, -E… when it reported one or when what
 * it sent is not an error object (the peer may be hostile by then).
 */
int error_send(int fd, const struct error *err);
int error_recv(int fd, struct error *err);

/* What error_recv() does with the bytes, for a message that carries an error in it: bounds first, then -code. */
int error_take(const struct error *from, struct error *err);
