/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtual machine cannot honour (vm_plan.h). A guest has a kernel of its own: what is to be shared with the
 * host's, or with another container, cannot be. Nothing is left out silently, since the wall
 * would then be another than the config describes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/inner_leaf.h"
#include "runtime/runtime.h"
#include "runtime/vm_plan.h"
#include "spec/base/auto.h"
static int refuse(struct error *err, const char *at, const char *sentence)
{
	int r = error_rule(err, ENOTSUP, "%s", sentence);

	if (at)
		error_at(err, "%s", at);
	return r;
}

/* A network namespace may be joined: the guest takes its interface over. A cgroup namespace the guest always has. */
static int check_namespaces(const struct spec_linux *lx, struct error *err)
{
	static const enum spec_ns_kind needed[] = { SPEC_NS_MOUNT, SPEC_NS_PID, SPEC_NS_NETWORK, SPEC_NS_IPC, SPEC_NS_UTS };

	for (int k = 0; k < SPEC_NAMESPACES; k++) {
		const struct spec_namespace *ns = &lx->ns[k];

		if (!ns->listed || !ns->path || k == SPEC_NS_NETWORK)
			continue;

		int r = error_rule(err, ENOTSUP, "a virtual machine cannot join the %s namespace \"%.200s\"", spec_ns_name(k),
				   ns->path);

		error_at(err, "/linux/namespaces/%u", ns->index);
		error_hint(err, "leave out the path: the guest has namespaces of its own");
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (lx->ns[needed[i]].listed)
			continue;

		int r = error_rule(err, ENOTSUP, "a virtual machine cannot share the host's %s namespace",
				   spec_ns_name(needed[i]));

		error_at(err, "/linux/namespaces");
		error_hint(err, "list a %s namespace", spec_ns_name(needed[i]));
		return r;
	}
	return 0;
}

static bool is_standard(const struct spec_device *d)
{
	static const struct {
		const char *path;
		int64_t major, minor; /* Documentation/admin-guide/devices.txt */
	} more[] = { { "/dev/console", 5, 1 }, { "/dev/ptmx", 5, 2 } };
	size_t n;
	const struct spec_device *known = spec_default_devices(&n);

	for (size_t i = 0; i < n; i++)
		if (d->type == 'c' && d->major == known[i].major && d->minor == known[i].minor)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (d->type == 'c' && d->major == more[i].major && d->minor == more[i].minor)
			return true;
	return d->type == 'p'; /* a fifo */
}

/* What engines write for --privileged: any device may be used, and every one of the host's is listed. */
static bool allows_all(const struct spec_resources *res)
{
	for (size_t i = 0; res && i < res->n_devices; i++) {
		const struct spec_device_rule *rule = &res->devices[i];

		if (rule->allow && rule->type == 'a' && rule->major < 0 && rule->minor < 0)
			return true;
	}
	return false;
}

static int check_devices(const struct spec_linux *lx, struct error *err)
{
	for (size_t i = 0; i < lx->n_devices; i++) {
		const struct spec_device *d = &lx->devices[i];

		if (is_standard(d))
			continue;

		int r = error_rule(err, ENOTSUP, "a virtual machine has no device %c %lld:%lld of the host's (%.200s)", d->type,
				   (long long)d->major, (long long)d->minor, d->path);

		error_at(err, "/linux/devices/%zu", i);
		error_hint(err, allows_all(lx->resources) ?
				"--privileged of an engine passes every device of the host: leave it out, and give all "
				"rights over the guest by --cap-add ALL --security-opt seccomp=unconfined" :
				"a guest has null, zero, full, random, urandom, tty, console and ptmx");
		return r;
	}
	return 0;
}

static bool is_shared(const char *option)
{
	return strcmp(option, "shared") == 0 || strcmp(option, "rshared") == 0;
}

/* What a guest's kernel can mount without anything of the host's. */
static bool is_guests(const char *type)
{
	static const char *const types[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "bind", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static bool is_bind(const struct spec_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++) {
		const struct spec_mopt *o = spec_mount_option(m->options.v[i]);

		if (o && (o->kind == MOPT_BIND || o->kind == MOPT_REMOUNT))
			return true;
	}
	return m->type && strcmp(m->type, "bind") == 0;
}

static int check_mount(const struct spec_mount *m, struct error *err)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (is_shared(m->options.v[i]))
			return error_rule(err, ENOTSUP, "what a virtual machine mounts below %.200s cannot show up on the host (%s)",
					  m->destination, m->options.v[i]);
	if (m->type && !is_guests(m->type) && !is_bind(m)) {
		int r = error_rule(err, ENOTSUP, "a virtual machine cannot mount a \"%.60s\" of the host's on %.200s", m->type,
				   m->destination);

		error_hint(err, "mount it on the host and bind it");
		return r;
	}
	return 0;
}

