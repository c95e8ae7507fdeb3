/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adapt - the bundle's config as the guest has to do it. Pure.
 *
 * The config says what a container is to be; part of that stands around the guest already. Sources of binds are in
 * the share of the volumes, with their id maps. There is one network, the guest's own. Ids are
 * what the container calls them: who they are on the host is for the process that serves the files.
 */
#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/mountapi.h"
#include "vm/agent/agent.h"

static void adapt_namespaces(struct spec_linux *lx)
{
	for (int k = 0; k < SPEC_NAMESPACES; k++)
		lx->ns[k].path = NULL;
	lx->ns[SPEC_NS_NETWORK].listed = false;
	/* One that was to be joined by path: its maps are the host's business, and there are none to give. */
	if (!lx->uid_maps.n || !lx->gid_maps.n)
		lx->ns[SPEC_NS_USER].listed = false;
	lx->n_net_devices = 0;
}

static void make_identical(struct spec_idmaps *maps, struct arena *a)
{
	struct spec_idmap *v = ARENA_NEW_N(a, struct spec_idmap, maps->n + 1);

	for (size_t i = 0; i < maps->n; i++)
		v[i] = (struct spec_idmap){ .container_id = maps->v[i].container_id,
					    .host_id = maps->v[i].container_id, .size = maps->v[i].size };
	maps->v = v;
}

static bool is_bind(const struct spec_mount *m)
{
	bool bind = false;

	for (size_t i = 0; i < m->options.n; i++) {
		const struct spec_mopt *opt = spec_mount_option(m->options.v[i]);

		if (opt && opt->kind == MOPT_REMOUNT)
			return false;
		bind |= opt && opt->kind == MOPT_BIND;
	}
	return bind;
}

/* The host has mapped the ids of the source. */
static bool is_hosts(const char *option)
{
	const struct spec_mopt *opt = spec_mount_option(option);

	return (opt && opt->kind == MOPT_IDMAP) || strncmp(option, "idmap=", 6) == 0 ||
	       strncmp(option, "ridmap=", 7) == 0;
}

static void adapt_bind(struct spec_mount *m, size_t i, struct arena *a)
{
	size_t kept = 0;
	char **v = ARENA_NEW_N(a, char *, m->options.n + 1);

	for (size_t k = 0; k < m->options.n; k++)
		if (!is_hosts(m->options.v[k]))
			v[kept++] = m->options.v[k];
	m->options = (struct spec_strings){ .v = v, .n = kept };
	m->uid_maps.n = m->gid_maps.n = 0;
	m->source = arena_printf(a, AGENT_VOLUMES "/m%zu", i);
}

/*
 * A new sysfs belongs to the network namespace, and that to the guest's first user namespace: a container with a
 * user namespace of its own gets the guest's, where nothing is the container's to change.
 */
static void bind_sysfs(struct spec_mount *m, struct arena *a)
{
	char **v = ARENA_NEW_N(a, char *, m->options.n + 2);

	memcpy(v, m->options.v, m->options.n * sizeof(*v));
	v[m->options.n] = arena_strdup(a, "bind");
	m->options = (struct spec_strings){ .v = v, .n = m->options.n + 1 };
	m->type = "bind";
	m->source = "/sys";
}

static void adapt_mounts(struct spec *spec, struct arena *a, struct agent_adapted *ret)
{
	bool has_userns = spec->linux_.ns[SPEC_NS_USER].listed;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct spec_mount *m = &spec->mounts[i];

		if (is_bind(m)) {
			adapt_bind(m, i, a);
			ret->has_volumes = true;
		} else if (has_userns && m->type && strcmp(m->type, "sysfs") == 0) {
			bind_sysfs(m, a);
		}
	}
}

/* Those of the network are the guest's own now, and written before the container is made. */
static void split_sysctls(struct spec_linux *lx, struct arena *a, struct agent_adapted *ret)
{
	struct spec_key_value *net = ARENA_NEW_N(a, struct spec_key_value, lx->n_sysctl + 1);
	struct spec_key_value *others = ARENA_NEW_N(a, struct spec_key_value, lx->n_sysctl + 1);
	size_t n_net = 0, n_others = 0;
	char path[256];

	for (size_t i = 0; i < lx->n_sysctl; i++) {
		bool is_net = spec_sysctl_path(lx->sysctl[i].key, path, sizeof(path)) == 0 &&
			      strncmp(path, "net/", 4) == 0;

		if (is_net)
			net[n_net++] = lx->sysctl[i];
		else
			others[n_others++] = lx->sysctl[i];
	}
	lx->sysctl = others;
	lx->n_sysctl = n_others;
	ret->net_sysctls = net;
	ret->n_net_sysctls = n_net;
}

static bool is_guests(const char *file)
{
	return strncmp(file, "memory.", 7) == 0 || strncmp(file, "pids.", 5) == 0;
}

void agent_adapt_resources(struct spec_resources *res)
{
	size_t kept = 0;

	if (!res)
		return;
	res->cpu = NULL;
	res->block_io = NULL;
	res->n_hugepages = res->n_rdma = res->n_net_priorities = 0;
	res->net_class_id.set = false;
	for (size_t i = 0; i < res->n_unified; i++)
		if (is_guests(res->unified[i].key))
			res->unified[kept++] = res->unified[i];
	res->n_unified = kept;
}

void agent_limit_swap(struct spec_resources *res)
{
	struct spec_memory *m = res ? res->memory : NULL;

	if (m && m->limit.set && m->limit.v > 0 && m->swap.set && m->swap.v > m->limit.v)
		m->swap.v = m->limit.v;
}

