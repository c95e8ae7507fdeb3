/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that becomes the machine: from its birth in the container's namespaces to the guest's end. Up to the hooks it goes
 * the way of init.c; then it gives up all it does not need, step by step, and turns the machine's loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "namespaces/tap.h"
#include "runtime/init.h"
#include "runtime/keep_fds.h"
#include "runtime/vm_names.h"
#include "runtime/vm_process.h"
#include "runtime/vm_record.h"
#include "runtime/vm_wall.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "spec/base/proc.h"
#include "vm/fs/fs.h"
#include "vm/session/session.h"
#include "vm/wire/wire.h"

#define CPU_WORDS 128 /* 8192 CPUs: CONFIG_NR_CPUS of any distribution */

/* What is needed on the way down. Lives to the end of the process. */
struct machine {
	struct launch *launch;
	struct build *b;
	int terminal; /* the peer; -1: none */
	bool has_tap;
	struct ns_tap tap;
	int names_fd; /* -1: none */
	struct buf create;
	int root_fd, volumes_fd, proc_fd;
	struct vm_fs *root, *volumes;
	unsigned recorded;
	bool told, made; /* the parent knows how it went; and well */
};

/* ---- while the host is in view ---- */

static int make_tap(struct machine *m, struct error *err)
{
	auto_buf struct buf config = BUF_INIT;
	int r = ns_tap_make(&m->tap, &config, err);

	if (r < 0)
		return error_wrap(err, r, "cannot give the network interface to the guest");
	m->has_tap = r > 0;
	if (m->has_tap)
		wire_add(&m->create, WIRE_T_NET, config.data, config.len);
	return 0;
}

/* What the host's administrator forbids in the source of a bind mount is forbidden in the guest, too. */
static void describe_volumes(struct machine *m)
{
	for (struct ns_volume v = { .next = 0 }; ns_next_volume(m->b->ns, &v);) {
		struct wire_volume told = { .is_extra = v.is_extra, .number = v.number, .attr = v.attr };

		if (v.attr)
			wire_add(&m->create, WIRE_T_VOLUME, &told, sizeof(told));
	}
}

static int enter(struct machine *m, struct error *err)
{
	struct build *b = m->b;

	if (setsid() < 0)
		return error_set(err, errno, "make a session of its own");

	int r = init_enter_namespaces(b, err);

	trace_step(b->ctx->trace, "namespaces");
	if (r == 0) {
		r = ns_build_bare(b->ns, err);
		if (r < 0)
			return error_wrap(err, r, "cannot set up the root filesystem");
		trace_step(b->ctx->trace, "root filesystem");
		describe_volumes(m);
		init_make_cwd(b);
		r = init_run_hooks(b, err);
	}
	if (r == 0 && b->spec->process.terminal) {
		r = wall_open_terminal(m->launch, &b->spec->process, &m->terminal, err);
		if (r < 0)
			return error_wrap(err, r, "cannot set up the container's terminal");
	}
	trace_step(b->ctx->trace, "hooks and terminal");
	if (r == 0)
		r = make_tap(m, err);
	trace_step(b->ctx->trace, "network");
	if (r < 0)
		return r;
	r = ns_enter_bare(b->ns, err);
	trace_step(b->ctx->trace, "enter root");
	return r < 0 ? error_wrap(err, r, "cannot enter the root filesystem") : 0;
}

/* ---- giving up ---- */

static int open_shares(struct machine *m, struct error *err)
{
	int top = ns_root_fd(m->b->ns);

	m->root_fd = openat(top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd >= 0 && ns_has_volumes(m->b->ns))
		m->volumes_fd = openat(top, "volumes", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0 || (m->volumes_fd < 0 && ns_has_volumes(m->b->ns)))
		return error_set(err, errno, "open what the guest is to see");
	if (m->has_tap)
		m->names_fd = vm_names_open(m->b->spec, top, &m->create);
	m->proc_fd = procfs_openat(ns_procfs_fd(m->b->ns), "self/fd", O_RDONLY | O_DIRECTORY, err);
	return m->proc_fd < 0 ? m->proc_fd : 0;
}

static int replace_stdio(const struct machine *m, int ret[3], struct error *err)
{
	const struct build *b = m->b;

	for (int i = 0; i < 3; i++) {
		bool is_null = b->child_stdio[i] < 0 && b->ctx->stdio.is_null[i];

		if (b->child_stdio[i] >= 0 && dup2(b->child_stdio[i], i) < 0)
			return error_set(err, errno, "set up descriptor %d of the program", i);
		ret[i] = is_null ? -1 : i;
	}
	/* It stands for all three, and the caller's own are not the container's. */
	for (int i = 0; m->terminal >= 0 && i < 3; i++) {
		if (dup2(m->terminal, i) < 0)
			return error_set(err, errno, "set up descriptor %d of the program", i);
		ret[i] = i == 0 ? 0 : -1;
	}
	return 0;
}

static int close_others(struct machine *m, struct error *err)
{
	const struct wall *w = m->b->vm;
	const struct launch *l = m->launch;
	const struct trace *t = m->b->ctx->trace;
	int keep[13 + VM_MAX_INITRAMFS] = {
		w->kvm_fd, w->kernel_fd, w->listen_fd, w->record_fd, l->stub_go, l->stub_status, l->sync[1],
		m->root_fd, m->volumes_fd, m->proc_fd, m->has_tap ? m->tap.fd : -1, t ? t->fd : -1, m->names_fd,
	};

	memcpy(keep + 13, w->initramfs, w->n_initramfs * sizeof(keep[0]));
	return keep_fds(keep, 13 + w->n_initramfs, err);
}

