/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/internal.h"

/*
 * linux.cgroupsPath as the name of a unit. Strict on purpose: a name is handed to
 * systemd as it stands or refused, never escaped, so that what the engine computes
 * for the same container is what it finds.
 */

#include <ctype.h>
#include <string.h>

#include "spec/base/auto.h"

#define POINTER      "/linux/cgroupsPath"
#define PREFIX       "bulkhead"
#define UNIT_LENGTH  255 /* UNIT_NAME_MAX of systemd, without its NUL */
#define SLICE_SUFFIX ".slice"

static bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s);
	size_t k = strlen(suffix);

	return n >= k && strcmp(s + n - k, suffix) == 0;
}

bool unit_is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) ||
		    (!isalnum((unsigned char)s[i]) && !strchr("-_.\\", s[i])))
			return false;
	return n > 0;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct error *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_rule(err, EINVAL, "%s", text);
	error_at(err, POINTER);
	return -EINVAL;
}

static int refuse_shape(const char *given, struct error *err)
{
	int r = refuse(err, "cgroupsPath \"%.200s\" is not of the form slice:prefix:name, which the systemd "
		       "cgroup driver needs", given);

	error_hint(err, "for example \"system.slice:docker:web\"; or leave out --systemd-cgroup for a path");
	return r;
}

static int check_name(const char *s, const char *what, struct error *err)
{
	if (strlen(s) > UNIT_LENGTH)
		return refuse(err, "cgroupsPath: the %s's name is longer than %d bytes", what, UNIT_LENGTH);
	if (!unit_is_name(s, strlen(s)))
		return refuse(err, "cgroupsPath: \"%.200s\" cannot be part of a %s's name (letters, digits and "
			      "-_.\\ only)", s, what);
	return 0;
}

/* systemd.slice(5): a dash says which slice it lies in, so each part between dashes must be there. */
static int check_slice(const char *slice, struct error *err)
{
	size_t stem = strlen(slice) - strlen(SLICE_SUFFIX);
	int r = check_name(slice, "slice", err);

	if (r < 0)
		return r;
	if (stem == 0 || slice[0] == '-' || slice[stem - 1] == '-' || strstr(slice, "--"))
		return refuse(err, "cgroupsPath: \"%.200s\" is no slice: nothing stands before, after or between "
			      "its dashes", slice);
	return 0;
}

/* What systemd calls the directory: a name the kernel might use for a file of its own gets a '_' (cg_escape). */
static const char *directory_name(const char *unit, struct arena *a)
{
	static const char *const prefixes[] = { "cgroup", "cpu", "cpuacct", "cpuset", "io", "blkio",
						"memory", "devices", "pids" };
	bool escape = unit[0] == '_' || unit[0] == '.';

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		escape |= strncmp(unit, prefixes[i], n) == 0 && unit[n] == '.';
	}
	return escape ? arena_printf(a, "_%s", unit) : unit;
}

/* "a-b.slice" lies in "a.slice": "a.slice/a-b.slice". "" for the root. */
static const char *slice_path(const char *slice, struct arena *a)
{
	size_t stem = strlen(slice) - strlen(SLICE_SUFFIX);
	const char *path = "";

	if (strcmp(slice, "-" SLICE_SUFFIX) == 0)
		return path;
	for (size_t i = 1; i <= stem; i++) {
		if (i < stem && slice[i] != '-')
			continue;

		const char *part = arena_printf(a, "%.*s" SLICE_SUFFIX, (int)i, slice);

		path = arena_printf(a, "%s%s%s", path, *path ? "/" : "", directory_name(part, a));
	}
	return path;
}

/* The slice that a slice lies in. */
static const char *parent_slice(const char *slice, struct arena *a)
{
	const char *dash = strrchr(slice, '-');

	return dash ? arena_printf(a, "%.*s" SLICE_SUFFIX, (int)(dash - slice), slice) : "-" SLICE_SUFFIX;
}

static int find_slice(const char *given, struct arena *a, const char **ret, struct error *err)
{
	if (!*given) {
		*ret = "system" SLICE_SUFFIX;
		return 0;
	}
	if (strcmp(given, "-") == 0 || strcmp(given, "-" SLICE_SUFFIX) == 0) {
		*ret = "-" SLICE_SUFFIX;
		return 0;
	}
	if (!ends_with(given, SLICE_SUFFIX))
		return refuse(err, "cgroupsPath: \"%.200s\" is no slice: its name must end in " SLICE_SUFFIX, given);
	*ret = arena_strdup(a, given);
	return check_slice(given, err);
}

static int slice_unit(const char *name, struct unit_name *u, struct arena *a, struct error *err)
{
	int r = check_slice(name, err);

	if (r < 0)
		return r;
	if (strcmp(parent_slice(name, a), u->slice) != 0)
		return refuse(err, "cgroupsPath: %s lies in %s by its name, not in %s", name, parent_slice(name, a),
			      u->slice);
	u->unit = name;
	u->path = slice_path(name, a);
	u->is_slice = true;
	return 0;
}

static int scope_unit(const char *prefix, const char *name, struct unit_name *u, struct arena *a,
		      struct error *err)
{
	int r = *prefix ? check_name(prefix, "unit", err) : 0;

	if (r < 0)
		return r;
	u->unit = arena_printf(a, "%s%s%s.scope", prefix, *prefix ? "-" : "", name);
	r = check_name(u->unit, "unit", err);
	if (r < 0)
		return r;

	const char *parent = slice_path(u->slice, a);

	u->path = arena_printf(a, "%s%s%s", parent, *parent ? "/" : "", directory_name(u->unit, a));
	return 0;
}

int unit_name_make(const char *cgroups_path, const char *id, struct arena *a, struct unit_name *ret,
		   struct error *err)
{
	struct unit_name u = { .slice = NULL };
	const char *given = cgroups_path && *cgroups_path ? cgroups_path : arena_printf(a, ":" PREFIX ":%s", id);
	const char *first = strchr(given, ':');
	const char *second = first ? strchr(first + 1, ':') : NULL;

	if (!second || strchr(second + 1, ':'))
		return refuse_shape(given, err);

	const char *prefix = arena_strndup(a, first + 1, (size_t)(second - first - 1));
	const char *name = arena_strdup(a, second + 1);
	int r = find_slice(arena_strndup(a, given, (size_t)(first - given)), a, &u.slice, err);

	if (r == 0 && !*name)
		return refuse(err, "cgroupsPath \"%.200s\" names no unit: there is nothing after the second colon",
			      given);
	if (r == 0)
		r = check_name(name, "unit", err);
	if (r == 0)
		r = ends_with(name, SLICE_SUFFIX) ? slice_unit(name, &u, a, err)
						  : scope_unit(prefix, name, &u, a, err);
	if (r == 0)
		*ret = u;
	return r;
}
