/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files keep their project. A sandbox that a project quota limits is left by giving a file another project, or by
 * taking from a directory the flag that hands its own on to new files. In a user namespace the kernel forbids both
 * (fs/file_attr.c, fileattr_set_prepare()); root of a container without one is root of the host to it.
 *
 * So these calls are answered EPERM, in front of whatever the profile says: ioctl(FS_IOC_FSSETXATTR) and
 * ioctl(FS_IOC_SETFLAGS), whose argument is in memory and cannot be looked at, file_setattr(2) (Linux 6.17), and
 * quotactl(2), by which CAP_SYS_ADMIN could lift the limit itself. io_uring has no way to them: overlayfs takes no
 * IORING_OP_URING_CMD.
 */
#include "runtime/process/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef FS_IOC32_SETFLAGS
#define FS_IOC32_SETFLAGS _IOW('f', 2, int)
#endif

/* Numbers of calls after 402 are the same on every architecture, but for an offset that MIPS has. */
#ifdef __NR_Linux
#define COMMON(nr) (__NR_Linux + (nr))
#else
#define COMMON(nr) (nr)
#endif
#define NR_QUOTACTL_FD  COMMON(443)
#define NR_FILE_SETATTR COMMON(469)

#define X32_BIT 0x40000000u
#define NO_NR 0xffffffffu

/* An ABI that a program here can use. Calls of any other are refused. */
struct abi {
	uint32_t arch;
	uint32_t nr_mask; /* what of a number counts */
	uint32_t ioctl, x32_ioctl, quotactl;
};

#define NATIVE_MASK 0xffffffffu

static const struct abi abis[] = {
#if defined(__x86_64__)
	/* x32 has numbers of its own for calls with structures that differ, and once took the others, too. */
	{ AUDIT_ARCH_X86_64, ~X32_BIT, __NR_ioctl, 514, __NR_quotactl },
	{ AUDIT_ARCH_I386, NATIVE_MASK, 54, NO_NR, 131 },
#elif defined(__aarch64__)
	{ AUDIT_ARCH_AARCH64, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
	{ AUDIT_ARCH_ARM, NATIVE_MASK, 54, NO_NR, 131 },
#elif defined(__s390x__)
	{ AUDIT_ARCH_S390X, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
	{ AUDIT_ARCH_S390, NATIVE_MASK, 54, NO_NR, 131 },
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	{ AUDIT_ARCH_PPC64LE, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
#elif defined(__riscv)
	{ AUDIT_ARCH_RISCV64, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
#elif defined(__loongarch__)
	{ AUDIT_ARCH_LOONGARCH64, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
#elif defined(__i386__)
	{ AUDIT_ARCH_I386, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
#elif defined(__arm__)
	{ AUDIT_ARCH_ARM, NATIVE_MASK, __NR_ioctl, NO_NR, __NR_quotactl },
#else
#error "name this architecture's ABIs here"
#endif
};
#define ABIS (sizeof(abis) / sizeof(abis[0]))

#define ABI_INSNS 14
#define ALL_INSNS (1 + ABIS * ABI_INSNS + 1)

static struct sock_filter statement(uint16_t code, uint32_t k)
{
	return (struct sock_filter){ .code = code, .k = k };
}

/* Equal goes to the instruction at `to`, else to the next. */
static struct sock_filter jump_if(uint32_t k, size_t from, size_t to)
{
	return (struct sock_filter){ .code = BPF_JMP | BPF_JEQ | BPF_K, .jt = (uint8_t)(to - from - 1), .k = k };
}

/* The kernel takes 32 bits of an ioctl's number: the low half is all there is to compare. */
static uint32_t at_request(void)
{
	uint32_t at = offsetof(struct seccomp_data, args[1]);

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? at + 4 : at;
}

/*
 *	 0	jne arch, next ABI		(the accumulator holds the architecture)
 *	 1	ld nr
 *	 2	and mask
 *	 3	jeq ioctl, 9
 *	 4	jeq ioctl of x32, 9
 *	 5-7	jeq quotactl, quotactl_fd, file_setattr: refuse
 *	 8	ja pass
 *	 9	ld request
 *	10	jeq FS_IOC_FSSETXATTR, refuse
 *	11	…
 */
static size_t write_abi(const struct abi *abi, struct sock_filter *out, size_t at, size_t refuse, size_t pass)
{
	static const uint32_t requests[] = { FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS };
	const uint32_t calls[] = { abi->quotactl, NR_QUOTACTL_FD, NR_FILE_SETATTR };
	const size_t n_calls = sizeof(calls) / sizeof(calls[0]), n_requests = sizeof(requests) / sizeof(requests[0]);
	const size_t request = at + 6 + n_calls, end = request + 1 + n_requests + 1;
	size_t i = at;

	out[i++] = (struct sock_filter){ .code = BPF_JMP | BPF_JEQ | BPF_K, .jf = (uint8_t)(end - at - 1), .k = abi->arch };
	out[i++] = statement(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	out[i++] = statement(BPF_ALU | BPF_AND | BPF_K, abi->nr_mask);
	out[i] = jump_if(abi->ioctl, i, request);
	i++;
	out[i] = jump_if(abi->x32_ioctl, i, request);
	i++;
	for (size_t k = 0; k < n_calls; k++, i++)
		out[i] = jump_if(calls[k], i, refuse);
	out[i] = statement(BPF_JMP | BPF_JA, (uint32_t)(pass - i - 1));
	i++;
	out[i++] = statement(BPF_LD | BPF_W | BPF_ABS, at_request());
	for (size_t k = 0; k < n_requests; k++, i++)
		out[i] = jump_if(requests[k], i, refuse);
	out[i] = statement(BPF_JMP | BPF_JA, (uint32_t)(pass - i - 1));
	return i + 1;
}

/* Architecture, ABI after ABI, and at the end what all of them refuse with. */
static void write_rules(struct sock_filter out[ALL_INSNS])
{
	size_t refuse = ALL_INSNS - 1, n = 0;

	out[n++] = statement(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < ABIS; i++)
		n = write_abi(&abis[i], out, n, refuse, ALL_INSNS);
	out[n] = statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
}

int proc_seccomp_keep_projects(struct proc_seccomp *program, struct arena *a, struct error *err)
{
	const struct sock_filter allow = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const void *rest = program->insns ?: &allow;
	size_t n_rest = program->insns ? program->n_insns : 1;
	struct sock_filter *insns = ARENA_NEW_N(a, struct sock_filter, ALL_INSNS + n_rest);

	if (ALL_INSNS + n_rest > BPF_MAXINSNS)
		return error_rule(err, E2BIG,
				  "the seccomp filter has %zu instructions with those that keep files in their project, "
				  "the kernel takes %d",
				  ALL_INSNS + n_rest, BPF_MAXINSNS);
	write_rules(insns);
	memcpy(insns + ALL_INSNS, rest, n_rest * sizeof(*insns));
	if (!program->insns)
		program->flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW; /* the costly mitigation is nothing that was asked for */
	program->insns = insns;
	program->n_insns = (uint32_t)(ALL_INSNS + n_rest);
	return 0;
}
