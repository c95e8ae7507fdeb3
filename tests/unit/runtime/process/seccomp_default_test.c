/* SPDX-License-Identifier: Apache-2.0 */

/* The default profile: that it says something of every system call, and what its program answers. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "spec/base/auto.h"
#include "spec/default.h"
#include "tests/unit/runtime/process/profile.h"

#if !defined(__x86_64__)
#error "these tests name system calls of x86_64 by number"
#endif

#define ALLOW SECCOMP_RET_ALLOW
#define DENY(e) (SECCOMP_RET_ERRNO | (e))
#define BIT(cap) (UINT64_C(1) << CAP_##cap)
#define ALL UINT64_MAX

static const char *default_text(uint64_t caps)
{
	auto_buf struct buf text = BUF_INIT;

	default_write_seccomp(&text, caps);
	return arena_strndup(&profile_arena, text.data, text.len);
}

static struct proc_seccomp program_for(uint64_t caps)
{
	return compiled(default_text(caps));
}

/* Out for everybody, and why. */
static const struct {
	const char *why, *names;
} out[] = {
	{ "a large interface with a history of faults, which nothing needs that has a fallback",
	  " io_uring_setup io_uring_enter io_uring_register " },
	{ "keyrings are not a namespace's", " add_key keyctl request_key " },
	{ "the filter's own business: answered without the arguments being seen", " socketcall " },
	{ "gone from the kernel, or never in it",
	  " _sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock lookup_dcookie mpx "
	  "nfsservctl prof profil putpmsg query_module security stty sysfs tuxcall ulimit uselib ustat vserver timerfd "
	  "multiplexer " },
	{ "of programs from before 1997", " oldfstat oldlstat oldstat readdir vm86 vm86old " },
	{ "of hardware that is not there, or of the firmware",
	  " rtas spu_create spu_run subpage_prot sys_debug_setcontext usr26 usr32 " },
};

static bool is_out(const char *name)
{
	char word[80];

	snprintf(word, sizeof(word), " %s ", name);
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		if (strstr(out[i].names, word))
			return true;
	return false;
}

static const struct spec_seccomp_rule *rule_of(const struct spec_seccomp *p, const char *name)
{
	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t k = 0; k < p->rules[i].names.n; k++)
			if (strcmp(p->rules[i].names.v[k], name) == 0)
				return &p->rules[i];
	return NULL;
}

Test(seccomp_default, every_call_that_the_library_knows_was_judged)
{
	static const uint32_t archs[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86,     SCMP_ARCH_AARCH64, SCMP_ARCH_ARM,
					  SCMP_ARCH_S390X,  SCMP_ARCH_PPC64LE, SCMP_ARCH_RISCV64 };
	const struct spec_seccomp *p = profile_of(default_text(ALL));
	char *(*name_of)(uint32_t, int) = NULL;
	void *lib = dlopen("libseccomp.so.2", RTLD_NOW);
	size_t seen = 0;

	cr_assert(lib);
	*(void **)&name_of = dlsym(lib, "seccomp_syscall_resolve_num_arch");
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		for (int nr = 0; nr < 600; nr++) {
			char *name = name_of(archs[i], nr);

			if (!name)
				continue;
			seen++;
			if (strcmp(name, "socketcall") != 0)
				cr_expect((rule_of(p, name) != NULL) != is_out(name), "%s is %s", name,
					  is_out(name) ? "in and out" : "neither in nor out");
			free(name);
		}
	}
	cr_expect(seen > 2000, "%zu", seen);
}

Test(seccomp_default, every_name_is_that_of_a_call_and_stands_once)
{
	const struct spec_seccomp *p = profile_of(default_text(ALL & ~BIT(SYS_ADMIN)));
	struct proc_seccomp_lib lib;

	cr_assert(proc_seccomp_lib_open(&lib, NULL) == 0);
	for (size_t i = 0; i < p->n_rules; i++) {
		for (size_t k = 0; k < p->rules[i].names.n; k++) {
			const char *name = p->rules[i].names.v[k];

			cr_expect(lib.resolve(name) != __NR_SCMP_ERROR || proc_seccomp_newer_find(name) >= 0 ||
					  strcmp(name, "riscv_hwprobe") == 0,
				  "%s", name);
			for (size_t j = k + 1; j < p->rules[i].names.n; j++)
				cr_expect(strcmp(name, p->rules[i].names.v[j]) != 0, "%s twice", name);
		}
	}
}

