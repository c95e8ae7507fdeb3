/* SPDX-License-Identifier: Apache-2.0 */
/* The rules between members of config.json: the top level, and who checks what below it. */
#include "spec/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/show.h"

#define UTS_MAX 64 /* __NEW_UTS_LEN of the kernel */

int rule_at(int r, struct error *err, const char *fmt, ...)
{
	char at[sizeof(((struct error *)0)->at)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at, sizeof(at), fmt, ap);
	va_end(ap);
	error_at(err, "%s", at);
	return r;
}

int rule_hint(int r, struct error *err, const char *fmt, ...)
{
	char hint[sizeof(((struct error *)0)->hint)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	error_hint(err, "%s", hint);
	return r;
}

/* Semantic versioning promises what we need within one major; a newer minor has members we ignore. */
static int check_version(const struct spec *spec, struct error *err)
{
	if (strncmp(spec->oci_version, "1.", 2) == 0)
		return 0;
	return rule_at(
		error_rule(
			err, EINVAL,
			"ociVersion is %s, but this runtime reads versions 1.0.0 to " SPEC_VERSION
			" of the specification and later ones of 1.x",
			show(spec->oci_version).text),
		err, "/ociVersion");
}

static int check_uts_name(const struct spec *spec, const char *member, const char *value,
			  struct error *err)
{
	int r;

	if (!value)
		return 0;
	if (!spec->linux_.ns[SPEC_NS_UTS].listed) {
		r = error_rule(err, EINVAL, "%s is set, but the config asks for no uts namespace",
			       member);
		rule_hint(r, err, "add {\"type\": \"uts\"} to linux.namespaces, or remove %s",
			  member);
		return rule_at(r, err, "/%s", member);
	}
	if (strlen(value) > UTS_MAX)
		return rule_at(
			error_rule(err, EINVAL,
				   "%s is %s, which has %zu bytes: the kernel takes at most %d",
				   member, show(value).text, strlen(value), UTS_MAX),
			err, "/%s", member);
	return 0;
}

static int check_top(const struct spec *spec, struct error *err)
{
	int r = check_version(spec, err);

	if (r == 0)
		r = check_uts_name(spec, "hostname", spec->hostname, err);
	if (r == 0)
		r = check_uts_name(spec, "domainname", spec->domainname, err);
	return r;
}

int spec_validate(const struct spec *spec, const struct log *log, struct error *err)
{
	const struct spec_linux *l = &spec->linux_;
	int r = check_top(spec, err);

	if (r == 0 && spec->has_process)
		r = check_process(&spec->process, IN_PROCESS, log, err);
	if (r == 0)
		r = check_mounts(spec, log, err);
	if (r == 0)
		r = check_linux(l, log, err);
	if (r == 0)
		r = check_sysctl(spec, err);
	if (r == 0 && l->seccomp)
		r = check_seccomp(l->seccomp, err);
	if (r == 0 && l->resources)
		r = check_resources(l->resources, IN_RESOURCES, err);
	return r;
}

int spec_validate_process(const struct spec_process *process, const struct log *log,
			  struct error *err)
{
	return check_process(process, IN_PROCESS, log, err);
}
