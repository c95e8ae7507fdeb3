/* SPDX-License-Identifier: Apache-2.0 */

/*
 * prom - samples as Prometheus reads them: one family of metrics after the other,
 * base units (seconds, bytes), totals for what only grows. Groups and members are
 * families of their own, or a sum over one would count everything twice.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

#include "cli/sample.h"

#include <string.h>

#include "spec/base/auto.h"

enum unit { UNIT_NONE, UNIT_USEC, UNIT_CPUS };

/* A value of a row; false: it has none. UINT64_MAX of a limit means that there is none, which is no value. */
struct metric {
	const char *name, *type, *help;
	enum unit unit;
	bool (*get)(const struct cpg_stat *s, uint64_t *ret);
};

#define GETTER(name, has, value) \
	static bool name(const struct cpg_stat *s, uint64_t *ret) \
	{ \
		if (!(has)) \
			return false; \
		*ret = (value); \
		return *ret != UINT64_MAX; \
	}

GETTER(get_usage, true, s->usage_usec)
GETTER(get_user, true, s->user_usec)
GETTER(get_system, true, s->system_usec)
GETTER(get_periods, s->has_cpu, s->nr_periods)
GETTER(get_throttled, s->has_cpu, s->nr_throttled)
GETTER(get_throttled_time, s->has_cpu, s->throttled_usec)
GETTER(get_bursts, s->has_cpu, s->nr_bursts)
GETTER(get_burst_time, s->has_cpu, s->burst_usec)
GETTER(get_cap, s->has_cpu && s->quota_us != UINT64_MAX && s->period_us,
	s->quota_us * 1000 / s->period_us)
GETTER(get_cpu_some, s->cpu.has, s->cpu.some_total)
GETTER(get_cpu_full, s->cpu.has, s->cpu.full_total)
GETTER(get_memory_some, s->memory.has, s->memory.some_total)
GETTER(get_memory_full, s->memory.has, s->memory.full_total)
GETTER(get_io_some, s->io.has, s->io.some_total)
GETTER(get_io_full, s->io.has, s->io.full_total)
GETTER(get_memory, s->has_memory, s->memory_current)
GETTER(get_memory_peak, s->has_memory, s->memory_peak)
GETTER(get_memory_max, s->has_memory, s->memory_max)
GETTER(get_swap, s->has_memory, s->swap_current)
GETTER(get_oom, s->has_memory, s->oom_kills)
GETTER(get_residual, s->has_memory && s->is_group, s->residual)
GETTER(get_pids, s->has_pids, s->pids_current)
GETTER(get_pids_max, s->has_pids, s->pids_max)
GETTER(get_populated, true, s->populated)
GETTER(get_frozen, true, s->frozen)

