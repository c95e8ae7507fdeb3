/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cpugroup_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

enum { HUNDREDTHS = 2, THOUSANDTHS = 3 };

/* Each reader leaves *ret alone when the option was not given. */

/* Two options that say the same thing in two ways. */
static int check_one_of(const struct cli_args *args, const char *const *names, struct error *err)
{
	const char *first = NULL;

	for (; *names; names++) {
		if (!cli_given(args, *names))
			continue;
		if (first)
			return error_rule(err, EINVAL,
					  "--%s and --%s are two ways to say one thing: give one",
					  first, *names);
		first = *names;
	}
	return 0;
}

/* "12.5" or "12.5%" in hundredths of a percent. */
static int read_percent(const struct cli_args *args, const char *name, unsigned member,
			struct cpg_policy *p, uint32_t *ret, struct error *err)
{
	const char *text = cli_text(args, name);
	char number[24];
	uint64_t v;

	if (!text)
		return 0;

	size_t n = strlen(text);

	if (n && text[n - 1] == '%')
		n--;
	snprintf(number, sizeof(number), "%.*s", (int)n, text);
	if (n >= sizeof(number) || cpg_decimal_parse(number, HUNDREDTHS, 10000, &v) < 0)
		return error_rule(
			err, EINVAL,
			"option --%s needs a percentage from 0 to 100 such as 12.5, not \"%s\"",
			name, text);
	*ret = (uint32_t)v;
	p->set |= member;
	return 0;
}

static int read_thousandths(const struct cli_args *args, const char *name, const char *what,
			    unsigned member, struct cpg_policy *p, uint64_t *ret, struct error *err)
{
	const char *text = cli_text(args, name);
	uint64_t v;

	if (!text)
		return 0;
	if (cpg_decimal_parse(text, THOUSANDTHS, 1000ull * CPG_MAX_CPUS, &v) < 0)
		return error_rule(err, EINVAL, "option --%s needs %s such as 1.5, not \"%s\"", name,
				  what, text);
	*ret = v;
	p->set |= member;
	return 0;
}

static int read_over(const struct cli_args *args, const char *name, unsigned member,
		     struct cpg_policy *p, enum cpg_over *ret)
{
	const char *word = cli_text(args, name);

	if (!word)
		return 0;
	*ret = strcmp(word, "warn") ? CPG_REFUSE : CPG_WARN;
	p->set |= member;
	return 0;
}

/* -1: no limit. */
static int read_limit(const struct cli_args *args, const char *name,
		      int (*parse)(const char *, int64_t *), const char *example, unsigned member,
		      struct cpg_policy *p, int64_t *ret, struct error *err)
{
	const char *text = cli_text(args, name);
	int64_t v;

	if (!text)
		return 0;
	if (!strcmp(text, "max"))
		v = -1;
	else if (parse(text, &v) < 0 || v < -1)
		return error_rule(err, EINVAL,
				  "option --%s needs %s, or -1 for no limit, not \"%s\"", name,
				  example, text);
	*ret = v;
	p->set |= member;
	return 0;
}

static int read_cap(const struct cli_args *args, struct cpg_policy *p, struct error *err)
{
	static const char *const names[] = { "cap", "cap-hcs", NULL };
	const char *cap = cli_text(args, "cap");
	const char *hcs = cli_text(args, "cap-hcs");
	char text[24];
	int r = check_one_of(args, names, err);

	if (r < 0 || (!cap && !hcs))
		return r;
	if (hcs) {
		snprintf(text, sizeof(text), "hcs:%u", cli_number(args, "cap-hcs"));
		cap = text;
	}
	r = cpg_cap_parse(cap, &p->cap, err);
	if (r < 0)
		return r;
	p->set |= CPG_SET_CAP;
	return 0;
}

/* Microseconds, or a duration with its unit. */
static int read_burst(const struct cli_args *args, struct cpg_policy *p, struct error *err)
{
	const char *text = cli_text(args, "burst");
	int64_t ns;

	if (!text)
		return 0;
	if (parse_u64(text, &p->burst_us) < 0) {
		if (parse_duration(text, &ns) < 0 || ns < 0)
			return error_rule(
				err, EINVAL,
				"option --burst needs microseconds or a time such as 50ms, "
				"not \"%s\"",
				text);
		p->burst_us = (uint64_t)ns / 1000;
	}
	p->set |= CPG_SET_BURST;
	return 0;
}

static int read_nice(const struct cli_args *args, struct cpg_policy *p, struct error *err)
{
	const char *text = cli_text(args, "nice");
	int64_t v;

	if (parse_i64(text, &v) < 0 || v < -20 || v > 19)
		return error_rule(err, EINVAL,
				  "option --nice needs a number from -20 to 19, not \"%s\"", text);
	p->share = CPG_BY_NICE;
	p->nice = (int)v;
	p->set |= CPG_SET_SHARE;
	return 0;
}

