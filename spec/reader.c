/* SPDX-License-Identifier: Apache-2.0 */
/* Typed members out of JSON objects. Knows types and sentences, and no member of the specification. */
#include "spec/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"
#include "spec/show.h"

static __attribute__((format(printf, 4, 0))) void
fault(struct reader *rd, const struct json *v, const char *link, const char *fmt, va_list ap)
{
	char place[192], why[900], pointer[sizeof(((struct error *)0)->at)];

	if (rd->r < 0)
		return;
	vsnprintf(why, sizeof(why), fmt, ap);
	rd->r = error_rule(rd->err, EINVAL, "%s %s%s",
			   show_place(v, rd->root, place, sizeof(place)), link, why);
	error_at(rd->err, "%s", json_pointer(v, pointer, sizeof(pointer)));
}

void rd_fault(struct reader *rd, const struct json *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault(rd, v, "", fmt, ap);
	va_end(ap);
}

void rd_not(struct reader *rd, const struct json *v, const char *fmt, ...)
{
	char link[sizeof(struct shown) + 16];
	va_list ap;

	snprintf(link, sizeof(link), "is %s, not ", show_value(v).text);
	va_start(ap, fmt);
	fault(rd, v, link, fmt, ap);
	va_end(ap);
}

const struct json *rd_get(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	return v && v->type != JSON_NULL ? v : NULL;
}

bool rd_is(struct reader *rd, const struct json *v, enum json_type type)
{
	static const char *const articles[] = {
		[JSON_NULL] = "null",	    [JSON_BOOL] = "true or false",
		[JSON_NUMBER] = "a number", [JSON_STRING] = "a string",
		[JSON_ARRAY] = "an array",  [JSON_OBJECT] = "an object",
	};

	if (v->type != type)
		rd_not(rd, v, "%s", articles[type]);
	return rd->r == 0;
}

static const struct json *typed(struct reader *rd, const struct json *obj, const char *name,
				enum json_type type)
{
	const struct json *v = rd->r == 0 ? rd_get(obj, name) : NULL;

	return v && rd_is(rd, v, type) ? v : NULL;
}

const struct json *rd_object(struct reader *rd, const struct json *obj, const char *name)
{
	return typed(rd, obj, name, JSON_OBJECT);
}

const struct json *rd_array(struct reader *rd, const struct json *obj, const char *name)
{
	return typed(rd, obj, name, JSON_ARRAY);
}

const struct json *rd_list(struct reader *rd, const struct json *obj, const char *name,
			   size_t element_size, void *ret_v, size_t *ret_n)
{
	const struct json *list = rd_array(rd, obj, name);

	if (!list || list->count == 0)
		return NULL;

	void *v = arena_array(rd->a, list->count, element_size);

	memcpy(ret_v, &v, sizeof(v));
	*ret_n = list->count;
	return list;
}

bool rd_need(struct reader *rd, const struct json *obj, const char *name)
{
	char place[192], pointer[sizeof(((struct error *)0)->at)];

	if (rd->r < 0)
		return false;
	if (rd_get(obj, name))
		return true;

	bool is_root = !obj->parent;

	rd->r = error_rule(rd->err, EINVAL, "%s%s%s is missing",
			   is_root ? "" : show_place(obj, "", place, sizeof(place)),
			   is_root ? "" : ".", name);
	error_at(rd->err, "%s", json_pointer(obj, pointer, sizeof(pointer)));
	return false;
}

bool rd_string(struct reader *rd, const struct json *obj, const char *name, const char **ret)
{
	const struct json *v = typed(rd, obj, name, JSON_STRING);

	if (!v)
		return false;
	*ret = v->text;
	return true;
}

bool rd_text(struct reader *rd, const struct json *obj, const char *name, const char **ret)
{
	const char *s;

	if (!rd_string(rd, obj, name, &s) || !*s)
		return false;
	*ret = s;
	return true;
}

void rd_need_text(struct reader *rd, const struct json *obj, const char *name, const char **ret)
{
	if (rd_need(rd, obj, name) && rd_string(rd, obj, name, ret) && !**ret)
		rd_fault(rd, rd_get(obj, name), "is empty");
}

bool rd_path(struct reader *rd, const struct json *obj, const char *name, const char **ret)
{
	const char *path;

	if (!rd_text(rd, obj, name, &path))
		return false;
	if (*path != '/') {
		rd_not(rd, rd_get(obj, name), "an absolute path");
		return false;
	}
	*ret = path;
	return true;
}

bool rd_cpulist(struct reader *rd, const struct json *obj, const char *name, const char **ret)
{
	uint64_t mask[128]; /* NR_CPUS is at most 8192 on every architecture */
	const char *list;

	if (!rd_text(rd, obj, name, &list) || !list[strspn(list, ", \t\n")])
		return false;
	if (parse_cpulist(list, mask, ARRAY_SIZE(mask)) < 0) {
		rd_not(rd, rd_get(obj, name), "a list of numbers below %zu such as \"0-3,7\"",
		       sizeof(mask) * 8);
		return false;
	}
	*ret = list;
	return true;
}