static const struct metric metrics[] = {
	{ "cpu_usage_seconds_total", "counter", "CPU time used.", UNIT_USEC, get_usage },
	{ "cpu_user_seconds_total", "counter", "CPU time used outside of the kernel.", UNIT_USEC,
	  get_user },
	{ "cpu_system_seconds_total", "counter", "CPU time used in the kernel.", UNIT_USEC,
	  get_system },
	{ "cpu_cap_cpus", "gauge", "CPUs that may be used at most. Absent without a cap.",
	  UNIT_CPUS, get_cap },
	{ "cpu_periods_total", "counter", "Periods of the cap in which something ran.", UNIT_NONE,
	  get_periods },
	{ "cpu_throttled_periods_total", "counter", "Periods in which the cap was reached.",
	  UNIT_NONE, get_throttled },
	{ "cpu_throttled_seconds_total", "counter", "Time that was waited because of the cap.",
	  UNIT_USEC, get_throttled_time },
	{ "cpu_bursts_total", "counter", "Periods that used saved time.", UNIT_NONE, get_bursts },
	{ "cpu_burst_seconds_total", "counter", "Saved time that was used.", UNIT_USEC,
	  get_burst_time },
	{ "cpu_pressure_waiting_seconds_total", "counter",
	  "Time in which some process waited for a CPU.", UNIT_USEC, get_cpu_some },
	{ "cpu_pressure_stalled_seconds_total", "counter", "Time in which all waited for a CPU.",
	  UNIT_USEC, get_cpu_full },
	{ "memory_pressure_waiting_seconds_total", "counter",
	  "Time in which some process waited for memory.", UNIT_USEC, get_memory_some },
	{ "memory_pressure_stalled_seconds_total", "counter",
	  "Time in which all waited for memory.", UNIT_USEC, get_memory_full },
	{ "io_pressure_waiting_seconds_total", "counter",
	  "Time in which some process waited for input or output.", UNIT_USEC, get_io_some },
	{ "io_pressure_stalled_seconds_total", "counter",
	  "Time in which all waited for input or output.", UNIT_USEC, get_io_full },
	{ "memory_bytes", "gauge", "Memory charged.", UNIT_NONE, get_memory },
	{ "memory_peak_bytes", "gauge", "Most memory that was ever charged.", UNIT_NONE,
	  get_memory_peak },
	{ "memory_limit_bytes", "gauge", "Limit of memory. Absent without one.", UNIT_NONE,
	  get_memory_max },
	{ "swap_bytes", "gauge", "Swap charged.", UNIT_NONE, get_swap },
	{ "oom_kills_total", "counter", "Processes killed because memory ran out.", UNIT_NONE,
	  get_oom },
	{ "residual_bytes", "gauge", "Memory that moves left charged behind.", UNIT_NONE,
	  get_residual },
	{ "processes", "gauge", "Processes and threads.", UNIT_NONE, get_pids },
	{ "processes_limit", "gauge", "Limit of processes and threads. Absent without one.",
	  UNIT_NONE, get_pids_max },
	{ "populated", "gauge", "1 when somebody lives there.", UNIT_NONE, get_populated },
	{ "frozen", "gauge", "1 when everybody stands still.", UNIT_NONE, get_frozen },
};

static void add_label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_printf(out, "\\%c", *value);
		else if (*value == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, *value);
	}
	buf_putc(out, '"');
}

static void add_value(struct buf *out, enum unit unit, uint64_t v)
{
	switch (unit) {
	case UNIT_NONE:
		buf_printf(out, " %llu\n", (unsigned long long)v);
		break;
	case UNIT_USEC:
		buf_printf(out, " %llu.%06u\n", (unsigned long long)(v / 1000000),
			   (unsigned)(v % 1000000));
		break;
	case UNIT_CPUS:
		buf_printf(out, " %llu.%03u\n", (unsigned long long)(v / 1000),
			   (unsigned)(v % 1000));
		break;
	}
}

static void add_family(struct buf *out, const struct metric *m, bool of_groups,
		       const struct cli_sample *sample)
{
	const char *prefix = of_groups ? "bulkhead_cpugroup_" : "bulkhead_container_";
	bool is_begun = false;

	for (size_t i = 0; i < sample->n; i++) {
		const struct cpg_stat *s = &sample->v[i].s;
		uint64_t v;

		if (s->is_group != of_groups || !*s->path || !m->get(s, &v))
			continue;
		if (!is_begun)
			buf_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, m->name,
				   m->help, prefix, m->name, m->type);
		is_begun = true;
		buf_printf(out, "%s%s{", prefix, m->name);
		add_label(out, "group", of_groups ? s->name : s->group ? s->group : "");
		if (!of_groups) {
			buf_putc(out, ',');
			add_label(out, "id", s->name);
		}
		buf_putc(out, '}');
		add_value(out, m->unit, v);
	}
}

void cli_sample_prom(struct buf *out, const struct cli_sample *sample)
{
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		add_family(out, &metrics[i], true, sample);
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		add_family(out, &metrics[i], false, sample);
}
