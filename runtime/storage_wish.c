/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line and the annotations of a config say about a container's files, as one wish.
 */
#include "runtime/storage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/json.h"
#include "spec/base/parse.h"

static const char *annotation(const struct spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i].key, key) == 0)
			return spec->annotations[i].value;
	return NULL;
}

/* A failure of what an annotation says points at it. */
static int noted_at(const char *key, int r, struct error *err)
{
	error_at(err, "/annotations/%s", key);
	return r;
}

static int differ(const char *option, const char *typed, const char *key, const char *noted, struct error *err)
{
	return noted_at(key, error_rule(err, EINVAL, "%s \"%s\" and the annotation %s \"%s\" differ", option, typed, key,
					noted), err);
}

/* One text from two places that have to agree. NULL: in neither. *ret_name is where it stands. */
static int one_of(const char *option, const char *typed, const char *key, const char *noted, const char **ret,
		  const char **ret_name, struct error *err)
{
	if (typed && noted && strcmp(typed, noted) != 0)
		return differ(option, typed, key, noted, err);
	*ret = typed ?: noted;
	*ret_name = typed ? option : key;
	if (!*ret || **ret)
		return 0;

	int r = error_rule(err, EINVAL, "%s is empty", *ret_name);

	return typed ? r : noted_at(key, r, err);
}

/* ---- layers ---- */

static int list_of_json(const char *text, struct arena *a, struct storage_wish *ret, struct error *err)
{
	const struct json *list;
	int r = json_parse(text, strlen(text), "the annotation " STORAGE_LAYERS, a, &list, err);

	if (r < 0)
		return r;

	const char **v = ARENA_NEW_N(a, const char *, list->count + 1);

	json_each(it, list) {
		if (it->type != JSON_STRING)
			return error_rule(err, EINVAL, "an element of the annotation " STORAGE_LAYERS " is no string");
		v[ret->n_layers++] = it->text;
	}
	ret->layers = v;
	return 0;
}

static void list_of_commas(const char *text, struct arena *a, struct storage_wish *ret)
{
	size_t n = 1;

	for (const char *p = text; *p; p++)
		n += *p == ',';

	const char **v = ARENA_NEW_N(a, const char *, n + 1);

	for (const char *p = text; ret->n_layers < n; p += strcspn(p, ",") + 1)
		v[ret->n_layers++] = arena_strndup(a, p, strcspn(p, ","));
	ret->layers = v;
}

static int check_layers(const struct storage_wish *wish, const char *where, struct error *err)
{
	if (!wish->n_layers)
		return error_rule(err, EINVAL, "%s names no layer", where);
	for (size_t i = 0; i < wish->n_layers; i++)
		if (!wish->layers[i][0])
			return error_rule(err, EINVAL, "%s has an empty name of a layer", where);
	return 0;
}

static int read_noted_layers(const char *text, struct arena *a, struct storage_wish *ret, struct error *err)
{
	int r = 0;

	if (text[0] == '[')
		r = list_of_json(text, a, ret, err);
	else
		list_of_commas(text, a, ret);
	if (r == 0)
		r = check_layers(ret, "the annotation " STORAGE_LAYERS, err);
	return r < 0 ? noted_at(STORAGE_LAYERS, r, err) : 0;
}

static bool is_same_list(const struct storage_wish *x, const struct storage_wish *y)
{
	if (x->n_layers != y->n_layers)
		return false;
	for (size_t i = 0; i < x->n_layers; i++)
		if (strcmp(x->layers[i], y->layers[i]) != 0)
			return false;
	return true;
}

static int wish_layers(char *const *typed, const char *noted, struct arena *a, struct storage_wish *ret,
		       struct error *err)
{
	struct storage_wish other = { .n_layers = 0 };
	int r = noted ? read_noted_layers(noted, a, &other, err) : 0;

	if (r < 0)
		return r;
	if (!typed || !typed[0]) {
		ret->layers = other.layers;
		ret->n_layers = other.n_layers;
		ret->layers_are_noted = noted != NULL;
		return 0;
	}
	ret->layers = (const char *const *)typed;
	while (typed[ret->n_layers])
		ret->n_layers++;
	r = check_layers(ret, "--layer", err);
	if (r == 0 && noted && !is_same_list(ret, &other))
		r = differ("--layer", typed[0], STORAGE_LAYERS, noted, err);
	return r;
}

/* An image is a list of layers: one of the two says which. */
static int wish_root(const struct rt_storage *opt, const struct spec *spec, struct arena *a, struct storage_wish *ret,
		     struct error *err)
{
	const char *image = annotation(spec, STORAGE_IMAGE), *layers = annotation(spec, STORAGE_LAYERS);
	const char *where;
	int r = one_of("--image", opt->image, STORAGE_IMAGE, image, &ret->image, &where, err);

