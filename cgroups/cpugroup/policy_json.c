/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * A policy as JSON: what the attribute holds, `show` and `export` print and
 * `apply` reads. Only members that were given are written; unknown ones are refused.
 */

#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

static const char *const exclusive_words[] = { "none", "root", "isolated" };
static const char *const over_words[] = { "refuse", "warn" };

static void write_decimal(struct json_w *w, const char *name, uint64_t v, unsigned digits)
{
	auto_buf struct buf b = BUF_INIT;

	cpg_decimal_print(v, digits, &b);
	json_w_raw(w, name, b.data, b.len);
}

static void write_text(struct json_w *w, const char *name, const struct cpg_policy *p,
		       void (*print)(const struct cpg_policy *, struct buf *))
{
	auto_buf struct buf b = BUF_INIT;

	print(p, &b);
	json_w_str(w, name, b.data);
}

static void print_cap(const struct cpg_policy *p, struct buf *out)
{
	cpg_cap_print(&p->cap, out);
}

static void print_reserve(const struct cpg_policy *p, struct buf *out)
{
	cpg_decimal_print(p->reserve_milli, 3, out);
}

static void write_share(struct json_w *w, const struct cpg_policy *p)
{
	if (p->share == CPG_BY_NICE)
		json_w_int(w, "nice", p->nice);
	else if (p->share == CPG_BY_WEIGHT || p->weight != 100)
		json_w_uint(w, "weight", p->weight);
	if (p->share == CPG_BY_IDLE)
		json_w_bool(w, "idle", true);
}

void cpg_policy_write(struct json_w *w, const char *name, const struct cpg_policy *p)
{
	json_w_open(w, name, '{');
	if (p->set & CPG_SET_CPUS)
		json_w_str(w, "cpus", p->cpus);
	if (p->set & CPG_SET_MEMS)
		json_w_str(w, "mems", p->mems);
	if (p->set & CPG_SET_CAP)
		write_text(w, "cap", p, print_cap);
	if (p->set & CPG_SET_BURST)
		json_w_uint(w, "burst", p->burst_us);
	if (p->set & CPG_SET_SHARE)
		write_share(w, p);
	if (p->set & CPG_SET_EXCLUSIVE)
		json_w_str(w, "exclusive", exclusive_words[p->exclusive]);
	if (p->set & CPG_SET_UCLAMP_MIN)
		write_decimal(w, "uclampMin", p->uclamp_min, 2);
	if (p->set & CPG_SET_UCLAMP_MAX)
		write_decimal(w, "uclampMax", p->uclamp_max, 2);
	if (p->set & CPG_SET_RESERVE)
		write_text(w, "reserve", p, print_reserve);
	if (p->set & CPG_SET_OVERCOMMIT)
		write_decimal(w, "overcommit", p->overcommit_milli, 3);
	if (p->set & CPG_SET_OVER_PARENT)
		json_w_str(w, "overParent", over_words[p->over_parent]);
	if (p->set & CPG_SET_REALTIME)
		json_w_str(w, "realtime", over_words[p->realtime]);
	if (p->set & CPG_SET_WHOLE_CORES)
		json_w_bool(w, "wholeCores", p->whole_cores);
	if (p->set & CPG_SET_PRESSURE)
		write_decimal(w, "pressureLimit", p->pressure_limit, 2);
	if (p->set & CPG_SET_MEMORY)
		json_w_int(w, "memory", p->memory_max);
	if (p->set & CPG_SET_PIDS)
		json_w_int(w, "pids", p->pids_max);
	json_w_close(w, '}');
}

static int at(const struct json *v, int r, struct error *err)
{
	char pointer[128];

	if (r < 0)
		error_at(err, "%s", json_pointer(v, pointer, sizeof(pointer)));
	return r;
}

/* A number or a string that holds one; `digits` places after the point. */
static int read_decimal(const struct json *v, unsigned digits, uint64_t max, uint64_t *ret, struct error *err)
{
	int r = v->type == JSON_NUMBER || v->type == JSON_STRING ? cpg_decimal_parse(v->text, digits, max, ret) :
								   -EINVAL;
	auto_buf struct buf b = BUF_INIT;

	if (r == -ERANGE) {
		cpg_decimal_print(max, digits, &b);
		r = error_rule(err, ERANGE, "%s is above %s", v->name, b.data);
	} else if (r < 0) {
		r = error_rule(err, EINVAL, "%s must be a number with at most %u decimal places", v->name, digits);
	}
	return at(v, r, err);
}

static int read_word(const struct json *v, const char *const *words, size_t n, int *ret, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	const char *text;
	int r = json_string(v, &text, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = (int)i;
			return 0;
		}
		buf_printf(&b, "%s%s", i ? ", " : "", words[i]);
	}
	return at(v, error_rule(err, EINVAL, "%s is \"%.64s\", and must be one of %s", v->name, text, b.data), err);
}

static int read_cpus(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	const char *text;
	int r = json_string(v, &text, err);

	if (r == 0)
		p->cpus = arena_strdup(a, text);
	p->set |= CPG_SET_CPUS;
	return r;
}

static int read_mems(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	const char *text;
	int r = json_string(v, &text, err);

	if (r == 0)
		p->mems = arena_strdup(a, text);
	p->set |= CPG_SET_MEMS;
	return r;
}

