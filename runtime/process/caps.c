/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Capability sets by system call. libcap is not used at run time: its constructor
 * asks the kernel for the last capability by prctl() in every command that links
 * it, also in those that never touch a capability. It is the oracle of our tests.
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CAPS 64

int proc_drop_bounding(uint64_t keep, unsigned n_caps, struct error *err)
{
	/*
	 * Up to the kernel's own last capability, which may be one that this source
	 * has no name for. The kernel says where that is by refusing the next.
	 */
	for (unsigned n = 0; n < (n_caps ?: MAX_CAPS); n++) {
		if (keep & PROC_CAP_BIT(n))
			continue;
		if (prctl(PR_CAPBSET_DROP, (unsigned long)n, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break;

		char name[32];

		return error_set(err, errno, "drop %s from the bounding set",
				 proc_cap_names(PROC_CAP_BIT(n), name, sizeof(name)));
	}
	return 0;
}

int proc_set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
		  (uint32_t)(inheritable >> 32) },
	};

	if (syscall(SYS_capset, &head, data) < 0)
		return error_set(
			err, errno,
			"set capabilities effective=%#llx permitted=%#llx inheritable=%#llx",
			(unsigned long long)effective, (unsigned long long)permitted,
			(unsigned long long)inheritable);
	return 0;
}

void proc_raise_ambient(uint64_t ambient)
{
	for (unsigned n = 0; n < MAX_CAPS; n++)
		if (ambient & PROC_CAP_BIT(n))
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)n, 0, 0);
}

uint64_t proc_permitted_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

uint64_t proc_bounding_caps(uint64_t wanted)
{
	uint64_t has = 0;

	for (unsigned n = 0; n < MAX_CAPS; n++)
		if ((wanted & PROC_CAP_BIT(n)) &&
		    prctl(PR_CAPBSET_READ, (unsigned long)n, 0, 0, 0) == 1)
			has |= PROC_CAP_BIT(n);
	return has;
}

const char *proc_cap_names(uint64_t set, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned n = 0; n < MAX_CAPS && used < size; n++) {
		if (!(set & PROC_CAP_BIT(n)))
			continue;

		const char *name = n <= SPEC_CAP_LAST ? spec_cap_name(n) : NULL;
		const char *gap = used ? " " : "";
		int r = name ? snprintf(buf + used, size - used, "%s%s", gap, name)
			     : snprintf(buf + used, size - used, "%scapability %u", gap, n);

		if (r < 0)
			break;
		used += (size_t)r;
	}
	return buf;
}

/*
 * The kernel's rule (security/commoncap.c, cap_bprm_creds_from_file) for a file
 * without capabilities and without set-id bits, under default securebits:
 *
 *	root      P' = bounding | I, and with no_new_privs no more than P; then | A
 *	          E' = P'
 *	others    P' = E' = A
 *
 * Every exec does the same again, so it does not matter how many there are.
 */
struct proc_caps proc_caps_after_exec(const struct proc_caps *before, uint32_t uid,
				      bool no_new_privileges)
{
	struct proc_caps after = *before;

	if (uid == 0) {
		after.permitted = before->bounding | before->inheritable;
		if (no_new_privileges)
			after.permitted &= before->permitted;
	} else {
		after.permitted = 0;
	}
	after.permitted |= before->ambient;
	after.effective = uid == 0 ? after.permitted : before->ambient;
	return after;
}
