/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The filter of a container that nobody wrote one for: what ordinary programs use is allowed, the rest answers EPERM,
 * and what is newer than the newest call here ENOSYS (runtime/process). Each call of Linux up to 6.18 was judged by
 * three questions. Does it reach something that no namespace divides? Does it need a capability anyway, which the
 * container lacks? Is it a large interface of the kernel that few programs use and many faults were found in?
 * Then it is out; the unit tests say of each call that is out why.
 *
 * A name that an architecture does not have means nothing there.
 */
#include "spec/default.h"

#include <errno.h>
#include <linux/capability.h>

#include "spec/base/auto.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)
#define ANYBODY 0

struct calls {
	uint64_t caps; /* one of them is enough; 0: everybody */
	const char *const *names;
};
#define CALLS(...) (const char *const[]){ __VA_ARGS__, NULL }

static const struct calls calls[] = {
	/* Files by name. */
	{ ANYBODY, CALLS("access", "chdir", "chmod", "chown", "chown32", "creat", "faccessat", "faccessat2", "fchmodat",
			 "fchmodat2", "fchownat", "file_getattr", "file_setattr", "futimesat", "getcwd", "getxattr", "getxattrat",
			 "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr",
			 "lremovexattr", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat",
			 "name_to_handle_at", "newfstatat", "fstatat64", "open", "openat", "openat2", "readlink", "readlinkat",
			 "removexattr", "removexattrat", "rename", "renameat", "renameat2", "rmdir", "setxattr", "setxattrat",
			 "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "truncate", "truncate64",
			 "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes") },
	/* Files that are open. */
	{ ANYBODY, CALLS("_llseek", "arm_fadvise64_64", "arm_sync_file_range", "cachestat", "close", "close_range",
			 "copy_file_range", "dup", "dup2", "dup3", "fadvise64", "fadvise64_64", "fallocate", "fchdir", "fchmod",
			 "fchown", "fchown32", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock",
			 "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
			 "ftruncate64", "getdents", "getdents64", "ioctl", "lseek", "pipe", "pipe2", "pread64", "preadv",
			 "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readv", "sendfile", "sendfile64",
			 "splice", "sync", "sync_file_range", "sync_file_range2", "syncfs", "tee", "vmsplice", "write",
			 "writev") },
	/* Waiting for them. */
	{ ANYBODY, CALLS("_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
			 "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "fanotify_mark",
			 "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
			 "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "poll", "ppoll",
			 "ppoll_time64", "pselect6", "pselect6_time64", "select", "signalfd", "signalfd4", "timerfd_create",
			 "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64") },
	/* Memory. */
	{ ANYBODY, CALLS("brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock",
			 "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall",
			 "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_mrelease", "remap_file_pages") },
	/* Processes, threads, signals. ptrace sees no more than the container's own. */
	{ ANYBODY, CALLS("alarm", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue", "futex_time64",
			 "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "get_thread_area", "getcpu", "getitimer",
			 "getpgid", "getpgrp", "getpid", "getppid", "getsid", "gettid", "kill", "nanosleep", "pause", "pidfd_open",
			 "pidfd_send_signal", "prctl", "process_vm_readv", "process_vm_writev", "ptrace", "restart_syscall",
			 "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
			 "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "set_robust_list",
			 "set_thread_area", "set_tid_address", "setitimer", "setpgid", "setsid", "sigaction", "sigaltstack",
			 "signal", "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "tgkill", "tkill", "uprobe",
			 "uretprobe", "vfork", "wait4", "waitid", "waitpid") },
	/* Who they are and what they may use. Capabilities are the kernel's to check. */
	{ ANYBODY, CALLS("capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
			 "getgroups32", "getpriority", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit",
			 "getrusage", "getuid", "getuid32", "ioprio_get", "ioprio_set", "landlock_add_rule",
			 "landlock_create_ruleset", "landlock_restrict_self", "nice", "prlimit64", "sched_get_priority_max",
			 "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
			 "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr",
			 "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "setfsgid", "setfsgid32", "setfsuid",
			 "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setpriority", "setregid",
			 "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
			 "setrlimit", "setuid", "setuid32", "sgetmask", "ssetmask", "times", "ugetrlimit") },
	/* Time: reading it, and setting what needs CAP_SYS_TIME of the kernel's own judgement. */
	{ ANYBODY, CALLS("adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
			 "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "gettimeofday", "time", "timer_create",
			 "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
			 "timer_settime64") },
	/* Between processes; IPC namespaces divide the System V and POSIX kinds. */
	{ ANYBODY, CALLS("accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "ipc", "listen",
			 "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
			 "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "recv", "recvfrom", "recvmmsg",
			 "recvmmsg_time64", "recvmsg", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send",
			 "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget", "shutdown") },
	/* What the system is. statmount() and listmount() tell what /proc/self/mountinfo does. */
	{ ANYBODY, CALLS("getrandom", "listmount", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "olduname",
			 "oldolduname", "statmount", "sysinfo", "uname") },
	/* Of single architectures. */
	{ ANYBODY, CALLS("arch_prctl", "breakpoint", "cacheflush", "get_tls", "modify_ldt", "riscv_flush_icache",
			 "riscv_hwprobe", "s390_guarded_storage", "s390_runtime_instr", "s390_sthyi", "set_tls", "swapcontext", "switch_endian") },

	/* With a capability that is the permission for nothing less. */
	{ CAP(SYS_ADMIN), CALLS("clone", "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
				"move_mount", "open_tree", "open_tree_attr", "pivot_root", "quotactl", "quotactl_fd",
				"setdomainname", "sethostname", "setns", "swapoff", "swapon", "umount", "umount2", "unshare",
				"fanotify_init") },
	{ CAP(SYS_ADMIN) | CAP(BPF), CALLS("bpf") },
	{ CAP(SYS_ADMIN) | CAP(PERFMON), CALLS("perf_event_open") },
	{ CAP(SYS_ADMIN) | CAP(SYSLOG), CALLS("syslog") },
	{ CAP(DAC_READ_SEARCH), CALLS("open_by_handle_at") },
	{ CAP(SYS_BOOT), CALLS("kexec_file_load", "kexec_load", "reboot") },
	{ CAP(SYS_CHROOT), CALLS("chroot") },
	{ CAP(SYS_MODULE), CALLS("delete_module", "finit_module", "init_module") },
	{ CAP(SYS_NICE), CALLS("get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy",
			       "set_mempolicy_home_node") },
	{ CAP(SYS_PACCT), CALLS("acct") },
	{ CAP(SYS_PTRACE), CALLS("kcmp", "pidfd_getfd", "process_madvise", "userfaultfd") },
	{ CAP(SYS_RAWIO), CALLS("ioperm", "iopl", "pciconfig_iobase", "pciconfig_read", "pciconfig_write",
				"s390_pci_mmio_read", "s390_pci_mmio_write") },
	{ CAP(SYS_TIME), CALLS("clock_settime", "clock_settime64", "settimeofday", "stime") },
	{ CAP(SYS_TTY_CONFIG), CALLS("vhangup") },
};

