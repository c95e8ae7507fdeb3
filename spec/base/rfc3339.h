/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * rfc3339 - UTC timestamps for logs and state
 *
 * Own arithmetic, since gmtime() of glibc opens /etc/localtime, which may be
 * the container's, even to convert to UTC.
 */

#include <time.h>

#define RFC3339_BYTES 40

/* "2026-01-02T03:04:05Z" of a CLOCK_REALTIME value, years 0 to 9999. Returns buf. */
const char *rfc3339_seconds(const struct timespec *t, char buf[static RFC3339_BYTES]);

/* "2026-01-02T03:04:05.000000006Z": always nine digits, so that texts sort by time. */
const char *rfc3339_nanos(const struct timespec *t, char buf[static RFC3339_BYTES]);
