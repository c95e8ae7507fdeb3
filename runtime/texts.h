/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * texts - sentences that engines search for
 *
 * containerd maps "does not exist" and "container not running" to NotFound,
 * Docker and podman show or match the rest. They are part of the interface: a
 * change here is a change of behaviour for every caller. A unit test holds them.
 */

#include "runtime/launch/launch.h"

#define TEXT_NOT_EXIST       "container does not exist"
#define TEXT_EXISTS          "container with given ID already exists"
#define TEXT_BAD_ID          "invalid container ID format"
#define TEXT_NOT_RUNNING     "container not running"
#define TEXT_NOT_PAUSED      "container not paused"
#define TEXT_START_RUNNING   "cannot start an already running container"
#define TEXT_START_STOPPED   "cannot start a container that has stopped"
#define TEXT_START_OTHER     "cannot start a container in the %s state"
#define TEXT_NOT_STOPPED     "cannot delete container %s that is not stopped: %s"
#define TEXT_EXEC_STOPPED    "cannot exec in a stopped container"
#define TEXT_EXEC_PAUSED     "cannot exec in a paused container (use --ignore-paused to override)"
#define TEXT_PAUSE_OTHER     "cannot pause a container in the %s state"
#define TEXT_EVENTS_STOPPED  "container with id %s is not running"
#define TEXT_CONSOLE_UNUSED  "cannot use console socket if bulkhead will not detach or allocate tty"
#define TEXT_CONSOLE_MISSING "cannot allocate tty if bulkhead will detach without setting console socket"
#define TEXT_INIT_OOM        LAUNCH_TEXT_OOM