static uint32_t asked(const struct proc_seccomp *p, uint32_t arch, int nr, uint64_t a0)
{
	struct seccomp_data data = { .nr = nr, .arch = arch, .args = { a0 } };

	return bpf_run(p, &data);
}

Test(seccomp_default, without_capabilities)
{
	static const struct {
		int nr;
		uint64_t arg;
		uint32_t answer;
	} rows[] = {
		{ SYS_read, 0, ALLOW },
		{ SYS_execve, 0, ALLOW },
		{ SYS_ptrace, 0, ALLOW },
		{ SYS_clone, 0x3d0f00, ALLOW }, /* a thread */
		{ SYS_clone, 0x01200011, ALLOW }, /* fork() of glibc */
		{ SYS_clone, 0x10000000, DENY(EPERM) },
		{ SYS_clone, 0x00020011, DENY(EPERM) },
		{ SYS_clone, 0x02000000, DENY(EPERM) },
		{ SYS_clone, 0x7e020000, DENY(EPERM) },
		{ SYS_clone3, 0, DENY(ENOSYS) },
		{ SYS_unshare, 0x200, ALLOW }, /* CLONE_FS */
		{ SYS_unshare, 0x10000000, DENY(EPERM) },
		{ SYS_unshare, 0x80, DENY(EPERM) },
		{ SYS_setns, 0, DENY(EPERM) },
		{ SYS_mount, 0, DENY(EPERM) },
		{ SYS_bpf, 0, DENY(EPERM) },
		{ SYS_perf_event_open, 0, DENY(EPERM) },
		{ SYS_keyctl, 0, DENY(EPERM) },
		{ SYS_kexec_load, 0, DENY(EPERM) },
		{ SYS_init_module, 0, DENY(EPERM) },
		{ SYS_settimeofday, 0, DENY(EPERM) },
		{ SYS_chroot, 0, DENY(EPERM) },
		{ SYS_userfaultfd, 0, DENY(EPERM) },
		{ SYS_io_uring_setup, 0, DENY(EPERM) },
		{ SYS_socket, 1, ALLOW },
		{ SYS_socket, 2, ALLOW },
		{ SYS_socket, 10, ALLOW },
		{ SYS_socket, 16, ALLOW },
		{ SYS_socket, 17, ALLOW },
		{ SYS_socket, 15, DENY(EPERM) },
		{ SYS_socket, 38, DENY(EPERM) },
		{ SYS_socket, 40, DENY(EPERM) },
		{ SYS_socket, 40 | 1ull << 32, DENY(EPERM) },
		{ SYS_socketpair, 1, ALLOW },
		{ SYS_socketpair, 40, DENY(EPERM) },
		{ SYS_personality, 0, ALLOW },
		{ SYS_personality, 8, ALLOW },
		{ SYS_personality, 0xffffffff, ALLOW },
		{ SYS_personality, 0x40000, DENY(EPERM) },
		/* Younger than the library. */
		{ 335, 0, ALLOW }, /* uretprobe */
		{ 457, 0, ALLOW }, /* statmount */
		{ 462, 0, ALLOW }, /* mseal */
		{ 467, 0, DENY(EPERM) }, /* open_tree_attr */
		{ 469, 0, ALLOW }, /* file_setattr */
		/* Younger than the profile. */
		{ 470, 0, DENY(ENOSYS) },
		{ 900, 0, DENY(ENOSYS) },
	};
	struct proc_seccomp p = program_for(0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t got = asked(&p, AUDIT_ARCH_X86_64, rows[i].nr, rows[i].arg);

		cr_expect(got == rows[i].answer, "call %d of %#llx: %#x", rows[i].nr, (unsigned long long)rows[i].arg, got);
	}
}

