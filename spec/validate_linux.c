/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the linux object: namespaces and what depends on them, network devices, intelRdt, memory policy. */
#include "spec/check.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "spec/show.h"

enum { MODE_DEFAULT = 0, MODE_PREFERRED = 1, MODE_LOCAL = 4 };
enum { RELATIVE_NODES = 1 << 14, STATIC_NODES = 1 << 15 };

#define MAX_NET_DEVICES 1024 /* of ours: names are compared pair by pair */

/* "<what> is set, but the config asks for no <kind> namespace", at pointer. */
static int needs_namespace(const struct spec_linux *l, enum spec_ns_kind kind, const char *what,
			   const char *pointer, struct error *err)
{
	if (l->ns[kind].listed)
		return 0;

	int r = error_rule(err, EINVAL, "%s is set, but the config asks for no %s namespace", what,
			   spec_ns_name(kind));

	rule_hint(r, err, "add {\"type\": \"%s\"} to linux.namespaces, or remove %s",
		  spec_ns_name(kind), what);
	return rule_at(r, err, "%s", pointer);
}

static int check_user_namespace(const struct spec_linux *l, struct error *err)
{
	const struct spec_namespace *user = &l->ns[SPEC_NS_USER];
	bool has_uids = l->uid_maps.n > 0, has_gids = l->gid_maps.n > 0;
	int r = 0;

	if (has_uids)
		r = needs_namespace(l, SPEC_NS_USER, "linux.uidMappings", "/linux/uidMappings",
				    err);
	if (r == 0 && has_gids)
		r = needs_namespace(l, SPEC_NS_USER, "linux.gidMappings", "/linux/gidMappings",
				    err);
	if (r == 0 && user->listed && !user->path && (!has_uids || !has_gids))
		r = rule_at(error_rule(err, EINVAL,
				       "the config asks for a new user namespace, but linux.%s is "
				       "empty: nobody in it would have an id",
				       has_uids ? "gidMappings" : "uidMappings"),
			    err, "/linux/namespaces/%u", user->index);
	if (r == 0)
		r = check_idmaps(&l->uid_maps, "linux.uidMappings", "/linux/uidMappings", err);
	if (r == 0)
		r = check_idmaps(&l->gid_maps, "linux.gidMappings", "/linux/gidMappings", err);
	return r;
}

static int check_time(const struct spec_linux *l, struct error *err)
{
	const struct spec_namespace *time = &l->ns[SPEC_NS_TIME];

	if (!l->monotonic.set && !l->boottime.set)
		return 0;

	int r = needs_namespace(l, SPEC_NS_TIME, "linux.timeOffsets", "/linux/timeOffsets", err);

	/* time_namespaces(7): offsets are fixed once a process is inside. */
	if (r == 0 && time->path)
		r = rule_at(error_rule(err, EINVAL,
				       "linux.timeOffsets is set, but the time namespace is the "
				       "existing %s: only a new one takes offsets",
				       show(time->path).text),
			    err, "/linux/timeOffsets");
	return r;
}

/* Hidden and read-only paths are mounts: without a namespace of its own they would be the host's. */
static int check_paths(const struct spec_linux *l, struct error *err)
{
	int r = 0;

	if (l->masked_paths.n)
		r = needs_namespace(l, SPEC_NS_MOUNT, "linux.maskedPaths", "/linux/maskedPaths",
				    err);
	if (r == 0 && l->readonly_paths.n)
		r = needs_namespace(l, SPEC_NS_MOUNT, "linux.readonlyPaths", "/linux/readonlyPaths",
				    err);
	return r;
}

/* dev_valid_name() of the kernel, and "%d" for a number of its choice. */
static const char *device_name_fault(const char *name, bool is_pattern)
{
	const char *percent = strchr(name, '%');

	if (!*name)
		return "is empty";
	if (strlen(name) >= IFNAMSIZ)
		return "has more than 15 bytes";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strpbrk(name, "/: \t\n\v\f\r"))
		return "is no name for a network device";
	if (is_pattern && percent && (percent[1] != 'd' || strchr(percent + 2, '%')))
		return "has a % that is not the one %d the kernel replaces";
	return NULL;
}

