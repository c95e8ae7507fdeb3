/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of linux.seccomp. */
#include "spec/check.h"

#include <errno.h>
#include <string.h>

#include "spec/show.h"

static bool notifies(const char *action)
{
	return strcmp(action, "SCMP_ACT_NOTIFY") == 0;
}

/*
 * The listener's descriptor leaves the container's own process by these calls
 * after the filter is in force: to be asked about them is to wait for oneself.
 */
static const char *own_call(const struct spec_seccomp_rule *rule)
{
	for (size_t i = 0; i < rule->names.n; i++)
		if (strcmp(rule->names.v[i], "write") == 0 ||
		    strcmp(rule->names.v[i], "sendmsg") == 0)
			return rule->names.v[i];
	return NULL;
}

int check_seccomp(const struct spec_seccomp *s, struct error *err)
{
	if (notifies(s->default_action))
		return rule_at(
			error_rule(err, EINVAL,
				   "linux.seccomp.defaultAction is \"SCMP_ACT_NOTIFY\": every call "
				   "would wait for the listener, also those that reach it"),
			err, "/linux/seccomp/defaultAction");
	if (s->listener_metadata && !s->listener_path)
		return rule_at(error_rule(err, EINVAL,
					  "linux.seccomp.listenerMetadata is set, but there is no "
					  "listenerPath to send it to"),
			       err, "/linux/seccomp/listenerMetadata");

	for (size_t i = 0; i < s->n_rules; i++) {
		const struct spec_seccomp_rule *rule = &s->rules[i];

		if (!notifies(rule->action))
			continue;
		if (!s->listener_path)
			return rule_at(error_rule(err, EINVAL,
						  "linux.seccomp.syscalls[%zu] has action "
						  "SCMP_ACT_NOTIFY, but there is no listenerPath",
						  i),
				       err, "/linux/seccomp/syscalls/%zu/action", i);

		const char *name = own_call(rule);

		if (name)
			return rule_at(
				error_rule(
					err, EINVAL,
					"linux.seccomp.syscalls[%zu] has action SCMP_ACT_NOTIFY "
					"for %s, which the runtime needs to hand the listener over",
					i, name),
				err, "/linux/seccomp/syscalls/%zu/names", i);
	}
	return 0;
}
