/* SPDX-License-Identifier: Apache-2.0 */

/* The rules that keep files in their project, alone and in front of a profile. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include "spec/base/auto.h"
#include "tests/unit/runtime/process/profile.h"

#if !defined(__x86_64__)
#error "these tests name system calls of x86_64 by number"
#endif

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define X32 0x40000000

static struct proc_seccomp kept(struct proc_seccomp program)
{
	struct error err = ERROR_INIT;

	cr_assert(proc_seccomp_keep_projects(&program, &profile_arena, &err) == 0, "%s", err.text);
	return program;
}

static uint32_t answer_of(const struct proc_seccomp *p, uint32_t arch, int nr, uint64_t request)
{
	struct seccomp_data data = { .nr = nr, .arch = arch, .args = { 3, request } };

	return bpf_run(p, &data);
}

Test(seccomp_projects, each_way_to_another_project_is_refused_in_each_abi)
{
	static const struct {
		uint32_t arch;
		int nr;
		uint64_t request;
	} ways[] = {
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR },
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR | 1ull << 32 },
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_SETFLAGS },
		{ AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC32_SETFLAGS },
		{ AUDIT_ARCH_X86_64, SYS_ioctl | X32, FS_IOC_FSSETXATTR },
		{ AUDIT_ARCH_X86_64, 514 | X32, FS_IOC_FSSETXATTR },
		{ AUDIT_ARCH_X86_64, 514 | X32, FS_IOC_SETFLAGS },
		{ AUDIT_ARCH_I386, 54, FS_IOC_FSSETXATTR },
		{ AUDIT_ARCH_I386, 54, FS_IOC32_SETFLAGS },
		{ AUDIT_ARCH_X86_64, 469, 0 },
		{ AUDIT_ARCH_X86_64, 469 | X32, 0 },
		{ AUDIT_ARCH_I386, 469, 0 },
		{ AUDIT_ARCH_X86_64, SYS_quotactl, 0 },
		{ AUDIT_ARCH_X86_64, 443, 0 },
		{ AUDIT_ARCH_I386, 131, 0 },
		{ AUDIT_ARCH_I386, 443, 0 },
		{ AUDIT_ARCH_AARCH64, 64, 0 }, /* no program here can have it */
	};
	struct proc_seccomp p = kept((struct proc_seccomp){ 0 });

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		cr_expect(answer_of(&p, ways[i].arch, ways[i].nr, ways[i].request) == REFUSED, "way %zu", i);
}

Test(seccomp_projects, alone_they_let_everything_else_through)
{
	struct proc_seccomp p = kept((struct proc_seccomp){ 0 });

	for (int nr = 0; nr < 600; nr++) {
		if (nr != SYS_quotactl && nr != 443 && nr != 469) {
			cr_expect(answer_of(&p, AUDIT_ARCH_X86_64, nr, 0) == SECCOMP_RET_ALLOW, "nr %d", nr);
			cr_expect(answer_of(&p, AUDIT_ARCH_X86_64, nr | X32, 0) == SECCOMP_RET_ALLOW, "x32 nr %d", nr);
		}
		if (nr != 131 && nr != 443 && nr != 469)
			cr_expect(answer_of(&p, AUDIT_ARCH_I386, nr, 0) == SECCOMP_RET_ALLOW, "i386 nr %d", nr);
	}
	cr_expect(answer_of(&p, AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSGETXATTR) == SECCOMP_RET_ALLOW);
	cr_expect(answer_of(&p, AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_GETFLAGS) == SECCOMP_RET_ALLOW);
	cr_expect(answer_of(&p, AUDIT_ARCH_X86_64, SYS_write, FS_IOC_SETFLAGS) == SECCOMP_RET_ALLOW);
}

Test(seccomp_projects, in_front_of_a_profile_the_rest_is_the_profile)
{
	struct proc_seccomp docker, both;
	struct error err;

	cr_assert(compile(profile_of_engine("docker"), &docker, &err) == 0, "%s", err.text);
	both = kept(docker);
	cr_expect(both.flags == docker.flags);
	for (int nr = 0; nr < 600; nr++)
		for (uint64_t value = 0; value < 50; value++)
			if (nr != SYS_quotactl && nr != 443 && nr != 469)
				cr_expect(answer_of(&both, AUDIT_ARCH_X86_64, nr, value) ==
						  answer_of(&docker, AUDIT_ARCH_X86_64, nr, value),
					  "nr %d value %llu", nr, (unsigned long long)value);
	cr_expect(answer_of(&docker, AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR) == SECCOMP_RET_ALLOW);
	cr_expect(answer_of(&both, AUDIT_ARCH_X86_64, SYS_ioctl, FS_IOC_FSSETXATTR) == REFUSED);
}

Test(seccomp_projects, a_profile_that_leaves_no_room_is_an_error)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct proc_seccomp p = { .insns = insns, .n_insns = BPF_MAXINSNS };
	struct error err = ERROR_INIT;

	cr_expect(proc_seccomp_keep_projects(&p, &profile_arena, &err) == -E2BIG);
	cr_expect(strstr(err.text, "the kernel takes 4096"), "%s", err.text);
}
