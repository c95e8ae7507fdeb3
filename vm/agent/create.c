/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create - the container in the guest: the plans that the host makes for a container of processes, from the config as
 * adapt.c has it, applied here
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cgroups/kernfile.h"
#include "runtime/launch/stages.h"
#include "runtime/launch/stdio.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/agent/agent.h"

enum { PORTS_TIMEOUT_MS = 20000 };

const struct stdio_facts agent_stdio = {
	.is_open = { true, true, true }, .is_null = { true, true, true },
};

/* ---- reading the request ---- */

static const char *get_text(const void *payload, size_t n, enum wire_tag tag, struct arena *a)
{
	struct wire_item item;

	return wire_find(payload, n, tag, &item) ? arena_strndup(a, item.bytes, item.n) : NULL;
}

static int read_mounts(struct container *c, const void *payload, size_t n, struct error *err)
{
	struct wire_reader r = { .at = payload, .left = n };
	struct wire_item item;
	size_t count = 0;

	while (wire_next(&r, &item) > 0)
		count += item.tag == WIRE_T_MOUNT;
	c->extra_mounts = ARENA_NEW_N(c->arena, struct ns_extra_mount, count + 1);
	c->extra_binds = ARENA_NEW_N(c->arena, struct spec_mount, count + 1);
	r = (struct wire_reader){ .at = payload, .left = n };
	while (wire_next(&r, &item) > 0) {
		struct spec_mount *m = &c->extra_binds[c->n_extra_mounts];

		if (item.tag != WIRE_T_MOUNT)
			continue;
		if (agent_read_mount(&item, c->n_extra_mounts, c->arena, m) < 0)
			return error_set(err, EPROTO, "read mount %zu of the request", c->n_extra_mounts);
		c->extra_mounts[c->n_extra_mounts++] =
			(struct ns_extra_mount){ .source_fd = -1, .destination = m->destination, .bind = m };
	}
	return 0;
}

/* After the config was adapted. */
static int read_volumes(struct container *c, const void *payload, size_t n, struct error *err)
{
	struct wire_reader r = { .at = payload, .left = n };
	struct wire_item item;
	struct wire_volume v;

	while (wire_next(&r, &item) > 0) {
		if (item.tag != WIRE_T_VOLUME)
			continue;
		if (agent_read_volume(&item, &v) < 0 || v.number >= (v.is_extra ? c->n_extra_mounts : c->spec->n_mounts))
			return error_set(err, EPROTO, "read the attributes of a volume in the request");
		agent_add_attributes(v.is_extra ? &c->extra_binds[v.number] : &c->spec->mounts[v.number], v.attr, c->arena);
	}
	return 0;
}

static int read_request(struct container *c, const void *payload, size_t n, struct agent_adapted *ret,
			struct error *err)
{
	struct wire_item item;
	int r;

	if (!wire_find(payload, n, WIRE_T_CONFIG, &item))
		return error_set(err, EPROTO, "find the config in the request");
	c->id = get_text(payload, n, WIRE_T_ID, c->arena) ?: "";
	c->bundle = get_text(payload, n, WIRE_T_BUNDLE, c->arena) ?: "/";
	c->keyring = get_text(payload, n, WIRE_T_KEYRING, c->arena);
	c->extra_env = agent_read_env(payload, n, c->arena);
	if (agent_read_filter(payload, n, c->arena, &c->seccomp) < 0)
		return error_set(err, EPROTO, "read the filter of the request");
	r = read_mounts(c, payload, n, err);
	if (r == 0)
		r = spec_parse(arena_strndup(c->arena, item.bytes, item.n), item.n, c->arena, &c->spec, err);
	if (r == 0)
		r = spec_validate(c->spec, NULL, err);
	if (r < 0)
		return r;
	if (!c->spec->has_process)
		return error_rule(err, EINVAL, "process must not be absent: there is nothing to run");
	agent_adapt(c->spec, c->arena, ret);
	if (!system_has_swap())
		agent_limit_swap(c->spec->linux_.resources);
	return read_volumes(c, payload, n, err);
}

/* ---- plans ---- */