static int check_mounts(const struct spec *spec, struct error *err)
{
	const char *propagation = spec->linux_.rootfs_propagation;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		int r = check_mount(&spec->mounts[i], err);

		if (r < 0) {
			error_at(err, "/mounts/%zu", i);
			return r;
		}
	}
	return propagation && is_shared(propagation) ?
		       refuse(err, "/linux/rootfsPropagation", "what a virtual machine mounts cannot show up on the host (rootfsPropagation shared)") :
		       0;
}

static int check_seccomp(const struct spec_seccomp *s, struct error *err)
{
	bool notifies = s && strcmp(s->default_action, "SCMP_ACT_NOTIFY") == 0;

	for (size_t i = 0; s && i < s->n_rules; i++)
		notifies |= strcmp(s->rules[i].action, "SCMP_ACT_NOTIFY") == 0;
	if (notifies || (s && s->listener_path))
		return refuse(err, "/linux/seccomp", "a virtual machine cannot ask a listener on the host about system calls (SCMP_ACT_NOTIFY)");
	return 0;
}

static int check_linux(const struct spec_linux *lx, struct error *err)
{
	int r = check_namespaces(lx, err);

	if (r == 0)
		r = check_devices(lx, err);
	if (r == 0)
		r = check_seccomp(lx->seccomp, err);
	if (r == 0 && lx->n_net_devices)
		r = refuse(err, "/linux/netDevices", "a virtual machine cannot have a network device of the host's");
	if (r == 0 && lx->memory_policy)
		r = refuse(err, "/linux/memoryPolicy", "a virtual machine has no memory nodes of the host's to choose from");
	if (r == 0 && lx->intel_rdt)
		r = refuse(err, "/linux/intelRdt", "intelRdt (resctrl) is not supported yet");
	if (r == 0 && lx->mount_label)
		r = refuse(err, "/linux/mountLabel", "a virtual machine has no SELinux labels");
	return r;
}

static int refuse_in(struct error *err, const char *at, const char *member, const char *sentence)
{
	int r = error_rule(err, ENOTSUP, "%s", sentence);

	error_at(err, "%s/%s", at, member);
	return r;
}

int wall_check_process(const struct spec_process *p, const char *at, struct error *err)
{
	int r = 0;

	if (p->apparmor_profile) {
		r = refuse_in(err, at, "apparmorProfile", "a virtual machine has no AppArmor profiles");
		error_hint(err, "leave the profile out; with docker run, pass --security-opt apparmor=unconfined");
	} else if (p->selinux_label) {
		r = refuse_in(err, at, "selinuxLabel", "a virtual machine has no SELinux labels");
		error_hint(err, "leave the label out; with docker run or podman run, pass --security-opt label=disable");
	} else if (p->exec_affinity) {
		r = refuse_in(err, at, "execCPUAffinity", "a virtual machine's processes do not choose among the host's CPUs");
	}
	return r;
}

static int check_vm(const struct spec_vm *vm, struct error *err)
{
	if (!vm)
		return 0;
	if (vm->has_hypervisor)
		return refuse(err, "/vm/hypervisor", "the hypervisor is part of this program: another one cannot be chosen");
	if (vm->has_image)
		return refuse(err, "/vm/image", "the guest's root is the container's: a disk image cannot be given");
	if (vm->device_tree)
		return refuse(err, "/vm/hwConfig/deviceTree", "this machine has no device tree");
	return 0;
}

static int check_annotations(const struct spec *spec, struct error *err)
{
	if (!inner_leaf_name(spec->annotations, spec->n_annotations))
		return 0;
	return refuse(err, "/annotations/" INNER_LEAF_ANNOTATION,
		      "a virtual machine's program has no cgroup of its own below the container's");
}

int wall_check(const struct spec *spec, struct error *err)
{
	int r = spec_validate_vm(spec, err);

	if (r == 0)
		r = check_vm(spec->vm, err);
	if (r == 0)
		r = check_linux(&spec->linux_, err);
	if (r == 0)
		r = check_mounts(spec, err);
	if (r == 0)
		r = check_annotations(spec, err);
	if (r == 0 && spec->has_process)
		r = wall_check_process(&spec->process, "/process", err);
	return r;
}

int wall_check_options(const struct rt_create_options *opt, uint32_t preserve_fds, struct error *err)
{
	const char *socket_path = getenv("NOTIFY_SOCKET");

	if (preserve_fds)
		return refuse(err, NULL, "a virtual machine cannot be given descriptors but standard input and output (--preserve-fds, LISTEN_FDS)");
	if (opt->no_pivot)
		return refuse(err, NULL, "--no-pivot does not go with a virtual machine");
	if (socket_path && *socket_path) {
		int r = refuse(err, NULL, "NOTIFY_SOCKET is set: a program in a virtual machine cannot reach a socket of the host's");

		error_hint(err, "unset it; in a service of systemd, use Type=exec");
		return r;
	}
	return 0;
}