bool rd_bool(struct reader *rd, const struct json *obj, const char *name, bool *ret)
{
	const struct json *v = typed(rd, obj, name, JSON_BOOL);

	if (!v)
		return false;
	*ret = v->boolean;
	return true;
}

bool rd_int(struct reader *rd, const struct json *obj, const char *name, int64_t min, int64_t max,
	    int64_t *ret)
{
	const struct json *v = rd->r == 0 ? rd_get(obj, name) : NULL;

	if (!v)
		return false;
	if (json_int(v, min, max, ret, NULL) == 0)
		return true;
	rd_not(rd, v, "an integer from %" PRId64 " to %" PRId64, min, max);
	return false;
}

bool rd_uint(struct reader *rd, const struct json *obj, const char *name, uint64_t max,
	     uint64_t *ret)
{
	const struct json *v = rd->r == 0 ? rd_get(obj, name) : NULL;

	if (!v)
		return false;
	if (json_uint(v, max, ret, NULL) == 0)
		return true;
	rd_not(rd, v, "an integer from 0 to %" PRIu64, max);
	return false;
}

bool rd_u32(struct reader *rd, const struct json *obj, const char *name, uint32_t max,
	    uint32_t *ret)
{
	uint64_t n;

	if (!rd_uint(rd, obj, name, max, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

void rd_opt_i64(struct reader *rd, const struct json *obj, const char *name, int64_t min,
		int64_t max, struct spec_opt_i64 *ret)
{
	ret->set = rd_int(rd, obj, name, min, max, &ret->v);
}

void rd_opt_u64(struct reader *rd, const struct json *obj, const char *name, uint64_t max,
		struct spec_opt_u64 *ret)
{
	ret->set = rd_uint(rd, obj, name, max, &ret->v);
}

const struct spec_word *spec_word_find(const struct spec_word *words, const char *name)
{
	for (; words->name; words++)
		if (strcmp(words->name, name) == 0)
			return words;
	return NULL;
}

/* The table's entry for v, or a fault that lists the words there are. */
static const struct spec_word *word_of(struct reader *rd, const struct json *v,
				       const struct spec_word *words)
{
	char known[800] = "";
	size_t pos = 0;

	if (!rd_is(rd, v, JSON_STRING))
		return NULL;

	const struct spec_word *w = spec_word_find(words, v->text);

	if (w)
		return w;
	for (w = words; w->name && pos < sizeof(known); w++)
		pos += (size_t)snprintf(known + pos, sizeof(known) - pos, "%s%s",
					w == words ? "" : ", ", w->name);
	rd_not(rd, v, "one of %s", known);
	return NULL;
}

bool rd_word(struct reader *rd, const struct json *obj, const char *name,
	     const struct spec_word *words, int64_t *ret)
{
	const struct json *v = rd->r == 0 ? rd_get(obj, name) : NULL;
	const struct spec_word *w = v ? word_of(rd, v, words) : NULL;

	if (!w)
		return false;
	*ret = w->value;
	return true;
}

bool rd_words(struct reader *rd, const struct json *obj, const char *name,
	      const struct spec_word *words, struct spec_strings *ret)
{
	if (!rd_strings(rd, obj, name, ret))
		return false;
	json_each(v, rd_get(obj, name)) if (!word_of(rd, v, words)) return false;
	return true;
}

void rd_flags(struct reader *rd, const struct json *obj, const char *name,
	      const struct spec_word *words, uint64_t *ret)
{
	json_each(v, rd_array(rd, obj, name))
	{
		const struct spec_word *w = word_of(rd, v, words);

		if (!w)
			return;
		*ret |= (uint64_t)w->value;
	}
}

bool rd_strings(struct reader *rd, const struct json *obj, const char *name,
		struct spec_strings *ret)
{
	const struct json *list = rd_array(rd, obj, name);
	size_t n = 0;

	ret->v = ARENA_NEW_N(rd->a, char *, (list ? list->count : 0) + 1);
	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_STRING))
			return false;
		/* The text is arena memory of ours; argv and environ want it without const. */
		ret->v[n++] = (char *)v->text;
	}
	ret->n = n;
	return list != NULL;
}

void rd_map(struct reader *rd, const struct json *obj, const char *name,
	    struct spec_key_value **ret, size_t *ret_n)
{
	const struct json *map = rd_object(rd, obj, name);
	size_t n = 0;

	if (!map)
		return;
	*ret = ARENA_NEW_N(rd->a, struct spec_key_value, map->count);
	json_each(v, map)
	{
		if (v->type == JSON_NULL)
			continue;
		if (!rd_is(rd, v, JSON_STRING))
			return;
		if (!*v->name) {
			rd_fault(rd, map, "has an empty key (value %s)", show(v->text).text);
			return;
		}
		(*ret)[n++] = (struct spec_key_value){ v->name, v->text };
	}
	*ret_n = n;
}
