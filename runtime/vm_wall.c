/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of vm_wall.h. */
#include "runtime/vm_wall.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/vm_process.h"
#include "runtime/vm_record.h"
#include "runtime/vm_stdio.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/mountapi.h"
#include "vm/session/session.h"
#include "vm/wire/wire.h"

#define BIT(cap) (1ULL << (cap))

/* What vm/fs/fs.h says a file server needs to act as the guest's users. */
#define MACHINE_CAPS \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_SETFCAP) | \
	 BIT(CAP_SETUID) | BIT(CAP_SETGID))

static unsigned host_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

/*
 * A kernel that is mapped is shared by all guests, and costs each a fault for every page of 4 KiB that it touches; one that is
 * copied lies in huge pages. Where this host is a virtual machine itself, each of these faults is one of the outer
 * hypervisor's as well, and copying is several times quicker.
 */
static bool copies_kernel(void)
{
	unsigned a, b, c = 0, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & 1U << 31; /* CPUID.1:ECX, "hypervisor present" */
}

int wall_plan(struct build *b, struct error *err)
{
	struct wall *w = ARENA_NEW(b->arena, struct wall);
	int r = wall_check_options(b->opt, b->preserve_fds, err);

	*w = (struct wall){ .kvm_fd = -1, .kernel_fd = -1, .listen_fd = -1, .record_fd = -1 };
	if (r == 0)
		r = wall_check(b->spec, err);
	if (r == 0)
		r = wall_plan_make(b->spec, host_cpus(), b->arena, &w->plan, err);
	if (r == 0)
		w->kvm_fd = r = wall_open_kvm(b->ctx, err);
	if (r >= 0)
		r = wall_open_kernel(b->ctx, b->spec->vm, w, err);
	if (r < 0)
		return r;
	w->copies_kernel = copies_kernel();
	log_debug(b->ctx->log, "plan: a virtual machine with %u vCPUs and %llu MiB", w->plan.vcpus,
		  (unsigned long long)(w->plan.memory / WALL_MIB));
	b->vm = w;
	return 0;
}

/*
 * The machine's own process is root of its user namespace with what serving files takes. Limits, scheduling and the rest of
 * the config's process are the guest's to apply; only whom the host's kernel kills first is said here.
 */
int wall_plan_process(struct build *b, struct error *err)
{
	static const char name[] = "/bulkhead-vm";
	static char *args[] = { (char *)name, NULL };
	struct wall *w = b->vm;
	struct proc_options opt = {
		.linux_ = NULL,
		.in_user_namespace = b->spec->linux_.ns[SPEC_NS_USER].listed,
		.log = b->ctx->log,
	};

	w->caps = (struct spec_capabilities){ .unknown = { .v = args + 1 } };
	w->caps.set[SPEC_CAP_BOUNDING] = w->caps.set[SPEC_CAP_EFFECTIVE] = w->caps.set[SPEC_CAP_PERMITTED] = MACHINE_CAPS;
	w->process = (struct spec_process){
		.cwd = "/",
		.args = { .v = args, .n = 1 },
		.env = { .v = args + 1 },
		.capabilities = &w->caps,
		.no_new_privileges = true,
		.has_oom_score_adj = b->spec->process.has_oom_score_adj,
		.oom_score_adj = b->spec->process.oom_score_adj,
	};

	int r = proc_plan_make(&w->process, &opt, b->arena, &b->proc, err);

	b->proc.limits_inside = true; /* there are none */
	return r;
}

/* A path of any length: through the directory's descriptor, in a working directory that is nobody's. */
static int listen_in(int state_dir, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_set(err, errno, "make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" VM_SOCKET, state_dir);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "bind " VM_SOCKET " in the state directory");
	if (fchmodat(state_dir, VM_SOCKET, 0600, 0) < 0)
		return error_set(err, errno, "set the mode of " VM_SOCKET);
	if (listen(fd, VM_SESSION_CLIENTS) < 0)
		return error_set(err, errno, "listen on " VM_SOCKET);
	return TAKE_FD(fd);
}