Test(seccomp_default, a_capability_brings_its_calls_and_no_others)
{
	static const struct {
		uint64_t caps;
		int nr;
		uint64_t arg;
	} rows[] = {
		{ BIT(SYS_ADMIN), SYS_mount, 0 },
		{ BIT(SYS_ADMIN), SYS_clone, 0x10000000 },
		{ BIT(SYS_ADMIN), SYS_clone3, 0 },
		{ BIT(SYS_ADMIN), SYS_unshare, 0x10000000 },
		{ BIT(SYS_ADMIN), SYS_bpf, 0 },
		{ BIT(SYS_ADMIN), 467, 0 },
		{ BIT(BPF), SYS_bpf, 0 },
		{ BIT(PERFMON), SYS_perf_event_open, 0 },
		{ BIT(SYS_PTRACE), SYS_kcmp, 0 },
		{ BIT(SYS_TIME), SYS_settimeofday, 0 },
		{ BIT(SYS_CHROOT), SYS_chroot, 0 },
		{ BIT(SYS_MODULE), SYS_init_module, 0 },
		{ BIT(SYS_NICE), SYS_mbind, 0 },
		{ BIT(NET_ADMIN), SYS_socket, 44 },
		{ BIT(DAC_READ_SEARCH), SYS_open_by_handle_at, 0 },
	};
	struct proc_seccomp none = program_for(0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proc_seccomp p = program_for(rows[i].caps), other = program_for(ALL & ~BIT(SYS_ADMIN) & ~rows[i].caps);

		cr_expect(asked(&p, AUDIT_ARCH_X86_64, rows[i].nr, rows[i].arg) == ALLOW, "row %zu", i);
		cr_expect(asked(&none, AUDIT_ARCH_X86_64, rows[i].nr, rows[i].arg) != ALLOW, "row %zu, none", i);
		if (rows[i].caps == BIT(SYS_ADMIN) && rows[i].nr == SYS_bpf)
			continue;
		cr_expect(asked(&other, AUDIT_ARCH_X86_64, rows[i].nr, rows[i].arg) != ALLOW, "row %zu, others", i);
	}
}

/* No capability opens the way to the hypervisor, or to AF_ALG. */
Test(seccomp_default, some_families_are_out_for_everybody)
{
	struct proc_seccomp p = program_for(ALL);

	cr_expect(asked(&p, AUDIT_ARCH_X86_64, SYS_socket, 38) == DENY(EPERM));
	cr_expect(asked(&p, AUDIT_ARCH_X86_64, SYS_socket, 40) == DENY(EPERM));
}

Test(seccomp_default, the_32_bit_gate_is_no_way_around)
{
	struct proc_seccomp p = program_for(0);

	for (uint64_t call = 0; call < 21; call++)
		cr_expect(asked(&p, AUDIT_ARCH_I386, 102, call) == DENY(ENOSYS), "socketcall %d", (int)call);
	cr_expect(asked(&p, AUDIT_ARCH_I386, 359, 2) == ALLOW); /* socket */
	cr_expect(asked(&p, AUDIT_ARCH_I386, 359, 38) == DENY(EPERM));
	cr_expect(asked(&p, AUDIT_ARCH_I386, 361, 0) == ALLOW); /* bind */
	cr_expect(asked(&p, AUDIT_ARCH_I386, 21, 0) == DENY(EPERM)); /* mount */
	cr_expect(asked(&p, AUDIT_ARCH_I386, 120, 0x10000000) == DENY(EPERM)); /* clone */
	cr_expect(asked(&p, AUDIT_ARCH_I386, 462, 0) == ALLOW); /* mseal */
}

Test(seccomp_compile, calls_younger_than_the_library_are_taken_by_their_number)
{
	struct proc_seccomp p = compiled("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
					 "{\"names\":[\"mseal\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":33},"
					 "{\"names\":[\"mseal\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":34},"
					 "{\"names\":[\"statmount\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":"
					 "[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}");

	cr_expect(asked(&p, AUDIT_ARCH_X86_64, 462, 0) == DENY(33));
	cr_expect(asked(&p, AUDIT_ARCH_X86_64, 461, 0) == ALLOW);
	cr_expect(asked(&p, AUDIT_ARCH_X86_64, 457, 1) == ALLOW);
}

