/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * process - what a process may do
 *
 * Credentials, capabilities, seccomp, resource limits, scheduling, memory
 * policy, personality, keyring, and the proof that they are in force. A leaf:
 * used by create, by exec and by the guest agent, so the parts that apply a plan
 * use no library and build with musl; only seccomp_compile.c needs libseccomp.
 *
 * Credentials are built from zero: nothing of the caller's is kept that the plan
 * does not name (CVE-2022-29162, CVE-2022-36109, CVE-2026-30892).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/spec.h"

/* A compiled filter: what seccomp(SECCOMP_SET_MODE_FILTER) takes. */
struct proc_seccomp {
	const void *insns;   /* struct sock_filter[], NULL: no filter */
	uint32_t n_insns;
	uint32_t flags;      /* SECCOMP_FILTER_FLAG_*, NEW_LISTENER added when it notifies */
	bool notifies;       /* has an SCMP_ACT_NOTIFY rule: loading yields a listener fd */
};

/*
 * The program of a profile: from the cache when the same bytes were compiled
 * before, else compiled by libseccomp and put there. cache_fd is a directory
 * (0700, ours) or -1 for no cache. The key is the profile's own bytes, compared
 * whole; libseccomp's version, the kernel release and the file's checksum must match.
 * A damaged entry is compiled anew.
 * -EINVAL with a pointer for what libseccomp or the kernel does not know.
 */
int proc_seccomp_get(const struct spec_seccomp *profile, int cache_fd, struct arena *a,
		     const struct log *log, struct proc_seccomp *ret, struct error *err);

/*
 * Puts rules in front of a program, or makes one of them alone, that keep a process from giving files another
 * project id, and so from leaving the project quota that its sandbox is limited by: EPERM. For a container without a
 * user namespace of its own. -E2BIG when both together are more than the kernel takes.
 */
int proc_seccomp_keep_projects(struct proc_seccomp *program, struct arena *a, struct error *err);

/* Names for `features`, and libseccomp's version ("2.5.4"), or NULL when it cannot be opened. */
void proc_seccomp_features(struct spec_features_seccomp *ret);
const char *proc_seccomp_version(void);

struct proc_plan {
	const struct spec_process *spec;          /* borrowed */
	const struct spec_memory_policy *memory_policy;
	bool has_personality;
	unsigned long personality;
	struct proc_seccomp seccomp;
	bool in_user_namespace;   /* setgroups may be denied, oom_score_adj not lowerable */
	bool is_exec;             /* execCPUAffinity applies */
	const char *keyring;      /* session keyring to join, NULL: keep the caller's */
	uint64_t bounding, effective, permitted, inheritable, ambient;
	unsigned n_caps;          /* so many has the kernel, as far as it lets the caller know; 0: unknown */
	bool has_caps;            /* false: capabilities absent, sets stay as they are */
	bool limits_inside;       /* caller without CAP_SYS_RESOURCE: the child sets its own rlimits */
};

struct proc_options {
	const struct spec_linux *linux_; /* memory policy, personality; may be NULL */
	const struct proc_seccomp *seccomp;
	bool in_user_namespace;
	bool is_exec;
	const char *keyring;
	const struct log *log;    /* unknown or ungrantable capabilities are warned about */
};

/* Pure: no system call except reading what the caller's bounding set allows to grant. */
int proc_plan_make(const struct spec_process *spec, const struct proc_options *opt, struct arena *a,
		   struct proc_plan *ret, struct error *err);

/* One line per step, for --debug. */
void proc_plan_print(const struct proc_plan *plan, struct buf *out);

/*
 * From outside, on the stub before it is released: rlimits (a hard limit can
 * only be raised with the host's privilege) and oom_score_adj. A caller without
 * CAP_SYS_RESOURCE may not touch a process of another user: then proc_apply() has
 * set the limits inside, and a limit that had to be raised was refused there.
 */
int proc_apply_outside(const struct proc_plan *plan, pid_t pid, struct error *err);

/*
 * Called twice: before the process joins its cgroup and after. execCPUAffinity of an
 * exec is .initial first and .final then. Where neither is set, and for a container's
 * init, the second call lifts the caller's own mask: all CPUs.
 */
int proc_apply_affinity(const struct proc_plan *plan, pid_t pid, bool joined_cgroup,
			struct error *err);

/*
 * What only the program's own ids can tell (may they enter the directory, execute
 * the file?), asked before the filter could answer instead of the file: called by proc_apply() in
 * between. Only without capabilities in the config and without no_new_privs the filter
 * has to come first.
 */
struct proc_ready {
	int (*call)(void *data, struct error *err);
	void *data;
};

/*
 * In the child, root entered, as (container) root with all capabilities: keyring,
 * scheduler, io priority, memory policy, personality, umask, then credentials,
 * capabilities, no_new_privs and seccomp in the order their privileges demand:
 * the filter is loaded before the capabilities go when no_new_privs is not set,
 * and as the last step when it is. From then on only the system calls that the
 * stub needs anyway are made.
 *
 * notify_sock: where a listener fd is sent (SCM_RIGHTS, one byte) when the
 * filter notifies; the fd is closed here.
 */
int proc_apply(const struct proc_plan *plan, int notify_sock, const struct proc_ready *ready,
	       struct error *err);

/*
 * Fail closed: reads /proc/<pid>/status from outside once the stub runs and
 * compares ids, groups, the five capability sets, NoNewPrivs and Seccomp with the
 * plan. Ids are compared only without a user namespace. -EPROTO names the first difference.
 */
struct proc_facts {
	uint64_t ignored_signals; /* bit n - 1: signal n is ignored. An inheritance of the caller's caller */
	bool is_ending;           /* its memory is gone: it is dying, whatever else it shows */
};
int proc_verify(const struct proc_plan *plan, pid_t pid, struct proc_facts *ret, struct error *err);

/*
 * The program for args[0]: itself when it has a slash, else looked up in PATH of env,
 * as the calling user sees it. -ENOENT, -EACCES and -EISDIR carry the texts engines
 * match on. The result is in buf. Called under a filter that hides files it lets a
 * path with a slash pass (the exec will tell) and cannot search PATH (-EPERM).
 * PROC_FIND_LIKELY: a path that may be executed is taken without asking whether it
 * is a directory; the execve that follows at once will tell.
 */
enum proc_find { PROC_FIND_SURE, PROC_FIND_LIKELY };
int proc_find_program(const struct spec_process *spec, enum proc_find find, char *buf, size_t size,
		      struct error *err);
