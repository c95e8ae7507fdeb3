/* SPDX-License-Identifier: Apache-2.0 */

/*
 * image_change - `--change` of commit: instructions of a Dockerfile as members of an image's config
 *
 * The grammar is that of `docker commit --change` (the Dockerfile reference): lists are JSON, or words; a program that is
 * no list is a shell's line. An entry point that is set takes away the arguments that were meant for another.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/out.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

/* A map or list that several instructions add to. The last one of a name counts. */
struct pairs {
	const char **names, **values;
	size_t n;
};

struct change {
	struct arena *a;
	const char *line;
	const char *cmd, *entrypoint; /* JSON */
	const char *user, *workdir, *stop_signal;
	struct pairs env, labels, ports, volumes;
};

static void add_pair(struct change *c, struct pairs *p, const char *name, const char *value)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!strcmp(p->names[i], name)) {
			p->values[i] = value;
			return;
		}
	}

	const char **names = arena_array(c->a, p->n + 1, sizeof(*names));
	const char **values = arena_array(c->a, p->n + 1, sizeof(*values));

	for (size_t i = 0; i < p->n; i++) {
		names[i] = p->names[i];
		values[i] = p->values[i];
	}
	names[p->n] = name;
	values[p->n++] = value;
	p->names = names;
	p->values = values;
}

static int refuse(const struct change *c, const char *why, struct error *err)
{
	return error_rule(err, EINVAL, "--change \"%.200s\": %s", c->line, why);
}

/* ---- words ---- */

/* Takes quotes and backslashes away; *text moves behind the word. NULL: a quote does not end. */
static char *next_word(struct change *c, const char **text)
{
	char *word = arena_alloc(c->a, strlen(*text) + 1), *to = word;
	char quote = '\0';
	const char *p;

	for (p = *text; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? '\0' : *p;
		else if (*p == '\\' && p[1] && quote != '\'')
			*to++ = *++p;
		else
			*to++ = *p;
	}
	while (isspace((unsigned char)*p))
		p++;
	*text = p;
	return quote ? NULL : word;
}

/* "NAME=VALUE …", or the old form "NAME VALUE" of one. */
static int read_pairs(struct change *c, struct pairs *p, const char *text, struct error *err)
{
	size_t n = strcspn(text, " \t=");

	if (n == 0)
		return refuse(c, "it needs NAME=VALUE", err);
	if (text[n] && text[n] != '=') {
		const char *value = text + n + strspn(text + n, " \t");

		if (!*value)
			return refuse(c, "it needs NAME=VALUE", err);
		add_pair(c, p, arena_strndup(c->a, text, n), value);
		return 0;
	}
	while (*text) {
		char *word = next_word(c, &text);
		char *equals = word ? strchr(word, '=') : NULL;

		if (!word)
			return refuse(c, "a quote does not end", err);
		if (!equals || equals == word)
			return refuse(c, "it needs NAME=VALUE", err);
		*equals = '\0';
		add_pair(c, p, word, equals + 1);
	}
	return 0;
}

/* ---- lists ---- */

/* The elements when text is a JSON array of strings; NULL when it is none. */
static const struct json *read_list(struct change *c, const char *text)
{
	const struct json *v;

	if (text[0] != '[' || json_parse(text, strlen(text), "--change", c->a, &v, NULL) < 0 ||
	    v->type != JSON_ARRAY)
		return NULL;
	json_each(item, v) {
		if (item->type != JSON_STRING)
			return NULL;
	}
	return v;
}

static const char *take_text(struct change *c, struct buf *b)
{
	const char *text = arena_strndup(c->a, b->data, b->len);

	buf_release(b);
	return text;
}

static const char *program(struct change *c, const char *text)
{
	struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };
	const struct json *list = read_list(c, text);

	json_w_open(&w, NULL, '[');
	if (list) {
		json_each(item, list) {
			json_w_str(&w, NULL, item->text);
		}
	} else {
		json_w_str(&w, NULL, "/bin/sh");
		json_w_str(&w, NULL, "-c");
		json_w_str(&w, NULL, text);
	}
	json_w_close(&w, ']');
	return take_text(c, &b);
}

