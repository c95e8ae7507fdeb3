/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A profile (config-linux.md, Seccomp) becomes a program. libseccomp writes the
 * decision tree; ours are the rules around it: which rules it is given, what is
 * refused, what newer calls are answered, and the flags of the load.
 */
#include "runtime/process/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define MAX_ARCHS 32
#define MAX_ARGS 6 /* of a system call */
#define TREE_THRESHOLD 32 /* rules; below, a list is as fast */
#define X32_BIT 0x40000000

struct compiler {
	const struct proc_seccomp_lib *lib;
	const struct spec_seccomp *profile;
	const struct log *log;
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[MAX_ARCHS];
	size_t n_archs;
	size_t n_rules; /* handed to libseccomp */
	struct proc_seccomp_newer newer[PROC_SECCOMP_NEWER];
	size_t n_newer;
	bool notifies;
	bool allows_execve; /* without looking at its arguments */
	bool names_execveat;
};

static void auto_ctxp(struct compiler *c)
{
	if (c->ctx)
		c->lib->release(c->ctx);
}

static int add_arch(struct compiler *c, uint32_t arch, struct error *err)
{
	for (size_t i = 0; i < c->n_archs; i++)
		if (c->archs[i] == arch)
			return 0;
	if (c->n_archs == MAX_ARCHS)
		return error_rule(err, EINVAL, "more than %d architectures", MAX_ARCHS);

	int r = c->lib->arch_add(c->ctx, arch);

	if (r == -EDOM)
		return error_rule(err, EINVAL,
				  "an architecture of the other byte order than this host");
	if (r < 0 && r != -EEXIST)
		return error_set(err, -r, "add architecture %#x to the seccomp filter", arch);
	c->archs[c->n_archs++] = arch;
	return 0;
}

/* The native one is in every filter: without it nothing could run at all. */
static int add_archs(struct compiler *c, struct error *err)
{
	const struct spec_strings *names = &c->profile->architectures;
	int r = add_arch(c, c->lib->arch_native(), err);

	for (size_t i = 0; r >= 0 && i < names->n; i++) {
		uint32_t arch;

		r = proc_seccomp_arch(names->v[i], &arch, err);
		if (r >= 0)
			r = add_arch(c, arch, err);
		if (r < 0)
			error_at(err, "/linux/seccomp/architectures/%zu", i);
	}
	return r;
}

static int read_args(const struct spec_seccomp_rule *rule, size_t rule_index,
		     struct scmp_arg_cmp *args, bool *ret_repeated, struct error *err)
{
	unsigned seen = 0;

	*ret_repeated = false;
	for (size_t i = 0; i < rule->n_args; i++) {
		const struct spec_seccomp_arg *arg = &rule->args[i];
		enum scmp_compare op;
		int r = proc_seccomp_operator(arg->op, &op, err);

		if (r >= 0 && arg->index >= MAX_ARGS)
			r = error_rule(err, EINVAL, "index %u: a system call has arguments 0 to 5",
				       arg->index);
		if (r < 0) {
			error_at(err, "/linux/seccomp/syscalls/%zu/args/%zu", rule_index, i);
			return r;
		}
		if (seen & 1u << arg->index)
			*ret_repeated = true;
		seen |= 1u << arg->index;
		/* MASKED_EQ: value is the mask, valueTwo what must be left. */
		args[i] = (struct scmp_arg_cmp){ .arg = arg->index,
						 .op = op,
						 .datum_a = arg->value,
						 .datum_b = arg->value_two };
	}
	return 0;
}

static int add_rule(struct compiler *c, uint32_t action, int nr, const char *name, size_t n,
		    const struct scmp_arg_cmp *args, struct error *err)
{
	int r = c->lib->rule_add(c->ctx, action, nr, (unsigned)n, args);

	if (r < 0 && r != -EEXIST)
		return error_set(err, -r, "add a seccomp rule for %s", name);
	c->n_rules++;
	return 0;
}

/*
 * Between the load of the filter and the moment somebody answers, these are made:
 * a process that waits for an answer to them would wait for ever.
 */
static bool must_not_notify(const char *name)
{
	return strcmp(name, "write") == 0 || strcmp(name, "sendmsg") == 0;
}

/* The first rule about a call is the one that counts. */
static void add_newer(struct compiler *c, const struct spec_seccomp_rule *rule, const char *name, uint32_t action)
{
	int call = proc_seccomp_newer_find(name);

	if (call < 0 || rule->n_args) {
		log_debug(c->log, "seccomp: libseccomp does not know the system call %s", name);
		return;
	}
	for (size_t i = 0; i < c->n_newer; i++)
		if (c->newer[i].call == call)
			return;
	c->newer[c->n_newer++] = (struct proc_seccomp_newer){ call, action };
	c->notifies |= action == SCMP_ACT_NOTIFY;
}

