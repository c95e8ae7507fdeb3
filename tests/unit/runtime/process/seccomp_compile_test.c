/* SPDX-License-Identifier: Apache-2.0 */

/* Programs are run by a small interpreter, and the important ones by the kernel. */
#include "runtime/process/steps.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "spec/base/auto.h"
#include "tests/unit/runtime/process/child.h"
#include "tests/unit/runtime/process/profile.h"

#if !defined(__x86_64__)
#error "these tests name system calls of x86_64 by number"
#endif

#define ALLOW SECCOMP_RET_ALLOW
#define DENY(e) (SECCOMP_RET_ERRNO | (e))

/* The newest call any profile of an engine names today is far below this. */
#define FUTURE 900

/* The profile given to libseccomp as its manual says, and nothing else. */
static struct proc_seccomp reference(const struct spec_seccomp *p)
{
	struct proc_seccomp_lib lib;
	struct proc_seccomp ret = { 0 };
	struct sock_filter *insns = malloc(BPF_MAXINSNS * sizeof(*insns));
	uint32_t def =
		p->has_default_errno ? SCMP_ACT_ERRNO(p->default_errno) : SCMP_ACT_ERRNO(EPERM);

	cr_assert(proc_seccomp_lib_open(&lib, NULL) == 0);

	scmp_filter_ctx ctx = lib.init(def);

	for (size_t i = 0; i < p->architectures.n; i++) {
		uint32_t arch;

		cr_assert(proc_seccomp_arch(p->architectures.v[i], &arch, NULL) == 0);
		lib.arch_add(ctx, arch);
	}
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct spec_seccomp_rule *r = &p->rules[i];
		uint32_t action = strcmp(r->action, "SCMP_ACT_ALLOW") == 0
					  ? SCMP_ACT_ALLOW
					  : SCMP_ACT_ERRNO(r->has_errno ? r->errno_ret : EPERM);
		struct scmp_arg_cmp args[6];

		for (size_t k = 0; k < r->n_args; k++) {
			enum scmp_compare op;

			cr_assert(proc_seccomp_operator(r->args[k].op, &op, NULL) == 0);
			args[k] = (struct scmp_arg_cmp){ r->args[k].index, op, r->args[k].value,
							 r->args[k].value_two };
		}
		for (size_t k = 0; k < r->names.n && action != def; k++) {
			int nr = lib.resolve(r->names.v[k]);

			if (nr != __NR_SCMP_ERROR)
				cr_assert(lib.rule_add(ctx, action, nr, (unsigned)r->n_args,
						       args) == 0);
		}
	}

	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	cr_assert(lib.export_bpf(ctx, fd) == 0);
	ret.n_insns = (uint32_t)(pread(fd, insns, BPF_MAXINSNS * sizeof(*insns), 0) /
				 (ssize_t)sizeof(*insns));
	ret.insns = insns;
	close(fd);
	lib.release(ctx);
	return ret;
}

/* Newest number a profile names, found here by resolving each possible number back to a name. */
static int newest(const struct spec_seccomp *p, uint32_t arch)
{
	char *(*name_of)(uint32_t, int) = NULL;
	void *lib = dlopen("libseccomp.so.2", RTLD_NOW);

	*(void **)&name_of = dlsym(lib, "seccomp_syscall_resolve_num_arch");
	for (int nr = 511; nr > 0; nr--) {
		char *name = name_of(arch, arch == SCMP_ARCH_X32 ? nr | 0x40000000 : nr);

		for (size_t i = 0; name && i < p->n_rules; i++)
			for (size_t k = 0; k < p->rules[i].names.n; k++)
				if (strcmp(name, p->rules[i].names.v[k]) == 0) {
					free(name);
					return nr;
				}
		free(name);
	}
	return 0;
}