static int make_plans(struct agent *a, struct error *err)
{
	struct container *c = &a->container;
	struct spec *spec = c->spec;
	struct proc_options proc = {
		.linux_ = &spec->linux_,
		.seccomp = c->seccomp.insns ? &c->seccomp : NULL,
		.in_user_namespace = spec->linux_.ns[SPEC_NS_USER].listed,
		.keyring = c->keyring,
		.log = &a->log,
	};
	struct ns_options ns = {
		.id = c->id,
		.bundle = "/",
		.extra_mounts = c->extra_mounts,
		.n_extra_mounts = c->n_extra_mounts,
		.log = &a->log,
	};
	int r = proc_plan_make(&spec->process, &proc, c->arena, &c->proc, err);

	if (r == 0)
		r = ns_plan_make(spec, &ns, c->arena, &c->ns, err);
	if (r == 0)
		r = cg_plan_make(spec->linux_.resources, c->arena, &a->log, &c->cg, err);
	return r;
}

/* ---- deeds ---- */

static int mount_shares(struct container *c, bool has_volumes, struct error *err)
{
	/* Writable, also for a read-only root: mount points are made first, then the mount is made read-only. */
	c->shares[0] = system_mount_share("root", AGENT_ROOT, err);
	if (c->shares[0] < 0)
		return c->shares[0];
	if (!has_volumes)
		return 0;
	c->shares[1] = system_mount_share("volumes", AGENT_VOLUMES, err);
	return c->shares[1] < 0 ? c->shares[1] : 0;
}

