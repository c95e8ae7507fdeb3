/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cpugroup_format.h"

#include <string.h>

#include "cli/list_format.h"
#include "cli/table.h"
#include "spec/base/auto.h"
#include "spec/base/parse.h"

const char *cli_group_state(const struct cpg_group *g)
{
	if (g->foreign)
		return "foreign";
	if (g->freezing)
		return g->frozen || !g->populated ? "frozen" : "freezing";
	return g->populated ? "populated" : "empty";
}

static const char *cap_text(const struct cpg_cap *cap, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;

	cpg_cap_print(cap, &b);
	return arena_strdup(a, b.data ? b.data : "");
}

static const char *share_text(const struct cpg_policy *p, struct arena *a)
{
	switch (p->share) {
	case CPG_BY_IDLE:
		return "idle";
	case CPG_BY_NICE:
		return arena_printf(a, "nice %d", p->nice);
	case CPG_BY_WEIGHT:
		break;
	}
	return arena_printf(a, "%llu", (unsigned long long)p->weight);
}

static const char *drift_names(const struct cpg_group *g, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;

	for (size_t i = 0; i < g->n_drift; i++)
		buf_printf(&b, "%s%s", i ? "," : "", g->drift[i].member);
	return b.data ? arena_strdup(a, b.data) : "";
}

void cli_groups_table(struct buf *out, const struct cpg_group *v, size_t n, struct arena *a)
{
	static const char *const head[] = { "NAME",	 "CPUS",    "CAP",   "WEIGHT",
					    "PARTITION", "MEMBERS", "STATE", "DRIFT" };
	struct cli_table t = {
		.arena = a, .columns = ARRAY_SIZE(head), .gap = 2, .right = 1u << 5
	};

	cli_table_cells(&t, head);
	for (size_t i = 0; i < n; i++) {
		const struct cpg_group *g = &v[i];

		cli_table_cell(&t, g->name);
		cli_table_cell(&t, *g->cpus_effective ? g->cpus_effective : g->policy.cpus);
		cli_table_cell(&t, g->foreign ? "" : cap_text(&g->policy.cap, a));
		cli_table_cell(&t, g->foreign ? "" : share_text(&g->policy, a));
		cli_table_cell(&t, g->partition);
		cli_table_cell(&t, arena_printf(a, "%zu", g->n_members));
		cli_table_cell(&t, cli_group_state(g));
		cli_table_cell(&t, drift_names(g, a));
	}
	cli_table_print(&t, out);
}

const char *cli_cpu_max(const char *cpu_max, struct arena *a)
{
	size_t n = strcspn(cpu_max, " ");
	uint64_t quota, period;

	if (!*cpu_max || !strncmp(cpu_max, "max", 3))
		return *cpu_max ? "max" : "";
	if (!cpu_max[n] || parse_u64(arena_strndup(a, cpu_max, n), &quota) < 0 ||
	    parse_u64(cpu_max + n + 1, &period) < 0)
		return cpu_max;
	return arena_printf(a, "%s CPUs", cli_cpus(quota, period, a));
}

static const char *exclusive_text(enum cpg_exclusive e)
{
	return e == CPG_ROOT ? "root" : e == CPG_ISOLATED ? "isolated" : "none";
}

static const char *over_text(enum cpg_over o)
{
	return o == CPG_WARN ? "warn" : "refuse";
}

static void add_row(struct cli_table *t, const char *member, const char *wanted, const char *now)
{
	cli_table_cell(t, member);
	cli_table_cell(t, wanted);
	cli_table_cell(t, now);
}

static const char *limit_text(int64_t limit, const char *(*text)(uint64_t, struct arena *),
			      struct arena *a)
{
	if (limit < 0)
		return "max";
	return text ? text((uint64_t)limit, a) : arena_printf(a, "%lld", (long long)limit);
}

static const char *present(const char *s)
{
	return *s ? s : "no controller";
}

static void add_kernel_rows(struct cli_table *t, const struct cpg_group *g, struct arena *a)
{
	const struct cpg_policy *p = &g->policy;
	const char *max = cli_cpu_max(g->cpu_max, a);

	add_row(t, "cpus", p->cpus && *p->cpus ? p->cpus : "parent's", present(g->cpus_effective));
	add_row(t, "mems", p->mems && *p->mems ? p->mems : "parent's", present(g->mems_effective));
	add_row(t, "exclusive", exclusive_text(p->exclusive), present(g->partition));
	add_row(t, "cap", cap_text(&p->cap, a),
		*g->cpu_max && strcmp(max, "max") != 0 ? arena_printf(a, "%s (%s)", g->cpu_max, max)
						       : present(g->cpu_max));
	add_row(t, "burst", cli_usec(p->burst_us, a),
		*g->cpu_max_burst ? arena_printf(a, "%sus", g->cpu_max_burst) : "no controller");
	add_row(t, "share", share_text(p, a),
		!strcmp(g->cpu_idle, "1") ? "idle"
		: *g->cpu_weight	  ? arena_printf(a, "weight %s", g->cpu_weight)
					  : "no controller");
}