static const char *refused(const char *text)
{
	auto_buf struct buf buf = BUF_INIT;
	const struct spec_seccomp_wish wish = { .kind = SPEC_SECCOMP_PROFILE, .name = "p.json", .text = text,
						.n = strlen(text), .kernel = "6.1.0-44-amd64" };
	struct error err = ERROR_INIT;
	char line[1024];

	cr_expect(default_write_profile(&buf, &wish, 0, &err) == -EINVAL, "%s", text);
	error_line(&err, line, sizeof(line));
	return arena_strdup(&profile_arena, line);
}

static const char *profile_from(const char *text, uint64_t caps)
{
	auto_buf struct buf buf = BUF_INIT;
	const struct spec_seccomp_wish wish = { .kind = SPEC_SECCOMP_PROFILE, .name = "p.json", .text = text,
						.n = strlen(text), .kernel = "6.1.0-44-amd64" };
	struct error err = ERROR_INIT;

	cr_assert(default_write_profile(&buf, &wish, caps, &err) == 0, "%s", err.text);
	return arena_strndup(&profile_arena, buf.data, buf.len);
}

#define RULE(name, condition) \
	"{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_ALLOW\",\"comment\":\"\"," condition "}"
#define PROFILE(...) \
	"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"defaultErrno\":\"EPERM\",\"archMap\":[" \
	"{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\"]}," \
	"{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}]," \
	"\"syscalls\":[" __VA_ARGS__ "]}"

Test(seccomp_default, an_engines_profile_loses_its_conditions)
{
	const char *text = PROFILE(
		"{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":null,\"includes\":{},\"excludes\":{}},"
		RULE("mount", "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}") ","
		RULE("setns", "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_SYS_TIME\"]}") ","
		RULE("chroot", "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}") ","
		RULE("ptrace", "\"includes\":{\"minKernel\":\"4.8\"}") ","
		RULE("bpf", "\"includes\":{\"minKernel\":\"6.2\"}") ","
		RULE("getpid", "\"includes\":{\"arches\":[\"amd64\",\"x32\"]}") ","
		RULE("gettid", "\"excludes\":{\"arches\":[\"amd64\"]}"));
	struct proc_seccomp p = compiled(profile_from(text, BIT(SYS_ADMIN))), none = compiled(profile_from(text, 0));

	cr_expect(answer(&p, SYS_read, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_mount, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_setns, 0, 0) != ALLOW);
	cr_expect(answer(&p, SYS_chroot, 0, 0) != ALLOW);
	cr_expect(answer(&none, SYS_mount, 0, 0) != ALLOW);
	cr_expect(answer(&none, SYS_chroot, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_ptrace, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_bpf, 0, 0) != ALLOW);
	cr_expect(answer(&p, SYS_getpid, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_gettid, 0, 0) != ALLOW);
	cr_expect(asked(&p, AUDIT_ARCH_I386, 3, 0) == ALLOW); /* read */
	cr_expect(asked(&p, AUDIT_ARCH_AARCH64, 63, 0) != ALLOW);
}

Test(seccomp_default, a_profile_of_the_specification_stays_what_it_is)
{
	const char *text = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\"],\"syscalls\":[{\"names\":"
			   "[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	struct proc_seccomp p = compiled(profile_from(text, 0));

	cr_expect(answer(&p, SYS_personality, 8, 0) == ALLOW);
	cr_expect(answer(&p, SYS_personality, 9, 0) == DENY(EPERM));
}

Test(seccomp_default, what_is_no_profile_is_refused_by_the_name_of_its_file)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "[]", "p.json: the profile is an array, not an object" },
		{ "{\"syscalls\":[]}", "p.json: defaultAction is missing" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[1]}", "syscalls[0] is 1, not" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\"} trailing", "p.json" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[],\"architectures\":[]}", "archMap is set, and so is" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect(strstr(refused(rows[i].text), rows[i].why), "%s", refused(rows[i].text));
}
