/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp (config-linux.md Seccomp). Names stay names; runtime/process gives them values. */
#include "spec/parts.h"

static void parse_arg(struct reader *rd, const struct json *v, struct spec_seccomp_arg *arg)
{
	int64_t unused;

	if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "index") || !rd_need(rd, v, "value") ||
	    !rd_need(rd, v, "op"))
		return;
	rd_u32(rd, v, "index", 5, &arg->index);
	rd_uint(rd, v, "value", UINT64_MAX, &arg->value);
	rd_uint(rd, v, "valueTwo", UINT64_MAX, &arg->value_two);
	rd_word(rd, v, "op", spec_seccomp_operators, &unused);
	rd_string(rd, v, "op", &arg->op);
}

/* The action's name and its errno number, which only some actions carry. */
static void parse_action(struct reader *rd, const struct json *obj, const char *name,
			 const char *errno_name, const char **ret_action, bool *ret_has_errno,
			 uint32_t *ret_errno)
{
	int64_t errno_max = 0;

	if (!rd_need(rd, obj, name))
		return;
	rd_word(rd, obj, name, spec_seccomp_actions, &errno_max);
	rd_string(rd, obj, name, ret_action);
	/*
	 * Beyond their 12 and 16 bits the filter would return another number than
	 * the profile says; 65536 would even be "no error".
	 */
	*ret_has_errno = rd_u32(rd, obj, errno_name, errno_max ? (uint32_t)errno_max : UINT32_MAX,
				ret_errno);
	if (*ret_has_errno && errno_max == 0)
		rd_fault(rd, rd_get(obj, errno_name),
			 "is set, but %s returns no errno: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE "
			 "do",
			 *ret_action);
}

static void parse_rule(struct reader *rd, const struct json *v, struct spec_seccomp_rule *rule)
{
	if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "names"))
		return;

	rd_strings(rd, v, "names", &rule->names);
	if (rd->r == 0 && rule->names.n == 0)
		rd_fault(rd, rd_get(v, "names"), "is empty: a rule names at least one system call");
	for (size_t i = 0; rd->r == 0 && i < rule->names.n; i++)
		if (!rule->names.v[i][0])
			rd_fault(rd, rd_get(v, "names"), "has an empty name at index %zu", i);
	parse_action(rd, v, "action", "errnoRet", &rule->action, &rule->has_errno,
		     &rule->errno_ret);

	const struct json *args =
		rd_list(rd, v, "args", sizeof(*rule->args), &rule->args, &rule->n_args);
	struct spec_seccomp_arg *arg = rule->args;

	json_each(a, args) parse_arg(rd, a, arg++);
}

void parse_seccomp(struct reader *rd, const struct json *obj, struct spec_seccomp *s)
{
	parse_action(rd, obj, "defaultAction", "defaultErrnoRet", &s->default_action,
		     &s->has_default_errno, &s->default_errno);
	rd_words(rd, obj, "architectures", spec_seccomp_archs, &s->architectures);
	s->has_flags = rd_words(rd, obj, "flags", spec_seccomp_flags, &s->flags);
	rd_path(rd, obj, "listenerPath", &s->listener_path);
	rd_text(rd, obj, "listenerMetadata", &s->listener_metadata);

	const struct json *list =
		rd_list(rd, obj, "syscalls", sizeof(*s->rules), &s->rules, &s->n_rules);
	struct spec_seccomp_rule *rule = s->rules;

	json_each(v, list) parse_rule(rd, v, rule++);
}