static int read_cap(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	const char *text = v->text;
	int r = v->type == JSON_NUMBER ? 0 : json_string(v, &text, err);

	(void)a;
	p->set |= CPG_SET_CAP;
	return r < 0 ? r : at(v, cpg_cap_parse(text, &p->cap, err), err);
}

static int read_burst(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_BURST;
	return json_uint(v, UINT64_MAX, &p->burst_us, err);
}

static int read_weight(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_SHARE;

	int r = json_uint(v, 10000, &p->weight, err);

	if (r == 0 && p->weight == 0)
		r = at(v, error_rule(err, ERANGE, "weight 0 is outside of 1 … 10000"), err);
	return r;
}

static int read_nice(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	int64_t n = 0;
	int r = json_int(v, -20, 19, &n, err);

	(void)a;
	if (r == 0) {
		p->nice = (int)n;
		p->share = CPG_BY_NICE;
	}
	p->set |= CPG_SET_SHARE;
	return r;
}

static int read_idle(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	bool idle = false;
	int r = json_bool(v, &idle, err);

	(void)a;
	if (r == 0 && idle)
		p->share = CPG_BY_IDLE;
	p->set |= CPG_SET_SHARE;
	return r;
}

static int read_exclusive(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	int i = 0;
	int r = read_word(v, exclusive_words, ARRAY_SIZE(exclusive_words), &i, err);

	(void)a;
	p->exclusive = (enum cpg_exclusive)i;
	p->set |= CPG_SET_EXCLUSIVE;
	return r;
}

static int read_uclamp_min(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	uint64_t n = 0;
	int r = read_decimal(v, 2, 10000, &n, err);

	(void)a;
	p->uclamp_min = (uint32_t)n;
	p->set |= CPG_SET_UCLAMP_MIN;
	return r;
}

static int read_uclamp_max(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	uint64_t n = 10000;
	int r = read_decimal(v, 2, 10000, &n, err);

	(void)a;
	p->uclamp_max = (uint32_t)n;
	p->set |= CPG_SET_UCLAMP_MAX;
	return r;
}

static int read_reserve(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_RESERVE;
	return read_decimal(v, 3, (uint64_t)CPG_MAX_CPUS * 1000, &p->reserve_milli, err);
}

static int read_overcommit(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_OVERCOMMIT;
	return read_decimal(v, 3, 1000000, &p->overcommit_milli, err);
}

static int read_over_parent(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	int i = 0;
	int r = read_word(v, over_words, ARRAY_SIZE(over_words), &i, err);

	(void)a;
	p->over_parent = (enum cpg_over)i;
	p->set |= CPG_SET_OVER_PARENT;
	return r;
}

static int read_realtime(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	int i = 0;
	int r = read_word(v, over_words, ARRAY_SIZE(over_words), &i, err);

	(void)a;
	p->realtime = (enum cpg_over)i;
	p->set |= CPG_SET_REALTIME;
	return r;
}

static int read_whole_cores(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_WHOLE_CORES;
	return json_bool(v, &p->whole_cores, err);
}

static int read_pressure(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	uint64_t n = 0;
	int r = read_decimal(v, 2, 10000, &n, err);

	(void)a;
	p->pressure_limit = (uint32_t)n;
	p->set |= CPG_SET_PRESSURE;
	return r;
}

static int read_memory(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_MEMORY;
	return json_int(v, -1, INT64_MAX, &p->memory_max, err);
}

static int read_pids(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	(void)a;
	p->set |= CPG_SET_PIDS;
	return json_int(v, -1, INT64_MAX, &p->pids_max, err);
}

static const struct {
	const char *name;
	int (*read)(const struct json *, struct arena *, struct cpg_policy *, struct error *);
} members[] = {
	{ "cpus", read_cpus },
	{ "mems", read_mems },
	{ "cap", read_cap },
	{ "burst", read_burst },
	{ "weight", read_weight },
	{ "nice", read_nice },
	{ "idle", read_idle },
	{ "exclusive", read_exclusive },
	{ "uclampMin", read_uclamp_min },
	{ "uclampMax", read_uclamp_max },
	{ "reserve", read_reserve },
	{ "overcommit", read_overcommit },
	{ "overParent", read_over_parent },
	{ "realtime", read_realtime },
	{ "wholeCores", read_whole_cores },
	{ "pressureLimit", read_pressure },
	{ "memory", read_memory },
	{ "pids", read_pids },
};

static int read_member(const struct json *v, struct arena *a, struct cpg_policy *p, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strcmp(v->name, members[i].name) == 0)
			return members[i].read(v, a, p, err);
	return at(v, error_rule(err, EINVAL, "a CPU group's policy has no member \"%.64s\"", v->name), err);
}

int cpg_policy_read(const struct json *j, struct arena *a, struct cpg_policy *ret, struct error *err)
{
	const struct json *nice = json_get(j, "nice");
	const struct json *idle = json_get(j, "idle");
	struct cpg_policy p;

	cpg_policy_default(&p);
	if (j->type != JSON_OBJECT)
		return at(j, error_rule(err, EINVAL, "a CPU group's policy must be an object"), err);
	if (nice && (json_get(j, "weight") || (idle && idle->type == JSON_BOOL && idle->boolean)))
		return at(nice, error_rule(err, EINVAL, "nice excludes weight and idle: both say the group's share"),
			  err);
	json_each (v, j) {
		int r = read_member(v, a, &p, err);

		if (r < 0)
			return r;
	}
	*ret = p;
	return 0;
}
