/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's side of a container's construction: see build.h for the order.
 */
#include "runtime/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/attended.h"
#include "runtime/caller.h"
#include "runtime/console.h"
#include "runtime/guard.h"
#include "runtime/hooks.h"
#include "runtime/inner_leaf.h"
#include "runtime/listener.h"
#include "runtime/lsm.h"
#include "runtime/notify.h"
#include "runtime/resources.h"
#include "runtime/seccomp_cache.h"
#include "runtime/shared.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "spec/base/proc.h"
#include "spec/base/rfc3339.h"

static int check_terminal(struct build *b, struct error *err)
{
	bool terminal = b->spec->process.terminal;

	if (b->detach && terminal && !b->opt->console_socket) {
		int r = error_rule(err, EINVAL, TEXT_CONSOLE_MISSING);

		error_at(err, "/process/terminal");
		error_hint(err, "pass --console-socket, run in the foreground, or set process.terminal to false");
		return r;
	}
	if (b->opt->console_socket && (!b->detach || !terminal))
		return error_rule(err, EINVAL, TEXT_CONSOLE_UNUSED);
	return 0;
}

static int check_supported(const struct build *b, struct error *err)
{
	if (b->ctx->isolation == RT_ISOLATION_VM) {
		int r = error_rule(err, ENOTSUP, "the VM wall (--isolation=vm) is not supported yet");

		error_hint(err, "nothing was started: a process container is not a substitute for a VM");
		return r;
	}
	if (getauxval(AT_EUID) != 0) {
		int r = error_rule(err, ENOTSUP, "rootless containers are not supported yet");

		error_hint(err, "run it as root; a user namespace in the config works");
		return r;
	}
	if (b->spec->linux_.intel_rdt) {
		int r = error_rule(err, ENOTSUP, "intelRdt (resctrl) is not supported yet");

		error_at(err, "/linux/intelRdt");
		return r;
	}
	if (!b->spec->has_process) {
		int r = error_rule(err, EINVAL, "process must not be absent: there is nothing to run");

		error_at(err, "/process");
		return r;
	}
	return 0;
}