	if (r == 0)
		r = wish_layers(opt->layers, layers, a, ret, err);
	if (r < 0 || !ret->image || !ret->n_layers)
		return r;
	r = error_rule(err, EINVAL, "%s \"%s\" and %s \"%s\" cannot both say what the root is made of", where, ret->image,
		       ret->layers_are_noted ? "the annotation " STORAGE_LAYERS : "--layer",
		       ret->layers_are_noted ? layers : ret->layers[0]);
	return ret->layers_are_noted ? noted_at(STORAGE_LAYERS, r, err) :
	       opt->image	     ? r :
				       noted_at(STORAGE_IMAGE, r, err);
}

/* ---- the sandbox ---- */

static int read_size(const char *name, const char *text, uint64_t *ret, struct error *err)
{
	int64_t bytes;

	if (parse_bytes(text, &bytes) < 0 || bytes <= 0)
		return error_rule(err, EINVAL, "%s must be a number of bytes, such as 64m, not \"%s\"", name, text);
	*ret = (uint64_t)bytes;
	return 0;
}

static int read_word(const char *name, const char *word, struct storage_wish *ret, struct error *err)
{
	bool has_size = strncmp(word, "memory:", 7) == 0;

	if (strcmp(word, "keep") == 0)
		ret->keep = true;
	else if (has_size || strcmp(word, "memory") == 0)
		ret->memory = true;
	else if (strcmp(word, "discard") != 0)
		return error_rule(err, EINVAL, "%s must be keep, discard or memory[:SIZE], not \"%s\"", name, word);
	return has_size ? read_size(name, word + 7, &ret->max_bytes, err) : 0;
}

/* "keep", "memory:64m"; words that go together might be joined by a comma, but no two do. */
static int read_mode(const char *name, const char *text, struct arena *a, struct storage_wish *ret, struct error *err)
{
	unsigned n = 0;
	int r = 0;

	for (const char *p = text; r == 0; p++) {
		size_t len = strcspn(p, ",");

		r = read_word(name, arena_strndup(a, p, len), ret, err);
		n++;
		p += len;
		if (!*p)
			break;
	}
	if (r == 0 && ret->keep && ret->memory)
		r = error_rule(err, EINVAL, "%s \"%s\": what is in memory cannot be kept", name, text);
	else if (r == 0 && n > 1)
		r = error_rule(err, EINVAL, "%s \"%s\": one of keep, discard and memory[:SIZE] is wanted", name, text);
	return r;
}

static int wish_sandbox(const struct rt_storage *opt, const struct spec *spec, struct arena *a,
			struct storage_wish *ret, const char **ret_name, struct error *err)
{
	const char *mode, *size, *mode_name, *size_name;
	uint64_t bytes = 0;
	int r = one_of("--sandbox", opt->sandbox, STORAGE_SANDBOX, annotation(spec, STORAGE_SANDBOX), &mode, &mode_name,
		       err);

	if (r == 0)
		r = one_of("--sandbox-size", opt->sandbox_size, STORAGE_SIZE, annotation(spec, STORAGE_SIZE), &size,
			   &size_name, err);
	if (r == 0 && mode)
		r = read_mode(mode_name, mode, a, ret, err);
	if (r < 0)
		return mode && !opt->sandbox ? noted_at(STORAGE_SANDBOX, r, err) : r;
	if (size)
		r = read_size(size_name, size, &bytes, err);
	if (r == 0 && bytes && ret->max_bytes && bytes != ret->max_bytes)
		r = error_rule(err, EINVAL, "%s \"%s\" and %s \"%s\" differ in the size", mode_name, mode, size_name, size);
	if (r < 0)
		return opt->sandbox_size ? r : noted_at(STORAGE_SIZE, r, err);
	if (bytes)
		ret->max_bytes = bytes;
	ret->max_inodes = opt->sandbox_inodes;
	*ret_name = mode ? mode_name : size ? size_name : opt->sandbox_inodes ? "--sandbox-inodes" : NULL;
	return 0;
}

static bool has_sandbox(const struct storage_wish *wish)
{
	bool any = wish->image || wish->n_layers;

	for (size_t i = 0; i < wish->n_sides; i++)
		any |= wish->sides[i].is_writable;
	return any;
}

int storage_wish(const struct rt_storage *opt, const struct spec *spec, struct arena *a, struct storage_wish *ret,
		 struct error *err)
{
	const char *about = NULL;
	int r = wish_root(opt, spec, a, ret, err);

	if (r == 0)
		r = wish_sandbox(opt, spec, a, ret, &about, err);
	if (r == 0)
		r = storage_sides(opt->mount_images, a, ret, err);
	if (r == 0)
		r = storage_volumes(opt->volumes, a, ret, err);
	if (r == 0 && about && !has_sandbox(ret)) {
		r = error_rule(err, EINVAL, "%s is about a sandbox, and this container has none", about);
		error_hint(err, "a sandbox is made over --image IMAGE or --layer LAYER");
		if (about[0] != '-')
			noted_at(about, r, err);
	}
	return r == 0 && ret->n_sides + ret->n_volumes ? storage_check_places(ret, spec, a, err) : r;
}
