/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/internal.h"

/*
 * What is said to systemd about a unit. The limits are taken from the very plan
 * that is written to the cgroup, so that the two cannot differ but where systemd's
 * own units are coarser (CPUQuota=).
 */

#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define CPU_WORDS 128
#define SECOND_US UINT64_C(1000000)
/* A unit's file has CPUQuota= in whole percents, and a reload reads that: rounded up, it never takes away. */
#define PERCENT_US (SECOND_US / 100)

const struct unit_property *unit_plan_find(const struct unit_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->v[i].name, name) == 0)
			return &plan->v[i];
	return NULL;
}

void unit_plan_put(struct unit_plan *plan, struct unit_property p)
{
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->v[i].name, p.name) == 0) {
			plan->v[i] = p;
			return;
		}
	if (plan->n == plan->room) {
		size_t room = plan->room ? plan->room * 2 : 32;
		struct unit_property *v = ARENA_NEW_N(plan->arena, struct unit_property, room);

		if (plan->n)
			memcpy(v, plan->v, plan->n * sizeof(*v));
		plan->v = v;
		plan->room = room;
	}
	plan->v[plan->n++] = p;
}

const char *unit_description(const char *id, struct arena *a)
{
	return arena_printf(a, "bulkhead container %s", id);
}

static void put_text(struct unit_plan *plan, const char *name, const char *text)
{
	unit_plan_put(plan, (struct unit_property){ .name = name, .type = "s", .text = text });
}

static void put_flag(struct unit_plan *plan, const char *name, bool on)
{
	unit_plan_put(plan, (struct unit_property){ .name = name, .type = "b", .number = on });
}

void unit_plan_base(struct unit_plan *plan, const struct unit_name *name, const char *id)
{
	put_text(plan, "Description", unit_description(id, plan->arena));
	if (name->is_slice) {
		const char **parent = ARENA_NEW_N(plan->arena, const char *, 1);

		/* Where a slice lies is in its name. */
		parent[0] = name->slice;
		unit_plan_put(plan, (struct unit_property){ .name = "Wants", .type = "as", .list = parent, .n = 1 });
	} else {
		put_text(plan, "Slice", name->slice);
		put_flag(plan, "Delegate", true);
	}
	put_flag(plan, "CPUAccounting", true);
	put_flag(plan, "MemoryAccounting", true);
	put_flag(plan, "TasksAccounting", true);
	put_flag(plan, "IOAccounting", true);
	/* It is neither ordered after basic.target nor stopped early at shutdown by that: the engine's unit is. */
	put_flag(plan, "DefaultDependencies", false);
	put_text(plan, "CollectMode", "inactive-or-failed");
}

/* From here on: one cgroup file to one or two properties. */

struct conversion {
	struct unit_plan *plan;
	const struct cg_write *write;
	const char *property;
};

static int not_a_number(const struct conversion *c, struct error *err)
{
	int r = error_rule(err, EINVAL, "\"%s\" for %s is not what systemd's %s= takes", c->write->value,
			   c->write->file, c->property);

	error_at(err, "%s", c->write->pointer);
	return r;
}

static int put_number(const struct conversion *c, const char *property, uint64_t v)
{
	unit_plan_put(c->plan, (struct unit_property){ .name = property, .type = "t", .number = v,
						       .pointer = c->write->pointer });
	return 0;
}

/* Bytes or a count; the kernel's "max" is systemd's "infinity", which is all ones. */
static int convert_amount(const struct conversion *c, struct error *err)
{
	uint64_t v = UINT64_MAX;
	int64_t bytes;

	if (strcmp(c->write->value, "max") != 0 && parse_u64(c->write->value, &v) < 0) {
		/* The kernel takes "1G" (memparse). */
		if (parse_bytes(c->write->value, &bytes) < 0 || bytes < 0)
			return not_a_number(c, err);
		v = (uint64_t)bytes;
	}
	return put_number(c, c->property, v);
}

static int convert_weight(const struct conversion *c, struct error *err)
{
	const char *value = c->write->other_file ? c->write->other_value : c->write->value;
	uint64_t v;

	if (strncmp(value, "default ", 8) == 0)
		value += 8;
	/* For one device: systemd leaves alone what it was told nothing of. */
	if (strchr(value, ':'))
		return 0;
	if (parse_u64(value, &v) < 0)
		return not_a_number(c, err);
	return put_number(c, c->property, v);
}

/* Since 252 CPUWeight=idle, on the bus 0; before, systemd knew no idle group and left cpu.idle alone. */
static int convert_idle(const struct conversion *c, struct error *err)
{
	(void)err;
	return put_number(c, c->property, strcmp(c->write->value, "1") == 0 ? 0 : 100);
}

/* From 253 on systemd writes memory.oom.group of a scope whenever it writes memory limits: 1 with OOMPolicy=kill. */
static int convert_oom_group(const struct conversion *c, struct error *err)
{
	(void)err;
	unit_plan_put(c->plan, (struct unit_property){
		.name = c->property, .type = "s", .text = strcmp(c->write->value, "1") == 0 ? "kill" : "continue",
		.pointer = c->write->pointer });
	return 0;
}

