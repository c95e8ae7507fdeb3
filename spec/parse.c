/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json, top level: version, root, process, mounts, hooks, annotations.
 * The linux and vm objects have files of their own. Types, ranges, required
 * members and enumerations only; validate.c has the rules between members.
 */
#include "spec/parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/check.h"
#include "spec/show.h"

static void parse_root(struct reader *rd, const struct json *doc, struct spec_root *root)
{
	/* Its place is known only to who knows whether the files come from somewhere else. */
	const struct json *obj = rd_object(rd, doc, "root");

	if (!obj)
		return;
	if (rd_get(obj, "path"))
		rd_need_text(rd, obj, "path", &root->path);
	rd_bool(rd, obj, "readonly", &root->readonly);
}

void parse_idmaps(struct reader *rd, const struct json *obj, const char *name,
		  struct spec_idmaps *maps)
{
	struct spec_idmap *map = NULL;
	const struct json *list = rd_list(rd, obj, name, sizeof(*map), &maps->v, &maps->n);

	map = maps->v;
	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_OBJECT) || !rd_need(rd, v, "containerID") ||
		    !rd_need(rd, v, "hostID") || !rd_need(rd, v, "size"))
			return;
		rd_u32(rd, v, "containerID", UINT32_MAX, &map->container_id);
		rd_u32(rd, v, "hostID", UINT32_MAX, &map->host_id);
		rd_u32(rd, v, "size", UINT32_MAX, &map->size);
		map++;
	}
}

static void parse_mounts(struct reader *rd, const struct json *doc, struct spec *spec)
{
	const struct json *list =
		rd_list(rd, doc, "mounts", sizeof(*spec->mounts), &spec->mounts, &spec->n_mounts);
	struct spec_mount *m = spec->mounts;

	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		rd_need_text(rd, v, "destination", &m->destination);
		rd_text(rd, v, "source", &m->source);
		rd_text(rd, v, "type", &m->type);
		rd_strings(rd, v, "options", &m->options);
		parse_idmaps(rd, v, "uidMappings", &m->uid_maps);
		parse_idmaps(rd, v, "gidMappings", &m->gid_maps);
		m++;
	}
}

static void parse_hook(struct reader *rd, const struct json *v, struct spec_hook *hook)
{
	int64_t timeout = 0;

	if (!rd_is(rd, v, JSON_OBJECT))
		return;
	rd_need_text(rd, v, "path", &hook->path);
	rd_path(rd, v, "path", &hook->path);
	rd_strings(rd, v, "args", &hook->args);
	rd_strings(rd, v, "env", &hook->env);
	rd_int(rd, v, "timeout", 1, INT_MAX, &timeout);
	hook->timeout = (int)timeout;
}

static void parse_hooks(struct reader *rd, const struct json *obj, struct spec_hooks *hooks)
{
	for (enum spec_hook_kind kind = 0; kind < SPEC_HOOKS; kind++) {
		const struct json *list = rd_list(rd, obj, spec_hook_name(kind), sizeof(**hooks->v),
						  &hooks->v[kind], &hooks->n[kind]);
		struct spec_hook *hook = hooks->v[kind];

		json_each(v, list) parse_hook(rd, v, hook++);
	}
}

