/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/cpugroup.h"
#include "cli/sample.h"
#include "cli/table.h"
#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"

#define ROW_BYTES 1024 /* a guess at what one is as JSON: it need not grow step by step */

static const char *of_limit(const char *now, uint64_t limit, const char *limit_text,
			    struct arena *a)
{
	return limit == UINT64_MAX ? now : arena_printf(a, "%s/%s", now, limit_text);
}

static const char *memory_text(const struct cpg_stat *s, struct arena *a)
{
	if (!s->has_memory)
		return "";
	return of_limit(cli_bytes(s->memory_current, a), s->memory_max, cli_bytes(s->memory_max, a),
			a);
}

static const char *pids_text(const struct cpg_stat *s, struct arena *a)
{
	if (!s->has_pids)
		return "";
	return of_limit(cli_decimal(s->pids_current, 0, a), s->pids_max,
			cli_decimal(s->pids_max, 0, a), a);
}

/* What was used since the group was made; with rates, since the sample before. */
static void add_row(struct cli_table *t, const struct cli_row *row, bool rates)
{
	const struct cpg_stat *s = &row->s;
	struct arena *a = t->arena;
	bool capped = cli_row_is_capped(row);

	cli_table_cell(t, arena_printf(a, "%*s%s", s->is_group ? 0 : 2, "", s->name));
	if (!s->is_group && s->group)
		t->cell[t->n - 1] = arena_printf(a, "  %s/%s", s->group, cli_harmless(s->name, a));
	if (rates) {
		cli_table_cell(t, row->has_rate ? arena_printf(a, "%llu.%02u",
							       (unsigned long long)row->cpus / 1000,
							       (unsigned)(row->cpus % 1000 / 10))
						: "");
		cli_table_cell(t, capped ? cli_cpus(s->quota_us, s->period_us, a) : "");
		cli_table_cell(t, capped && row->has_rate ? cli_percent(row->of_cap, a) : "");
		cli_table_cell(t, capped && row->has_rate ? cli_percent(row->throttled, a) : "");
	} else {
		cli_table_cell(t, cli_usec(s->usage_usec, a));
		cli_table_cell(t, cli_usec(s->user_usec, a));
		cli_table_cell(t, cli_usec(s->system_usec, a));
		cli_table_cell(t, capped ? cli_cpus(s->quota_us, s->period_us, a) : "");
		cli_table_cell(t, s->has_cpu ? arena_printf(a, "%s (%llu)",
							    cli_usec(s->throttled_usec, a),
							    (unsigned long long)s->nr_throttled)
					     : "");
	}
	cli_table_cell(t, s->cpu.has ? cli_percent(s->cpu.some10, a) : "");
	cli_table_cell(t, memory_text(s, a));
	cli_table_cell(t, pids_text(s, a));
	cli_table_cell(t, cli_row_state(row));
}

static void add_table(struct buf *out, const struct cli_sample *sample, bool rates, struct arena *a)
{
	static const char *const totals[] = {
		"NAME",	     "CPU",	 "USER",   "SYSTEM", "CAP",
		"THROTTLED", "PRESSURE", "MEMORY", "PIDS",   "STATE"
	};
	static const char *const recent[] = { "NAME",	  "CPUS",   "CAP",  "OF-CAP", "THROTTLED",
					      "PRESSURE", "MEMORY", "PIDS", "STATE" };
	struct cli_table t = { .arena = a, .gap = 2 };

	t.columns = rates ? ARRAY_SIZE(recent) : ARRAY_SIZE(totals);
	t.right = (1u << (t.columns - 1)) - 2; /* all but the name and the state */
	cli_table_cells(&t, rates ? recent : totals);
	for (size_t i = 0; i < sample->n; i++)
		add_row(&t, &sample->v[i], rates);
	cli_table_print(&t, out);
}

static void add_json(struct buf *out, const struct cli_sample *sample)
{
	buf_reserve(out, sample->n * ROW_BYTES);
	buf_putc(out, '[');
	for (size_t i = 0; i < sample->n; i++) {
		if (i)
			buf_putc(out, ',');
		cli_row_json(out, &sample->v[i]);
	}
	buf_puts(out, "]\n");
}

/* One sample an interval, until nobody reads or somebody ends us. */
static int repeat(struct cli *cli, struct cpg *cpg, const char *name, int interval_ms,
		  struct error *err)
{
	struct arena *arenas = ARENA_NEW_N(cli->arena, struct arena, 2);
	const struct timespec pause = { .tv_sec = interval_ms / 1000,
					.tv_nsec = interval_ms % 1000 * 1000000L };
	bool members = cli_flag(&cli->args, "members");
	struct cli_sample before = { 0 };

	signal(SIGPIPE, SIG_IGN);
	for (unsigned turn = 0;; turn++) {
		auto_buf struct buf out = BUF_INIT;
		struct arena *a = &arenas[turn % 2];
		struct cli_sample now;

		arena_release(a);

		int r = cli_sample_groups(cpg, name, members, a, &now, err);

		if (r < 0)
			return r;
		cli_sample_rates(&before, &now);
		if (turn > 0) {
			if (cli_is_json(cli)) {
				add_json(&out, &now);
			} else {
				if (turn > 1)
					buf_putc(&out, '\n');
				add_table(&out, &now, true, a);
			}
			r = cli_print(&out, err);
		}
		if (r < 0)
			return r == -EPIPE ? 0 : r;
		before = now;
		nanosleep(&pause, NULL);
	}
}

int cmd_cpugroup_stats(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_buf struct buf out = BUF_INIT;
	const char *name = cli->args.operands[0]; /* NULL: all */
	const char *format = cli_text(&cli->args, "format");
	bool is_prom = format && !strcmp(format, "prom");
	struct cli_sample sample;
	int interval_ms;
	int r = name ? cpg_name_check(name, err) : 0;

	if (r == 0)
		r = cli_timeout(&cli->args, "interval", 0, &interval_ms, err);
	if (r < 0)
		return r;
	if (cli_given(&cli->args, "interval") && interval_ms < 1)
		return error_rule(err, EINVAL, "--interval must be greater than 0");
	if (interval_ms && is_prom)
		return error_rule(
			err, EINVAL,
			"--interval does not go with --format prom: who reads it asks again");
	r = cli_groups_open(cli, &groups, err);
	if (r < 0)
		return r;
	if (interval_ms)
		return repeat(cli, &groups.cpg, name, interval_ms, err);
	r = cli_sample_groups(&groups.cpg, name, cli_flag(&cli->args, "members"), cli->arena,
			      &sample, err);
	if (r < 0)
		return r;
	if (is_prom)
		cli_sample_prom(&out, &sample);
	else if (cli_is_json(cli))
		add_json(&out, &sample);
	else
		add_table(&out, &sample, false, cli->arena);
	return cli_print(&out, err);
}
