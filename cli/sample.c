/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sample.h"

#include <errno.h>
#include <string.h>

#include "spec/base/auto.h"

static unsigned slashes(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '/';
	return n;
}

static void add_rows(struct cli_sample *to, const struct cpg_stat *v, size_t n, struct arena *a)
{
	struct cli_row *rows = ARENA_NEW_N(a, struct cli_row, to->n + n);

	if (to->n)
		memcpy(rows, to->v, to->n * sizeof(*rows));
	for (size_t i = 0; i < n; i++)
		rows[to->n + i] = (struct cli_row){
			.s = v[i],
			.depth = v[i].is_group ? slashes(v[i].name)
				 : v[i].group  ? slashes(v[i].group) + 1
					       : 1,
		};
	to->v = rows;
	to->n += n;
}

static int add_group(struct cpg *cpg, const char *name, bool members, struct arena *a,
		     struct cli_sample *ret, struct error *err)
{
	struct cpg_stat *v = NULL;
	size_t n = 0;
	int r = cpg_stats(cpg, name, members, a, &v, &n, err);

	if (r == 0)
		add_rows(ret, v, n, a);
	return r;
}

int cli_sample_groups(struct cpg *cpg, const char *name, bool members, struct arena *a,
		      struct cli_sample *ret, struct error *err)
{
	struct cpg_group *groups = NULL;
	size_t n = 0;

	*ret = (struct cli_sample){ 0 };
	if (name) {
		int one = add_group(cpg, name, members, a, ret, err);

		for (size_t i = 0; i < ret->n; i++)
			ret->v[i].depth -= slashes(name); /* it is the top of what is shown */
		return one;
	}

	int r = cpg_list(cpg, NULL, a, &groups, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct error why = ERROR_INIT;

		if (groups[i].foreign || (members && strchr(groups[i].name, '/')))
			continue; /* a nested one comes with the one it is in */
		r = add_group(cpg, groups[i].name, members, a, ret, &why);
		if (r == -ENOENT)
			r = 0; /* deleted meanwhile */
		else if (r < 0 && err)
			*err = why;
	}
	return r;
}

static bool is_at(const struct rt_summary *c, const char *path)
{
	const char *cgroup = c->cgroup ? c->cgroup : "";

	return *cgroup && !strcmp(*cgroup == '/' ? cgroup + 1 : cgroup, path);
}

/* Without the pids controller they are counted one by one. */
static void count_pids(const struct cg_host *host, struct arena *a, struct cpg_stat *s)
{
	auto_close int fd = s->has_pids ? -1 : cg_open(host, s->path, NULL);
	pid_t *pids;
	size_t n;

	if (fd >= 0 && cg_pids(fd, a, &pids, &n, NULL) == 0)
		s->pids_current = n;
}

static void add_ungrouped(struct cpg *cpg, const struct rt_summary *v, size_t n, struct arena *a,
			  struct cli_sample *sample)
{
	struct cpg_stat *rows = ARENA_NEW_N(a, struct cpg_stat, n + 1);
	const struct rt_summary **container = ARENA_NEW_N(a, const struct rt_summary *, n + 1);
	size_t first = sample->n;
	size_t used = 1;

	rows[0] = (struct cpg_stat){
		.name = CLI_NO_GROUP, .path = "", .is_group = true, .quota_us = UINT64_MAX
	};
	for (size_t i = 0; i < n; i++) {
		const char *cgroup = v[i].cgroup ? v[i].cgroup : "";

		if (!*cgroup || !v[i].pid || (v[i].cpu_group && *v[i].cpu_group))
			continue;
		cgroup += *cgroup == '/';

		auto_close int fd = cg_open(cpg->host, cgroup, NULL);

		if (fd < 0 || cpg_stat_fd(fd, &rows[used], NULL) < 0)
			continue; /* it ended meanwhile */
		rows[used].name = v[i].id;
		rows[used].path = cgroup;
		container[used++] = &v[i];
	}
	if (used == 1)
		return;
	add_rows(sample, rows, used, a);
	for (size_t i = 1; i < used; i++) {
		sample->v[first + i].status = container[i]->status;
		sample->v[first + i].wall = container[i]->isolation;
	}
}

