/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources (config-linux.md Control groups), also alone: the file that `update` takes. */
#include "spec/parts.h"

#include <string.h>

static void parse_access(struct reader *rd, const struct json *v, struct spec_device_rule *rule)
{
	static const struct {
		char letter;
		unsigned bit;
	} rights[] = { { 'r', SPEC_DEV_READ }, { 'w', SPEC_DEV_WRITE }, { 'm', SPEC_DEV_MKNOD } };
	const char *access = "";

	rd_need_text(rd, v, "access", &access);
	for (; rd->r == 0 && *access; access++) {
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
			if (rights[i].letter == *access)
				bit = rights[i].bit;
		if (!bit)
			rd_not(rd, rd_get(v, "access"), "a choice of the letters r, w and m");
		rule->access |= bit;
	}
}

static void parse_device_rules(struct reader *rd, const struct json *obj,
			       struct spec_resources *res)
{
	static const struct spec_word types[] = {
		{ "a", 'a' },
		{ "c", 'c' },
		{ "b", 'b' },
		{ NULL, 0 },
	};
	const struct json *list =
		rd_list(rd, obj, "devices", sizeof(*res->devices), &res->devices, &res->n_devices);
	struct spec_device_rule *rule = res->devices;

	json_each(v, list)
	{
		int64_t type = 'a';
		const char *word;

		if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "allow"))
			return;
		rd_bool(rd, v, "allow", &rule->allow);
		if (rd_text(rd, v, "type", &word))
			rd_word(rd, v, "type", types, &type);
		rule->type = (char)type;
		rule->major = rule->minor = -1;
		rd_int(rd, v, "major", -1, UINT32_MAX, &rule->major);
		rd_int(rd, v, "minor", -1, UINT32_MAX, &rule->minor);
		parse_access(rd, v, rule);
		rule++;
	}
}

/* -1 is "no limit"; what the kernel makes of the rest is the kernel's. */
static void parse_memory(struct reader *rd, const struct json *obj, struct spec_memory *m)
{
	rd_opt_i64(rd, obj, "limit", -1, INT64_MAX, &m->limit);
	rd_opt_i64(rd, obj, "reservation", -1, INT64_MAX, &m->reservation);
	rd_opt_i64(rd, obj, "swap", -1, INT64_MAX, &m->swap);
	rd_opt_i64(rd, obj, "kernel", -1, INT64_MAX, &m->kernel);
	rd_opt_i64(rd, obj, "kernelTCP", -1, INT64_MAX, &m->kernel_tcp);
	rd_opt_u64(rd, obj, "swappiness", 100, &m->swappiness);
	rd_bool(rd, obj, "disableOOMKiller", &m->disable_oom_killer);
	rd_bool(rd, obj, "useHierarchy", &m->use_hierarchy);
	rd_bool(rd, obj, "checkBeforeUpdate", &m->check_before_update);
}

static void parse_cpu(struct reader *rd, const struct json *obj, struct spec_cpu *c)
{
	rd_opt_u64(rd, obj, "shares", UINT64_MAX, &c->shares);
	rd_opt_i64(rd, obj, "quota", INT64_MIN, INT64_MAX, &c->quota);
	rd_opt_u64(rd, obj, "burst", UINT64_MAX, &c->burst);
	rd_opt_u64(rd, obj, "period", UINT64_MAX, &c->period);
	rd_opt_i64(rd, obj, "realtimeRuntime", INT64_MIN, INT64_MAX, &c->realtime_runtime);
	rd_opt_u64(rd, obj, "realtimePeriod", UINT64_MAX, &c->realtime_period);
	rd_cpulist(rd, obj, "cpus", &c->cpus);
	rd_cpulist(rd, obj, "mems", &c->mems);
	rd_opt_i64(rd, obj, "idle", 0, 1, &c->idle);
}

static bool is_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && *s != '0' && s[digits] && strchr("KMG", s[digits]) &&
	       strcmp(s + digits + 1, "B") == 0;
}

