/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * notify - sd_notify(3) for a service that is a container
 *
 * When NOTIFY_SOCKET is set, the container gets a socket of its own at
 * /run/notify/notify.sock and only "ready" passes from it to the service manager,
 * with init's host pid as MAINPID: the container cannot speak for the service in
 * any other way (stop, reload, a pid of its choice).
 */

#include <sys/types.h>

#include "spec/base/error.h"
#include "spec/base/log.h"

struct build;

/* Decides whether the container gets a socket: extra environment and mount. */
int notify_plan(struct build *b, struct error *err);
/* Makes <state>/notify. */
int notify_make_dir(struct build *b, struct error *err);

/* Binds <state>/notify/notify.sock (0777: the container's user may differ). Returns the socket. */
int notify_bind(int state_dir_fd, struct error *err);

/*
 * Takes one message from the container. Returns 1 when it said READY=1 and the
 * service manager has been told (and has taken it in: BARRIER=1, at most 30 s), 0 otherwise.
 */
int notify_forward(int sock, pid_t init, const struct log *log);

/* For commands that do not stay: waits until the container is ready or its init has ended. */
int notify_wait(int sock, pid_t init, int init_pidfd, const struct log *log, struct error *err);