int cli_sample_containers(const struct rt_context *ctx, struct cpg *cpg, bool all, struct arena *a,
			  struct cli_sample *sample, struct error *err)
{
	struct rt_summary *v = NULL;
	size_t n = 0;
	int r = rt_list(ctx, a, &v, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sample->n; i++) {
		struct cli_row *row = &sample->v[i];

		for (size_t k = 0; k < n && !row->s.is_group; k++) {
			if (!is_at(&v[k], row->s.path))
				continue;
			row->status = v[k].status;
			row->wall = v[k].isolation;
		}
	}
	if (all)
		add_ungrouped(cpg, v, n, a, sample);
	for (size_t i = 0; i < sample->n; i++)
		if (!sample->v[i].s.is_group)
			count_pids(cpg->host, a, &sample->v[i].s);
	return 0;
}

static const struct cli_row *find(const struct cli_sample *in, const char *path, size_t guess)
{
	/* As a rule nothing has come or gone: it is where it was. */
	if (guess < in->n && !strcmp(in->v[guess].s.path, path))
		return &in->v[guess];
	for (size_t i = 0; i < in->n; i++)
		if (!strcmp(in->v[i].s.path, path))
			return &in->v[i];
	return NULL;
}

void cli_sample_rates(const struct cli_sample *before, struct cli_sample *now)
{
	for (size_t i = 0; i < now->n; i++) {
		struct cli_row *row = &now->v[i];
		const struct cli_row *old = find(before, row->s.path, i);

		/* A counter that went back is another cgroup of the same name. */
		if (!old || !*row->s.path || row->s.taken_ns <= old->s.taken_ns ||
		    row->s.usage_usec < old->s.usage_usec)
			continue;

		uint64_t usec = (uint64_t)(row->s.taken_ns - old->s.taken_ns) / 1000;
		uint64_t periods = row->s.nr_periods - old->s.nr_periods;
		uint64_t cut = row->s.nr_throttled - old->s.nr_throttled;

		row->has_rate = true;
		row->of_cap = cpg_utilisation(&old->s, &row->s);
		row->cpus = usec ? (row->s.usage_usec - old->s.usage_usec) * 1000 / usec : 0;
		if (row->s.nr_periods > old->s.nr_periods && cut <= periods)
			row->throttled = cut * 10000 / periods;
	}
}

bool cli_row_is_capped(const struct cli_row *row)
{
	return row->s.has_cpu && row->s.quota_us != UINT64_MAX;
}

const char *cli_row_state(const struct cli_row *row)
{
	if (row->status)
		return row->status;
	if (row->s.frozen)
		return row->s.is_group ? "frozen" : "paused";
	if (row->s.is_group)
		return row->s.populated ? "populated" : "empty";
	return row->s.populated ? "running" : "stopped";
}

static void add_percent(struct buf *out, const char *name, uint64_t hundredths)
{
	buf_printf(out, ",\"%s\":%llu.%02u", name, (unsigned long long)(hundredths / 100),
		   (unsigned)(hundredths % 100));
}

void cli_row_json(struct buf *out, const struct cli_row *row)
{
	struct json_w w = { .out = out };

	cpg_stat_write(&w, NULL, &row->s);
	out->len--; /* the object goes on */
	if (row->status || row->wall) {
		buf_puts(out, ",\"status\":");
		json_escape(out, cli_row_state(row), strlen(cli_row_state(row)));
	}
	if (row->wall) {
		buf_puts(out, ",\"isolation\":");
		json_escape(out, row->wall, strlen(row->wall));
	}
	if (row->has_rate) {
		buf_printf(out, ",\"rate\":{\"cpus\":%llu.%03u",
			   (unsigned long long)(row->cpus / 1000), (unsigned)(row->cpus % 1000));
		if (cli_row_is_capped(row)) {
			add_percent(out, "percentOfCap", row->of_cap);
			add_percent(out, "throttledPercent", row->throttled);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, '}');
}
