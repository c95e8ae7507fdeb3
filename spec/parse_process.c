/* SPDX-License-Identifier: Apache-2.0 */
/* The process object (config.md Process): types, ranges, required members, enumerations. */
#include "spec/parts.h"

#include <limits.h>
#include <string.h>

#define MAX_UNKNOWN 64 /* capability names that are kept to be warned about */

static void parse_console_size(struct reader *rd, const struct json *obj, struct spec_process *p)
{
	uint64_t height = 0, width = 0;

	if (!obj || !rd_need(rd, obj, "height") || !rd_need(rd, obj, "width"))
		return;
	rd_uint(rd, obj, "height", UINT16_MAX, &height);
	rd_uint(rd, obj, "width", UINT16_MAX, &width);
	p->has_console_size = true;
	p->console_height = (uint16_t)height;
	p->console_width = (uint16_t)width;
}

/* Ids end at 2^32-2: the all-ones id means "leave it" to setresuid(2) and chown(2) (CVE-2024-40635 was such a wrap). */
static void parse_user(struct reader *rd, const struct json *obj, struct spec_user *user)
{
	if (!obj || !rd_need(rd, obj, "uid") || !rd_need(rd, obj, "gid"))
		return;
	rd_u32(rd, obj, "uid", UINT32_MAX - 1, &user->uid);
	rd_u32(rd, obj, "gid", UINT32_MAX - 1, &user->gid);
	user->has_umask = rd_u32(rd, obj, "umask", 0777, &user->umask);

	const struct json *gids = rd_list(rd, obj, "additionalGids", sizeof(*user->additional_gids),
					  &user->additional_gids, &user->n_additional_gids);
	size_t n = 0;

	json_each(v, gids)
	{
		uint64_t gid;

		if (json_uint(v, UINT32_MAX - 1, &gid, NULL) < 0) {
			rd_not(rd, v, "an integer from 0 to %u", UINT32_MAX - 1);
			return;
		}
		user->additional_gids[n++] = (uint32_t)gid;
	}
}

static void parse_rlimits(struct reader *rd, const struct json *obj, struct spec_process *p)
{
	const struct json *list =
		rd_list(rd, obj, "rlimits", sizeof(*p->rlimits), &p->rlimits, &p->n_rlimits);
	struct spec_rlimit *limit = p->rlimits;

	json_each(v, list)
	{
		int64_t resource = 0;

		if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "type") ||
		    !rd_need(rd, v, "soft") || !rd_need(rd, v, "hard"))
			return;
		rd_word(rd, v, "type", spec_rlimit_words, &resource);
		rd_string(rd, v, "type", &limit->name);
		rd_uint(rd, v, "soft", UINT64_MAX, &limit->soft);
		rd_uint(rd, v, "hard", UINT64_MAX, &limit->hard);
		limit->resource = (int)resource;
		limit++;
	}
}

static bool holds(const struct spec_strings *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], s) == 0)
			return true;
	return false;
}

static void parse_capabilities(struct reader *rd, const struct json *obj,
			       struct spec_capabilities *caps)
{
	size_t total = 0;

	for (size_t set = 0; set < SPEC_CAPSETS; set++) {
		const struct json *list = rd_array(rd, obj, spec_capset_names[set]);

		total += list ? list->count : 0;
	}
	if (total > MAX_UNKNOWN)
		total = MAX_UNKNOWN;
	caps->unknown.v = ARENA_NEW_N(rd->a, char *, total + 1);

	for (size_t set = 0; set < SPEC_CAPSETS; set++) {
		json_each(v, rd_array(rd, obj, spec_capset_names[set]))
		{
			if (!rd_is(rd, v, JSON_STRING))
				return;

			int number = spec_cap_number(v->text);

			if (number >= 0)
				caps->set[set] |= UINT64_C(1) << number;
			else if (caps->unknown.n < total && !holds(&caps->unknown, v->text))
				caps->unknown.v[caps->unknown.n++] = (char *)v->text;
		}
	}
}

static void parse_scheduler(struct reader *rd, const struct json *obj, struct spec_scheduler *s)
{
	int64_t policy = 0, nice = 0, priority = 0;

	if (!rd_need(rd, obj, "policy"))
		return;
	rd_word(rd, obj, "policy", spec_scheduler_policies, &policy);
	rd_int(rd, obj, "nice", INT32_MIN, INT32_MAX, &nice);
	rd_int(rd, obj, "priority", INT32_MIN, INT32_MAX, &priority);
	rd_flags(rd, obj, "flags", spec_scheduler_flags, &s->flags);
	rd_uint(rd, obj, "runtime", UINT64_MAX, &s->runtime);
	rd_uint(rd, obj, "deadline", UINT64_MAX, &s->deadline);
	rd_uint(rd, obj, "period", UINT64_MAX, &s->period);
	s->policy = (uint32_t)policy;
	s->nice = (int32_t)nice;
	s->priority = (int32_t)priority;
}

static void parse_io_priority(struct reader *rd, const struct json *obj,
			      struct spec_io_priority *io)
{
	int64_t ioprio_class = 0, priority = 0;

	if (!rd_need(rd, obj, "class"))
		return;
	rd_word(rd, obj, "class", spec_ioprio_classes, &ioprio_class);
	rd_int(rd, obj, "priority", 0, 7, &priority);
	io->ioprio_class = (int)ioprio_class;
	io->priority = (int)priority;
}

void parse_process(struct reader *rd, const struct json *obj, struct spec_process *p)
{
	const struct json *member;
	int64_t score = 0;

	rd_bool(rd, obj, "terminal", &p->terminal);
	parse_console_size(rd, rd_object(rd, obj, "consoleSize"), p);
	rd_need_text(rd, obj, "cwd", &p->cwd);
	rd_strings(rd, obj, "env", &p->env);
	rd_strings(rd, obj, "args", &p->args);
	/* Absent is 0:0, as every runtime reads it; an object that names half of it is a mistake. */
	parse_user(rd, rd_object(rd, obj, "user"), &p->user);
	parse_rlimits(rd, obj, p);
	rd_text(rd, obj, "apparmorProfile", &p->apparmor_profile);
	rd_text(rd, obj, "selinuxLabel", &p->selinux_label);
	rd_bool(rd, obj, "noNewPrivileges", &p->no_new_privileges);
	p->has_oom_score_adj = rd_int(rd, obj, "oomScoreAdj", -1000, 1000, &score);
	p->oom_score_adj = (int)score;

	if ((member = rd_object(rd, obj, "capabilities"))) {
		p->capabilities = ARENA_NEW(rd->a, struct spec_capabilities);
		parse_capabilities(rd, member, p->capabilities);
	}
	if ((member = rd_object(rd, obj, "scheduler"))) {
		p->scheduler = ARENA_NEW(rd->a, struct spec_scheduler);
		parse_scheduler(rd, member, p->scheduler);
	}
	if ((member = rd_object(rd, obj, "ioPriority"))) {
		p->io_priority = ARENA_NEW(rd->a, struct spec_io_priority);
		parse_io_priority(rd, member, p->io_priority);
	}
	if ((member = rd_object(rd, obj, "execCPUAffinity"))) {
		p->exec_affinity = ARENA_NEW(rd->a, struct spec_exec_affinity);
		rd_cpulist(rd, member, "initial", &p->exec_affinity->initial);
		rd_cpulist(rd, member, "final", &p->exec_affinity->final);
	}
}
