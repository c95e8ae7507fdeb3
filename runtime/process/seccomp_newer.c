/* SPDX-License-Identifier: Apache-2.0 */

/*
 * System calls that are younger than the libseccomp here, which drops the rules that name them: what a profile allows
 * would answer ENOSYS, and what it forbids would not be told apart from what does not exist. Numbers after 402 are the
 * same on every architecture but for an offset, so a table of names and a few instructions in front of the
 * program do it. Rules with arguments are not for it: they are dropped, as the library would.
 */
#include "runtime/process/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#define X32_BIT 0x40000000u

#define ANY_ARCH 0

struct newer {
	const char *name;
	uint32_t arch; /* SCMP_ARCH_*, or ANY_ARCH */
	int nr;
};

/* Up to Linux 6.18. */
static const struct newer calls[] = {
	{ "uretprobe", SCMP_ARCH_X86_64, 335 },
	{ "uprobe", SCMP_ARCH_X86_64, 336 },
	{ "futex_waitv", ANY_ARCH, 449 },
	{ "set_mempolicy_home_node", ANY_ARCH, 450 },
	{ "cachestat", ANY_ARCH, 451 },
	{ "fchmodat2", ANY_ARCH, 452 },
	{ "map_shadow_stack", ANY_ARCH, 453 },
	{ "futex_wake", ANY_ARCH, 454 },
	{ "futex_wait", ANY_ARCH, 455 },
	{ "futex_requeue", ANY_ARCH, 456 },
	{ "statmount", ANY_ARCH, 457 },
	{ "listmount", ANY_ARCH, 458 },
	{ "lsm_get_self_attr", ANY_ARCH, 459 },
	{ "lsm_set_self_attr", ANY_ARCH, 460 },
	{ "lsm_list_modules", ANY_ARCH, 461 },
	{ "mseal", ANY_ARCH, 462 },
	{ "setxattrat", ANY_ARCH, 463 },
	{ "getxattrat", ANY_ARCH, 464 },
	{ "listxattrat", ANY_ARCH, 465 },
	{ "removexattrat", ANY_ARCH, 466 },
	{ "open_tree_attr", ANY_ARCH, 467 },
	{ "file_getattr", ANY_ARCH, 468 },
	{ "file_setattr", ANY_ARCH, 469 },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))
_Static_assert(CALLS <= PROC_SECCOMP_NEWER, "one rule for each fits");

static int offset_of(uint32_t arch)
{
	switch (arch) {
	case SCMP_ARCH_X32:
		return X32_BIT;
	case SCMP_ARCH_MIPS:
	case SCMP_ARCH_MIPSEL:
		return 4000;
	case SCMP_ARCH_MIPS64:
	case SCMP_ARCH_MIPSEL64:
		return 5000;
	case SCMP_ARCH_MIPS64N32:
	case SCMP_ARCH_MIPSEL64N32:
		return 6000;
	default:
		return 0;
	}
}

int proc_seccomp_newer_find(const char *name)
{
	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return (int)i;
	return -1;
}

int proc_seccomp_newer_number(int call, uint32_t arch)
{
	const struct newer *n = &calls[call];

	return n->arch == ANY_ARCH || n->arch == arch ? n->nr + offset_of(arch) : -1;
}

static struct sock_filter load(size_t offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/*
 *	ld arch
 *	jne audit_arch, next
 *	ld nr
 *	jne CALL, …		for each rule
 *	ret ACTION
 * next:
 */
static size_t one_arch(uint32_t arch, const struct proc_seccomp_newer *rules, size_t n, struct sock_filter *out)
{
	uint32_t audit = arch == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : arch;
	size_t used = 3;

	out[0] = load(offsetof(struct seccomp_data, arch));
	out[2] = load(offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n; i++) {
		int nr = proc_seccomp_newer_number(rules[i].call, arch);

		if (nr < 0)
			continue;
		out[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
		out[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, rules[i].action);
	}
	out[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit, 0, (uint8_t)(used - 2));
	return used;
}

size_t proc_seccomp_newer_write(const uint32_t *archs, size_t n_archs, const struct proc_seccomp_newer *rules, size_t n,
				struct sock_filter *out)
{
	size_t used = 0;

	for (size_t i = 0; n && i < n_archs; i++)
		used += one_arch(archs[i], rules, n, out + used);
	return used;
}