static int check_net_devices(const struct spec_linux *l, struct error *err)
{
	if (l->n_net_devices == 0)
		return 0;

	int r = needs_namespace(l, SPEC_NS_NETWORK, "linux.netDevices", "/linux/netDevices", err);

	if (r == 0 && l->n_net_devices > MAX_NET_DEVICES)
		r = rule_at(error_rule(err, EINVAL,
				       "linux.netDevices has %zu members: at most %d are moved",
				       l->n_net_devices, MAX_NET_DEVICES),
			    err, "/linux/netDevices");
	for (size_t i = 0; r == 0 && i < l->n_net_devices; i++) {
		const struct spec_net_device *d = &l->net_devices[i];
		const char *fault = device_name_fault(d->host_name, false);

		if (fault)
			return rule_at(error_rule(err, EINVAL, "linux.netDevices[%s] %s",
						  show(d->host_name).text, fault),
				       err, "/linux/netDevices");
		fault = device_name_fault(d->name, true);
		if (fault)
			return rule_at(
				error_rule(err, EINVAL, "linux.netDevices[%s].name is %s, which %s",
					   show(d->host_name).text, show(d->name).text, fault),
				err, "/linux/netDevices/%s/name", show_token(d->host_name).text);
		for (size_t j = 0; j < i; j++)
			if (strcmp(l->net_devices[j].name, d->name) == 0 && !strchr(d->name, '%'))
				return rule_at(
					error_rule(
						err, EINVAL,
						"linux.netDevices gives both %s and %s the name %s",
						show(l->net_devices[j].host_name).text,
						show(d->host_name).text, show(d->name).text),
					err, "/linux/netDevices/%s", show_token(d->host_name).text);
	}
	return r;
}

static int check_clos_id(const char *id, struct error *err)
{
	if (!id || strcmp(id, "/") == 0)
		return 0; /* "/" is the default group itself, since 1.3 */
	if (!strpbrk(id, "/\n") && strcmp(id, ".") != 0 && strcmp(id, "..") != 0)
		return 0;
	return rule_at(error_rule(err, EINVAL,
				  "linux.intelRdt.closID is %s, not the name of one group or \"/\"",
				  show(id).text),
		       err, "/linux/intelRdt/closID");
}

static int check_intel_rdt(const struct spec_intel_rdt *rdt, const struct log *log,
			   struct error *err)
{
	const char *l3 = rdt->l3_cache_schema, *mb = rdt->mem_bw_schema;
	int r = check_clos_id(rdt->clos_id, err);

	if (r < 0)
		return r;
	if (mb && (strncmp(mb, "MB:", 3) != 0 || strchr(mb, '\n')))
		return rule_at(error_rule(err, EINVAL,
					  "linux.intelRdt.memBwSchema is %s, not one line that "
					  "begins with \"MB:\"",
					  show(mb).text),
			       err, "/linux/intelRdt/memBwSchema");
	for (size_t i = 0; i < rdt->schemata.n; i++)
		if (strchr(rdt->schemata.v[i], '\n'))
			return rule_at(
				error_rule(err, EINVAL,
					   "linux.intelRdt.schemata[%zu] is %s, not one line", i,
					   show(rdt->schemata.v[i]).text),
				err, "/linux/intelRdt/schemata/%zu", i);
	if (l3 && (strncmp(l3, "L3:", 3) != 0 || strchr(l3, '\n')))
		log_warn(log,
			 "linux.intelRdt.l3CacheSchema is %s: anything but one line that begins "
			 "with \"L3:\" belongs into schemata",
			 show(l3).text);
	return 0;
}

/* set_mempolicy(2): which modes take nodes, and which flags exclude each other. */
static int check_memory_policy(const struct spec_memory_policy *p, struct error *err)
{
	bool takes_none = p->mode == MODE_DEFAULT || p->mode == MODE_LOCAL;

	if (takes_none && p->nodes)
		return rule_at(
			error_rule(err, EINVAL,
				   "linux.memoryPolicy.nodes is %s, but mode %s takes no nodes",
				   show(p->nodes).text,
				   p->mode == MODE_LOCAL ? "MPOL_LOCAL" : "MPOL_DEFAULT"),
			err, "/linux/memoryPolicy/nodes");
	if (!takes_none && p->mode != MODE_PREFERRED && !p->nodes)
		return rule_at(
			error_rule(err, EINVAL,
				   "linux.memoryPolicy names no nodes, but its mode needs some"),
			err, "/linux/memoryPolicy");
	if ((p->mode_flags & STATIC_NODES) && (p->mode_flags & RELATIVE_NODES))
		return rule_at(error_rule(err, EINVAL,
					  "linux.memoryPolicy.flags has both MPOL_F_STATIC_NODES "
					  "and MPOL_F_RELATIVE_NODES"),
			       err, "/linux/memoryPolicy/flags");
	return 0;
}

int check_linux(const struct spec_linux *l, const struct log *log, struct error *err)
{
	int r = check_user_namespace(l, err);

	if (r == 0)
		r = check_time(l, err);
	if (r == 0)
		r = check_paths(l, err);
	if (r == 0)
		r = check_net_devices(l, err);
	if (r == 0 && l->cgroups_path && strchr(l->cgroups_path, '\n'))
		r = rule_at(
			error_rule(err, EINVAL,
				   "linux.cgroupsPath is %s: the name of a cgroup has no newline",
				   show(l->cgroups_path).text),
			err, "/linux/cgroupsPath");
	if (r == 0 && l->intel_rdt)
		r = check_intel_rdt(l->intel_rdt, log, err);
	if (r == 0 && l->memory_policy)
		r = check_memory_policy(l->memory_policy, err);
	if (r == 0 && l->has_personality_flags)
		log_warn(log, "linux.personality.flags is set, but the specification defines no "
			      "flag: ignored");
	return r;
}