/* Limits of what is counted: with what is used of them. */
static void add_counted_rows(struct cli_table *t, const struct cpg_policy *p,
			     const struct cpg_stat *s, struct arena *a)
{
	add_row(t, "memory", limit_text(p->memory_max, cli_bytes, a),
		s && s->has_memory ? arena_printf(a, "%s (%s used)", cli_bytes(s->memory_max, a),
						  cli_bytes(s->memory_current, a))
				   : "no controller");
	add_row(t, "pids-limit", limit_text(p->pids_max, NULL, a),
		s && s->has_pids
			? arena_printf(a, "%s (%llu there)",
				       s->pids_max == UINT64_MAX ? "max"
								 : cli_decimal(s->pids_max, 0, a),
				       (unsigned long long)s->pids_current)
			: "no controller");
}

/* What no file of the kernel holds, or whose file `show` does not read back: only what is not the default. */
static void add_policy_rows(struct cli_table *t, const struct cpg_policy *p, struct arena *a)
{
	if (p->uclamp_min)
		add_row(t, "uclamp-min", cli_percent(p->uclamp_min, a), "");
	if (p->uclamp_max != 10000)
		add_row(t, "uclamp-max", cli_percent(p->uclamp_max, a), "");
	if (p->reserve_milli)
		add_row(t, "reserve", cli_decimal(p->reserve_milli, 3, a), "");
	if (p->overcommit_milli != 1000)
		add_row(t, "overcommit", cli_decimal(p->overcommit_milli, 3, a), "");
	if (p->over_parent != CPG_REFUSE)
		add_row(t, "over-parent", over_text(p->over_parent), "");
	if (p->realtime != CPG_WARN)
		add_row(t, "realtime", over_text(p->realtime), "");
	if (p->whole_cores)
		add_row(t, "whole-cores", "yes", "");
	if (p->pressure_limit)
		add_row(t, "pressure-limit", cli_percent(p->pressure_limit, a), "");
}

void cli_group_text(struct buf *out, const struct cpg_group *g, const struct cpg_stat *s,
		    struct arena *a)
{
	struct cli_table t = { .arena = a, .columns = 3, .gap = 3 };

	buf_printf(out, "%s: %s, %zu member%s, %zu group%s\n", cli_harmless(g->name, a),
		   cli_group_state(g), g->n_members, g->n_members == 1 ? "" : "s", g->n_groups,
		   g->n_groups == 1 ? "" : "s");
	buf_printf(out, "  path     /%s\n", cli_harmless(g->path, a));
	buf_printf(out, "  owner    %s%s\n", cli_list_owner(g->owner, a),
		   g->adopted ? ", adopted: the directory is somebody else's" : "");
	if (*g->created)
		buf_printf(out, "  created  %s\n", cli_harmless(g->created, a));
	if (*g->uuid)
		buf_printf(out, "  uuid     %s\n", cli_harmless(g->uuid, a));
	if (g->foreign) {
		buf_puts(out, "  nobody made it a group: see `bulkhead cpugroup adopt`\n");
		return;
	}
	buf_putc(out, '\n');
	add_row(&t, "POLICY", "WANTED", "KERNEL");
	add_kernel_rows(&t, g, a);
	add_counted_rows(&t, &g->policy, s, a);
	add_policy_rows(&t, &g->policy, a);
	cli_table_print(&t, out);
	for (size_t i = 0; i < g->n_drift; i++)
		buf_printf(out, "%sDRIFT: %s should be \"%s\" and is \"%s\"\n", i ? "" : "\n",
			   cli_harmless(g->drift[i].member, a), cli_harmless(g->drift[i].wanted, a),
			   cli_harmless(g->drift[i].actual, a));
}

/* What the kernel has no file for is null. */
static void write_file(struct json_w *w, const char *name, const char *text)
{
	if (text && *text)
		json_w_str(w, name, text);
	else
		json_w_null(w, name);
}