static int find_bundle(struct build *b, struct error *err)
{
	const char *given = b->opt->config_text ? b->ctx->root : b->opt->bundle ?: ".";
	char path[PATH_MAX * 2];
	char cwd[PATH_MAX] = "";

	if (given[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "ask for the working directory");
	snprintf(path, sizeof(path), "%s/%s%s%s", cwd, given, b->opt->config_text ? "/" : "",
		 b->opt->config_text ? b->opt->id : "");

	int r = path_clean(path, b->bundle, sizeof(b->bundle));

	return r < 0 ? error_set(err, -r, "bundle %s", given) : 0;
}

/*
 * A keyring is joined by its name, and root of one container is root of another where
 * they share a user namespace: the name must not be guessed. The kernel gives each
 * program 16 random bytes; the first half is the stack guard's.
 */
static const char *keyring_name(const struct build *b)
{
	const unsigned char *random = (const void *)getauxval(AT_RANDOM);
	uint64_t secret;

	memcpy(&secret, random + 8, sizeof(secret));
	return arena_printf(b->arena, "_ses.%s.%016llx", b->opt->id, (unsigned long long)secret);
}

static int plan_process(struct build *b, struct error *err)
{
	const struct spec_linux *lx = &b->spec->linux_;
	int r = 0;

	if (lx->seccomp) {
		auto_close int cache = seccomp_cache_open(b->ctx);

		r = proc_seccomp_get(lx->seccomp, cache, b->arena, b->ctx->log, &b->seccomp, err);
	}
	if (r < 0)
		return error_wrap(err, r, "cannot prepare the seccomp filter");

	struct proc_options opt = {
		.linux_ = lx,
		.seccomp = lx->seccomp ? &b->seccomp : NULL,
		.in_user_namespace = lx->ns[SPEC_NS_USER].listed,
		.keyring = b->state.keyring,
		.log = b->ctx->log,
	};

	return proc_plan_make(&b->spec->process, &opt, b->arena, &b->proc, err);
}

static void print_plans(const struct build *b)
{
	const struct log *log = b->ctx->log;

	if (!log || log->level < LOG_DEBUG)
		return;

	auto_buf struct buf text = BUF_INIT;

	ns_plan_print(b->ns, &text);
	proc_plan_print(&b->proc, &text);
	cg_plan_print(&b->cg, &text);
	unit_plan_print(&b->unit.plan, &text);
	for (char *line = text.data, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = '\0';
		log_debug(log, "plan: %s", line);
	}
}

static const char *absolute_rootfs(const struct build *b)
{
	char path[PATH_MAX * 2];
	char clean[PATH_MAX];
	const char *root = b->spec->root.path;

	if (!root || b->storage.has_root) /* the root is to be seen nowhere on the host */
		return "";
	snprintf(path, sizeof(path), "%s/%s", root[0] == '/' ? "" : b->bundle, root);
	return arena_strdup(b->arena, path_clean(path, clean, sizeof(clean)) < 0 ? root : clean);
}

/* rfc3339.h: gmtime_r() would open /etc/localtime. */
static const char *now_rfc3339(struct arena *a)
{
	struct timespec t;
	char text[RFC3339_BYTES];

	clock_gettime(CLOCK_REALTIME, &t);
	return arena_strdup(a, rfc3339_nanos(&t, text));
}

static int load_config(struct build *b, struct error *err)
{
	const struct rt_create_options *opt = b->opt;
	char config[PATH_MAX + 16];

	if (opt->config_text) {
		int r = spec_parse(opt->config_text, opt->config_n, b->arena, &b->spec, err);

		return r == 0 ? spec_validate(b->spec, b->ctx->log, err) : r;
	}
	snprintf(config, sizeof(config), "%s/%s", b->bundle, opt->config ?: "config.json");
	return spec_load(AT_FDCWD, config, b->arena, b->ctx->log, &b->spec, err);
}

int build_plan(struct build *b, struct error *err)
{
	/* First of all: whatever is opened later might take a number that the caller thinks is its own. */
	int r = caller_descriptors(b->opt->preserve_fds, b->ctx->log, b->arena, &b->preserve_fds,
				   &b->extra_env, err);

	if (r == 0)
		r = rt_check_id(b->opt->id, err);
	if (r == 0)
		r = find_bundle(b, err);
	if (r < 0)
		return r;
	r = load_config(b, err);
	if (r == 0)
		r = check_supported(b, err);
	if (r == 0)
		r = check_terminal(b, err);
	if (r == 0)
		r = lsm_check(&b->spec->process, err);
	if (r == 0)
		r = inner_leaf_check(inner_leaf_name(b->spec->annotations, b->spec->n_annotations), err);
	if (r == 0)
		r = shared_if_needed(b->ctx, b->spec, b->preserve_fds, err);
	if (r == 0)
		r = guard_if_shared(b->ctx, b->spec, b->preserve_fds, err);
	if (r == 0)
		r = storage_plan(b, err);
	if (r < 0)
		return r;

	b->state = (struct rt_state){
		.sandbox = b->state.sandbox,
		.id = b->opt->id,
		.bundle = b->bundle,
		.rootfs = absolute_rootfs(b),
		.created = now_rfc3339(b->arena),
		.program = b->spec->process.args.v[0],
		.cgroup = b->cgroup,
		.has_hooks = build_has_hooks(b, SPEC_HOOK_START_CONTAINER) ||
			     build_has_hooks(b, SPEC_HOOK_POSTSTART) || build_has_hooks(b, SPEC_HOOK_POSTSTOP),
		.keyring = b->opt->no_new_keyring ? NULL : keyring_name(b),
		.may_be_traced = guard_may_be_traced(b->spec),
		.has_exec_config = b->spec->linux_.seccomp || b->spec->linux_.memory_policy ||
				   b->spec->linux_.has_personality || b->spec->linux_.uid_maps.n,
		.annotations = b->spec->annotations,
		.n_annotations = b->spec->n_annotations,
	};

	r = notify_plan(b, err);
	if (r == 0)
		r = plan_process(b, err);
	if (r == 0) {
		struct ns_options opt = {
			.id = b->opt->id,
			.bundle = b->bundle,
			.no_pivot = b->opt->no_pivot,
			.root_is_given = b->storage.has_root,
			.extra_mounts = b->extra_mounts,
			.n_extra_mounts = b->n_extra_mounts,
			.log = b->ctx->log,
		};

		r = ns_plan_make(b->spec, &opt, b->arena, &b->ns, err);
	}
	if (r == 0)
		r = cg_plan_make(b->spec->linux_.resources, b->arena, b->ctx->log, &b->cg, err);
	if (r == 0)
		r = resources_device_program(b->spec, b->arena, &b->device_insns, &b->n_device_insns, err);
	if (r == 0)
		r = cg_host_open(&b->host, err);
	if (r == 0)
		r = cgroup_locate(b, err);
	if (r < 0)
		return r;
	b->state.cgroup_dir = arena_printf(b->arena, "%s/%s", b->host.mount_point, b->cgroup);
	print_plans(b);
	trace_step(b->ctx->trace, "plan");
	return 0;
}

int build_reserve(struct build *b, struct error *err)
{
	b->state_dir = state_reserve(b->ctx, b->opt->id, err);
	if (b->state_dir < 0)
		return b->state_dir;
	b->reserved = true;

	int r = b->attended_fd >= 0 ? attended_note(b->state_dir, err) : 0;

	if (r == 0)
		r = state_note_cgroup(b->state_dir, b->cgroup, err);

	if (r == 0 && b->state.unit)
		r = state_note_unit(b->state_dir, b->state.unit, err);

	if (r == 0)
		r = state_note_config(b->state_dir, b->spec, err);
	if (r == 0)
		r = storage_note(b, err);
	if (r == 0 && b->state.has_notify)
		r = notify_make_dir(b, err);
	trace_step(b->ctx->trace, "reserve");
	return r < 0 ? error_wrap(err, r, "cannot write the container's state") : 0;
}

/* What only the parent may do to the child, while the child builds its root. */
static int serve_child(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = 0;

	if (b->n_device_insns)
		r = cg_device_attach(b->cgroup_fd, b->cgroup_made ? CG_FRESH : CG_USED, b->device_insns, b->n_device_insns, err);
	if (r == 0 && ns_needs_maps(b->ns)) {
		r = ns_write_maps(b->ns, l->pid, err);
		if (r == 0)
			r = stage_send(l->sync[0], STAGE_GO, 0, -1, err);
	}
	if (r == 0 && !ns_needs_second_clone(b->ns))
		r = ns_move_net_devices(b->ns, l->pid, err);
	return r;
}

int build_clone(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int r = cgroup_make(b, err);

	trace_step(b->ctx->trace, "cgroup");
	if (r == 0)
		r = storage_make(b, err);
	trace_step(b->ctx->trace, "storage");
	if (r == 0)
		r = ns_prepare(b->ns, err);
	if (r < 0)
		return r;
	if (b->spec->linux_.ns[SPEC_NS_USER].listed)
		stdio_give_pipes(&b->ctx->stdio, build_host_uid(b));
	l->state_dir_fd = b->state_dir;
	l->cgroup_fd = b->cgroup_fd;
	l->clone_flags = ns_needs_second_clone(b->ns) ? 0 : ns_clone_flags(b->ns);
	r = launch_prepare(l, err);
	if (r == 0)
		r = launch_clone(l, build_init_child, b, err);
	trace_step(b->ctx->trace, "clone");
	if (r == 0) {
		storage_give(b);
		b->state.pid = l->pid;
		b->state.ns_kinds = ns_kinds(b->ns);
		r = ns_restore_parent(b->ns, err);
	}
	if (r == 0)
		r = cgroup_settle(b, err);
	if (r == 0)
		r = serve_child(b, err);
	trace_step(b->ctx->trace, "maps and devices");
	return r;
}

static int run_hooks(struct build *b, enum spec_hook_kind kind, enum rt_status status, struct error *err)
{
	struct spec_state doc;

	state_document(&b->state, status, &doc);

	struct hook_run run = {
		.hooks = &b->spec->hooks, .kind = kind, .state = &doc, .log = b->ctx->log, .trace = b->ctx->trace,
	};

	return hooks_run(&run, kind == SPEC_HOOK_POSTSTOP ? HOOK_KEEP_GOING : HOOK_STOP_ON_FAILURE, err);
}

static int on_root_built(struct build *b, struct error *err)
{
	int r = run_hooks(b, SPEC_HOOK_PRESTART, RT_CREATING, err);

	if (r == 0)
		r = run_hooks(b, SPEC_HOOK_CREATE_RUNTIME, RT_CREATING, err);
	if (r == 0)
		r = stage_send(b->launch.sync[0], STAGE_GO, 0, -1, err);
	return r;
}

/* Init is the child of the first child, born as our child. */
static int on_pid(struct build *b, pid_t pid, struct error *err)
{
	struct launch *l = &b->launch;

	waitpid(l->pid, NULL, 0);
	close(l->pidfd);
	l->pid = b->state.pid = pid;
	l->pidfd = proc_pidfd_open(pid);
	if (l->pidfd < 0)
		return error_set(err, -l->pidfd, "open a pidfd of process %d", (int)pid);
	return ns_move_net_devices(b->ns, pid, err);
}

static int on_stage(struct build *b, struct stage_msg *msg, struct error *err)
{
	auto_close int fd = TAKE_FD(msg->fd);

	switch (msg->stage) {
	case STAGE_PID:
		return on_pid(b, msg->value, err);
	case STAGE_ROOT_BUILT:
		return on_root_built(b, err);
	case STAGE_CONSOLE:
		if (fd < 0)
			break;
		if (b->opt->console_socket)
			return console_send(b->opt->console_socket, fd, err);
		b->console_master = TAKE_FD(fd);
		return 0;
	case STAGE_LISTENER:
		if (fd < 0)
			break;
		return listener_send(b->spec->linux_.seccomp, &b->state, RT_CREATING, b->launch.pid, fd, err);
	default:
		break;
	}
	return error_set(err, EPROTO, "read a stage message");
}

int build_supervise(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	int timeout_ms = STAGE_TIMEOUT_MS +
			 (int)b->spec->hooks.n[SPEC_HOOK_CREATE_CONTAINER] * HOOK_TIMEOUT_S * 1000;

	for (;;) {
		struct stage_msg msg;
		int r = stage_recv(l->sync[0], timeout_ms, "setting up the container", &msg, err);

		if (r < 0)
			return r;
		if (msg.stage == STAGE_EOF) {
			trace_step(b->ctx->trace, "stages");
			return 0;
		}
		log_debug(b->ctx->log, "stage %d of init reached", msg.stage);
		r = on_stage(b, &msg, err);
		if (r < 0)
			return r;
	}
}

/* cl Cgroup ownership: only a writable cgroup mount of a new cgroup namespace is the container's to manage. */
static bool wants_delegation(const struct spec *spec)
{
	if (!spec->linux_.ns[SPEC_NS_CGROUP].listed || spec->linux_.ns[SPEC_NS_CGROUP].path)
		return false;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];

		if (!m->type || strncmp(m->type, "cgroup", 6) != 0 ||
		    strcmp(m->destination, "/sys/fs/cgroup") != 0)
			continue;
		for (size_t k = 0; k < m->options.n; k++)
			if (strcmp(m->options.v[k], "ro") == 0)
				return false;
		return true;
	}
	return false;
}