static int read_share(const struct cli_args *args, struct cpg_policy *p, struct error *err)
{
	static const char *const names[] = { "weight", "nice", "idle", "class", NULL };
	int r = check_one_of(args, names, err);

	if (r < 0)
		return r;
	if (cli_given(args, "nice"))
		return read_nice(args, p, err);
	if (cli_given(args, "class")) {
		r = cpg_class_parse(cli_text(args, "class"), p, err);
		if (r < 0)
			return r;
		p->set |= CPG_SET_SHARE;
	}
	if (cli_given(args, "weight")) {
		p->share = CPG_BY_WEIGHT;
		p->weight = cli_number(args, "weight");
		p->set |= CPG_SET_SHARE;
		if (p->weight < 1 || p->weight > 10000)
			return error_rule(err, ERANGE,
					  "option --weight is %s: it is a number from 1 to 10000",
					  cli_text(args, "weight"));
	}
	if (cli_given(args, "idle")) {
		/* --idle=false: by weight again, with the one it had. */
		p->share = cli_flag(args, "idle") ? CPG_BY_IDLE : CPG_BY_WEIGHT;
		p->weight = 0;
		p->set |= CPG_SET_SHARE;
	}
	return 0;
}

static void read_exclusive(const struct cli_args *args, struct cpg_policy *p)
{
	const char *word = cli_text(args, "exclusive");

	if (!word)
		return;
	p->exclusive = !strcmp(word, "none")  ? CPG_SHARED
		       : strcmp(word, "root") ? CPG_ISOLATED
					      : CPG_ROOT;
	p->set |= CPG_SET_EXCLUSIVE;
}

static void read_lists(const struct cli_args *args, struct cpg_policy *p)
{
	if (cli_given(args, "cpus")) {
		p->cpus = cli_text(args, "cpus");
		p->set |= CPG_SET_CPUS;
	}
	if (cli_given(args, "mems")) {
		p->mems = cli_text(args, "mems");
		p->set |= CPG_SET_MEMS;
	}
}

static int read_promises(const struct cli_args *args, struct cpg_policy *p, struct error *err)
{
	int r = read_thousandths(args, "reserve", "a number of CPUs", CPG_SET_RESERVE, p,
				 &p->reserve_milli, err);

	if (r == 0)
		r = read_thousandths(args, "overcommit", "a factor", CPG_SET_OVERCOMMIT, p,
				     &p->overcommit_milli, err);
	if (r == 0)
		r = read_over(args, "over-parent", CPG_SET_OVER_PARENT, p, &p->over_parent);
	if (r == 0)
		r = read_over(args, "realtime", CPG_SET_REALTIME, p, &p->realtime);
	if (r == 0)
		r = read_percent(args, "pressure-limit", CPG_SET_PRESSURE, p, &p->pressure_limit,
				 err);
	return r;
}

int cli_cpugroup_policy(const struct cli_args *args, struct cpg_policy *ret, unsigned *ret_flags,
			struct error *err)
{
	struct cpg_policy p;

	cpg_policy_default(&p);
	p.set = 0;
	read_lists(args, &p);
	read_exclusive(args, &p);
	if (cli_given(args, "whole-cores")) {
		p.whole_cores = cli_flag(args, "whole-cores");
		p.set |= CPG_SET_WHOLE_CORES;
	}

	int r = read_cap(args, &p, err);

	if (r == 0)
		r = read_burst(args, &p, err);
	if (r == 0)
		r = read_share(args, &p, err);
	if (r == 0)
		r = read_percent(args, "uclamp-min", CPG_SET_UCLAMP_MIN, &p, &p.uclamp_min, err);
	if (r == 0)
		r = read_percent(args, "uclamp-max", CPG_SET_UCLAMP_MAX, &p, &p.uclamp_max, err);
	if (r == 0)
		r = read_promises(args, &p, err);
	if (r == 0)
		r = read_limit(args, "memory", parse_bytes, "bytes such as 512m or 2g",
			       CPG_SET_MEMORY, &p, &p.memory_max, err);
	if (r == 0)
		r = read_limit(args, "pids-limit", parse_i64, "a number", CPG_SET_PIDS, &p,
			       &p.pids_max, err);
	if (r < 0)
		return r;
	*ret = p;
	*ret_flags = (cli_flag(args, "allow-difference") ? CPG_ALLOW_DIFFERENCE : 0) |
		     (cli_flag(args, "check") ? CPG_CHECK : 0);
	return 0;
}
