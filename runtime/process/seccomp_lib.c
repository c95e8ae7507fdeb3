/* SPDX-License-Identifier: Apache-2.0 */

/* libseccomp, opened by the first profile that is in no cache. */
#include "runtime/process/seccomp.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "spec/base/dl.h"

#ifdef BULKHEAD_STATIC

int proc_seccomp_lib_open(struct proc_seccomp_lib *ret, struct error *err)
{
	(void)err;
	*ret = (struct proc_seccomp_lib){
		.version = seccomp_version,
		.init = seccomp_init,
		.release = seccomp_release,
		.attr_set = seccomp_attr_set,
		.arch_native = seccomp_arch_native,
		.arch_add = seccomp_arch_add,
		.resolve = seccomp_syscall_resolve_name,
		.resolve_arch = seccomp_syscall_resolve_name_arch,
		.rule_add = seccomp_rule_add_array,
		.export_bpf = seccomp_export_bpf,
	};
	return 0;
}

static uint64_t hash_version(void)
{
	const struct scmp_version *v = seccomp_version();

	return proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, v, sizeof(*v));
}

void proc_seccomp_lib_identify(const struct proc_seccomp_lib *lib, struct proc_seccomp_lib_id *ret)
{
	(void)lib;
	*ret = (struct proc_seccomp_lib_id){ .hash = hash_version() };
}

bool proc_seccomp_lib_is_same(const struct proc_seccomp_lib_id *id)
{
	return id->path[0] == '\0' && id->hash == hash_version();
}

#else

#define SYMBOL(member, symbol) \
	{ \
		symbol, offsetof(struct proc_seccomp_lib, member) \
	}

int proc_seccomp_lib_open(struct proc_seccomp_lib *ret, struct error *err)
{
	static const struct dl_symbol symbols[] = {
		SYMBOL(version, "seccomp_version"),
		SYMBOL(init, "seccomp_init"),
		SYMBOL(release, "seccomp_release"),
		SYMBOL(attr_set, "seccomp_attr_set"),
		SYMBOL(arch_native, "seccomp_arch_native"),
		SYMBOL(arch_add, "seccomp_arch_add"),
		SYMBOL(resolve, "seccomp_syscall_resolve_name"),
		SYMBOL(resolve_arch, "seccomp_syscall_resolve_name_arch"),
		SYMBOL(rule_add, "seccomp_rule_add_array"),
		SYMBOL(export_bpf, "seccomp_export_bpf"),
	};

	return dl_load("libseccomp.so.2", "libseccomp2", symbols,
		       sizeof(symbols) / sizeof(symbols[0]), ret, err);
}

/* An upgrade replaces the file, and with it the inode or the times. */
static uint64_t hash_file(const char *path)
{
	struct stat st;

	if (!path[0] || stat(path, &st) < 0)
		return 0;

	uint64_t facts[] = { st.st_dev, st.st_ino, (uint64_t)st.st_size,
			     (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec };

	return proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, facts, sizeof(facts));
}

void proc_seccomp_lib_identify(const struct proc_seccomp_lib *lib, struct proc_seccomp_lib_id *ret)
{
	Dl_info info;

	*ret = (struct proc_seccomp_lib_id){ .hash = 0 };
	if (dladdr((const void *)lib->version, &info) == 0 || !info.dli_fname ||
	    strlen(info.dli_fname) >= sizeof(ret->path))
		return;
	memcpy(ret->path, info.dli_fname, strlen(info.dli_fname));
	ret->hash = hash_file(ret->path);
}

bool proc_seccomp_lib_is_same(const struct proc_seccomp_lib_id *id)
{
	return id->hash != 0 && id->path[sizeof(id->path) - 1] == '\0' &&
	       id->hash == hash_file(id->path);
}

#endif

const char *proc_seccomp_version(void)
{
	/* A constant of the process once it is known, so it may live here. */
	static char text[32];
	struct proc_seccomp_lib lib;

	if (!text[0] && proc_seccomp_lib_open(&lib, NULL) >= 0) {
		const struct scmp_version *v = lib.version();

		snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	}
	return text[0] ? text : NULL;
}