static int add_name(struct compiler *c, const struct spec_seccomp_rule *rule, const char *name,
		    uint32_t action, const struct scmp_arg_cmp *args, bool repeated,
		    struct error *err)
{
	int nr = c->lib->resolve(name);

	if (action == SCMP_ACT_NOTIFY && must_not_notify(name))
		return error_rule(err, EINVAL, "SCMP_ACT_NOTIFY cannot be used for %s", name);
	if (strcmp(name, "execveat") == 0)
		c->names_execveat = true;
	if (strcmp(name, "execve") == 0 && action == SCMP_ACT_ALLOW && rule->n_args == 0)
		c->allows_execve = true;
	if (nr == __NR_SCMP_ERROR) {
		add_newer(c, rule, name, action);
		return 0;
	}
	c->notifies |= action == SCMP_ACT_NOTIFY;

	/* libseccomp cannot compare an argument twice in a rule: then each stands alone. */
	if (!repeated)
		return add_rule(c, action, nr, name, rule->n_args, args, err);
	for (size_t i = 0; i < rule->n_args; i++) {
		int r = add_rule(c, action, nr, name, 1, &args[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_profile_rule(struct compiler *c, size_t index, struct arena *a, struct error *err)
{
	const struct spec_seccomp_rule *rule = &c->profile->rules[index];
	struct proc_seccomp_action_ref ref = { rule->action, rule->has_errno, rule->errno_ret };
	struct scmp_arg_cmp *args = ARENA_NEW_N(a, struct scmp_arg_cmp, rule->n_args + 1);
	bool repeated;
	uint32_t action;
	int r = proc_seccomp_action(&ref, "errnoRet", &action, err);

	if (r < 0) {
		error_at(err, "/linux/seccomp/syscalls/%zu", index);
		return r;
	}
	r = read_args(rule, index, args, &repeated, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rule->names.n; i++) {
		const char *name = rule->names.v[i];

		/* It would change nothing, and libseccomp refuses it. */
		if (action == c->default_action) {
			if (strcmp(name, "execveat") == 0)
				c->names_execveat = true;
			continue;
		}
		r = add_name(c, rule, name, action, args, repeated, err);
		if (r < 0) {
			error_at(err, "/linux/seccomp/syscalls/%zu/names/%zu", index, i);
			return r;
		}
	}
	return 0;
}

/*
 * The stub that becomes the program is started by execveat(fd, "", …,
 * AT_EMPTY_PATH), after the filter is loaded. Profiles recorded from a running
 * program name execve and have never seen execveat. Whoever may execve anything may
 * execve("/proc/self/fd/N"), which is the same call, so allowing exactly this form
 * gives nothing away. A profile that says anything about execveat is taken at its word.
 */
static int allow_start(struct compiler *c, struct error *err)
{
	struct scmp_arg_cmp empty_path = { .arg = 4, .op = SCMP_CMP_EQ, .datum_a = AT_EMPTY_PATH };
	int nr = c->lib->resolve("execveat");

	if (c->default_action == SCMP_ACT_ALLOW || !c->allows_execve || c->names_execveat ||
	    nr == __NR_SCMP_ERROR)
		return 0;
	return add_rule(c, SCMP_ACT_ALLOW, nr, "execveat", 1, &empty_path, err);
}

/* Denying by default is what makes a missing name a surprise; a tracer answers for itself. */
static bool wants_enosys(const struct compiler *c)
{
	switch (c->default_action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_TRACE:
		return false;
	}
	return c->default_action != SCMP_ACT_ERRNO(ENOSYS);
}

static int number_of(const struct compiler *c, uint32_t arch, const char *name)
{
	int nr = c->lib->resolve_arch(arch, name);
	int call = nr == __NR_SCMP_ERROR ? proc_seccomp_newer_find(name) : -1;

	return call < 0 ? nr : proc_seccomp_newer_number(call, arch);
}

static size_t find_newest(const struct compiler *c, struct proc_seccomp_newest *newest)
{
	const struct spec_seccomp *p = c->profile;
	size_t n = 0;

	for (size_t arch = 0; arch < c->n_archs; arch++) {
		int max = -1;

		for (size_t i = 0; i < p->n_rules; i++) {
			for (size_t k = 0; k < p->rules[i].names.n; k++) {
				int nr = number_of(c, c->archs[arch], p->rules[i].names.v[k]);

				/* The block of x32 calls at 512 says nothing about age. */
				if (c->archs[arch] == SCMP_ARCH_X32 && nr > 0) {
					nr &= ~X32_BIT;
					if (nr >= 512 && nr < 548)
						continue;
				}
				if (nr > max)
					max = nr;
			}
		}
		if (max >= 0)
			newest[n++] = (struct proc_seccomp_newest){ c->archs[arch], max };
	}
	return n;
}

/* libseccomp 2.5 can only write to a file. */
static int export_program(const struct compiler *c, struct arena *a, struct proc_seccomp *ret,
			  struct error *err)
{
	struct sock_filter *insns = ARENA_NEW_N(a, struct sock_filter,
						PROC_SECCOMP_NEWER_MAX(MAX_ARCHS) +
							PROC_SECCOMP_ENOSYS_MAX(MAX_ARCHS) + BPF_MAXINSNS);
	auto_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct proc_seccomp_newest newest[MAX_ARCHS];
	struct stat st;
	size_t n;

	if (fd < 0)
		return error_set(err, errno, "create memory file for a seccomp filter");

	int r = c->lib->export_bpf(c->ctx, fd);

	if (r < 0)
		return error_set(err, -r, "write the seccomp filter as a program");
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat the seccomp filter");
	n = proc_seccomp_newer_write(c->archs, c->n_archs, c->newer, c->n_newer, insns);
	if (wants_enosys(c))
		n += proc_seccomp_enosys(newest, find_newest(c, newest), insns + n);

	size_t total = n + (size_t)st.st_size / sizeof(*insns);

	if (total > BPF_MAXINSNS)
		return error_rule(err, E2BIG,
				  "the seccomp filter has %zu instructions, the kernel takes %d",
				  total, BPF_MAXINSNS);
	if (pread(fd, insns + n, (size_t)st.st_size, 0) != st.st_size)
		return error_set(err, EIO, "read the seccomp filter back");
	ret->insns = insns;
	ret->n_insns = (uint32_t)total;
	return 0;
}

static int collect_flags(const struct compiler *c, uint32_t *ret, struct error *err)
{
	const struct spec_seccomp *p = c->profile;
	uint32_t flags = 0;

	/* No array: the costly mitigation is switched off, as engines expect. */
	if (!p->has_flags)
		flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (size_t i = 0; i < p->flags.n; i++) {
		uint32_t flag;
		int r = proc_seccomp_flag(p->flags.v[i], &flag, err);

		if (r < 0) {
			error_at(err, "/linux/seccomp/flags/%zu", i);
			return r;
		}
		flags |= flag;
	}
	if (c->notifies) {
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		/* seccomp(2): the two together need the error as an errno, not as a thread id. */
		if (flags & SECCOMP_FILTER_FLAG_TSYNC)
			flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	} else {
		flags &= ~(uint32_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	}
	*ret = flags;
	return 0;
}

static int start_filter(struct compiler *c, struct error *err)
{
	const struct spec_seccomp *p = c->profile;
	struct proc_seccomp_action_ref ref = { p->default_action, p->has_default_errno,
					       p->default_errno };
	int r = proc_seccomp_action(&ref, "defaultErrnoRet", &c->default_action, err);

	if (r >= 0 && c->default_action == SCMP_ACT_NOTIFY)
		r = error_rule(err, EINVAL, "SCMP_ACT_NOTIFY cannot be the default action");
	if (r < 0) {
		error_at(err, "/linux/seccomp/defaultAction");
		return r;
	}
	c->ctx = c->lib->init(c->default_action);
	if (!c->ctx) {
		r = error_set(err, EINVAL, "start a seccomp filter with %s", p->default_action);
		error_at(err, "/linux/seccomp/defaultAction");
	}
	return r;
}

int proc_seccomp_compile(const struct proc_seccomp_lib *lib, const struct spec_seccomp *profile,
			 struct arena *a, const struct log *log, struct proc_seccomp *ret,
			 struct error *err)
{
	__attribute__((cleanup(auto_ctxp))) struct compiler c = { .lib = lib,
								  .profile = profile,
								  .log = log };
	struct proc_seccomp program = { 0 };
	int r = start_filter(&c, err);

	if (r >= 0)
		r = add_archs(&c, err);
	for (size_t i = 0; r >= 0 && i < profile->n_rules; i++)
		r = add_profile_rule(&c, i, a, err);
	if (r >= 0)
		r = allow_start(&c, err);
	if (r >= 0 && c.notifies && !profile->listener_path) {
		r = error_rule(err, EINVAL, "SCMP_ACT_NOTIFY needs listenerPath");
		error_at(err, "/linux/seccomp");
	}
	if (r >= 0)
		r = collect_flags(&c, &program.flags, err);
	if (r < 0)
		return r;

	/* A library that knows no trees writes a list, which is only slower. */
	if (c.n_rules > TREE_THRESHOLD)
		lib->attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);

	program.notifies = c.notifies;
	r = export_program(&c, a, &program, err);
	if (r < 0)
		return r;
	*ret = program;
	return 0;
}
