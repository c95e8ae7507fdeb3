/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tree: members, pointers, typed access. json_parse.c makes it. */
#include "spec/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/parse.h"

const struct json *json_get(const struct json *obj, const char *name)
{
	if (!obj || obj->type != JSON_OBJECT)
		return NULL;
	json_each(m, obj)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static size_t index_of(const struct json *v)
{
	size_t i = 0;

	for (const struct json *s = v->parent->first; s != v; s = s->next)
		i++;
	return i;
}

static void put(char *buf, size_t size, size_t *pos, const char *s)
{
	for (; *s && *pos + 1 < size; s++)
		buf[(*pos)++] = *s;
	if (size)
		buf[*pos] = '\0';
}

/* A member name in a pointer: RFC 6901 section 3. */
static void put_name(char *buf, size_t size, size_t *pos, const char *name)
{
	for (; *name; name++) {
		char plain[2] = { *name, '\0' };

		put(buf, size, pos, *name == '~' ? "~0" : *name == '/' ? "~1" : plain);
	}
}

const char *json_pointer(const struct json *v, char *buf, size_t size)
{
	const struct json *chain[JSON_MAX_DEPTH + 1];
	size_t n = 0, pos = 0;

	if (size)
		buf[0] = '\0';
	for (; v && v->parent && n < JSON_MAX_DEPTH + 1; v = v->parent)
		chain[n++] = v;
	while (n-- > 0) {
		char number[24];

		put(buf, size, &pos, "/");
		if (chain[n]->name) {
			put_name(buf, size, &pos, chain[n]->name);
		} else {
			snprintf(number, sizeof(number), "%zu", index_of(chain[n]));
			put(buf, size, &pos, number);
		}
	}
	return buf;
}

/* What a sentence calls the value: "cpus", "args[3]". */
static const char *label(const struct json *v, char *buf, size_t size)
{
	if (v->name)
		return v->name;
	if (!v->parent)
		return "the document";
	snprintf(buf, size, "%.80s[%zu]", v->parent->name ?: "", index_of(v));
	return buf;
}

__attribute__((format(printf, 3, 4))) static int refuse(const struct json *v, struct error *err,
							  const char *fmt, ...)
{
	char name[128], why[128], pointer[sizeof(err->at)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!v)
		return error_rule(err, EINVAL, "a value that %s is missing", why);

	int r = error_rule(err, EINVAL, "%s %s", label(v, name, sizeof(name)), why);

	error_at(err, "%s", json_pointer(v, pointer, sizeof(pointer)));
	return r;
}

int json_string(const struct json *v, const char **ret, struct error *err)
{
	if (!v || v->type != JSON_STRING)
		return refuse(v, err, "must be a string");
	*ret = v->text;
	return 0;
}

int json_bool(const struct json *v, bool *ret, struct error *err)
{
	if (!v || v->type != JSON_BOOL)
		return refuse(v, err, "must be true or false");
	*ret = v->boolean;
	return 0;
}

/* 1.0 and 1e3 are not integers here, as they are none to the engines' own decoder. */
int json_int(const struct json *v, int64_t min, int64_t max, int64_t *ret, struct error *err)
{
	int64_t n;
	int r = v && v->type == JSON_NUMBER ? parse_i64(v->text, &n) : -EINVAL;

	if (r == -EINVAL)
		return refuse(v, err, "must be an integer");
	if (r < 0 || n < min || n > max)
		return refuse(v, err, "must be between %" PRId64 " and %" PRId64 ", not %.40s", min,
			      max, v->text);
	*ret = n;
	return 0;
}

int json_uint(const struct json *v, uint64_t max, uint64_t *ret, struct error *err)
{
	uint64_t n;
	bool is_number = v && v->type == JSON_NUMBER;
	bool is_negative = is_number && v->text[0] == '-';
	int r = is_number ? parse_u64(v->text + is_negative, &n) : -EINVAL;

	if (r == -EINVAL)
		return refuse(v, err, "must be an integer");
	if (r < 0 || n > max || (is_negative && n > 0))
		return refuse(v, err, "must be between 0 and %" PRIu64 ", not %.40s", max, v->text);
	*ret = n;
	return 0;
}