static int make_cgroup(struct container *c, struct error *err)
{
	void *insns;
	size_t n;
	bool made;
	int r = cg_host_open(&c->host, err);

	if (r < 0)
		return r;
	c->cgroup_fd = r = cg_create(&c->host, AGENT_CGROUP, &c->cg, &made, err);
	if (r >= 0)
		r = cg_apply(c->cgroup_fd, &c->cg, err);
	if (r == 0)
		r = cg_container_device_program(c->spec->linux_.resources, c->arena, &insns, &n, err);
	if (r == 0)
		r = cg_device_attach(c->cgroup_fd, CG_FRESH, insns, n, err);
	if (r < 0)
		return error_wrap(err, r, "cannot set up the container's cgroup in the guest");
	c->memory_events = openat(c->cgroup_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int write_net_sysctls(const struct agent_adapted *adapted, struct error *err)
{
	if (!adapted->n_net_sysctls)
		return 0;

	auto_close int procfs = procfs_open(PROCFS_ALL, err);
	int r = procfs < 0 ? procfs : 0;

	for (size_t i = 0; r == 0 && i < adapted->n_net_sysctls; i++) {
		const struct spec_key_value *s = &adapted->net_sysctls[i];
		char path[256] = "sys/";

		r = spec_sysctl_path(s->key, path + 4, sizeof(path) - 4);
		r = r < 0 ? error_rule(err, -r, "\"%s\" is not the name of a sysctl", s->key)
			  : procfs_write(procfs, path, s->value, err);
		if (r < 0) {
			error_wrap(err, r, "cannot set sysctl %s to \"%s\"", s->key, s->value);
			error_at(err, "/linux/sysctl/%s", s->key);
		}
	}
	return r;
}

static int wait_for_ports(struct process *p, struct error *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < PROCESS_STREAMS; i++)
		r = stream_wait(&p->streams[i], PORTS_TIMEOUT_MS, err);
	return r;
}

static int on_stage(struct agent *a, struct stage_msg *msg, struct error *err)
{
	struct process *p = a->container.init;
	auto_close int fd = TAKE_FD(msg->fd);

	if (msg->stage != STAGE_CONSOLE || fd < 0)
		return error_set(err, EPROTO, "read a stage message");
	if (p->has_size)
		ioctl(fd, TIOCSWINSZ, &p->size);
	if (p->streams[0].port)
		stream_take_master(&p->streams[0], TAKE_FD(fd));
	return 0;
}

static int supervise(struct agent *a, struct error *err)
{
	struct launch *l = &a->container.launch;

	for (;;) {
		struct stage_msg msg;
		int r = stage_recv(l->sync[0], STAGE_TIMEOUT_MS, "setting up the container in the guest", &msg, err);

		if (r < 0 || msg.stage == STAGE_EOF)
			return r;
		r = on_stage(a, &msg, err);
		if (r < 0)
			return r;
	}
}

static int launch_init(struct agent *a, struct error *err)
{
	struct container *c = &a->container;
	struct launch *l = &c->launch;
	int r = ns_prepare(c->ns, err);

	if (r < 0)
		return r;
	l->cgroup_fd = c->cgroup_fd;
	l->clone_flags = ns_clone_flags(c->ns);
	r = launch_prepare(l, err);
	if (r == 0)
		r = launch_clone(l, container_child, a, err);
	if (r < 0)
		return r;
	process_close_child_fds(c->init);
	c->init->pid = l->pid;
	c->kinds = ns_kinds(c->ns);
	r = ns_restore_parent(c->ns, err);
	if (r == 0 && ns_needs_maps(c->ns)) {
		r = ns_write_maps(c->ns, l->pid, err);
		if (r == 0)
			r = stage_send(l->sync[0], STAGE_GO, 0, -1, err);
	}
	if (r == 0)
		r = supervise(a, err);
	if (r == 0)
		r = launch_verify(l, &c->proc, err);
	if (r == 0)
		r = proc_apply_outside(&c->proc, l->pid, err);
	/* Ids here are as the container has them. */
	if (r == 0 && spec_wants_cgroup(c->spec))
		r = cg_delegate(c->cgroup_fd, c->spec->process.user.uid, (gid_t)-1, err);
	if (r < 0)
		launch_abort(l);
	return r;
}

int container_create(struct agent *a, const void *payload, size_t n, struct error *err)
{
	struct container *c = &a->container;
	struct agent_adapted adapted = { .n_net_sysctls = 0 };

	if (c->is_made || c->spec)
		return error_rule(err, EEXIST, "the guest has its container already");

	int r = system_prepare(a, payload, n, err);

	if (r == 0)
		r = read_request(c, payload, n, &adapted, err);
	if (r == 0)
		r = make_plans(a, err);
	if (r == 0)
		r = write_net_sysctls(&adapted, err);
	if (r == 0)
		r = mount_shares(c, adapted.has_volumes || c->n_extra_mounts, err);
	if (r == 0)
		r = make_cgroup(c, err);
	if (r == 0)
		r = process_new(a, 0, payload, n, c->spec->process.user.uid, &c->init, err);
	if (r == 0)
		r = wait_for_ports(c->init, err);
	if (r == 0)
		r = launch_init(a, err);
	if (r < 0) {
		if (c->init)
			process_free(a, c->init);
		return r;
	}
	c->is_made = c->init->is_wanted = true;
	return 0;
}

/* ---- memory ---- */

void container_watch(struct agent *a)
{
	a->container.at_memory = polls_add(&a->polls, a->container.memory_events, POLLPRI);
}

static uint64_t number(int cgroup_fd, const char *file)
{
	uint64_t v;

	return cg_read_number(cgroup_fd, file, &v) < 0 ? UINT64_MAX : v;
}

void container_turn(struct agent *a)
{
	char text[512];

	if (!polls_events(&a->polls, a->container.at_memory))
		return;
	/* Reading arms the next notification. */
	if (pread(a->container.memory_events, text, sizeof(text), 0) >= 0)
		container_tell_oom(a);
}

void container_tell_oom(struct agent *a)
{
	struct container *c = &a->container;
	uint64_t kills = 0;

	if (c->cgroup_fd < 0 || cg_oom_kills(c->cgroup_fd, &kills, NULL) < 0 ||
	    kills == c->oom_kills)
		return;
	c->oom_kills = kills;

	struct wire_oom oom = { .kills = kills, .limit = number(c->cgroup_fd, "memory.max"),
				.peak = number(c->cgroup_fd, "memory.peak") };
	size_t at = channel_begin(a, WIRE_OOM, 0);

	wire_add(&a->out, WIRE_T_OOM, &oom, sizeof(oom));
	channel_send(a, at);
}
