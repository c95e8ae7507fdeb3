/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A profile that denies by default answers EPERM to system calls that did not
 * exist when it was written. A libc tries the new call first and falls back to the
 * old one on ENOSYS only, so programs break with each new kernel. Therefore: what is
 * newer than the newest call the profile names does not exist.
 */
#include "runtime/process/seccomp.h"

#include <errno.h>
#include <stddef.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#define X32_BIT 0x40000000u

#define LOAD(field) \
	((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
				      offsetof(struct seccomp_data, field)))
#define JUMP(test, value, yes, no) \
	((struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, yes, no))
#define RETURN(value) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value))

/* x32 has the audit architecture of x86_64 and a bit in the number. */
static uint32_t audit_arch(uint32_t arch)
{
	return arch == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : arch;
}

/*
 *	ld arch
 *	jne audit_arch, next
 *	ld nr
 *	jset X32_BIT, …          numbers of the other ABI are not judged here
 *	jle newest, next
 *	ret ERRNO | ENOSYS
 * next:
 */
static size_t one_arch(const struct proc_seccomp_newest *n, struct sock_filter *out)
{
	bool x32 = n->arch == SCMP_ARCH_X32;
	bool has_x32 = audit_arch(n->arch) == AUDIT_ARCH_X86_64;
	uint32_t newest = (uint32_t)n->nr | (x32 ? X32_BIT : 0);
	size_t used = 0;

	out[used++] = LOAD(arch);
	if (has_x32) {
		out[used++] = JUMP(BPF_JEQ, audit_arch(n->arch), 0, 4);
		out[used++] = LOAD(nr);
		out[used++] = x32 ? JUMP(BPF_JSET, X32_BIT, 0, 2) : JUMP(BPF_JSET, X32_BIT, 2, 0);
	} else {
		out[used++] = JUMP(BPF_JEQ, audit_arch(n->arch), 0, 3);
		out[used++] = LOAD(nr);
	}
	out[used++] = JUMP(BPF_JGT, newest, 0, 1);
	out[used++] = RETURN(SECCOMP_RET_ERRNO | ENOSYS);
	return used;
}

size_t proc_seccomp_enosys(const struct proc_seccomp_newest *newest, size_t n,
			   struct sock_filter *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += one_arch(&newest[i], out + used);
	return used;
}