static void compare_everywhere(const char *engine, bool enosys)
{
	const struct spec_seccomp *p = profile_of_engine(engine);
	struct proc_seccomp ours, theirs = reference(p);
	struct error err;
	const uint32_t archs[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32,
				   SCMP_ARCH_AARCH64 };
	const uint64_t values[] = {
		0, 1, 8, 0x10000000, 0x7E020000, 0xffffffff, UINT64_MAX, 38, 40
	};
	size_t different = 0;

	cr_assert(compile(p, &ours, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		bool x32 = archs[i] == SCMP_ARCH_X32;
		int last = newest(p, archs[i]);

		for (int nr = 0; nr < 1000; nr++) {
			for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
				struct seccomp_data d = {
					.nr = nr | (x32 ? 0x40000000 : 0),
					.arch = x32 ? AUDIT_ARCH_X86_64 : archs[i],
					.args = { values[v], values[v], values[v] }
				};
				uint32_t want = bpf_run(&theirs, &d), got = bpf_run(&ours, &d);

				if (enosys && nr > last && i < 3 && !(x32 && nr >= 512 && nr < 548))
					want = DENY(ENOSYS);
				else if (enosys && nr > last && i < 3)
					continue;
				if (want != got && different++ < 5)
					cr_expect(want == got,
						  "%s: arch %#x nr %d value %#llx: %#x, not %#x",
						  engine, archs[i], nr,
						  (unsigned long long)values[v], got, want);
			}
		}
	}
	cr_expect(different == 0);
	free((void *)theirs.insns);
}

Test(seccomp_compile, dockers_profile_means_what_libseccomp_makes_of_it)
{
	compare_everywhere("docker", true);
}

Test(seccomp_compile, containerds_profile_means_what_libseccomp_makes_of_it)
{
	compare_everywhere("containerd-seccomp", true);
}

/* Its default is ENOSYS already. */
Test(seccomp_compile, podmans_profile_means_what_libseccomp_makes_of_it)
{
	compare_everywhere("podman", false);
}

#define RULES(...) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" __VA_ARGS__ "]}"
#define DENIES(...) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" __VA_ARGS__ "]}"
#define NAMES(list) "\"names\":[" list "]"

Test(seccomp_compile, actions_and_their_numbers)
{
	struct proc_seccomp p = compiled(RULES("{" NAMES(
		"\"getpid\"") ",\"action\":\"SCMP_ACT_ERRNO\"},"
			      "{" NAMES("\"getppid\"") ",\"action\":\"SCMP_ACT_ERRNO\","
						       "\"errnoRet\":38},"
						       "{" NAMES("\"gettid\"") ",\"action\":\"SCMP_"
									       "ACT_TRACE\","
									       "\"errnoRet\":513},"
									       "{" NAMES("\"getuid"
											 "\"") ",\""
											       "act"
											       "ion"
											       "\":"
											       "\"S"
											       "CMP"
											       "_AC"
											       "T_"
											       "KIL"
											       "L\""
											       "},"
											       "{" NAMES(
												       "\"getgid\"") ",\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
														     "{" NAMES(
															     "\"geteuid\"") ",\"action\":\"SCMP_ACT_KILL_THREAD\"},"
																	    "{" NAMES(
																		    "\"getegid\"") ",\"action\":\"SCMP_ACT_TRAP\"},"
																				   "{" NAMES(
																					   "\"getpgrp\"") ",\"action\":\"SCMP_ACT_LOG\"}"));

	cr_expect(answer(&p, SYS_getpid, 0, 0) == DENY(EPERM));
	cr_expect(answer(&p, SYS_getppid, 0, 0) == DENY(38));
	cr_expect(answer(&p, SYS_gettid, 0, 0) == (SECCOMP_RET_TRACE | 513));
	cr_expect(answer(&p, SYS_getuid, 0, 0) == SECCOMP_RET_KILL_THREAD);
	cr_expect(answer(&p, SYS_getgid, 0, 0) == SECCOMP_RET_KILL_PROCESS);
	cr_expect(answer(&p, SYS_geteuid, 0, 0) == SECCOMP_RET_KILL_THREAD);
	cr_expect(answer(&p, SYS_getegid, 0, 0) == SECCOMP_RET_TRAP);
	cr_expect(answer(&p, SYS_getpgrp, 0, 0) == SECCOMP_RET_LOG);
	cr_expect(answer(&p, SYS_read, 0, 0) == ALLOW);
	cr_expect(answer(&p, FUTURE, 0, 0) == ALLOW, "an allowing profile knows no newest call");
}