static void settle(void)
{
	static uint64_t all[CPU_WORDS];
	struct rlimit files;

	/* The caller's CPU mask is no property of the container; threads inherit it from here. The cpuset holds. */
	memset(all, 0xff, sizeof(all));
	syscall(SYS_sched_setaffinity, 0, sizeof(all), all);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGXFSZ, SIG_IGN); /* an EFBIG for the guest */
	wall_become("bulkhead-vm");
}

static int drop_rights(struct machine *m, struct error *err)
{
	int r = proc_apply(&m->b->proc, -1, NULL, err);

	/* The change of credentials has made it what fs.suid_dumpable says. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = error_set(err, errno, "make the process undumpable");
	umask(0);
	return r;
}

/* ---- the machine ---- */

static int serve_files(struct machine *m, struct error *err)
{
	bool is_ours = m->b->storage.has_root; /* an overlay that was made for this guest: nobody else writes there */
	struct vm_fs_options root = {
		.root_fd = m->root_fd,
		.proc_fd = m->proc_fd,
		.cache = VM_FS_OWNED,
		.cache_other = VM_FS_SHARED,
		.writeback = is_ours,
		.no_open = true,
	};
	struct vm_fs_options volumes = {
		.root_fd = m->volumes_fd,
		.proc_fd = m->proc_fd,
		.cache = VM_FS_SHARED,
		.cache_other = VM_FS_SHARED,
	};
	int r = vm_fs_new(&root, &m->root, err);

	return r == 0 && m->volumes_fd >= 0 ? vm_fs_new(&volumes, &m->volumes, err) : r;
}

static void on_created(void *arg, const struct error *err)
{
	struct machine *m = arg;

	if (m->told)
		return;
	m->told = true;
	m->made = !err;
	if (err)
		stage_send_error(m->launch->sync[1], err);
	close(m->launch->sync[1]);
}

static void on_oom(void *arg, uint64_t kills, uint64_t limit, uint64_t peak)
{
	struct machine *m = arg;

	vm_record_oom(m->b->vm->record_fd, &m->recorded, kills, limit, peak);
}

static void on_step(void *arg, const char *step, uint64_t at)
{
	struct machine *m = arg;

	trace_step_at(m->b->ctx->trace, step, at);
}

static void describe_machine(struct machine *m, struct vm_tap *tap, struct vm_config *ret)
{
	const struct wall *w = m->b->vm;

	*ret = (struct vm_config){
		.kvm_fd = w->kvm_fd,
		.kernel_fd = w->kernel_fd,
		.copy_kernel = w->copies_kernel,
		.n_initramfs = w->n_initramfs,
		.cmdline = w->plan.cmdline,
		.memory = w->plan.memory,
		.vcpus = w->plan.vcpus,
		.has_quota = w->plan.has_quota,
		.shares = { { "root", m->root }, { "volumes", m->volumes } },
		.n_shares = m->volumes ? 2 : 1,
		.serial_fd = -1,
		.has_jail = true,
		.trace = m->b->ctx->trace ? on_step : NULL,
		.trace_arg = m,
	};
	memcpy(ret->initramfs_fds, w->initramfs, sizeof(w->initramfs));
	if (!m->has_tap)
		return;
	*tap = (struct vm_tap){ .fd = m->tap.fd, .mtu = m->tap.mtu, .has_offload = m->tap.has_offload };
	memcpy(tap->mac, m->tap.mac, sizeof(tap->mac));
	ret->tap = tap;
}

_Noreturn static void run(struct machine *m, const int stdio[3], struct error *err)
{
	const struct wall *w = m->b->vm;
	struct vm_config machine;
	struct vm_tap tap;
	struct vm_session_end end = { .status = 255 };

	describe_machine(m, &tap, &machine);

	struct vm_session_config config = {
		.machine = &machine,
		.create = &m->create,
		.listen_fd = w->listen_fd,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.terminal = m->terminal >= 0,
		.names_fd = m->names_fd,
		.gate_fd = m->launch->stub_go,
		.status_fd = m->launch->stub_status,
		.created = on_created,
		.oom = on_oom,
		.arg = m,
		.boot_ms = WALL_BOOT_MS,
		.create_ms = WALL_CREATE_MS,
		.debug = m->b->ctx->log && m->b->ctx->log->level >= LOG_DEBUG,
	};
	int r = vm_session_run(&config, &end, err);

	if (r < 0 && m->made)
		vm_record_death(w->record_fd, err);
	if (r < 0)
		on_created(m, err);
	_exit(end.status);
}

_Noreturn void wall_child(struct launch *l, struct build *b)
{
	static struct machine m = { .terminal = -1, .root_fd = -1, .volumes_fd = -1, .proc_fd = -1, .names_fd = -1, .create = BUF_INIT };
	struct error err = ERROR_INIT;
	int stdio[3];

	m.launch = l;
	m.b = b;
	wall_describe(b, &m.create);

	int r = enter(&m, &err);

	if (r == 0)
		r = open_shares(&m, &err);
	if (r == 0)
		r = replace_stdio(&m, stdio, &err);
	if (r == 0)
		r = close_others(&m, &err);
	settle();
	if (r == 0)
		r = drop_rights(&m, &err);
	if (r == 0)
		r = serve_files(&m, &err);
	if (r < 0)
		launch_fail(l, &err);
	run(&m, stdio, &err);
}