/* The identifiers after '-' or '+': dot-separated, not empty; numbers of a pre-release without leading zero. */
static bool skip_identifiers(const char **s, bool is_prerelease)
{
	const char *p = *s;

	do {
		size_t digits = strspn(p, "0123456789");
		size_t n = digits + strspn(p + digits, "0123456789-abcdefghijklmnopqrstuvwxyz"
						       "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (n == 0 || (is_prerelease && n == digits && n > 1 && *p == '0'))
			return false;
		p += n;
	} while (*p == '.' && *++p);
	*s = p;
	return p[-1] != '.';
}

/* Semantic Versioning 2.0.0, which config.md asks of ociVersion. */
static bool is_semver(const char *s)
{
	for (int i = 0; i < 3; i++) {
		size_t digits = strspn(s, "0123456789");

		if (digits == 0 || (digits > 1 && *s == '0'))
			return false;
		s += digits;
		if (i < 2 && *s++ != '.')
			return false;
	}
	if (*s == '-' && (s++, !skip_identifiers(&s, true)))
		return false;
	if (*s == '+' && (s++, !skip_identifiers(&s, false)))
		return false;
	return *s == '\0';
}

static void parse_spec(struct reader *rd, const struct json *doc, struct spec *spec)
{
	rd_need_text(rd, doc, "ociVersion", &spec->oci_version);
	if (rd->r == 0 && !is_semver(spec->oci_version))
		rd_not(rd, rd_get(doc, "ociVersion"),
		       "a semantic version such as \"" SPEC_VERSION "\"");
	parse_root(rd, doc, &spec->root);

	const struct json *process = rd_object(rd, doc, "process");

	spec->has_process = process != NULL;
	if (process) {
		parse_process(rd, process, &spec->process);
	} else {
		rd_strings(rd, NULL, "args", &spec->process.args);
		rd_strings(rd, NULL, "env", &spec->process.env);
	}
	rd_text(rd, doc, "hostname", &spec->hostname);
	rd_text(rd, doc, "domainname", &spec->domainname);
	parse_mounts(rd, doc, spec);
	parse_hooks(rd, rd_object(rd, doc, "hooks"), &spec->hooks);
	rd_map(rd, doc, "annotations", &spec->annotations, &spec->n_annotations);
	parse_linux(rd, rd_object(rd, doc, "linux"), &spec->linux_);

	const struct json *vm = rd_object(rd, doc, "vm");

	if (vm) {
		spec->vm = ARENA_NEW(rd->a, struct spec_vm);
		parse_vm(rd, vm, spec->vm);
	}
}

/* Opens the document for a parse function: *ret_doc is an object. */
static int open_document(const char *text, size_t n, const char *file, struct reader *rd,
			 const struct json **ret_doc)
{
	int r = json_parse(text, n, file, rd->a, ret_doc, rd->err);

	if (r < 0)
		return r;
	rd_is(rd, *ret_doc, JSON_OBJECT);
	return rd->r;
}

int spec_parse(const char *text, size_t n, struct arena *a, struct spec **ret, struct error *err)
{
	struct reader rd = { .a = a, .err = err, .root = "the config" };
	const struct json *doc;
	int r = open_document(text, n, "config.json", &rd, &doc);

	if (r < 0)
		return r;

	struct spec *spec = ARENA_NEW(a, struct spec);

	spec->raw = arena_strndup(a, text, n);
	spec->raw_len = n;
	parse_spec(&rd, doc, spec);
	if (rd.r < 0)
		return rd.r;

	const struct json *seccomp = rd_get(rd_get(doc, "linux"), "seccomp");

	if (seccomp) {
		spec->linux_.seccomp->raw = spec->raw + seccomp->begin;
		spec->linux_.seccomp->raw_len = seccomp->end - seccomp->begin;
	}
	*ret = spec;
	return 0;
}

int spec_parse_process(const char *text, size_t n, struct arena *a, const struct log *log,
		       struct spec_process **ret, struct error *err)
{
	struct reader rd = { .a = a, .err = err, .root = "the process" };
	const struct json *doc;
	int r = open_document(text, n, "the process file", &rd, &doc);

	if (r < 0)
		return r;

	struct spec_process *process = ARENA_NEW(a, struct spec_process);

	parse_process(&rd, doc, process);
	if (rd.r < 0)
		return rd.r;
	r = check_process(process, ALONE, log, err);
	if (r < 0)
		return r;
	*ret = process;
	return 0;
}

int spec_parse_resources(const char *text, size_t n, struct arena *a, const struct log *log,
			 struct spec_resources **ret, struct error *err)
{
	struct reader rd = { .a = a, .err = err, .root = "the resources document" };
	const struct json *doc;
	int r = open_document(text, n, "the resources file", &rd, &doc);

	(void)log; /* no rule of these is a warning */
	if (r < 0)
		return r;

	struct spec_resources *res = ARENA_NEW(a, struct spec_resources);

	parse_resources(&rd, doc, res);
	if (rd.r < 0)
		return rd.r;
	r = check_resources(res, ALONE, err);
	if (r < 0)
		return r;
	*ret = res;
	return 0;
}

int spec_load(int dir_fd, const char *name, struct arena *a, const struct log *log,
	      struct spec **ret, struct error *err)
{
	struct spec *spec;
	char *text;
	size_t n;
	int r = file_load_at(dir_fd, name, JSON_MAX_BYTES, a, &text, &n, err);

	if (r == -ENOENT)
		error_hint(err, "a bundle is a directory with a config.json: name it with "
				"--bundle, or make one with the command \"spec\"");
	if (r >= 0)
		r = spec_parse(text, n, a, &spec, err);
	if (r >= 0)
		r = spec_validate(spec, log, err);
	if (r < 0)
		return r;
	*ret = spec;
	return 0;
}

const char *spec_annotation(const struct spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i].key, key) == 0)
			return spec->annotations[i].value;
	return NULL;
}

uint32_t spec_host_id(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct spec_idmap *m = &maps->v[i];

		if (id >= m->container_id && id - m->container_id < m->size)
			return m->host_id + (id - m->container_id);
	}
	return id;
}