uint32_t build_host_uid(const struct build *b)
{
	const struct spec_linux *lx = &b->spec->linux_;
	uint32_t uid = b->spec->process.user.uid;

	return lx->ns[SPEC_NS_USER].listed ? spec_host_id(&lx->uid_maps, uid) : uid;
}

/* The program's own cgroup (inner_leaf.h), then both to the container's user. */
static int delegate(struct build *b, struct error *err)
{
	const char *name = inner_leaf_name(b->spec->annotations, b->spec->n_annotations);
	auto_close int inner = name ? inner_leaf_enter(b->cgroup_fd, name, b->launch.pid, err) : -1;
	int r = name && inner < 0 ? inner : 0;

	if (r < 0 || !wants_delegation(b->spec))
		return r;
	r = cg_delegate(b->cgroup_fd, build_host_uid(b), (gid_t)-1, err);
	return r == 0 && name ? cg_delegate(inner, build_host_uid(b), (gid_t)-1, err) : r;
}

int build_finish(struct build *b, struct error *err)
{
	struct launch *l = &b->launch;
	struct proc_stat st;
	int r = proc_stat(l->pid, &st);

	if (r < 0 && r != -ESRCH)
		return error_set(err, -r, "read /proc/%d/stat", (int)l->pid);
	b->state.start_time = r < 0 ? 0 : st.start_time;
	b->state.pidfd_id = proc_pidfd_id(l->pidfd);
	r = launch_verify(l, &b->proc, err);
	if (r == 0)
		r = proc_apply_outside(&b->proc, l->pid, err);
	if (r == 0)
		r = proc_apply_affinity(&b->proc, l->pid, true, err);
	if (r == 0)
		r = delegate(b, err);
	if (r < 0)
		return r;
	b->state.reset_signals = l->reset_signals;
	r = state_save(b->state_dir, &b->state, err);
	if (r < 0)
		return error_wrap(err, r, "cannot write the container's state");
	if (b->opt->pidfd_socket)
		r = console_send_pidfd(b->opt->pidfd_socket, l->pidfd, "standard", err);
	if (r == 0 && b->opt->pid_file) {
		r = caller_write_pid(b->opt->pid_file, l->pid, err);
		b->wrote_pid_file = r == 0;
	}
	trace_step(b->ctx->trace, "finish");
	return r;
}

int build_poststart(struct build *b, struct error *err)
{
	return run_hooks(b, SPEC_HOOK_POSTSTART, RT_RUNNING, err);
}

void build_undo(struct build *b)
{
	struct error err = ERROR_INIT;
	char line[1024];

	if (b->cgroup_made && b->cgroup_fd >= 0)
		cg_kill(b->cgroup_fd, NULL);
	launch_abort(&b->launch);
	if (b->wrote_pid_file)
		unlink(b->opt->pid_file); /* path-ok: host path */
	cgroup_unmake(b);
	if (!b->reserved)
		return;
	storage_undo(b);
	run_hooks(b, SPEC_HOOK_POSTSTOP, RT_STOPPED, NULL);
	if (state_remove(b->ctx, b->state_dir, b->opt->id, &err) < 0) {
		error_line(&err, line, sizeof(line));
		log_warn(b->ctx->log, "%s", line);
	}
	b->reserved = false;
}

int build_make(struct build *b, struct error *err)
{
	int r = build_reserve(b, err);

	if (r == 0)
		r = build_clone(b, err);
	if (r == 0)
		r = build_supervise(b, err);
	if (r == 0)
		r = build_finish(b, err);
	if (r < 0)
		build_undo(b);
	return r;
}
