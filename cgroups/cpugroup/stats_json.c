/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/cpugroup.h"

/*
 * A row of statistics as JSON. Counters keep the kernel's units, which their names
 * say; a limit that is not there is null; what no controller counts is left out.
 */

static void percent(struct json_w *w, const char *name, uint32_t hundredths)
{
	unsigned rest = hundredths % 100;
	const char fraction[] = { '.', (char)('0' + rest / 10), (char)('0' + rest % 10) };

	json_w_uint(w, name, hundredths / 100);
	buf_add(w->out, fraction, sizeof(fraction));
}

static void limit(struct json_w *w, const char *name, uint64_t v)
{
	if (v == UINT64_MAX)
		json_w_null(w, name);
	else
		json_w_uint(w, name, v);
}

static void pressure(struct json_w *w, const struct cpg_psi *p)
{
	if (!p->has)
		return;
	json_w_open(w, "pressure", '{');
	json_w_open(w, "some", '{');
	percent(w, "avg10", p->some10);
	percent(w, "avg60", p->some60);
	percent(w, "avg300", p->some300);
	json_w_uint(w, "totalUsec", p->some_total);
	json_w_close(w, '}');
	json_w_open(w, "full", '{');
	percent(w, "avg10", p->full10);
	percent(w, "avg60", p->full60);
	percent(w, "avg300", p->full300);
	json_w_uint(w, "totalUsec", p->full_total);
	json_w_close(w, '}');
	json_w_close(w, '}');
}

static void cpu(struct json_w *w, const struct cpg_stat *s)
{
	json_w_open(w, "cpu", '{');
	json_w_uint(w, "usageUsec", s->usage_usec);
	json_w_uint(w, "userUsec", s->user_usec);
	json_w_uint(w, "systemUsec", s->system_usec);
	if (s->has_cpu) {
		limit(w, "quotaUsec", s->quota_us);
		limit(w, "periodUsec", s->period_us);
		json_w_uint(w, "periods", s->nr_periods);
		json_w_uint(w, "throttledPeriods", s->nr_throttled);
		json_w_uint(w, "throttledUsec", s->throttled_usec);
		json_w_uint(w, "bursts", s->nr_bursts);
		json_w_uint(w, "burstUsec", s->burst_usec);
	}
	pressure(w, &s->cpu);
	json_w_close(w, '}');
}

static void memory(struct json_w *w, const struct cpg_stat *s)
{
	json_w_open(w, "memory", '{');
	if (s->has_memory) {
		json_w_uint(w, "current", s->memory_current);
		if (s->memory_peak != UINT64_MAX)
			json_w_uint(w, "peak", s->memory_peak);
		limit(w, "max", s->memory_max);
		if (s->swap_current != UINT64_MAX)
			json_w_uint(w, "swap", s->swap_current);
		json_w_uint(w, "oomKills", s->oom_kills);
		json_w_uint(w, "residual", s->residual);
	}
	pressure(w, &s->memory);
	json_w_close(w, '}');
}

void cpg_stat_write(struct json_w *w, const char *name, const struct cpg_stat *s)
{
	json_w_open(w, name, '{');
	json_w_str(w, "name", s->name);
	if (s->group)
		json_w_str(w, "group", s->group);
	json_w_str(w, "kind", s->is_group ? "group" : "member");
	json_w_str(w, "path", s->path);
	json_w_bool(w, "populated", s->populated);
	json_w_bool(w, "frozen", s->frozen);
	cpu(w, s);
	if (s->has_memory || s->memory.has)
		memory(w, s);
	if (s->io.has) {
		json_w_open(w, "io", '{');
		pressure(w, &s->io);
		json_w_close(w, '}');
	}
	if (s->has_pids) {
		json_w_open(w, "pids", '{');
		json_w_uint(w, "current", s->pids_current);
		limit(w, "max", s->pids_max);
		json_w_close(w, '}');
	}
	json_w_close(w, '}');
}