void agent_adapt_process(struct spec_process *process)
{
	/* Labels and CPUs are of the host's, and are the VMM's there. */
	process->apparmor_profile = process->selinux_label = NULL;
	process->exec_affinity = NULL;
}

void agent_adapt(struct spec *spec, struct arena *a, struct agent_adapted *ret)
{
	struct spec_linux *lx = &spec->linux_;

	*ret = (struct agent_adapted){ .has_volumes = false };
	adapt_namespaces(lx);
	make_identical(&lx->uid_maps, a);
	make_identical(&lx->gid_maps, a);
	adapt_mounts(spec, a, ret);
	split_sysctls(lx, a, ret);
	agent_adapt_resources(lx->resources);
	agent_adapt_process(&spec->process);
	lx->mount_label = NULL;
	lx->memory_policy = NULL;
	lx->intel_rdt = NULL;
	lx->seccomp = NULL; /* comes compiled */
	lx->cgroups_path = NULL;
	spec->root.path = AGENT_ROOT;
	for (int k = 0; k < SPEC_HOOKS; k++)
		if (k != SPEC_HOOK_START_CONTAINER)
			spec->hooks.n[k] = 0;
}

/* ---- items of a request ---- */

int agent_read_mount(const struct wire_item *item, size_t i, struct arena *a, struct spec_mount *ret)
{
	const char *text = item->bytes, *end = text + item->n;
	size_t words = 0;

	if (item->n == 0 || end[-1] != '\0')
		return -EPROTO;
	for (const char *p = text; p < end; p += strlen(p) + 1)
		words++;

	char **v = ARENA_NEW_N(a, char *, words + 1);
	size_t n = 0;

	for (const char *p = text + strlen(text) + 1; p < end; p += strlen(p) + 1)
		if (!is_hosts(p))
			v[n++] = arena_strdup(a, p);
	*ret = (struct spec_mount){
		.destination = arena_strdup(a, text),
		.type = "bind",
		.source = arena_printf(a, AGENT_VOLUMES "/x%zu", i),
		.options = { .v = v, .n = n },
	};
	if (!is_bind(ret))
		v[ret->options.n++] = arena_strdup(a, "rbind");
	return 0;
}

int agent_read_volume(const struct wire_item *item, struct wire_volume *ret)
{
	if (item->n != sizeof(*ret))
		return -EPROTO;
	memcpy(ret, item->bytes, sizeof(*ret));
	return 0;
}

void agent_add_attributes(struct spec_mount *m, uint32_t attr, struct arena *a)
{
	static const struct {
		uint32_t attr;
		const char *option;
	} known[] = {
		{ MOUNT_ATTR_RDONLY, "ro" }, { MOUNT_ATTR_NOSUID, "nosuid" }, { MOUNT_ATTR_NODEV, "nodev" },
		{ MOUNT_ATTR_NOEXEC, "noexec" }, { MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
	};
	char **v = ARENA_NEW_N(a, char *, m->options.n + ARRAY_SIZE(known) + 1);
	size_t n = m->options.n;

	if (n)
		memcpy(v, m->options.v, n * sizeof(*v));
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (attr & known[i].attr)
			v[n++] = arena_strdup(a, known[i].option);
	m->options = (struct spec_strings){ .v = v, .n = n };
}

int agent_read_filter(const void *payload, size_t n, struct arena *a, struct proc_seccomp *ret)
{
	struct wire_item item;

	*ret = (struct proc_seccomp){ .insns = NULL };
	if (!wire_find(payload, n, WIRE_T_FILTER, &item))
		return 0;

	size_t bytes = item.n - sizeof(uint32_t);

	if (item.n < sizeof(uint32_t) || bytes % sizeof(struct sock_filter) || bytes == 0)
		return -EPROTO;

	char *insns = ARENA_NEW_N(a, char, bytes);

	memcpy(&ret->flags, item.bytes, sizeof(ret->flags));
	memcpy(insns, (const char *)item.bytes + sizeof(uint32_t), bytes);
	ret->insns = insns;
	ret->n_insns = (uint32_t)(bytes / sizeof(struct sock_filter));
	return 0;
}

/* Every item of a tag, as text. */
static struct spec_strings read_all(const void *payload, size_t n, enum wire_tag tag, struct arena *a)
{
	struct wire_reader r = { .at = payload, .left = n };
	struct spec_strings ret = { .n = 0 };
	struct wire_item item;

	while (wire_next(&r, &item) > 0)
		ret.n += item.tag == tag;
	ret.v = ARENA_NEW_N(a, char *, ret.n + 1);
	ret.n = 0;
	r = (struct wire_reader){ .at = payload, .left = n };
	while (wire_next(&r, &item) > 0)
		if (item.tag == tag)
			ret.v[ret.n++] = arena_strndup(a, item.bytes, item.n);
	return ret;
}

char **agent_read_env(const void *payload, size_t n, struct arena *a)
{
	return read_all(payload, n, WIRE_T_ENV, a).v;
}

void agent_read_bytes(const void *payload, size_t n, struct arena *a, struct spec_process *process)
{
	struct spec_strings args = read_all(payload, n, WIRE_T_ARG, a);
	struct spec_strings cwd = read_all(payload, n, WIRE_T_CWD, a);

	/* Arguments there always are: with them all comes in bytes. */
	if (!args.n || !cwd.n)
		return;
	process->args = args;
	process->env = read_all(payload, n, WIRE_T_VARIABLE, a);
	process->cwd = cwd.v[0];
}
