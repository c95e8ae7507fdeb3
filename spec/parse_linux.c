/* SPDX-License-Identifier: Apache-2.0 */
/* The linux object (config-linux.md) without resources and seccomp. */
#include "spec/parts.h"

#include <string.h>

static void parse_namespaces(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	const struct json *list = rd_array(rd, obj, "namespaces");
	unsigned index = 0;

	json_each(v, list)
	{
		int64_t kind = 0;

		if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "type") ||
		    !rd_word(rd, v, "type", spec_ns_words, &kind))
			return;

		struct spec_namespace *ns = &l->ns[kind];

		if (ns->listed) {
			rd_fault(
				rd, v,
				"asks for a second %s namespace, the first is linux.namespaces[%u]",
				spec_ns_name((enum spec_ns_kind)kind), ns->index);
			return;
		}
		*ns = (struct spec_namespace){ .listed = true, .index = index++ };
		rd_path(rd, v, "path", &ns->path);
	}
}

static void parse_time_offsets(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	json_each(v, obj)
	{
		struct spec_time_offset *offset;

		if (strcmp(v->name, "monotonic") == 0)
			offset = &l->monotonic;
		else if (strcmp(v->name, "boottime") == 0)
			offset = &l->boottime;
		else {
			rd_fault(rd, v,
				 "is no clock with an offset: those are monotonic and boottime");
			return;
		}
		if (v->type == JSON_NULL)
			continue;
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		offset->set = true;
		rd_int(rd, v, "secs", INT64_MIN, INT64_MAX, &offset->secs);
		rd_u32(rd, v, "nanosecs", 999999999, &offset->nanosecs);
	}
}

static void parse_device(struct reader *rd, const struct json *v, struct spec_device *d)
{
	static const struct spec_word types[] = {
		{ "c", 'c' }, { "b", 'b' }, { "u", 'c' }, { "p", 'p' }, { NULL, 0 },
	};
	int64_t type = 0;
	uint32_t mode = 0;

	if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "type"))
		return;
	rd_word(rd, v, "type", types, &type);
	d->type = (char)type;
	rd_need_text(rd, v, "path", &d->path);
	rd_path(rd, v, "path", &d->path);
	if (d->type != 'p' && (!rd_need(rd, v, "major") || !rd_need(rd, v, "minor")))
		return;
	rd_int(rd, v, "major", 0, SPEC_MAJOR_MAX, &d->major);
	rd_int(rd, v, "minor", 0, SPEC_MINOR_MAX, &d->minor);
	d->has_mode = rd_u32(rd, v, "fileMode", UINT32_MAX, &mode);
	d->mode = mode & 07777;
	d->has_uid = rd_u32(rd, v, "uid", UINT32_MAX - 1, &d->uid);
	d->has_gid = rd_u32(rd, v, "gid", UINT32_MAX - 1, &d->gid);
}

static void parse_devices(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	const struct json *list =
		rd_list(rd, obj, "devices", sizeof(*l->devices), &l->devices, &l->n_devices);
	struct spec_device *device = l->devices;

	json_each(v, list) parse_device(rd, v, device++);
}

static void parse_net_devices(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	if (!obj)
		return;
	l->net_devices = ARENA_NEW_N(rd->a, struct spec_net_device, obj->count);
	json_each(v, obj)
	{
		struct spec_net_device *device = &l->net_devices[l->n_net_devices++];

		*device = (struct spec_net_device){ v->name, v->name };
		/* A nil entry of an engine's map means an empty object: move it, keep its name. */
		if (v->type == JSON_NULL)
			continue;
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		rd_text(rd, v, "name", &device->name);
	}
}

static void parse_intel_rdt(struct reader *rd, const struct json *obj, struct spec_intel_rdt *rdt)
{
	rd_text(rd, obj, "closID", &rdt->clos_id);
	rd_text(rd, obj, "l3CacheSchema", &rdt->l3_cache_schema);
	rd_text(rd, obj, "memBwSchema", &rdt->mem_bw_schema);
	rd_strings(rd, obj, "schemata", &rdt->schemata);
	rd_bool(rd, obj, "enableMonitoring", &rdt->enable_monitoring);
}

