/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * console - terminals between the container and its caller
 *
 * Detached: the pty master goes to the caller's socket and is no longer ours.
 * In the foreground: the caller's terminal is made raw and both are joined (relay.h).
 */

#include <stdbool.h>
#include <termios.h>

#include "spec/base/error.h"

/*
 * Connects to the caller's AF_UNIX stream socket and sends the pty master: one
 * message with the pty's name and one descriptor. Paths longer than sun_path go
 * through /proc/self/fd. Neither the socket nor the master stays open.
 */
int console_send(const char *socket_path, int master, struct error *err);

/* The same for a pidfd; payload is the text callers tell the two kinds by. */
int console_send_pidfd(const char *socket_path, int pidfd, const char *payload, struct error *err);

/* Connects a stream socket to a path of any length. Returns the fd. */
int console_connect(const char *socket_path, struct error *err);

/* Sends payload and one descriptor in one message. */
int console_send_fd(int sock, const void *payload, size_t n, int fd, struct error *err);

/* The caller's terminal while it is raw. */
struct console_host {
	int fd;               /* -1: none */
	struct termios saved;
	bool is_raw;
};

/* Finds the caller's terminal (stderr, stdout, stdin, then /dev/tty), makes it raw, and gives the master its size. */
int console_take_host(struct console_host *host, int master, struct error *err);

/* Copies the terminal's size to the master (SIGWINCH). */
void console_resize(const struct console_host *host, int master);

/* Puts the terminal back as it was. Safe to call twice. */
void console_restore_host(struct console_host *host);
