/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --mount-image REF:/PATH[:ro|:rw] and --volume SRC:DST[:OPTION,…], read.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "runtime/storage.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static bool ends_with(const char *text, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* The last ":/" of the first n bytes: a name of an image may have colons and slashes, too. */
static const char *find_path(const char *text, size_t n)
{
	for (size_t i = n; i-- > 1;)
		if (text[i - 1] == ':' && text[i] == '/')
			return text + i;
	return NULL;
}

static int read_side(const char *text, struct arena *a, struct storage_side *ret, struct error *err)
{
	size_t n = strlen(text);
	bool is_writable = ends_with(text, n, ":rw");

	if (is_writable || ends_with(text, n, ":ro"))
		n -= 3;

	const char *path = find_path(text, n);

	if (!path || path == text + 1 || memchr(path, ':', n - (size_t)(path - text)))
		return error_rule(err, EINVAL, "--mount-image must be IMAGE:/PATH[:ro|:rw], not \"%s\"", text);
	*ret = (struct storage_side){
		.image = arena_strndup(a, text, (size_t)(path - 1 - text)),
		.path = arena_strndup(a, path, n - (size_t)(path - text)),
		.is_writable = is_writable,
	};
	return 0;
}

int storage_sides(char *const *given, struct arena *a, struct storage_wish *ret, struct error *err)
{
	size_t n = count(given);
	int r = 0;

	if (!n)
		return 0;
	ret->sides = ARENA_NEW_N(a, struct storage_side, n);
	for (; r == 0 && ret->n_sides < n; ret->n_sides++)
		r = read_side(given[ret->n_sides], a, &ret->sides[ret->n_sides], err);
	return r;
}

/*
 * The word of mounts[].options for one of --volume. What lies below the source comes along (rbind), so a
 * restriction of the volume is one of all that. NULL: no word; "" : the default, which needs none.
 */
static const char *mount_option(const char *word)
{
	static const struct {
		const char *name, *option;
	} words[] = {
		{ "ro", "rro" },	     { "rro", "rro" },		 { "rw", "" },
		{ "noexec", "rnoexec" },     { "nosuid", "rnosuid" },	 { "nodev", "rnodev" },
		{ "bind", "bind" },	     { "rbind", "rbind" },	 { "private", "private" },
		{ "rprivate", "rprivate" },  { "shared", "shared" },	 { "rshared", "rshared" },
		{ "slave", "slave" },	     { "rslave", "rslave" },	 { "idmap", "idmap" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].name, word) == 0)
			return words[i].option;
	return strncmp(word, "idmap=", 6) == 0 ? word : NULL;
}

static bool is_propagation(const char *word)
{
	word += *word == 'r';
	return strcmp(word, "private") == 0 || strcmp(word, "shared") == 0 || strcmp(word, "slave") == 0;
}

struct volume_flags {
	bool bind, propagation, ro, rw;
};

static int add_option(const char *text, const char *word, struct volume_flags *f, struct spec_strings *out,
		      struct error *err)
{
	const char *option = mount_option(word);
	bool is_bind = strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0;
	int r;

	if (!option) {
		r = error_rule(err, EINVAL, "--volume \"%s\": unknown option \"%s\"", text, word);
		error_hint(err, "known are ro, rw, noexec, nosuid, nodev, idmap, bind, and [r]private, [r]shared, [r]slave");
		return r;
	}
	f->ro |= strcmp(option, "rro") == 0;
	f->rw |= !*option;
	if ((is_bind && f->bind) || (is_propagation(word) && f->propagation) || (f->ro && f->rw))
		return error_rule(err, EINVAL, "--volume \"%s\": \"%s\" contradicts an option before it", text, word);
	f->bind |= is_bind;
	f->propagation |= is_propagation(word);
	if (*option)
		out->v[out->n++] = (char *)option;
	return 0;
}

static int read_options(const char *text, const char *list, struct arena *a, struct spec_strings *out,
			struct error *err)
{
	struct volume_flags f = { false };
	size_t room = 4;
	int r = 0;

	for (const char *p = list; *p; p++)
		room += *p == ',';
	out->v = ARENA_NEW_N(a, char *, room);
	while (r == 0 && *list) {
		size_t n = strcspn(list, ",");

		r = add_option(text, arena_strndup(a, list, n), &f, out, err);
		list += n + (list[n] == ',');
	}
	if (!f.bind)
		out->v[out->n++] = (char *)"rbind";
	if (!f.propagation)
		out->v[out->n++] = (char *)"rprivate";
	return r;
}

static int read_volume(const char *text, struct arena *a, struct spec_mount *ret, struct error *err)
{
	size_t source = strcspn(text, ":");
	const char *place = text + source + (text[source] == ':');
	size_t n = strcspn(place, ":");
	const char *options = place + n + (place[n] == ':');

	if (!source || place[0] != '/' || strchr(options, ':'))
		return error_rule(err, EINVAL, "--volume must be SOURCE:/PATH[:OPTION,...], not \"%s\"", text);
	*ret = (struct spec_mount){
		.source = arena_strndup(a, text, source),
		.destination = arena_strndup(a, place, n),
		.type = "bind",
	};
	return read_options(text, options, a, &ret->options, err);
}

int storage_volumes(char *const *given, struct arena *a, struct storage_wish *ret, struct error *err)
{
	size_t n = count(given);
	int r = 0;

	if (!n)
		return 0;
	ret->volumes = ARENA_NEW_N(a, struct spec_mount, n);
	for (; r == 0 && ret->n_volumes < n; ret->n_volumes++)
		r = read_volume(given[ret->n_volumes], a, &ret->volumes[ret->n_volumes], err);
	return r;
}

struct place {
	const char *path; /* cleaned */
	const char *what;
};

static int add_place(struct place *v, size_t n, const char *path, const char *what, struct arena *a, struct error *err)
{
	char clean[PATH_MAX];

	if (path_clean(path, clean, sizeof(clean)) < 0)
		return error_set(err, ENAMETOOLONG, "read the container path %.100s…", path);
	v[n] = (struct place){ arena_strdup(a, clean), what };
	if (strcmp(clean, "/") == 0)
		return error_rule(err, EINVAL, "%s on / would hide the whole root", what);
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].path, clean) == 0)
			return error_rule(err, EINVAL, "%s on %s, where %s is already", what, clean, v[i].what);
	return 0;
}

/* Those of the config alone are for it to say: only what the command line adds is compared. */
int storage_check_places(const struct storage_wish *wish, const struct spec *spec, struct arena *a, struct error *err)
{
	struct place *v = ARENA_NEW_N(a, struct place, spec->n_mounts + wish->n_sides + wish->n_volumes);
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		char clean[PATH_MAX];

		if (path_clean(spec->mounts[i].destination, clean, sizeof(clean)) == 0)
			v[n++] = (struct place){ arena_strdup(a, clean), "a mount of the config" };
	}
	for (size_t i = 0; r == 0 && i < wish->n_sides; i++)
		r = add_place(v, n++, wish->sides[i].path, "--mount-image", a, err);
	for (size_t i = 0; r == 0 && i < wish->n_volumes; i++)
		r = add_place(v, n++, wish->volumes[i].destination, "--volume", a, err);
	return r;
}
