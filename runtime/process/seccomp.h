/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * seccomp - from a profile to a filter program
 *
 * Private to runtime/process.
 *
 *	seccomp_names.c    the specification's words as libseccomp's values
 *	seccomp_lib.c      libseccomp, opened on first use
 *	seccomp_compile.c  profile in, program out
 *	seccomp_projects.c rules that keep a sandbox within its project quota
 *	seccomp_newer.c    calls that libseccomp does not know yet
 *	seccomp_enosys.c   what calls newer than the profile are answered
 *	seccomp_cache.c    programs kept in files
 *	seccomp_load.c     (steps.h) program into the kernel
 */

#include <linux/filter.h>
#include <seccomp.h>

#include "runtime/process/process.h"

/* Entry points of libseccomp 2.5 or later. */
struct proc_seccomp_lib {
	const struct scmp_version *(*version)(void);
	scmp_filter_ctx (*init)(uint32_t default_action);
	void (*release)(scmp_filter_ctx ctx);
	int (*attr_set)(scmp_filter_ctx ctx, enum scmp_filter_attr attr, uint32_t value);
	uint32_t (*arch_native)(void);
	int (*arch_add)(scmp_filter_ctx ctx, uint32_t arch);
	int (*resolve)(const char *name);
	int (*resolve_arch)(uint32_t arch, const char *name);
	int (*rule_add)(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned n,
			const struct scmp_arg_cmp *args);
	int (*export_bpf)(scmp_filter_ctx ctx, int fd);
};

int proc_seccomp_lib_open(struct proc_seccomp_lib *ret, struct error *err);

/*
 * Which libseccomp made a program, checkable without loading it: the file that
 * was opened and a hash of what stat() says of it. With a static build the path
 * is empty and the hash is that of the version.
 */
struct proc_seccomp_lib_id {
	char path[128];
	uint64_t hash;
};
void proc_seccomp_lib_identify(const struct proc_seccomp_lib *lib, struct proc_seccomp_lib_id *ret);
/* Is the library that would be opened today still the one of id? */
bool proc_seccomp_lib_is_same(const struct proc_seccomp_lib_id *id);

/* Action of a rule or of the default; member is what its errno is called there, for the message. */
struct proc_seccomp_action_ref {
	const char *name;
	bool has_errno;
	uint32_t errno_ret;
};
int proc_seccomp_action(const struct proc_seccomp_action_ref *ref, const char *member,
			uint32_t *ret, struct error *err);
int proc_seccomp_operator(const char *name, enum scmp_compare *ret, struct error *err);
int proc_seccomp_arch(const char *name, uint32_t *ret, struct error *err);
int proc_seccomp_flag(const char *name, uint32_t *ret, struct error *err);

/* Compiles; the program lives in the arena. */
int proc_seccomp_compile(const struct proc_seccomp_lib *lib, const struct spec_seccomp *profile,
			 struct arena *a, const struct log *log, struct proc_seccomp *ret,
			 struct error *err);

/*
 * A rule without arguments for a call that the library does not know. find: which one a name is, or -1; number: its
 * number on an architecture, or -1. write: instructions that answer those calls and otherwise go on with the program
 * that follows; returns how many, at most PROC_SECCOMP_NEWER_MAX(n_archs).
 */
struct proc_seccomp_newer {
	int call; /* of proc_seccomp_newer_find() */
	uint32_t action;
};
#define PROC_SECCOMP_NEWER 32 /* at least as many as are known */
#define PROC_SECCOMP_NEWER_MAX(n_archs) ((3 + 2 * PROC_SECCOMP_NEWER) * (n_archs))
int proc_seccomp_newer_find(const char *name);
int proc_seccomp_newer_number(int call, uint32_t arch);
size_t proc_seccomp_newer_write(const uint32_t *archs, size_t n_archs, const struct proc_seccomp_newer *rules, size_t n,
				struct sock_filter *out);

/* The newest system call that a profile names, for one architecture of the filter. */
struct proc_seccomp_newest {
	uint32_t arch; /* SCMP_ARCH_*, which is AUDIT_ARCH_* but for x32 */
	int nr;
};

/*
 * Writes instructions that answer ENOSYS to calls newer than those, and otherwise
 * go on with the program that follows. Returns their number, at most
 * PROC_SECCOMP_ENOSYS_MAX(n).
 */
#define PROC_SECCOMP_ENOSYS_MAX(n) (6 * (n))
size_t proc_seccomp_enosys(const struct proc_seccomp_newest *newest, size_t n,
			   struct sock_filter *out);

/*
 * The cache. get: 1 found, 0 not, never an error (what is wrong with an entry makes
 * it not found). put: failure costs the next caller time and nothing else.
 */
#define PROC_SECCOMP_CACHE_ENTRIES 64
int proc_seccomp_cache_get(int dir_fd, const struct spec_seccomp *profile, struct arena *a,
			   struct proc_seccomp *ret);
int proc_seccomp_cache_put(int dir_fd, const struct spec_seccomp *profile,
			   const struct proc_seccomp_lib_id *lib,
			   const struct proc_seccomp *program, struct error *err);
/* File name of a profile's entry. */
#define PROC_SECCOMP_CACHE_NAME_SIZE 17
void proc_seccomp_cache_name(const struct spec_seccomp *profile,
			     char name[PROC_SECCOMP_CACHE_NAME_SIZE]);

/* FNV-1a (Fowler, Noll, Vo) over 64-bit words, the tail padded with zeros; not for secrets. */
#define PROC_SECCOMP_HASH_INIT UINT64_C(0xcbf29ce484222325)
uint64_t proc_seccomp_hash(uint64_t hash, const void *data, size_t n);