Test(seccomp_compile, operators)
{
	struct proc_seccomp p = compiled(DENIES(
#define RULE(name, op) \
	"{" NAMES("\"" name "\"") ",\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" \
				  "{\"index\":0,\"value\":4294967306,\"op\":\"SCMP_CMP_" op \
				  "\"}]},"
		RULE("getpid", "NE") RULE("getppid", "LT") RULE("gettid", "LE") RULE("getuid", "EQ")
			RULE("getgid", "GE") RULE("geteuid", "GT") "{" NAMES(
				"\"getegid\"") ",\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
					       "{\"index\":1,\"value\":240,\"valueTwo\":16,\"op\":"
					       "\"SCMP_CMP_MASKED_EQ\"}]}"));
	const uint64_t pivot = 4294967306; /* more than 32 bits */
	const struct {
		int nr;
		bool below, equal, above;
	} t[] = {
		{ SYS_getpid, true, false, true }, { SYS_getppid, true, false, false },
		{ SYS_gettid, true, true, false }, { SYS_getuid, false, true, false },
		{ SYS_getgid, false, true, true }, { SYS_geteuid, false, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		cr_expect((answer(&p, t[i].nr, pivot - 1, 0) == ALLOW) == t[i].below, "%zu", i);
		cr_expect((answer(&p, t[i].nr, pivot, 0) == ALLOW) == t[i].equal, "%zu", i);
		cr_expect((answer(&p, t[i].nr, pivot + 1, 0) == ALLOW) == t[i].above, "%zu", i);
	}
	cr_expect(answer(&p, SYS_getegid, 0, 0x10) == ALLOW);
	cr_expect(answer(&p, SYS_getegid, 0, 0xf1f) == ALLOW);
	cr_expect(answer(&p, SYS_getegid, 0, 0x30) == DENY(EPERM));
}

Test(seccomp_compile, comparisons_of_different_arguments_must_all_hold)
{
	struct proc_seccomp p = compiled(DENIES(
		"{" NAMES("\"getpid\"") ",\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
					"{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
					"{\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]}"));

	cr_expect(answer(&p, SYS_getpid, 1, 2) == ALLOW);
	cr_expect(answer(&p, SYS_getpid, 1, 3) == DENY(EPERM));
}

Test(seccomp_compile, comparisons_of_one_argument_become_rules_of_their_own)
{
	struct proc_seccomp p = compiled(DENIES(
		"{" NAMES("\"getpid\"") ",\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
					"{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
					"{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"},"
					"{\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]}"));

	cr_expect(answer(&p, SYS_getpid, 1, 0) == ALLOW);
	cr_expect(answer(&p, SYS_getpid, 5, 0) == ALLOW);
	cr_expect(answer(&p, SYS_getpid, 0, 2) == ALLOW);
	cr_expect(answer(&p, SYS_getpid, 0, 0) == DENY(EPERM));
}

Test(seccomp_compile, a_rule_equal_to_the_default_is_left_out_and_one_with_another_errno_is_not)
{
	struct proc_seccomp p = compiled(
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,\"syscalls\":["
		"{" NAMES("\"getpid\"") ",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13},"
					"{" NAMES("\"getppid\"") ",\"action\":\"SCMP_ACT_ERRNO\"},"
								 "{" NAMES(
									 "\"read\"") ",\"action\":"
										     "\"SCMP_ACT_"
										     "ALLOW\"}]}");

	cr_expect(answer(&p, SYS_getpid, 0, 0) == DENY(13));
	cr_expect(answer(&p, SYS_getppid, 0, 0) == DENY(EPERM));
	cr_expect(answer(&p, SYS_write, 0, 0) == DENY(13));
	cr_expect(answer(&p, SYS_read, 0, 0) == ALLOW);
}

