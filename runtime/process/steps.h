/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * steps - what proc_apply() does, one function per kernel interface
 *
 * Private to runtime/process. Each acts on the calling thread, uses no library and
 * allocates nothing, because it runs between clone and exec.
 */

#include "runtime/process/process.h"

/* Joins the session keyring of that name, or makes it. Kernels without keys are fine. */
int proc_set_keyring(const struct proc_plan *plan, struct error *err);

int proc_set_scheduler(const struct spec_scheduler *s, struct error *err);
int proc_set_io_priority(const struct spec_io_priority *p, struct error *err);
int proc_set_memory_policy(const struct spec_memory_policy *p, struct error *err);
int proc_set_personality(unsigned long personality, struct error *err);

/* Groups, gid, uid: all three of each kind. keep_caps: permitted survives leaving uid 0. */
enum proc_keep_caps { PROC_DROP_CAPS, PROC_KEEP_CAPS };
int proc_set_ids(const struct proc_plan *plan, enum proc_keep_caps keep, struct error *err);

/* The limits of the calling process itself, where plan->limits_inside says so. */
int proc_set_own_limits(const struct proc_plan *plan, struct error *err);

/* Five sets; bit n is capability n. */
struct proc_caps {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/* Drops every capability the kernel has and `keep` does not name. n: how many it has, 0: unknown. */
int proc_drop_bounding(uint64_t keep, unsigned n, struct error *err);
int proc_set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct error *err);
/* Those the kernel refuses are left out: never more privilege than planned, possibly less. */
void proc_raise_ambient(uint64_t ambient);
/* The calling thread's permitted set, one system call. */
uint64_t proc_permitted_caps(void);
/* Those of `wanted` that are in the calling thread's bounding set, one call each. */
uint64_t proc_bounding_caps(uint64_t wanted);
/* "CAP_CHOWN CAP_KILL" into buf, cut when too long. Returns buf. */
const char *proc_cap_names(uint64_t set, char *buf, size_t size);

/* The five sets after an exec of a file without capabilities of its own (capabilities(7)). */
struct proc_caps proc_caps_after_exec(const struct proc_caps *before, uint32_t uid,
				      bool no_new_privileges);

/* Loads the filter; a listener goes to notify_sock and is closed here. */
int proc_load_seccomp(const struct proc_seccomp *filter, int notify_sock, struct error *err);

#define PROC_CAP_BIT(n) (UINT64_C(1) << (n))
