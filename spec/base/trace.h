/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * trace - how long each step of a command took
 *
 * A file of Chrome's trace event format (the JSON array form), which chrome://tracing, Perfetto and speedscope
 * show as a timeline. Each step is one complete event, "ph":"X", written when it is over with one write() to an O_APPEND file,
 * so that processes do not mix, and a command that is killed leaves what it had done. The closing bracket, which the
 * format makes optional, is never written: the next command may go on in the same file. Times are CLOCK_MONOTONIC.
 *
 * A process works through steps: trace_step() names the one that has just ended, which began where the last one ended.
 * trace_span() is for what lies within or around steps. With t NULL all of them do nothing, without a system call.
 */

#include <stdint.h>

#include "spec/base/error.h"

struct trace {
	int fd;
	int pid;        /* as the host counts: the caller may be the first one of a namespace */
	uint64_t since; /* end of the last step */
};

/* Begins or goes on with a file; the first step begins now. -EINVAL: not a regular file. */
int trace_open(struct trace *t, const char *file, struct error *err);

/* In a process of its own, a child of who opened the file, while /proc is the host's: its name in the timeline. */
void trace_process(struct trace *t, const char *name);

uint64_t trace_now(const struct trace *t);
void trace_step(struct trace *t, const char *name);
void trace_step_at(struct trace *t, const char *name, uint64_t monotonic_ns);
void trace_span(const struct trace *t, const char *name, uint64_t began);
