/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The words of config-linux.md, Seccomp, with libseccomp's values. The tables are
 * sorted: `features` lists them as they stand. What is there is decided by the
 * header we are built with, so `features` needs no library.
 */
#include "runtime/process/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* One list, two tables: the names for `features` and the values at the same index. */
#define ACTIONS(X) \
	X(SCMP_ACT_ALLOW, SCMP_ACT_ALLOW) \
	X(SCMP_ACT_ERRNO, SCMP_ACT_ERRNO(0)) \
	X(SCMP_ACT_KILL, SCMP_ACT_KILL_THREAD) \
	X(SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_PROCESS) \
	X(SCMP_ACT_KILL_THREAD, SCMP_ACT_KILL_THREAD) \
	X(SCMP_ACT_LOG, SCMP_ACT_LOG) \
	X(SCMP_ACT_NOTIFY, SCMP_ACT_NOTIFY) \
	X(SCMP_ACT_TRACE, SCMP_ACT_TRACE(0)) \
	X(SCMP_ACT_TRAP, SCMP_ACT_TRAP)

#define OPERATORS(X) \
	X(SCMP_CMP_EQ, SCMP_CMP_EQ) \
	X(SCMP_CMP_GE, SCMP_CMP_GE) \
	X(SCMP_CMP_GT, SCMP_CMP_GT) \
	X(SCMP_CMP_LE, SCMP_CMP_LE) \
	X(SCMP_CMP_LT, SCMP_CMP_LT) \
	X(SCMP_CMP_MASKED_EQ, SCMP_CMP_MASKED_EQ) \
	X(SCMP_CMP_NE, SCMP_CMP_NE)

#ifdef SCMP_ARCH_LOONGARCH64 /* libseccomp 2.6 */
#define ARCH_LOONGARCH64(X) X(SCMP_ARCH_LOONGARCH64, SCMP_ARCH_LOONGARCH64)
#else
#define ARCH_LOONGARCH64(X)
#endif
#ifdef SCMP_ARCH_M68K
#define ARCH_M68K(X) X(SCMP_ARCH_M68K, SCMP_ARCH_M68K)
#else
#define ARCH_M68K(X)
#endif
#ifdef SCMP_ARCH_SH
#define ARCH_SH(X) X(SCMP_ARCH_SH, SCMP_ARCH_SH) X(SCMP_ARCH_SHEB, SCMP_ARCH_SHEB)
#else
#define ARCH_SH(X)
#endif

#define ARCHS(X) \
	X(SCMP_ARCH_AARCH64, SCMP_ARCH_AARCH64) \
	X(SCMP_ARCH_ARM, SCMP_ARCH_ARM) \
	ARCH_LOONGARCH64(X) \
	ARCH_M68K(X) \
	X(SCMP_ARCH_MIPS, SCMP_ARCH_MIPS) \
	X(SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64) \
	X(SCMP_ARCH_MIPS64N32, SCMP_ARCH_MIPS64N32) \
	X(SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL) \
	X(SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64) \
	X(SCMP_ARCH_MIPSEL64N32, SCMP_ARCH_MIPSEL64N32) \
	X(SCMP_ARCH_PARISC, SCMP_ARCH_PARISC) \
	X(SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC64) \
	X(SCMP_ARCH_PPC, SCMP_ARCH_PPC) \
	X(SCMP_ARCH_PPC64, SCMP_ARCH_PPC64) \
	X(SCMP_ARCH_PPC64LE, SCMP_ARCH_PPC64LE) \
	X(SCMP_ARCH_RISCV64, SCMP_ARCH_RISCV64) \
	X(SCMP_ARCH_S390, SCMP_ARCH_S390) \
	X(SCMP_ARCH_S390X, SCMP_ARCH_S390X) \
	ARCH_SH(X) \
	X(SCMP_ARCH_X32, SCMP_ARCH_X32) \
	X(SCMP_ARCH_X86, SCMP_ARCH_X86) \
	X(SCMP_ARCH_X86_64, SCMP_ARCH_X86_64)

#define FLAGS(X) \
	X(SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_LOG) \
	X(SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW) \
	X(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_TSYNC) \
	X(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

#define NAME(name, value) #name,
#define VALUE(name, value) (uint32_t)(value),

static const char *const action_names[] = { ACTIONS(NAME) NULL };
static const uint32_t action_values[] = { ACTIONS(VALUE) };
static const char *const operator_names[] = { OPERATORS(NAME) NULL };
static const uint32_t operator_values[] = { OPERATORS(VALUE) };
static const char *const arch_names[] = { ARCHS(NAME) NULL };
static const uint32_t arch_values[] = { ARCHS(VALUE) };
static const char *const flag_names[] = { FLAGS(NAME) NULL };
static const uint32_t flag_values[] = { FLAGS(VALUE) };

static int look_up(const char *const *names, const uint32_t *values, const char *name,
		   const char *what, uint32_t *ret, struct error *err)
{
	for (size_t i = 0; name && names[i]; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = values[i];
			return 0;
		}
	}
	return error_rule(err, EINVAL, "\"%s\" is not a seccomp %s that this build knows",
			  name ? name : "", what);
}

int proc_seccomp_operator(const char *name, enum scmp_compare *ret, struct error *err)
{
	uint32_t value;
	int r = look_up(operator_names, operator_values, name, "operator", &value, err);

	if (r == 0)
		*ret = (enum scmp_compare)value;
	return r;
}

int proc_seccomp_arch(const char *name, uint32_t *ret, struct error *err)
{
	return look_up(arch_names, arch_values, name, "architecture", ret, err);
}

int proc_seccomp_flag(const char *name, uint32_t *ret, struct error *err)
{
	return look_up(flag_names, flag_values, name, "flag", ret, err);
}

/* MAX_ERRNO of the kernel; a filter's larger value would be cut to it in silence. */
#define LAST_ERRNO 4095

int proc_seccomp_action(const struct proc_seccomp_action_ref *ref, const char *member,
			uint32_t *ret, struct error *err)
{
	uint32_t value;
	int r = look_up(action_names, action_values, ref->name, "action", &value, err);

	if (r < 0)
		return r;

	bool is_errno = value == SCMP_ACT_ERRNO(0), is_trace = value == SCMP_ACT_TRACE(0);
	uint32_t data = ref->has_errno ? ref->errno_ret : EPERM;

	if (ref->has_errno && !is_errno && !is_trace)
		return error_rule(err, EINVAL, "%s cannot be combined with %s", member, ref->name);
	if (data > (is_trace ? 0xffff : LAST_ERRNO))
		return error_rule(err, EINVAL, "%s %u is out of range", member, data);
	if (is_errno)
		value = SCMP_ACT_ERRNO(data);
	else if (is_trace)
		value = SCMP_ACT_TRACE(data);
	*ret = value;
	return 0;
}

void proc_seccomp_features(struct spec_features_seccomp *ret)
{
	*ret = (struct spec_features_seccomp){
		.actions = action_names,
		.operators = operator_names,
		.archs = arch_names,
		.known_flags = flag_names,
		.supported_flags = flag_names,
	};
}
