/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enumerations of the specification, and the kernel's value for each word.
 *
 * Scheduler, memory policy and i/o priority values are written as numbers: they
 * are ABI, the headers that name them clash with the C library's, and the newest
 * of them are missing from the headers of the distributions we build on.
 */
#include "spec/parts.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* config-linux.md Namespaces. In the order of enum spec_ns_kind. */
const struct spec_word spec_ns_words[] = {
	{ "user", SPEC_NS_USER },     { "mount", SPEC_NS_MOUNT },
	{ "pid", SPEC_NS_PID },	      { "network", SPEC_NS_NETWORK },
	{ "ipc", SPEC_NS_IPC },	      { "uts", SPEC_NS_UTS },
	{ "cgroup", SPEC_NS_CGROUP }, { "time", SPEC_NS_TIME },
	{ NULL, 0 },
};

const char *spec_ns_name(enum spec_ns_kind kind)
{
	return spec_ns_words[kind].name;
}

unsigned long spec_ns_flag(enum spec_ns_kind kind)
{
	static const unsigned long flags[SPEC_NAMESPACES] = {
		[SPEC_NS_USER] = CLONE_NEWUSER,	    [SPEC_NS_MOUNT] = CLONE_NEWNS,
		[SPEC_NS_PID] = CLONE_NEWPID,	    [SPEC_NS_NETWORK] = CLONE_NEWNET,
		[SPEC_NS_IPC] = CLONE_NEWIPC,	    [SPEC_NS_UTS] = CLONE_NEWUTS,
		[SPEC_NS_CGROUP] = CLONE_NEWCGROUP, [SPEC_NS_TIME] = CLONE_NEWTIME,
	};

	return flags[kind];
}

const char *spec_hook_name(enum spec_hook_kind kind)
{
	static const char *const names[SPEC_HOOKS] = {
		[SPEC_HOOK_PRESTART] = "prestart",
		[SPEC_HOOK_CREATE_RUNTIME] = "createRuntime",
		[SPEC_HOOK_CREATE_CONTAINER] = "createContainer",
		[SPEC_HOOK_START_CONTAINER] = "startContainer",
		[SPEC_HOOK_POSTSTART] = "poststart",
		[SPEC_HOOK_POSTSTOP] = "poststop",
	};

	return names[kind];
}

/* config.md POSIX process; getrlimit(2). */
const struct spec_word spec_rlimit_words[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
	{ NULL, 0 },
};

int spec_rlimit_number(const char *name)
{
	const struct spec_word *w = spec_word_find(spec_rlimit_words, name);

	return w ? (int)w->value : -1;
}

/* config.md Linux process */
const char *const spec_capset_names[SPEC_CAPSETS] = {
	[SPEC_CAP_BOUNDING] = "bounding",   [SPEC_CAP_EFFECTIVE] = "effective",
	[SPEC_CAP_PERMITTED] = "permitted", [SPEC_CAP_INHERITABLE] = "inheritable",
	[SPEC_CAP_AMBIENT] = "ambient",
};

/* include/uapi/linux/ioprio.h */
const struct spec_word spec_ioprio_classes[] = {
	{ "IOPRIO_CLASS_RT", 1 },
	{ "IOPRIO_CLASS_BE", 2 },
	{ "IOPRIO_CLASS_IDLE", 3 },
	{ NULL, 0 },
};

/* include/uapi/linux/sched.h. SCHED_ISO is reserved there and refused by every kernel so far. */
const struct spec_word spec_scheduler_policies[] = {
	{ "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },	    { "SCHED_BATCH", 3 },
	{ "SCHED_ISO", 4 },   { "SCHED_IDLE", 5 }, { "SCHED_DEADLINE", 6 }, { NULL, 0 },
};

const struct spec_word spec_scheduler_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", 0x01 },
	{ "SCHED_FLAG_RECLAIM", 0x02 },
	{ "SCHED_FLAG_DL_OVERRUN", 0x04 },
	{ "SCHED_FLAG_KEEP_POLICY", 0x08 },
	{ "SCHED_FLAG_KEEP_PARAMS", 0x10 },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 },
	{ NULL, 0 },
};

