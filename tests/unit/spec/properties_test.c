/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every config, shown by changing a real one in every place. */
#include "tests/unit/spec/spec_fixture.h"

TestSuite(spec_properties, .fini = release_arena);

/* Takes head + middle + tail; the result is the sentence, or "" when it was good. */
static const char *verdict(const char *text, size_t begin, const char *middle, size_t end, size_t n)
{
	static char line[2][2048];
	static int turn;
	auto_buf struct buf b = BUF_INIT;
	struct arena *own = calloc(1, sizeof(*own));
	struct spec *spec = NULL;
	struct error err = ERROR_INIT;

	buf_add(&b, text, begin);
	buf_puts(&b, middle);
	buf_add(&b, text + end, n - end);

	int r = spec_parse(b.data, b.len, own, &spec, &err);

	if (r == 0)
		r = spec_validate(spec, NULL, &err);
	turn = !turn;
	line[turn][0] = '\0';
	if (r < 0)
		error_line(&err, line[turn], sizeof(line[turn]));
	cr_expect(r == 0 || r == -EINVAL, "%d: %s", r, line[turn]);
	cr_expect_eq(r < 0, line[turn][0] != '\0',
		     "a refusal without a sentence (or the reverse): %s", middle);
	arena_release(own);
	free(own);
	return line[turn];
}

/* Calls check for each value of the tree below v, v not included. */
static size_t each_value(const struct json *v, const char *text, size_t n,
			 void (*check)(const struct json *v, const char *text, size_t n))
{
	size_t count = 0;

	json_each(child, v)
	{
		check(child, text, n);
		count += 1 + each_value(child, text, n, check);
	}
	return count;
}

static void change_type(const struct json *v, const char *text, size_t n)
{
	static const char *const values[] = {
		"null",	 "true", "-1", "1.5",	 "99999999999999999999", "\"\"",
		"\"x\"", "[]",	 "{}", "[null]", "{\"x\":null}"
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		verdict(text, v->begin, values[i], v->end, n);
}

Test(spec_properties, every_value_of_another_type_is_taken_or_refused_with_a_sentence)
{
	size_t n;
	const char *text = read_whole("tests/data/oci-schema/config/good/spec-example.json", &n);
	const struct json *doc;

	cr_assert_eq(json_parse(text, n, "example", &arena, &doc, &error), 0);
	cr_assert_gt(each_value(doc, text, n, change_type), 300);
}

static bool is_map(const struct json *v)
{
	static const char *const maps[] = { "annotations", "sysctl",	 "unified",
					    "rdma",	   "netDevices", "timeOffsets" };

	for (size_t i = 0; v->name && i < ARRAY_SIZE(maps); i++)
		if (strcmp(v->name, maps[i]) == 0)
			return true;
	return false;
}

/* Engines write null for absent: so a null member and a member of an unknown name are one case. */
static void null_or_renamed(const struct json *v, const char *text, size_t n)
{
	if (!v->name || is_map(v->parent))
		return;

	char quoted[200];
	const char *at = text + v->begin;

	snprintf(quoted, sizeof(quoted), "\"%s\"", v->name);
	while (at > text && strncmp(at, quoted, strlen(quoted)) != 0)
		at--;

	const char *null = verdict(text, v->begin, "null", v->end, n);
	size_t begin = (size_t)(at - text);
	const char *renamed = verdict(text, begin, "\"unknown member\"", begin + strlen(quoted), n);

	cr_expect_str_eq(null, renamed, "%s: null says \"%s\", absent says \"%s\"", v->name, null,
			 renamed);
}

Test(spec_properties, a_null_member_is_an_absent_member)
{
	static const char *const files[] = {
		"tests/data/oci-schema/config/good/spec-example.json",
		"tests/data/engine-samples/podman-uidmap-config.json",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		size_t n;
		const char *text = read_whole(files[i], &n);
		const struct json *doc;

		cr_assert_eq(json_parse(text, n, "example", &arena, &doc, &error), 0);
		cr_assert_gt(each_value(doc, text, n, null_or_renamed), 100);
	}
}

Test(spec_properties, every_beginning_of_a_config_is_refused)
{
	size_t n;
	const char *text = read_whole("tests/data/engine-samples/docker-config.json", &n);

	while (n > 0 && text[n - 1] != '}')
		n--;
	for (size_t cut = 0; cut < n; cut += 1 + cut / 40)
		cr_assert_str_not_empty(verdict(text, cut, "", n, n), "taken when cut at %zu", cut);
	cr_assert_str_empty(verdict(text, n, "", n, n));
}

Test(spec_properties, every_broken_byte_is_taken_or_refused_with_a_sentence)
{
	size_t n;
	const char *text = read_whole("tests/data/engine-samples/podman-config.json", &n);
	unsigned seed = 1;

	for (int i = 0; i < 2000; i++) {
		seed = seed * 1103515245 + 12345;

		size_t at = (seed >> 8) % n;
		const char byte[2] = { (char)(seed >> 24 ? seed >> 24 : 1), '\0' };

		verdict(text, at, byte, at + 1, n);
	}
}