static void parse_hugepages(struct reader *rd, const struct json *obj, struct spec_resources *res)
{
	const struct json *list = rd_list(rd, obj, "hugepageLimits", sizeof(*res->hugepages),
					  &res->hugepages, &res->n_hugepages);
	struct spec_hugepage_limit *limit = res->hugepages;

	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		rd_need_text(rd, v, "pageSize", &limit->page_size);
		if (rd->r == 0 && !is_page_size(limit->page_size))
			rd_not(rd, rd_get(v, "pageSize"),
			       "a size such as \"64KB\", \"2MB\" or \"1GB\"");
		if (!rd_need(rd, v, "limit"))
			return;
		rd_uint(rd, v, "limit", UINT64_MAX, &limit->limit);
		limit++;
	}
}

static void parse_rdma(struct reader *rd, const struct json *obj, struct spec_resources *res)
{
	if (!obj)
		return;
	res->rdma = ARENA_NEW_N(rd->a, struct spec_rdma, obj->count);
	json_each(v, obj)
	{
		struct spec_rdma *rdma = &res->rdma[res->n_rdma++];

		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		rdma->device = v->name;
		rdma->has_handles = rd_u32(rd, v, "hcaHandles", UINT32_MAX, &rdma->handles);
		rdma->has_objects = rd_u32(rd, v, "hcaObjects", UINT32_MAX, &rdma->objects);
		if (!rdma->has_handles && !rdma->has_objects)
			rd_fault(rd, v, "has neither hcaHandles nor hcaObjects");
	}
}

static void parse_network(struct reader *rd, const struct json *obj, struct spec_resources *res)
{
	rd_opt_u64(rd, obj, "classID", UINT32_MAX, &res->net_class_id);

	const struct json *list = rd_list(rd, obj, "priorities", sizeof(*res->net_priorities),
					  &res->net_priorities, &res->n_net_priorities);
	struct spec_net_priority *priority = res->net_priorities;

	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		rd_need_text(rd, v, "name", &priority->name);
		if (!rd_need(rd, v, "priority"))
			return;
		rd_u32(rd, v, "priority", UINT32_MAX, &priority->priority);
		priority++;
	}
}

/* Keys name files of the container's cgroup: one component, and not the directory itself. */
static void parse_unified(struct reader *rd, const struct json *obj, struct spec_resources *res)
{
	rd_map(rd, obj, "unified", &res->unified, &res->n_unified);
	for (size_t i = 0; rd->r == 0 && i < res->n_unified; i++) {
		const char *key = res->unified[i].key;

		if (strpbrk(key, "/\n") || strcmp(key, ".") == 0 || strcmp(key, "..") == 0)
			rd_fault(rd, json_get(rd_get(obj, "unified"), key),
				 "names no file of the container's cgroup: a key is one file name");
	}
}

void parse_resources(struct reader *rd, const struct json *obj, struct spec_resources *res)
{
	const struct json *member;

	parse_device_rules(rd, obj, res);
	if ((member = rd_object(rd, obj, "memory"))) {
		res->memory = ARENA_NEW(rd->a, struct spec_memory);
		parse_memory(rd, member, res->memory);
	}
	if ((member = rd_object(rd, obj, "cpu"))) {
		res->cpu = ARENA_NEW(rd->a, struct spec_cpu);
		parse_cpu(rd, member, res->cpu);
	}
	if ((member = rd_object(rd, obj, "blockIO"))) {
		res->block_io = ARENA_NEW(rd->a, struct spec_block_io);
		parse_block_io(rd, member, res->block_io);
	}
	rd_opt_i64(rd, rd_object(rd, obj, "pids"), "limit", -1, INT64_MAX, &res->pids_limit);
	parse_hugepages(rd, obj, res);
	parse_rdma(rd, rd_object(rd, obj, "rdma"), res);
	parse_network(rd, rd_object(rd, obj, "network"), res);
	parse_unified(rd, obj, res);
}