static void parse_memory_policy(struct reader *rd, const struct json *obj,
				struct spec_memory_policy *p)
{
	int64_t mode = 0;
	uint64_t flags = 0;

	if (!rd_need(rd, obj, "mode"))
		return;
	rd_word(rd, obj, "mode", spec_memory_policy_modes, &mode);
	rd_flags(rd, obj, "flags", spec_memory_policy_flags, &flags);
	rd_cpulist(rd, obj, "nodes", &p->nodes);
	p->mode = (int)mode;
	p->mode_flags = (unsigned)flags;
}

static void parse_personality(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	/* PER_LINUX and PER_LINUX32 of personality(2). */
	static const struct spec_word domains[] = {
		{ "LINUX", 0x0000 },
		{ "LINUX32", 0x0008 },
		{ NULL, 0 },
	};
	struct spec_strings flags;
	int64_t domain = 0;

	if (!obj || !rd_need(rd, obj, "domain"))
		return;
	rd_word(rd, obj, "domain", domains, &domain);
	rd_strings(rd, obj, "flags", &flags);
	l->has_personality = true;
	l->has_personality_flags = flags.n > 0;
	l->personality = (unsigned long)domain;
}

static void parse_propagation(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	static const struct spec_word modes[] = {
		{ "private", 0 },    { "shared", 0 },	   { "slave", 0 },
		{ "unbindable", 0 }, { "rprivate", 0 },	   { "rshared", 0 },
		{ "rslave", 0 },     { "runbindable", 0 }, { NULL, 0 },
	};
	int64_t unused;

	if (rd_text(rd, obj, "rootfsPropagation", &l->rootfs_propagation))
		rd_word(rd, obj, "rootfsPropagation", modes, &unused);
}

/* maskedPaths and readonlyPaths: config-linux.md wants absolute ones. */
static void parse_paths(struct reader *rd, const struct json *obj, const char *name,
			struct spec_strings *paths)
{
	if (!rd_strings(rd, obj, name, paths))
		return;
	json_each(v, rd_get(obj, name))
	{
		if (*v->text != '/') {
			rd_not(rd, v, "an absolute path");
			return;
		}
	}
}

void parse_linux(struct reader *rd, const struct json *obj, struct spec_linux *l)
{
	const struct json *member;

	parse_namespaces(rd, obj, l);
	parse_idmaps(rd, obj, "uidMappings", &l->uid_maps);
	parse_idmaps(rd, obj, "gidMappings", &l->gid_maps);
	parse_time_offsets(rd, rd_object(rd, obj, "timeOffsets"), l);
	parse_devices(rd, obj, l);
	parse_net_devices(rd, rd_object(rd, obj, "netDevices"), l);
	rd_text(rd, obj, "cgroupsPath", &l->cgroups_path);
	rd_map(rd, obj, "sysctl", &l->sysctl, &l->n_sysctl);
	parse_propagation(rd, obj, l);
	parse_paths(rd, obj, "maskedPaths", &l->masked_paths);
	parse_paths(rd, obj, "readonlyPaths", &l->readonly_paths);
	rd_text(rd, obj, "mountLabel", &l->mount_label);
	parse_personality(rd, rd_object(rd, obj, "personality"), l);

	if ((member = rd_object(rd, obj, "resources"))) {
		l->resources = ARENA_NEW(rd->a, struct spec_resources);
		parse_resources(rd, member, l->resources);
	}
	if ((member = rd_object(rd, obj, "intelRdt"))) {
		l->intel_rdt = ARENA_NEW(rd->a, struct spec_intel_rdt);
		parse_intel_rdt(rd, member, l->intel_rdt);
	}
	if ((member = rd_object(rd, obj, "memoryPolicy")) && member->count > 0) {
		l->memory_policy = ARENA_NEW(rd->a, struct spec_memory_policy);
		parse_memory_policy(rd, member, l->memory_policy);
	}
	if ((member = rd_object(rd, obj, "seccomp"))) {
		l->seccomp = ARENA_NEW(rd->a, struct spec_seccomp);
		parse_seccomp(rd, member, l->seccomp);
	}
}