Test(seccomp_compile, names_this_architecture_does_not_have_are_passed_over)
{
	struct proc_seccomp p = compiled(DENIES(
		"{" NAMES("\"no_such_call\",\"read\",\"s390_runtime_instr\"") ",\"action\":\"SCMP_"
									      "ACT_ALLOW\"}"));

	cr_expect(answer(&p, SYS_read, 0, 0) == ALLOW);
}

Test(seccomp_compile, the_native_architecture_is_always_there)
{
	struct proc_seccomp p = compiled("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":["
					 "\"SCMP_ARCH_X86\"],\"syscalls\":["
					 "{" NAMES("\"read\"") ",\"action\":\"SCMP_ACT_ALLOW\"}]}");
	struct seccomp_data i386 = { .nr = 3, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data arm = { .nr = 63, .arch = AUDIT_ARCH_AARCH64 };

	cr_expect(answer(&p, SYS_read, 0, 0) == ALLOW);
	cr_expect(bpf_run(&p, &i386) == ALLOW);
	cr_expect(bpf_run(&p, &arm) == SECCOMP_RET_KILL_THREAD);
}

Test(seccomp_compile, calls_newer_than_the_profile_do_not_exist)
{
	struct proc_seccomp p = compiled(
		DENIES("{" NAMES("\"read\",\"openat2\"") ",\"action\":\"SCMP_ACT_ALLOW\"}"));
	struct seccomp_data i386 = { .nr = FUTURE, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data x32 = { .nr = 0x40000000 | 3, .arch = AUDIT_ARCH_X86_64 };

	cr_expect(answer(&p, SYS_openat2, 0, 0) == ALLOW);
	cr_expect(answer(&p, SYS_write, 0, 0) == DENY(EPERM));
	cr_expect(answer(&p, SYS_openat2 - 1, 0, 0) == DENY(EPERM));
	cr_expect(answer(&p, SYS_openat2 + 1, 0, 0) == DENY(ENOSYS));
	cr_expect(answer(&p, FUTURE, 0, 0) == DENY(ENOSYS));
	cr_expect(answer(&p, 0x3fffffff, 0, 0) == DENY(ENOSYS));
	/* architectures that the profile does not have are none of this */
	cr_expect(bpf_run(&p, &i386) == SECCOMP_RET_KILL_THREAD);
	cr_expect(bpf_run(&p, &x32) == SECCOMP_RET_KILL_THREAD);

	p = compiled("{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":["
		     "{" NAMES("\"read\"") ",\"action\":\"SCMP_ACT_ALLOW\"}]}");
	cr_expect(answer(&p, FUTURE, 0, 0) == DENY(ENOSYS));
	/* a tracer and a log answer for themselves */
	p = compiled("{\"defaultAction\":\"SCMP_ACT_TRACE\",\"syscalls\":["
		     "{" NAMES("\"read\"") ",\"action\":\"SCMP_ACT_ALLOW\"}]}");
	cr_expect(answer(&p, FUTURE, 0, 0) == (SECCOMP_RET_TRACE | EPERM));
	p = compiled("{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":["
		     "{" NAMES("\"read\"") ",\"action\":\"SCMP_ACT_ERRNO\"}]}");
	cr_expect(answer(&p, FUTURE, 0, 0) == SECCOMP_RET_LOG);
}

Test(seccomp_compile, a_profile_that_knows_execve_only_lets_our_start_through)
{
	struct proc_seccomp p = compiled(
		DENIES("{" NAMES("\"execve\",\"openat2\"") ",\"action\":\"SCMP_ACT_ALLOW\"}"));
	struct seccomp_data d = { .nr = SYS_execveat, .arch = SCMP_ARCH_X86_64 };

	cr_expect(bpf_run(&p, &d) == DENY(EPERM));
	d.args[4] = AT_EMPTY_PATH;
	cr_expect(bpf_run(&p, &d) == ALLOW);
	d.args[4] = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
	cr_expect(bpf_run(&p, &d) == DENY(EPERM));

	/* its word about execveat counts, also when it is the default's */
	d.args[4] = AT_EMPTY_PATH;
	p = compiled(DENIES(
		"{" NAMES("\"execve\",\"openat2\"") ",\"action\":\"SCMP_ACT_ALLOW\"},"
						    "{" NAMES("\"execveat\"") ",\"action\":\"SCMP_"
									      "ACT_ERRNO\"}"));
	cr_expect(bpf_run(&p, &d) == DENY(EPERM));
	/* and who may not execve may not execveat */
	p = compiled(DENIES("{" NAMES("\"openat2\"") ",\"action\":\"SCMP_ACT_ALLOW\"}"));
	cr_expect(bpf_run(&p, &d) == DENY(EPERM));
}

Test(seccomp_compile, flags)
{
	const char *rest = "\"defaultAction\":\"SCMP_ACT_ALLOW\"}";
	const struct {
		const char *flags;
		uint32_t value;
	} t[] = {
		{ "{", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ "{\"flags\":[],", 0 },
		{ "{\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],", SECCOMP_FILTER_FLAG_LOG },
		{ "{\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"],",
		  SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		/* the kernel takes it with a listener only */
		{ "{\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s%s", t[i].flags, rest);
		cr_expect(compiled(text).flags == t[i].value, "%s", text);
	}
}

#define NOTIFIES(flags, path) \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\"," flags path "\"syscalls\":[" \
	"{" NAMES("\"getppid\"") ",\"action\":\"SCMP_ACT_NOTIFY\"}]}"

Test(seccomp_compile, a_rule_that_notifies_asks_for_a_listener)
{
	struct proc_seccomp p = compiled(NOTIFIES("\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\","
						  "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],",
						  "\"listenerPath\":\"/run/l\","));

	cr_expect(p.notifies);
	cr_expect(p.flags ==
		  (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
		   SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
	cr_expect(answer(&p, SYS_getppid, 0, 0) == SECCOMP_RET_USER_NOTIF);
	cr_expect_not(
		compiled(RULES("{" NAMES("\"no_such_call\"") ",\"action\":\"SCMP_ACT_NOTIFY\"}"))
			.notifies);
}

Test(seccomp_compile, what_is_wrong_is_named_with_its_place)
{
	const struct {
		const char *text, *message, *at;
	} t[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
		  "SCMP_ACT_NOTIFY cannot be the default action", "/linux/seccomp/defaultAction" },
		{ NOTIFIES("", ""), "SCMP_ACT_NOTIFY needs listenerPath", "/linux/seccomp" },
		{ RULES("{" NAMES("\"read\",\"write\"") ",\"action\":\"SCMP_ACT_NOTIFY\"}"),
		  "SCMP_ACT_NOTIFY cannot be used for write", "/linux/seccomp/syscalls/0/names/1" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\","
		  "\"SCMP_ARCH_S390X\"]}",
		  "an architecture of the other byte order than this host",
		  "/linux/seccomp/architectures/1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct proc_seccomp p;
		struct error err;

		cr_expect(compile(profile_of(t[i].text), &p, &err) == -EINVAL, "%s", t[i].text);
		cr_expect_str_eq(err.text, t[i].message);
		cr_expect_str_eq(err.at, t[i].at, "%s: %s", t[i].message, err.at);
	}
}

/* Words that the config's reader refuses already; these are for callers without one. */
Test(seccomp_compile, unknown_words_are_refused)
{
	struct spec_seccomp base = *profile_of("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}"), p;
	char *words[] = { "SCMP_NONSENSE", NULL };
	char *names[] = { "read", NULL };
	struct spec_seccomp_arg arg = { .index = 6, .op = "SCMP_CMP_EQ" };
	struct spec_seccomp_rule rule = {
		.names = { names, 1 }, .action = "SCMP_ACT_ERRNO", .args = &arg, .n_args = 1
	};
	struct proc_seccomp program;
	struct error err;

	p = base;
	p.default_action = "scmp_act_allow";
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.text,
			 "\"scmp_act_allow\" is not a seccomp action that this build knows");
	p = base;
	p.default_action = "SCMP_ACT_KILL";
	p.has_default_errno = true;
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.text, "defaultErrnoRet cannot be combined with SCMP_ACT_KILL");
	p = base;
	p.architectures = (struct spec_strings){ words, 1 };
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/linux/seccomp/architectures/0");
	p = base;
	p.flags = (struct spec_strings){ words, 1 };
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/linux/seccomp/flags/0");
	p = base;
	p.rules = &rule;
	p.n_rules = 1;
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/linux/seccomp/syscalls/0/args/0");
	arg = (struct spec_seccomp_arg){ .op = "EQ" };
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect(strstr(err.text, "operator"));
	rule = (struct spec_seccomp_rule){
		.names = { names, 1 }, .action = "SCMP_ACT_LOG", .has_errno = true, .errno_ret = 1
	};
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.text, "errnoRet cannot be combined with SCMP_ACT_LOG");
	rule.action = "SCMP_ACT_ERRNO";
	rule.errno_ret = 4096;
	cr_expect(compile(&p, &program, &err) == -EINVAL);
	cr_expect_str_eq(err.text, "errnoRet 4096 is out of range");
	cr_expect_str_eq(err.at, "/linux/seccomp/syscalls/0");
}

Test(seccomp_compile, more_than_the_kernel_takes_is_refused_with_the_number)
{
	struct buf text = BUF_INIT;
	struct proc_seccomp p;
	struct error err;

	buf_puts(&text, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[");
	for (int i = 0; i < 1500; i++)
		buf_printf(&text,
			   "%s{" NAMES("\"ioctl\"") ",\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
						    "{\"index\":1,\"value\":%llu,\"op\":\"SCMP_CMP_"
						    "EQ\"}]}",
			   i ? "," : "", (unsigned long long)i * 0x100000001ull);
	buf_puts(&text, "]}");
	cr_expect(compile(profile_of(text.data), &p, &err) == -E2BIG, "%s", err.text);
	cr_expect(strstr(err.text, "instructions, the kernel takes 4096"), "%s", err.text);
	buf_release(&text);
}

static void expect_sorted(const char *const *names, const char *what)
{
	cr_assert(names && names[0], "%s", what);
	for (size_t i = 0; names[i] && names[i + 1]; i++)
		cr_expect(strcmp(names[i], names[i + 1]) < 0, "%s: %s", what, names[i]);
}

Test(seccomp_features, lists_are_sorted_and_those_of_the_library)
{
	struct spec_features_seccomp f;
	uint32_t (*resolve)(const char *) = NULL;
	void *lib = dlopen("libseccomp.so.2", RTLD_NOW);
	const char *const archs[] = { "x86",	     "x86_64",	    "x32",	"arm",
				      "aarch64",     "loongarch64", "m68k",	"mips",
				      "mipsel",	     "mips64",	    "mipsel64", "mips64n32",
				      "mipsel64n32", "parisc",	    "parisc64", "ppc",
				      "ppc64",	     "ppc64le",	    "riscv64",	"s390",
				      "s390x",	     "sheb",	    "sh" };
	size_t known = 0, listed = 0;

	*(void **)&resolve = dlsym(lib, "seccomp_arch_resolve_name");
	proc_seccomp_features(&f);
	expect_sorted(f.actions, "actions");
	expect_sorted(f.operators, "operators");
	expect_sorted(f.archs, "archs");
	expect_sorted(f.known_flags, "known flags");
	expect_sorted(f.supported_flags, "supported flags");

	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		char name[64] = "SCMP_ARCH_";
		uint32_t token;

		if (!resolve(archs[i]))
			continue;
		known++;
		for (size_t k = 0; archs[i][k]; k++)
			name[strlen("SCMP_ARCH_") + k] = (char)toupper(archs[i][k]);
		cr_expect(proc_seccomp_arch(name, &token, NULL) == 0, "%s", name);
		cr_expect(token == resolve(archs[i]), "%s", name);
	}
	while (f.archs[listed])
		listed++;
	cr_expect(listed == known, "%zu %zu", listed, known);
}

Test(seccomp_features, the_version_is_the_librarys)
{
	struct proc_seccomp_lib lib;
	char text[32];

	cr_assert(proc_seccomp_lib_open(&lib, NULL) == 0);
	snprintf(text, sizeof(text), "%u.%u.%u", lib.version()->major, lib.version()->minor,
		 lib.version()->micro);
	cr_expect_str_eq(proc_seccomp_version(), text);
}

/* From here on the kernel answers. */

static char arg0[] = "x";
static char *args[] = { arg0, NULL };

static struct spec_process process(uint32_t uid, bool nnp, struct spec_capabilities *caps)
{
	return (struct spec_process){ .cwd = "/",
				      .args = { args, 1 },
				      .env = { args + 1, 0 },
				      .user = { .uid = uid, .gid = uid },
				      .capabilities = caps,
				      .no_new_privileges = nnp };
}

static struct proc_plan plan_of(const struct spec_process *spec, const struct proc_seccomp *seccomp)
{
	struct error err = ERROR_INIT;
	struct proc_plan plan;

	cr_assert(proc_plan_make(spec, &(struct proc_options){ .seccomp = seccomp }, &profile_arena,
				 &plan, &err) == 0);
	return plan;
}

static long int80(long nr, long a)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(0), "d"(0) : "memory");
	return ret;
}

static int try_dockers_calls(void *data)
{
	(void)data;
	if (getpid() <= 0)
		return 1;
	if (syscall(SYS_unshare, CLONE_NEWUSER) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_clone3, NULL, 0) != -1 ||
	    errno != ENOSYS) /* glibc then falls back to clone */
		return 3;
	if (personality(0xffffffff) < 0 || personality(0x12345) != -1 || errno != EPERM)
		return 4;
	if (syscall(SYS_keyctl, 0, 0, 0) != -1 || errno != EPERM)
		return 5;
	if (syscall(FUTURE) != -1 || errno != ENOSYS)
		return 6;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		return 7;
	if (int80(FUTURE, 0) != -ENOSYS)
		return 8;
	if (int80(20 /* getpid */, 0) != getpid())
		return 9;
	if (int80(288 /* keyctl */, 0) != -EPERM)
		return 10;
	return 0;
}

Test(seccomp_load, dockers_profile_in_the_kernel_with_and_without_no_new_privs)
{
	struct spec_capabilities caps = { .set = { 0x21, 0x21, 0x21, 0, 0 } };
	struct proc_seccomp p;
	struct error err;

	cr_assert(compile(profile_of_engine("docker"), &p, &err) == 0, "%s", err.text);
	for (int i = 0; i < 8; i++) {
		struct spec_process spec = process(i & 1 ? 1000 : 0, i & 2, i & 4 ? &caps : NULL);
		struct proc_plan plan = plan_of(&spec, &p);
		struct child c =
			child_start(&plan, &(struct child_how){ .instead = try_dockers_calls });

		cr_assert(c.applied == 0, "%d: %s", i, c.err.text);
		cr_expect(child_finish(&c) == 0, "%d", i);

		c = child_start(&plan, NULL);
		cr_assert(c.applied == 0, "%d: %s", i, c.err.text);
		cr_expect_str_eq(child_status(c.pid, "Seccomp"), "2");
		cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%d: %s", i, err.text);
		child_finish(&c);
	}
}

static int has_no_admin(void *data)
{
	(void)data;
	return proc_permitted_caps() & PROC_CAP_BIT(CAP_SYS_ADMIN) ? 1 : 0;
}

Test(seccomp_load, the_privilege_kept_for_the_load_is_gone_afterwards)
{
	struct spec_capabilities none = { 0 };
	struct proc_seccomp p =
		compiled(RULES("{" NAMES("\"getppid\"") ",\"action\":\"SCMP_ACT_ERRNO\"}"));

	for (int uid = 0; uid < 2; uid++) {
		struct spec_process spec = process(uid ? 1000 : 0, false, &none);
		struct proc_plan plan = plan_of(&spec, &p);
		struct child c = child_start(&plan, &(struct child_how){ .instead = has_no_admin });

		cr_assert(c.applied == 0, "%s", c.err.text);
		cr_expect(child_finish(&c) == 0);
	}
}

/* By number: a sanitizer's _exit() makes calls of its own. */
static int leave_at_once(void *data)
{
	(void)data;
	return (int)syscall(SYS_exit_group, 0);
}

Test(seccomp_load, with_no_new_privs_the_filter_sees_no_call_of_ours)
{
	/* Kills for anything but what ends the process. */
	struct proc_seccomp p =
		compiled("{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":["
			 "{" NAMES("\"exit_group\",\"close\"") ",\"action\":\"SCMP_ACT_ALLOW\"}]}");
	struct spec_capabilities caps = { .set = { 0x21, 0x21, 0x21, 0, 0 } };

	for (int uid = 0; uid < 2; uid++) {
		struct spec_process spec = process(uid ? 1000 : 0, true, uid ? &caps : NULL);
		struct proc_plan plan = plan_of(&spec, &p);
		struct child c =
			child_start(&plan, &(struct child_how){ .instead = leave_at_once });

		cr_assert(c.applied == 0, "%s", c.err.text);
		cr_expect(child_finish(&c) == 0);
	}
}

Test(seccomp_load, a_profile_without_capset_is_told_apart_from_other_refusals)
{
	struct proc_seccomp p =
		compiled(RULES("{" NAMES("\"capset\"") ",\"action\":\"SCMP_ACT_ERRNO\"}"));
	struct spec_capabilities caps = { .set = { 0x21, 0x21, 0x21, 0, 0 } };
	struct spec_process spec = process(0, false, &caps);
	struct proc_plan plan = plan_of(&spec, &p);
	struct child c = child_start(&plan, NULL);

	cr_expect(c.applied == -EPERM);
	cr_expect_str_eq(c.err.hint,
			 "the seccomp profile must allow capset, or noNewPrivileges be true");
	child_finish(&c);
	spec.no_new_privileges = true;
	c = child_start(&plan, NULL);
	cr_expect(c.applied == 0, "%s", c.err.text);
	child_finish(&c);
}

static int ask(void *data)
{
	(void)data;
	return syscall(SYS_getppid) == 77 ? 0 : 1;
}

static int receive_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	int fd = -1;

	cr_assert(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1);
	cr_assert(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

Test(seccomp_load, a_listener_reaches_the_runtime_and_answers)
{
	struct proc_seccomp p = compiled(NOTIFIES("", "\"listenerPath\":\"/run/l\","));
	struct spec_process spec = process(0, true, NULL);
	struct proc_plan plan = plan_of(&spec, &p);
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { .val = 77 };
	int socks[2];

	cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) == 0);

	struct child c =
		child_start(&plan, &(struct child_how){ .instead = ask, .notify_sock = socks[1] });

	cr_assert(c.applied == 0, "%s", c.err.text);
	int listener = receive_fd(socks[0]);
	cr_assert(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0);
	cr_expect(request.data.nr == SYS_getppid && (pid_t)request.pid == c.pid);
	response.id = request.id;
	cr_assert(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0);
	cr_expect(child_finish(&c) == 0);
	close(listener);
}

Test(seccomp_load, a_filter_that_notifies_is_not_loaded_when_nobody_listens)
{
	struct proc_seccomp p = compiled(NOTIFIES("", "\"listenerPath\":\"/run/l\","));
	struct spec_process spec = process(0, true, NULL);
	struct proc_plan plan = plan_of(&spec, &p);
	struct child c = child_start(&plan, NULL);

	cr_expect(c.applied == -EINVAL);
	cr_expect(strstr(c.err.text, "nobody listens"));
	child_finish(&c);
}