static bool is_granted(uint64_t needed, uint64_t caps)
{
	return !needed || needed & caps;
}

/* ---- calls that depend on an argument ---- */

#define CLONE_NAMESPACES 0x7e020000u /* of every kind that clone(2) knows */
#define UNSHARE_NAMESPACES (CLONE_NAMESPACES | 0x80u) /* CLONE_NEWTIME, which clone(2) has no room for */

#if defined(__s390x__)
#define CLONE_FLAGS 1 /* the stack comes first */
#else
#define CLONE_FLAGS 0
#endif

/*
 * Families of sockets (linux/socket.h). Those that are out are no namespace's (AF_VSOCK leads to the hypervisor and to
 * other guests), or code that few programs need and a request for a socket loads into the kernel: AF_ALG wrote to the
 * page cache of files that were only open for reading (CVE-2026-31431), which all containers over a layer share.
 */
struct family {
	uint64_t caps;
	unsigned number;
};
static const struct family families[] = {
	{ ANYBODY, 1 },		/* AF_UNIX */
	{ ANYBODY, 2 },		/* AF_INET */
	{ ANYBODY, 10 },	/* AF_INET6 */
	{ ANYBODY, 16 },	/* AF_NETLINK */
	{ ANYBODY, 17 },	/* AF_PACKET; the kernel asks for CAP_NET_RAW */
	{ CAP(NET_ADMIN), 15 }, /* AF_KEY */
	{ CAP(NET_ADMIN), 24 }, /* AF_PPPOX */
	{ CAP(NET_ADMIN), 29 }, /* AF_CAN */
	{ CAP(NET_ADMIN), 44 }, /* AF_XDP */
};

