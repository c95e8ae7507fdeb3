/* SPDX-License-Identifier: Apache-2.0 */
/* Values and places of a config as text for a message. Owns no rule. */
#include "spec/show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_SHOWN 72 /* bytes of a value that a sentence repeats */

/* Where to cut s so that at most max bytes stay and no UTF-8 sequence is torn. */
static size_t cut_at(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	for (n = max; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

struct shown show(const char *s)
{
	static const char hex[] = "0123456789abcdef";
	struct shown out;
	size_t n = cut_at(s, MAX_SHOWN), pos = 0, i;

	out.text[pos++] = '"';
	for (i = 0; i < n && pos < MAX_SHOWN + 20; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != 0x7f) {
			out.text[pos++] = (char)c;
			continue;
		}
		out.text[pos++] = '\\';
		out.text[pos++] = 'x';
		out.text[pos++] = hex[c >> 4];
		out.text[pos++] = hex[c & 15];
	}
	snprintf(out.text + pos, sizeof(out.text) - pos, "%s\"", s[i] ? "…" : "");
	return out;
}

struct shown show_value(const struct json *v)
{
	struct shown out;
	const char *word = "null";

	switch (v->type) {
	case JSON_STRING:
		return show(v->text);
	case JSON_NUMBER:
		snprintf(out.text, sizeof(out.text), "%.40s%s", v->text, v->len > 40 ? "…" : "");
		return out;
	case JSON_BOOL:
		word = v->boolean ? "true" : "false";
		break;
	case JSON_ARRAY:
		word = "an array";
		break;
	case JSON_OBJECT:
		word = "an object";
		break;
	case JSON_NULL:
		break;
	}
	snprintf(out.text, sizeof(out.text), "%s", word);
	return out;
}

struct shown show_token(const char *name)
{
	struct shown out;
	size_t pos = 0, n = cut_at(name, sizeof(out.text) / 2);

	for (size_t i = 0; i < n && pos + 3 < sizeof(out.text); i++) {
		if (name[i] == '~' || name[i] == '/') {
			out.text[pos++] = '~';
			out.text[pos++] = name[i] == '~' ? '0' : '1';
		} else {
			out.text[pos++] = name[i];
		}
	}
	out.text[pos] = '\0';
	return out;
}

static bool is_word(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static size_t index_of(const struct json *v)
{
	size_t i = 0;

	json_each(sibling, v->parent)
	{
		if (sibling == v)
			break;
		i++;
	}
	return i;
}

const char *show_place(const struct json *v, const char *root, char *buf, size_t size)
{
	const struct json *chain[JSON_MAX_DEPTH + 1];
	size_t n = 0, pos = 0;

	if (!v->parent) {
		snprintf(buf, size, "%s", root);
		return buf;
	}
	for (; v->parent && n < JSON_MAX_DEPTH + 1; v = v->parent)
		chain[n++] = v;
	while (n-- > 0 && pos < size) {
		const char *name = chain[n]->name;
		int len;

		if (!name)
			len = snprintf(buf + pos, size - pos, "[%zu]", index_of(chain[n]));
		else if (is_word(name))
			len = snprintf(buf + pos, size - pos, "%s%s", pos ? "." : "", name);
		else
			len = snprintf(buf + pos, size - pos, "[%s]", show(name).text);
		pos += len > 0 ? (size_t)len : 0;
	}
	return buf;
}