/* "quota period" or "max period". */
static int convert_bandwidth(const struct conversion *c, struct error *err)
{
	char quota[32];
	uint64_t q = 0;
	uint64_t period = 100000;
	size_t n = strcspn(c->write->value, " ");
	const char *rest = c->write->value + n + (c->write->value[n] == ' ');

	if (n >= sizeof(quota) || (*rest && parse_u64(rest, &period) < 0) || period == 0)
		return not_a_number(c, err);
	memcpy(quota, c->write->value, n);
	quota[n] = '\0';
	put_number(c, "CPUQuotaPeriodUSec", period);
	if (strcmp(quota, "max") == 0)
		return put_number(c, c->property, UINT64_MAX);
	if (parse_u64(quota, &q) < 0 || q == 0)
		return not_a_number(c, err);
	if (q > UINT64_MAX / SECOND_US / 2)
		return put_number(c, c->property, UINT64_MAX);

	uint64_t per_second = (q * SECOND_US + period - 1) / period;

	return put_number(c, c->property, (per_second + PERCENT_US - 1) / PERCENT_US * PERCENT_US);
}

/* A list of numbers as bits, the lowest byte first, without empty bytes at the end. */
static int convert_set(const struct conversion *c, struct error *err)
{
	uint64_t words[CPU_WORDS];
	uint8_t *bytes = arena_alloc(c->plan->arena, CPU_WORDS * 8);
	size_t n = 0;

	if (parse_cpulist(c->write->value, words, CPU_WORDS) < 0)
		return not_a_number(c, err);
	for (size_t i = 0; i < (size_t)CPU_WORDS * 8; i++) {
		bytes[i] = (uint8_t)(words[i / 8] >> (i % 8 * 8));
		if (bytes[i])
			n = i + 1;
	}
	unit_plan_put(c->plan, (struct unit_property){ .name = c->property, .type = "ay", .bytes = bytes, .n = n,
						       .pointer = c->write->pointer });
	return 0;
}

/* since: the first systemd with the property (systemd.resource-control(5), NEWS). */
static const struct {
	const char *file, *property;
	unsigned since;
	int (*convert)(const struct conversion *c, struct error *err);
	bool at_start; /* and not later */
} table[] = {
	{ "cpu.weight", "CPUWeight", 232, convert_weight, false },
	{ "cpu.idle", "CPUWeight", 252, convert_idle, false },
	{ "cpu.max", "CPUQuotaPerSecUSec", 242, convert_bandwidth, false },
	{ "cpuset.cpus", "AllowedCPUs", 244, convert_set, false },
	{ "cpuset.mems", "AllowedMemoryNodes", 244, convert_set, false },
	{ "memory.min", "MemoryMin", 240, convert_amount, false },
	{ "memory.low", "MemoryLow", 231, convert_amount, false },
	{ "memory.high", "MemoryHigh", 231, convert_amount, false },
	{ "memory.max", "MemoryMax", 231, convert_amount, false },
	{ "memory.swap.max", "MemorySwapMax", 232, convert_amount, false },
	{ "memory.zswap.max", "MemoryZSwapMax", 253, convert_amount, false },
	{ "memory.oom.group", "OOMPolicy", 253, convert_oom_group, true },
	{ "pids.max", "TasksMax", 227, convert_amount, false },
	{ "io.bfq.weight", "IOWeight", 230, convert_weight, false },
	{ "io.weight", "IOWeight", 230, convert_weight, false },
};

bool unit_knows_file(const char *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(file, table[i].file) == 0)
			return !table[i].at_start;
	return false;
}

int unit_plan_limits(struct unit_plan *plan, const struct cg_plan *limits, unsigned version,
		     enum unit_moment moment, struct error *err)
{
	for (size_t i = 0; i < limits->n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(table); k++) {
			struct conversion c = { .plan = plan, .write = &limits->v[i],
						.property = table[k].property };

			if (strcmp(limits->v[i].file, table[k].file) != 0 || version < table[k].since ||
			    (table[k].at_start && moment != UNIT_AT_START))
				continue;

			int r = table[k].convert(&c, err);

			if (r < 0)
				return r;
		}
	return 0;
}

static void print_value(const struct unit_property *p, struct buf *out)
{
	switch (p->type[0]) {
	case 's':
		buf_printf(out, "\"%s\"", p->text);
		break;
	case 'b':
		buf_puts(out, p->number ? "yes" : "no");
		break;
	case 'a':
		buf_putc(out, '[');
		for (size_t i = 0; i < p->n; i++)
			if (p->type[1] == 'y')
				buf_printf(out, "%s%02x", i ? " " : "", p->bytes[i]);
			else
				buf_printf(out, "%s%s", i ? " " : "", p->list[i]);
		buf_putc(out, ']');
		break;
	default:
		if (p->type[0] == 't' && p->number == UINT64_MAX)
			buf_puts(out, "infinity");
		else
			buf_printf(out, "%lld", (long long)p->number);
	}
}

void unit_plan_print(const struct unit_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct unit_property *p = &plan->v[i];

		buf_printf(out, "unit property %s=", p->name);
		print_value(p, out);
		if (p->pointer)
			buf_printf(out, "  [%s]", p->pointer);
		buf_putc(out, '\n');
	}
}