/* include/uapi/linux/mempolicy.h */
const struct spec_word spec_memory_policy_modes[] = {
	{ "MPOL_BIND", 2 },	      { "MPOL_DEFAULT", 0 },
	{ "MPOL_INTERLEAVE", 3 },     { "MPOL_LOCAL", 4 },
	{ "MPOL_PREFERRED", 1 },      { "MPOL_PREFERRED_MANY", 5 },
	{ "MPOL_WEIGHTED_INTERLEAVE", 6 }, { NULL, 0 },
};

const struct spec_word spec_memory_policy_flags[] = {
	{ "MPOL_F_NUMA_BALANCING", 1 << 13 },
	{ "MPOL_F_RELATIVE_NODES", 1 << 14 },
	{ "MPOL_F_STATIC_NODES", 1 << 15 },
	{ NULL, 0 },
};

/*
 * config-linux.md Seccomp. The structs keep the names, libseccomp's values are
 * runtime/process's business; the value of an action here tells whether it
 * carries a number (errnoRet) and which is the largest.
 */
const struct spec_word spec_seccomp_actions[] = {
	{ "SCMP_ACT_ALLOW", 0 },       { "SCMP_ACT_ERRNO", 4095 },
	{ "SCMP_ACT_KILL", 0 },	       { "SCMP_ACT_KILL_PROCESS", 0 },
	{ "SCMP_ACT_KILL_THREAD", 0 }, { "SCMP_ACT_LOG", 0 },
	{ "SCMP_ACT_NOTIFY", 0 },      { "SCMP_ACT_TRACE", 65535 },
	{ "SCMP_ACT_TRAP", 0 },	       { NULL, 0 },
};

const struct spec_word spec_seccomp_archs[] = {
	{ "SCMP_ARCH_X86_64", 0 },	{ "SCMP_ARCH_X86", 0 },	     { "SCMP_ARCH_X32", 0 },
	{ "SCMP_ARCH_AARCH64", 0 },	{ "SCMP_ARCH_ARM", 0 },	     { "SCMP_ARCH_LOONGARCH64", 0 },
	{ "SCMP_ARCH_M68K", 0 },	{ "SCMP_ARCH_MIPS", 0 },     { "SCMP_ARCH_MIPS64", 0 },
	{ "SCMP_ARCH_MIPS64N32", 0 },	{ "SCMP_ARCH_MIPSEL", 0 },   { "SCMP_ARCH_MIPSEL64", 0 },
	{ "SCMP_ARCH_MIPSEL64N32", 0 }, { "SCMP_ARCH_PARISC", 0 },   { "SCMP_ARCH_PARISC64", 0 },
	{ "SCMP_ARCH_PPC", 0 },		{ "SCMP_ARCH_PPC64", 0 },    { "SCMP_ARCH_PPC64LE", 0 },
	{ "SCMP_ARCH_RISCV64", 0 },	{ "SCMP_ARCH_S390", 0 },     { "SCMP_ARCH_S390X", 0 },
	{ "SCMP_ARCH_SH", 0 },		{ "SCMP_ARCH_SHEB", 0 },     { NULL, 0 },
};

const struct spec_word spec_seccomp_flags[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", 0 },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", 0 },
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0 },
	{ NULL, 0 },
};

const struct spec_word spec_seccomp_operators[] = {
	{ "SCMP_CMP_EQ", 0 }, { "SCMP_CMP_GE", 0 }, { "SCMP_CMP_GT", 0 },
	{ "SCMP_CMP_LE", 0 }, { "SCMP_CMP_LT", 0 }, { "SCMP_CMP_MASKED_EQ", 0 },
	{ "SCMP_CMP_NE", 0 }, { NULL, 0 },
};