/* The usual one, 32-bit, the release shown as 2.6, both, and the question. ADDR_NO_RANDOMIZE and its like are out. */
static const uint64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

static void open_rule(struct json_w *w)
{
	json_w_open(w, NULL, '{');
	json_w_open(w, "names", '[');
}

static void end_names(struct json_w *w, const char *action)
{
	json_w_close(w, ']');
	json_w_str(w, "action", action);
}

struct argument {
	unsigned index;
	uint64_t value; /* MASKED_EQ: the mask, under which nothing may be left */
	const char *op;
};

static void allow_if(struct json_w *w, const char *name, const struct argument *arg)
{
	open_rule(w);
	json_w_str(w, NULL, name);
	end_names(w, "SCMP_ACT_ALLOW");
	json_w_open(w, "args", '[');
	json_w_open(w, NULL, '{');
	json_w_uint(w, "index", arg->index);
	json_w_uint(w, "value", arg->value);
	json_w_str(w, "op", arg->op);
	json_w_close(w, '}');
	json_w_close(w, ']');
	json_w_close(w, '}');
}

static void absent(struct json_w *w, const char *name)
{
	open_rule(w);
	json_w_str(w, NULL, name);
	end_names(w, "SCMP_ACT_ERRNO");
	json_w_uint(w, "errnoRet", ENOSYS);
	json_w_close(w, '}');
}

/*
 * libseccomp lets a rule about socket() through to socketcall(), whose arguments are in memory: as if no family had
 * been named. Absent it has to be, and before those rules. Programs of 32 bits then use the direct calls
 * (Linux 4.3), but for a glibc that was built for older kernels, which has no sockets here.
 */
static void write_sockets(struct json_w *w, uint64_t caps)
{
	absent(w, "socketcall");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (is_granted(families[i].caps, caps))
			allow_if(w, "socket", &(struct argument){ 0, families[i].number, "SCMP_CMP_EQ" });
	allow_if(w, "socketpair", &(struct argument){ 0, 1, "SCMP_CMP_EQ" });
}

/* The flags of clone3() are in memory: a libc that does not find it uses clone(). */
static void write_clones(struct json_w *w)
{
	absent(w, "clone3");
	allow_if(w, "clone", &(struct argument){ CLONE_FLAGS, CLONE_NAMESPACES, "SCMP_CMP_MASKED_EQ" });
	allow_if(w, "unshare", &(struct argument){ 0, UNSHARE_NAMESPACES, "SCMP_CMP_MASKED_EQ" });
}

static void write_allowed(struct json_w *w, uint64_t caps)
{
	open_rule(w);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (const char *const *name = calls[i].names; is_granted(calls[i].caps, caps) && *name; name++)
			json_w_str(w, NULL, *name);
	end_names(w, "SCMP_ACT_ALLOW");
	json_w_close(w, '}');
}

/* x32 is no distribution's, and a third of the program. */
static void write_architectures(struct json_w *w)
{
	static const char *const names[] = {
#if defined(__x86_64__)
		"SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
#elif defined(__i386__)
		"SCMP_ARCH_X86",
#elif defined(__aarch64__)
		"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
#elif defined(__arm__)
		"SCMP_ARCH_ARM",
#elif defined(__s390x__)
		"SCMP_ARCH_S390X", "SCMP_ARCH_S390",
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		"SCMP_ARCH_PPC64LE",
#elif defined(__riscv)
		"SCMP_ARCH_RISCV64",
#elif defined(__loongarch__)
		"SCMP_ARCH_LOONGARCH64",
#else
#error "name this architecture's ABIs here"
#endif
	};

	default_write_list(w, "architectures", names, ARRAY_SIZE(names));
}

void default_write_seccomp(struct buf *out, uint64_t caps)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "defaultAction", "SCMP_ACT_ERRNO");
	json_w_uint(&w, "defaultErrnoRet", EPERM);
	write_architectures(&w);
	json_w_open(&w, "syscalls", '[');
	write_sockets(&w, caps);
	if (!(caps & CAP(SYS_ADMIN)))
		write_clones(&w);
	for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
		allow_if(&w, "personality", &(struct argument){ 0, personalities[i], "SCMP_CMP_EQ" });
	write_allowed(&w, caps);
	json_w_close(&w, ']');
	json_w_close(&w, '}');
}
