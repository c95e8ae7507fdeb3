/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_record - what a machine's process leaves behind
 *
 * <root>/<id>/vm.record, opened before the process gave up its right to open anything. Lines of text, each written at
 * once: the guest's kernel killed for lack of memory, or the guest died. A hostile guest can make the process
 * write there: it writes a bounded number of lines, and what is read is believed as little as what the guest says.
 */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/oom_record.h"
#include "runtime/state.h"
#include "spec/base/arena.h"
#include "spec/base/error.h"

#define VM_RECORD "vm.record"
#define VM_SOCKET "vm.sock"

int vm_record_open(int state_dir, struct error *err);
/* In the machine's process: write() alone. *lines: written so far. */
void vm_record_oom(int fd, unsigned *lines, uint64_t kills, uint64_t limit, uint64_t peak);
void vm_record_death(int fd, const struct error *err);

struct vm_record {
	bool has_oom;
	struct rt_oom oom;
	const char *death;  /* a sentence, or NULL */
};

/* Of a container that may have ended. False: nothing is noted. */
/* A warning in the log, if it is one of a virtual machine whose guest died. */
void vm_record_tell_death(const struct rt_context *ctx, const struct rt_state *state);
bool vm_record_read(const struct rt_context *ctx, const char *id, struct arena *a, struct vm_record *ret);
