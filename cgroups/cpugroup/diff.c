/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/* Two policies side by side: "cap 50% -> 75%, reserve - -> 1.5". Pure. */

#include <string.h>

static const struct json *as_json(const struct cpg_policy *p, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };
	const struct json *doc = NULL;

	cpg_policy_write(&w, NULL, p);
	json_parse(b.data, b.len, "policy", a, &doc, NULL);
	return doc;
}

static const char *text_of(const struct json *v)
{
	if (!v)
		return "-";
	if (v->type == JSON_BOOL)
		return v->boolean ? "true" : "false";
	return *v->text ? v->text : "\"\"";
}

static const char *add(const char *text, const struct json *from, const struct json *to, struct arena *a)
{
	const char *before = text_of(from);
	const char *after = text_of(to);

	if (strcmp(before, after) == 0)
		return text;
	return arena_printf(a, "%s%s%s %s -> %s", text, *text ? ", " : "", (from ? from : to)->name, before, after);
}

const char *cpg_policy_diff(const struct cpg_policy *from, const struct cpg_policy *to, struct arena *a)
{
	const struct json *old = as_json(from, a);
	const struct json *new = as_json(to, a);
	const char *text = "";

	json_each (v, old)
		text = add(text, v, json_get(new, v->name), a);
	json_each (v, new)
		if (!json_get(old, v->name))
			text = add(text, NULL, v, a);
	return text;
}
