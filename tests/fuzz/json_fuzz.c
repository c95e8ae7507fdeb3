/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds bytes to json_parse() and holds it to its promises about what it takes.
 */

#include "spec/base/json.h"
#include "spec/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *s, size_t n)
{
	require(strlen(s) == n);
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_length(s + i, n - i);
		require(len > 0);
	}
}

static void write_again(const struct json *v, struct json_w *w)
{
	switch (v->type) {
	case JSON_NULL:
		json_w_null(w, v->name);
		break;
	case JSON_BOOL:
		json_w_bool(w, v->name, v->boolean);
		break;
	case JSON_NUMBER:
		json_w_raw(w, v->name, v->text, v->len);
		break;
	case JSON_STRING:
		json_w_str(w, v->name, v->text);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		json_w_open(w, v->name, v->type == JSON_ARRAY ? '[' : '{');
		json_each(child, v)
			write_again(child, w);
		json_w_close(w, v->type == JSON_ARRAY ? ']' : '}');
		break;
	}
}

static void check_value(const struct json *v, const struct json *parent, size_t size)
{
	char pointer[64];
	uint32_t last = v->begin;
	size_t n = 0;

	require(v->parent == parent && v->begin < v->end && v->end <= size);
	require((v->name != NULL) == (parent && parent->type == JSON_OBJECT));
	if (v->name)
		check_text(v->name, strlen(v->name));
	if (v->type == JSON_STRING || v->type == JSON_NUMBER)
		check_text(v->text, v->len);
	if (v->name)
		require(json_get(parent, v->name) == v);
	require(strlen(json_pointer(v, pointer, sizeof(pointer))) < sizeof(pointer));
	json_each(child, v) {
		require(child->begin > last && child->end < v->end);
		last = child->end - 1;
		n++;
		check_value(child, v, size);
	}
	require(n == v->count);
}

static bool is_same(const struct json *a, const struct json *b)
{
	if (a->type != b->type || a->count != b->count || a->len != b->len || a->boolean != b->boolean)
		return false;
	if (a->name && strcmp(a->name, b->name) != 0)
		return false;
	if (a->text && strcmp(a->text, b->text) != 0)
		return false;

	const struct json *y = b->first;

	for (const struct json *x = a->first; x; x = x->next, y = y->next)
		if (!is_same(x, y))
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena arena;
	struct error err = ERROR_INIT;
	const struct json *v = NULL, *again = NULL;
	int r = json_parse((const char *)data, size, "fuzz", &arena, &v, &err);

	require((r == 0) == (v != NULL) && (r == 0) == (err.code == 0));
	if (v) {
		auto_buf struct buf b = BUF_INIT;
		struct json_w w = { .out = &b, .indent = size % 2 ? " " : NULL };

		check_value(v, NULL, size);
		write_again(v, &w);
		require(json_parse(b.data, b.len, "again", &arena, &again, &err) == 0);
		require(is_same(v, again));
	}
	arena_release(&arena);
	return 0;
}