int wall_reserve(struct build *b, struct error *err)
{
	struct wall *w = b->vm;

	w->record_fd = vm_record_open(b->state_dir, err);
	if (w->record_fd < 0)
		return w->record_fd;
	wall_take_stdio(&b->ctx->stdio, b->child_stdio);
	w->listen_fd = listen_in(b->state_dir, err);
	return w->listen_fd < 0 ? w->listen_fd : 0;
}

/* Capabilities that no thread may have: those of the main one stand for what all had when they began. */
static int check_caps(pid_t pid, const char *status, const char *name, struct error *err)
{
	const char *line = strstr(status, name);
	unsigned long long found;

	if (!line || sscanf(line + strlen(name), "%llx", &found) != 1)
		return error_rule(err, EPROTO, "/proc/%d/status has no %s", (int)pid, name);
	if (found & ~MACHINE_CAPS)
		return error_rule(err, EPROTO, "%s of process %d is %#llx, but the plan says %#llx at most", name, (int)pid, found,
				  (unsigned long long)MACHINE_CAPS);
	return 0;
}

/* Its own filter: the profile of the config is the guest's. */
static int check_jail(pid_t pid, struct error *err)
{
	siginfo_t si = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid != pid ||
	    si.si_code == CLD_EXITED || si.si_status != SIGSYS)
		return 0;
	return error_rule(err, EPERM, "the virtual machine's process made a system call that it has no use for, and was killed");
}

int wall_verify(struct build *b, struct error *err)
{
	pid_t pid = b->launch.pid;
	struct proc_plan plan = b->proc;
	char path[48], status[8192];

	/* Its threads gave up more than they were given, and each has a filter of its own. */
	plan.has_caps = false;
	plan.seccomp = (struct proc_seccomp){ .insns = &plan };

	int r = check_jail(pid, err);

	if (r == 0)
		r = launch_verify(&b->launch, &plan, err);

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (r == 0 && file_read_at(AT_FDCWD, path, status, sizeof(status), err) < 0)
		r = -err->code;
	if (r == 0)
		r = check_caps(pid, status, "CapPrm:", err);
	if (r == 0)
		r = check_caps(pid, status, "CapBnd:", err);
	return r < 0 ? error_wrap(err, r, "cannot trust the virtual machine's process") : 0;
}

/* "destination\0option\0option\0" */
static void add_mount(const struct ns_extra_mount *m, struct buf *out)
{
	auto_buf struct buf b = BUF_INIT;

	buf_add(&b, m->destination, strlen(m->destination) + 1);
	for (size_t i = 0; m->bind && i < m->bind->options.n; i++)
		buf_add(&b, m->bind->options.v[i], strlen(m->bind->options.v[i]) + 1);
	if (!m->bind && m->attr_set & MOUNT_ATTR_RDONLY)
		buf_add(&b, "ro", sizeof("ro"));
	wire_add(out, WIRE_T_MOUNT, b.data, b.len);
}

void wall_describe(const struct build *b, struct buf *out)
{
	wire_add(out, WIRE_T_CONFIG, b->spec->raw, b->spec->raw_len);
	wire_add_text(out, WIRE_T_ID, b->opt->id);
	wire_add_text(out, WIRE_T_BUNDLE, b->bundle);
	wire_add_text(out, WIRE_T_KEYRING, b->state.keyring);
	wire_add_u64(out, WIRE_T_MEMORY, b->vm->plan.memory);
	wall_add_filter(&b->seccomp, out);
	for (size_t i = 0; i < b->n_extra_mounts; i++)
		add_mount(&b->extra_mounts[i], out);
	if (b->ctx->log && b->ctx->log->level >= LOG_DEBUG)
		wire_add(out, WIRE_T_DEBUG, NULL, 0);
}