static int read_set(struct change *c, struct pairs *p, const char *text, const char *suffix, struct error *err)
{
	const struct json *list = read_list(c, text);

	json_each(item, list) {
		add_pair(c, p, item->text, NULL);
	}
	while (!list && *text) {
		const char *word = next_word(c, &text);

		if (!word)
			return refuse(c, "a quote does not end", err);
		add_pair(c, p, strchr(word, '/') ? word : arena_printf(c->a, "%s%s", word, suffix), NULL);
	}
	return 0;
}

/* ---- instructions ---- */

static int apply(struct change *c, const char *word, const char *rest, struct error *err)
{
	if (!strcasecmp(word, "CMD"))
		c->cmd = program(c, rest);
	else if (!strcasecmp(word, "ENTRYPOINT"))
		c->entrypoint = program(c, rest);
	else if (!strcasecmp(word, "USER"))
		c->user = rest;
	else if (!strcasecmp(word, "WORKDIR"))
		c->workdir = rest;
	else if (!strcasecmp(word, "STOPSIGNAL"))
		c->stop_signal = rest;
	else if (!strcasecmp(word, "ENV"))
		return read_pairs(c, &c->env, rest, err);
	else if (!strcasecmp(word, "LABEL"))
		return read_pairs(c, &c->labels, rest, err);
	else if (!strcasecmp(word, "EXPOSE"))
		return read_set(c, &c->ports, rest, "/tcp", err);
	else if (!strcasecmp(word, "VOLUME"))
		return read_set(c, &c->volumes, rest, "", err);
	else
		return refuse(c, "the instructions are CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and "
				 "WORKDIR", err);
	if (c->workdir && c->workdir[0] != '/')
		return refuse(c, "the directory must be absolute", err);
	return 0;
}

static int read_line(struct change *c, const char *line, struct error *err)
{
	c->line = line;
	line += strspn(line, " \t");

	size_t n = strcspn(line, " \t"), end = strlen(line);
	const char *word = arena_strndup(c->a, line, n);
	const char *rest = line + n + strspn(line + n, " \t");

	while (end > (size_t)(rest - line) && isspace((unsigned char)line[end - 1]))
		end--;
	rest = arena_strndup(c->a, rest, end - (size_t)(rest - line));
	if (!*rest)
		return refuse(c, "it has no argument", err);
	return apply(c, word, rest, err);
}

/* ---- the config ---- */

static void write_env(struct change *c, struct json_w *w)
{
	if (!c->env.n)
		return;
	json_w_open(w, "Env", '[');
	for (size_t i = 0; i < c->env.n; i++)
		json_w_str(w, NULL, arena_printf(c->a, "%s=%s", c->env.names[i], c->env.values[i]));
	json_w_close(w, ']');
}

/* Without a value the member is an empty object, as Go writes a set. */
static void write_map(struct json_w *w, const char *name, const struct pairs *p)
{
	if (!p->n)
		return;
	json_w_open(w, name, '{');
	for (size_t i = 0; i < p->n; i++) {
		if (p->values[i])
			json_w_str(w, p->names[i], p->values[i]);
		else
			json_w_raw(w, p->names[i], "{}", 2);
	}
	json_w_close(w, '}');
}

static void write_text(struct json_w *w, const char *name, const char *text)
{
	if (text)
		json_w_str(w, name, text);
}

static void write_change(struct change *c, struct json_w *w)
{
	json_w_open(w, NULL, '{');
	write_text(w, "User", c->user);
	write_map(w, "ExposedPorts", &c->ports);
	write_env(c, w);
	if (c->entrypoint)
		json_w_raw(w, "Entrypoint", c->entrypoint, strlen(c->entrypoint));
	if (c->cmd)
		json_w_raw(w, "Cmd", c->cmd, strlen(c->cmd));
	else if (c->entrypoint)
		json_w_null(w, "Cmd");
	write_map(w, "Volumes", &c->volumes);
	write_text(w, "WorkingDir", c->workdir);
	write_map(w, "Labels", &c->labels);
	write_text(w, "StopSignal", c->stop_signal);
	json_w_close(w, '}');
}

int out_image_change(char *const *lines, size_t n, struct arena *a, const char **ret, struct error *err)
{
	struct change c = { .a = a };
	struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };

	for (size_t i = 0; i < n; i++) {
		int r = read_line(&c, lines[i], err);

		if (r < 0)
			return r;
	}
	*ret = NULL;
	if (n == 0)
		return 0;
	write_change(&c, &w);
	*ret = take_text(&c, &b);
	return 0;
}