void cli_group_json(struct json_w *w, const struct cpg_group *g, struct arena *a)
{
	json_w_open(w, NULL, '{');
	json_w_str(w, "name", g->name);
	write_file(w, "uuid", g->uuid);
	write_file(w, "created", g->created);
	json_w_str(w, "path", arena_printf(a, "/%s", g->path));
	json_w_str(w, "owner", cli_list_owner(g->owner, a));
	json_w_bool(w, "adopted", g->adopted);
	json_w_bool(w, "foreign", g->foreign);
	json_w_str(w, "state", cli_group_state(g));
	if (g->foreign)
		json_w_null(w, "policy");
	else
		cpg_policy_write(w, "policy", &g->policy);
	json_w_open(w, "effective", '{');
	write_file(w, "cpus", g->cpus_effective);
	write_file(w, "mems", g->mems_effective);
	write_file(w, "partition", g->partition);
	write_file(w, "cpuMax", g->cpu_max);
	write_file(w, "cpuMaxBurst", g->cpu_max_burst);
	write_file(w, "cpuWeight", g->cpu_weight);
	write_file(w, "cpuIdle", g->cpu_idle);
	json_w_uint(w, "nCpus", g->n_cpus);
	json_w_close(w, '}');
	json_w_open(w, "drift", '[');
	for (size_t i = 0; i < g->n_drift; i++) {
		json_w_open(w, NULL, '{');
		json_w_str(w, "member", g->drift[i].member);
		json_w_str(w, "wanted", g->drift[i].wanted);
		json_w_str(w, "actual", g->drift[i].actual);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
	json_w_uint(w, "members", g->n_members);
	json_w_uint(w, "groups", g->n_groups);
	json_w_close(w, '}');
}

void cli_members_table(struct buf *out, const struct rt_group_member *v, size_t n, struct arena *a)
{
	static const char *const head[] = {
		"ID", "GROUP", "STATUS", "PIDS", "CPU", "CAP", "MEMORY"
	};
	struct cli_table t = { .arena = a,
			       .columns = ARRAY_SIZE(head),
			       .gap = 2,
			       .right = 1u << 3 | 1u << 4 | 1u << 6 };

	cli_table_cells(&t, head);
	for (size_t i = 0; i < n; i++) {
		cli_table_cell(&t, v[i].id);
		cli_table_cell(&t, v[i].group);
		cli_table_cell(&t, v[i].status);
		cli_table_cell(&t, arena_printf(a, "%llu", (unsigned long long)v[i].n_pids));
		cli_table_cell(&t, cli_usec(v[i].usage_usec, a));
		cli_table_cell(&t, v[i].cpu_max ? cli_cpu_max(v[i].cpu_max, a) : "");
		cli_table_cell(&t, v[i].memory_current == UINT64_MAX
					   ? ""
					   : cli_bytes(v[i].memory_current, a));
	}
	cli_table_print(&t, out);
}

void cli_members_json(struct json_w *w, const struct rt_group_member *v, size_t n, struct arena *a)
{
	json_w_open(w, NULL, '[');
	for (size_t i = 0; i < n; i++) {
		json_w_open(w, NULL, '{');
		json_w_str(w, "id", v[i].id);
		write_file(w, "group", v[i].group);
		json_w_str(w, "status", v[i].status);
		json_w_str(w, "cgroup",
			   arena_printf(a, "/%s", v[i].cgroup + (v[i].cgroup[0] == '/')));
		json_w_uint(w, "pids", v[i].n_pids);
		json_w_uint(w, "cpuUsageUsec", v[i].usage_usec);
		write_file(w, "cpuMax", v[i].cpu_max);
		if (v[i].memory_current == UINT64_MAX)
			json_w_null(w, "memory");
		else
			json_w_uint(w, "memory", v[i].memory_current);
		if (v[i].container) {
			json_w_int(w, "pid", v[i].container->pid);
			json_w_str(w, "bundle", v[i].container->bundle);
			write_file(w, "isolation", v[i].container->isolation);
		}
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
}

void cli_verdict_json(struct json_w *w, const struct cpg_verdict *v, struct arena *a)
{
	json_w_open(w, NULL, '{');
	json_w_bool(w, "admitted", v->admitted);
	json_w_str(w, "capacity", cli_decimal(v->capacity_milli, 3, a));
	json_w_str(w, "claimed", cli_decimal(v->claimed_milli, 3, a));
	json_w_str(w, "asked", cli_decimal(v->asked_milli, 3, a));
	json_w_close(w, '}');
}
