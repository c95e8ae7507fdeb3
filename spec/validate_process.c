/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the process object, in config.json or alone. */
#include "spec/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "spec/show.h"

enum { POLICY_FIFO = 1, POLICY_RR = 2, POLICY_DEADLINE = 6 };

static int check_args(const struct spec_process *p, struct place place, struct error *err)
{
	if (!p->cwd || *p->cwd != '/')
		return rule_at(error_rule(err, EINVAL, "%scwd is %s, not an absolute path",
					  place.name, show(p->cwd ? p->cwd : "").text),
			       err, "%s/cwd", place.at);
	if (p->args.n == 0)
		return rule_at(error_rule(err, EINVAL,
					  "%sargs is empty: there is no program to run",
					  place.name),
			       err, "%s/args", place.at);
	return 0;
}

static int check_env(const struct spec_process *p, struct place place, struct error *err)
{
	for (size_t i = 0; i < p->env.n; i++) {
		const char *entry = p->env.v[i];
		const char *equals = strchr(entry, '=');

		if (!equals || equals == entry)
			return rule_at(error_rule(err, EINVAL, "%senv[%zu] is %s, not NAME=value",
						  place.name, i, show(entry).text),
				       err, "%s/env/%zu", place.at, i);
	}
	return 0;
}

static int check_rlimits(const struct spec_process *p, struct place place, struct error *err)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct spec_rlimit *limit = &p->rlimits[i];

		if (limit->soft > limit->hard)
			return rule_at(error_rule(err, EINVAL,
						  "%srlimits[%zu] (%s) has a soft limit of %" PRIu64
						  ", above its hard limit of %" PRIu64,
						  place.name, i, limit->name, limit->soft,
						  limit->hard),
				       err, "%s/rlimits/%zu/soft", place.at, i);
		for (size_t j = 0; j < i; j++)
			if (p->rlimits[j].resource == limit->resource)
				return rule_at(error_rule(err, EINVAL,
							  "%srlimits[%zu] sets %s, which "
							  "%srlimits[%zu] sets already",
							  place.name, i, limit->name, place.name,
							  j),
					       err, "%s/rlimits/%zu/type", place.at, i);
	}
	return 0;
}

static int check_deadline(const struct spec_scheduler *s, struct place place, struct error *err)
{
	if (s->policy != POLICY_DEADLINE) {
		if (s->runtime || s->deadline || s->period)
			return rule_at(error_rule(err, EINVAL,
						  "%sscheduler has a runtime, deadline or period, "
						  "which only SCHED_DEADLINE takes",
						  place.name),
				       err, "%s/scheduler", place.at);
		return 0;
	}

	/* sched_setattr(2): runtime <= deadline <= period, where a period of 0 means the deadline. */
	if (s->runtime == 0 || s->runtime > s->deadline || (s->period && s->deadline > s->period))
		return rule_at(
			error_rule(err, EINVAL,
				   "%sscheduler has runtime %" PRIu64 ", deadline %" PRIu64
				   " and period %" PRIu64
				   ": SCHED_DEADLINE needs 0 < runtime <= deadline <= period",
				   place.name, s->runtime, s->deadline, s->period),
			err, "%s/scheduler", place.at);
	return 0;
}

static int check_scheduler(const struct spec_scheduler *s, struct place place, struct error *err)
{
	bool is_realtime = s->policy == POLICY_FIFO || s->policy == POLICY_RR;

	if (s->nice < -20 || s->nice > 19)
		return rule_at(error_rule(err, EINVAL,
					  "%sscheduler.nice is %" PRId32
					  ", not an integer from -20 to 19",
					  place.name, s->nice),
			       err, "%s/scheduler/nice", place.at);
	if (!is_realtime && s->priority)
		return rule_at(error_rule(err, EINVAL,
					  "%sscheduler.priority is %" PRId32
					  ", but only SCHED_FIFO and SCHED_RR take one",
					  place.name, s->priority),
			       err, "%s/scheduler/priority", place.at);
	if (is_realtime && (s->priority < 1 || s->priority > 99))
		return rule_at(
			error_rule(err, EINVAL,
				   "%sscheduler.priority is %" PRId32
				   ", not an integer from 1 to 99 as SCHED_FIFO and SCHED_RR need",
				   place.name, s->priority),
			err, "%s/scheduler/priority", place.at);
	return check_deadline(s, place, err);
}

int check_process(const struct spec_process *p, struct place place, const struct log *log,
		  struct error *err)
{
	int r = check_args(p, place, err);

	if (r == 0)
		r = check_env(p, place, err);
	if (r == 0)
		r = check_rlimits(p, place, err);
	if (r == 0 && p->scheduler)
		r = check_scheduler(p->scheduler, place, err);

	/* config.md since 1.1: what cannot be granted is a warning, never an error. */
	for (size_t i = 0; r == 0 && p->capabilities && i < p->capabilities->unknown.n; i++)
		log_warn(log, "%scapabilities names %s, which is no capability known here: ignored",
			 place.name, show(p->capabilities->unknown.v[i]).text);
	return r;
}
