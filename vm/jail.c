/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See jail.h. A program of classic BPF (Documentation/userspace-api/seccomp_filter.rst): the architecture, then
 * one comparison per call. Calls of x32 have a bit that no number here has, so they are killed, too.
 */
#include "vm/jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/vm.h"

#ifndef SYS_statx
#error "a system call table without statx is too old"
#endif

enum { MAX_PROGRAM = 512 };

/* What C libraries call behind our back, and the end of a thread or of the process. */
static const int common[] = {
	SYS_read, SYS_write, SYS_futex, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_sched_yield,
	SYS_munmap, SYS_madvise, SYS_brk, SYS_clock_gettime, SYS_restart_syscall, SYS_exit, SYS_exit_group,
};

static const int loop[] = {
	SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_readv, SYS_writev, SYS_sendmsg, SYS_recvmsg,
	SYS_sendto, SYS_recvfrom, SYS_poll, SYS_close, SYS_fcntl, SYS_fstat, SYS_newfstatat, SYS_getrandom,
	SYS_tgkill, SYS_tkill, SYS_getpid, SYS_gettid, /* pthread_kill() of glibc and of musl */
};

static const int fs[] = {
	SYS_epoll_wait, SYS_epoll_pwait, SYS_openat, SYS_statx, SYS_fstat, SYS_newfstatat, SYS_close, SYS_dup3,
	SYS_preadv, SYS_pwritev2, SYS_preadv2, SYS_pwritev, SYS_getdents64, SYS_lseek, SYS_ftruncate,
	SYS_truncate, SYS_fallocate, SYS_copy_file_range, SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_fstatfs,
	SYS_readlinkat, SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat2,
	SYS_fchownat, SYS_fchmodat, SYS_utimensat, SYS_getxattr, SYS_setxattr, SYS_listxattr,
	SYS_removexattr, SYS_setresuid, SYS_setresgid, SYS_capset, SYS_umask,
};

static const int proxy[] = {
	SYS_poll, SYS_sendmsg, SYS_sendto, SYS_recvfrom, SYS_recvmsg, SYS_close, SYS_close_range,
};

struct program {
	struct sock_filter code[MAX_PROGRAM];
	unsigned short n;
};

static void add(struct program *p, struct sock_filter f)
{
	if (p->n < MAX_PROGRAM)
		p->code[p->n] = f;
	p->n++; /* too many shows at the end */
}

static void load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t action)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void allow(struct program *p, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1));
		answer(p, SECCOMP_RET_ALLOW);
	}
}

/* ioctl, with these requests alone. */
static void allow_ioctl(struct program *p, const uint32_t *requests, size_t n)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, (uint8_t)(1 + 2 * n + 1)));
	load(p, offsetof(struct seccomp_data, args[1]));
	for (size_t i = 0; i < n; i++) {
		add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, requests[i], 0, 1));
		answer(p, SECCOMP_RET_ALLOW);
	}
	answer(p, SECCOMP_RET_KILL_PROCESS);
}

static void allow_ioctls(struct program *p, enum jail_kind kind)
{
	static const uint32_t vcpu[] = { (uint32_t)KVM_RUN, (uint32_t)KVM_GET_REGS, (uint32_t)KVM_KVMCLOCK_CTRL };
	static const uint32_t terminal[] = { TIOCGWINSZ };

	if (kind == JAIL_VCPU)
		allow_ioctl(p, vcpu, ARRAY_SIZE(vcpu));
	else if (kind == JAIL_LOOP || kind == JAIL_PROXY)
		allow_ioctl(p, terminal, ARRAY_SIZE(terminal));
}

/*
 * Memory for malloc(): not executable, and no file's. In glibc the heap of a thread grows by mprotect(); a large buffer
 * grows by mremap() in either libc.
 */
static void allow_memory(struct program *p)
{
	static const int grow[] = { SYS_mremap };

	allow(p, grow, ARRAY_SIZE(grow));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4));
	load(p, offsetof(struct seccomp_data, args[2]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
	answer(p, SECCOMP_RET_ALLOW);
	answer(p, SECCOMP_RET_KILL_PROCESS);
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 6));
	load(p, offsetof(struct seccomp_data, args[2]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0));
	load(p, offsetof(struct seccomp_data, args[3]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1));
	answer(p, SECCOMP_RET_ALLOW);
	answer(p, SECCOMP_RET_KILL_PROCESS);
}

static void write_program(struct program *p, enum jail_kind kind, const int *more, size_t n_more)
{
	load(p, offsetof(struct seccomp_data, arch));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	allow_ioctls(p, kind);
	allow(p, common, ARRAY_SIZE(common));
	if (kind == JAIL_LOOP)
		allow(p, loop, ARRAY_SIZE(loop));
	else if (kind == JAIL_FS)
		allow(p, fs, ARRAY_SIZE(fs));
	else if (kind == JAIL_PROXY)
		allow(p, proxy, ARRAY_SIZE(proxy));
	allow(p, more, n_more);
	if (kind != JAIL_VCPU)
		allow_memory(p);
	answer(p, SECCOMP_RET_KILL_PROCESS);
}

int jail_keep(uint64_t keep, struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps) < 0)
		return error_set(err, errno, "learn the capabilities of a thread");
	for (unsigned i = 0; i < 2; i++, keep >>= 32) {
		caps[i].permitted &= (uint32_t)keep;
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, caps) < 0)
		return error_set(err, errno, "give up capabilities");
	return 0;
}

int jail_enter(enum jail_kind kind, const int *more, size_t n_more, struct error *err)
{
	struct program p = { .n = 0 };

	write_program(&p, kind, more, n_more);
	if (p.n > MAX_PROGRAM)
		return error_rule(err, E2BIG, "%u instructions are too many for a filter", p.n);

	struct sock_fprog program = { .len = p.n, .filter = p.code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "set no_new_privs");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return error_set(err, errno, "install a filter of system calls");
	return 0;
}

int vm_jail_proxy(struct error *err)
{
	return jail_enter(JAIL_PROXY, NULL, 0, err);
}
