/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first step of a construction: config, rules, plans. Nothing is changed. See build.h.
 */
#include "runtime/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "runtime/caller.h"
#include "runtime/guard.h"
#include "runtime/inner_leaf.h"
#include "runtime/isolation.h"
#include "runtime/lsm.h"
#include "runtime/notify.h"
#include "runtime/resources.h"
#include "runtime/seccomp_cache.h"
#include "runtime/shared.h"
#include "runtime/texts.h"
#include "runtime/vm_wall.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
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
	if (b->vm)
		return wall_plan_process(b, err);

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

/* Which wall, and whether it can be had. */
static int choose_wall(struct build *b, struct error *err)
{
	bool is_vm = false;
	int r = isolation_choose(b->ctx->isolation, b->spec, &is_vm, err);

	return r == 0 && is_vm ? wall_plan(b, err) : r;
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
		r = choose_wall(b, err);
	if (r == 0)
		r = lsm_check(&b->spec->process, err);
	if (r == 0)
		r = inner_leaf_check(inner_leaf_name(b->spec->annotations, b->spec->n_annotations), err);
	if (r == 0)
		r = shared_if_needed(b->ctx, b->spec, b->preserve_fds, err);
	if (r == 0 && !b->vm)
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
		.is_vm = b->vm,
		.may_be_traced = !b->vm && launch_may_be_traced(b->spec),
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
			.is_bare = b->vm,
			.extra_mounts = b->extra_mounts,
			.n_extra_mounts = b->n_extra_mounts,
			.log = b->ctx->log,
		};

		r = ns_plan_make(b->spec, &opt, b->arena, &b->ns, err);
	}
	if (r == 0)
		r = cg_plan_make(b->vm ? b->vm->plan.host : b->spec->linux_.resources, b->arena, b->ctx->log, &b->cg, err);
	if (r == 0 && !b->vm) /* the guest's devices are the guest's, and the machine's process opens none */
		r = cg_container_device_program(b->spec->linux_.resources, b->arena, &b->device_insns,
						&b->n_device_insns, err);
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
