/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Names of groups and how they map to paths of the tree. Pure: a name that
 * passes here cannot leave the base nor meet a kernel file; openat2 enforces the
 * former once more (cg_open_below()).
 */

#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"

#define COMPONENT_MAX 255

const char *cpg_error_kind(int code)
{
	static const struct {
		int code;
		const char *kind;
	} table[] = {
		{ EEXIST, "exists" },	       { ENOENT, "not-found" },      { ENOTEMPTY, "not-empty" },
		{ EINVAL, "invalid-value" },   { ERANGE, "invalid-value" },  { ENAMETOOLONG, "invalid-value" },
		{ ENOTSUP, "no-controller" },  { EBUSY, "conflict" },	     { EDQUOT, "admission" },
		{ EPERM, "permission" },       { EACCES, "permission" },     { EROFS, "permission" },
		{ ETIMEDOUT, "timeout" },
	};

	if (code < 0)
		code = -code;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].kind;
	return "internal";
}

/*
 * The kernel's own files are "<controller>.<file>" and "cgroup.<file>"; a
 * directory of such a name cannot be made, or would hide a file of a kernel to come.
 */
static bool is_kernel_file(const char *s, size_t n)
{
	static const char *const owners[] = { "cgroup", "cpu",	   "cpuset", "memory", "pids",
					      "io",	"hugetlb", "rdma",   "misc",   "irq",
					      "perf_event", "dmem" };
	const char *dot = memchr(s, '.', n);

	for (size_t i = 0; dot && i < ARRAY_SIZE(owners); i++)
		if (strlen(owners[i]) == (size_t)(dot - s) && strncmp(s, owners[i], (size_t)(dot - s)) == 0)
			return true;
	return false;
}

static bool is_allowed(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '+' || c == '.' || c == '-';
}

/* A byte of somebody's input that must not reach a terminal raw. */
static const char *show_byte(char c, char buf[8])
{
	if (c > ' ' && c <= '~')
		snprintf(buf, 8, "'%c'", c);
	else
		snprintf(buf, 8, "\\x%02x", (unsigned char)c);
	return buf;
}

static int check_component(const char *s, size_t n, struct error *err)
{
	char byte[8];

	if (n == 0)
		return error_rule(err, EINVAL, "a component of the name is empty");
	if (n > COMPONENT_MAX)
		return error_rule(err, ENAMETOOLONG, "a component of the name has %zu bytes, at most %d are "
				  "possible", n, COMPONENT_MAX);
	for (size_t i = 0; i < n; i++)
		if (!is_allowed(s[i]))
			return error_rule(err, EINVAL, "byte %zu of \"%.*s\" is %s: letters, digits and _ + . - "
					  "are possible", i + 1, (int)i, s, show_byte(s[i], byte));
	if (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.')))
		return error_rule(err, EINVAL, "\"%.*s\" is no name", (int)n, s);
	if (is_kernel_file(s, n))
		return error_rule(err, EINVAL, "\"%.*s\" is like the name of a kernel file", (int)n, s);
	return 0;
}

static int check_components(const char *s, struct error *err)
{
	for (unsigned depth = 1;; depth++) {
		size_t n = strcspn(s, "/");
		int r = check_component(s, n, err);

		if (r < 0)
			return r;
		s += n;
		if (!*s)
			return 0;
		if (depth == CPG_MAX_DEPTH)
			return error_rule(err, EINVAL, "more than %d nested groups", CPG_MAX_DEPTH);
		s++;
	}
}

int cpg_name_check(const char *name, struct error *err)
{
	if (!*name)
		return error_rule(err, EINVAL, "the name of a CPU group is empty");
	if (strcmp(name, "/") == 0)
		return 0;
	if (strlen(name) >= PATH_MAX)
		return error_rule(err, ENAMETOOLONG, "the name of a CPU group is longer than %d bytes",
				  PATH_MAX - 1);

	int r = check_components(name, err);

	return r < 0 ? error_wrap(err, r, "cannot use this name for a CPU group") : 0;
}

int cpg_base_clean(const char *base, char *buf, size_t size, struct error *err)
{
	size_t n;

	while (*base == '/')
		base++;
	n = strlen(base);
	while (n && base[n - 1] == '/')
		n--;
	if (n == 0)
		return error_rule(err, EINVAL, "the base of the CPU groups is empty: it must be a cgroup below "
				  "the root of the tree, such as %s", CPG_DEFAULT_BASE);
	if (n >= size || n >= PATH_MAX)
		return error_rule(err, ENAMETOOLONG, "the base of the CPU groups is longer than %zu bytes",
				  (size < PATH_MAX ? size : PATH_MAX) - 1);
	snprintf(buf, size, "%.*s", (int)n, base);

	/* systemd escapes: "a\x2db.slice" */
	for (const char *s = buf; *s; s += strcspn(s, "/"), s += *s == '/') {
		size_t len = strcspn(s, "/");

		if (len == 0 || len > COMPONENT_MAX || (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.'))))
			return error_rule(err, EINVAL, "the base of the CPU groups has \"%.*s\" as a component",
					  (int)len, s);
		for (size_t i = 0; i < len; i++)
			if (!is_allowed(s[i]) && !strchr(":@\\", s[i]))
				return error_rule(err, EINVAL, "the base of the CPU groups has a byte that is none "
						  "of letters, digits and _ + . - : @ \\");
		if (is_kernel_file(s, len))
			return error_rule(err, EINVAL, "\"%.*s\" of the base of the CPU groups is like the name "
					  "of a kernel file", (int)len, s);
	}
	return 0;
}

int cpg_path(const struct cpg *cpg, const char *name, const char *id, char *buf, size_t size,
	     struct error *err)
{
	bool is_root = strcmp(name, "/") == 0;
	const char *up = strrchr(cpg->base, '/');
	int n;

	/* "No group" is the base's parent. */
	if (is_root)
		n = snprintf(buf, size, "%.*s%s%s", up ? (int)(up - cpg->base) : 0, cpg->base,
			     up && id ? "/" : "", id ? id : "");
	else
		n = snprintf(buf, size, "%s/%s%s%s", cpg->base, name, id ? "/" : "", id ? id : "");
	if (n < 0 || (size_t)n >= size)
		return error_rule(err, ENAMETOOLONG, "the path of CPU group \"%.64s…\" is longer than %zu bytes",
				  name, size - 1);
	return 0;
}

const char *cpg_of_path(const struct cpg *cpg, const char *cgroup_path, char *buf, size_t size)
{
	size_t n = strlen(cpg->base);
	const char *s = cgroup_path;

	while (*s == '/')
		s++;
	if (strncmp(s, cpg->base, n) != 0 || s[n] != '/')
		return NULL;
	s += n + 1;

	const char *leaf = strrchr(s, '/');

	if (!leaf || leaf == s || (size_t)(leaf - s) >= size)
		return NULL;
	memcpy(buf, s, (size_t)(leaf - s));
	buf[leaf - s] = '\0';
	return buf;
}

const char *cpg_parent(const char *name, char *buf, size_t size)
{
	const char *slash = strrchr(name, '/');

	snprintf(buf, size, "%.*s", slash ? (int)(slash - name) : 0, name);
	return buf;
}

bool cpg_is_within(const char *name, const char *below)
{
	size_t n = strlen(below);

	return strncmp(name, below, n) == 0 && (name[n] == '\0' || name[n] == '/');
}
