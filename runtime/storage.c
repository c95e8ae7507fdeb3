/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a wish to mounts, and back to nothing: see storage.h for the order.
 */
#include "runtime/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/build.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define SHORT_HEX 12
#define MANY_LAYERS 8
#define FULL_HEX  64
#define ALGORITHM "sha256:"

const char *storage_kind_name(enum ovl_sandbox_kind kind)
{
	static const char *const names[] = {
		[OVL_SANDBOX_DIRECTORY] = "directory",
		[OVL_SANDBOX_QUOTA] = "quota",
		[OVL_SANDBOX_IMAGE] = "image",
		[OVL_SANDBOX_MEMORY] = "memory",
	};

	return names[kind];
}

/* ---- what the wish names ---- */

/* A path from the command line, or from a config, as the kernel will be asked for it. */
static int absolute(const struct build *b, const char *path, bool is_of_bundle, const char **ret, struct error *err)
{
	char clean[PATH_MAX], whole[PATH_MAX * 2], cwd[PATH_MAX] = "";

	if (path[0] != '/' && !is_of_bundle && !getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "ask for the working directory");
	snprintf(whole, sizeof(whole), "%s/%s", path[0] == '/' ? "" : is_of_bundle ? b->bundle : cwd, path);
	if (path_clean(whole, clean, sizeof(clean)) < 0)
		return error_set(err, ENAMETOOLONG, "read the path %.100s…", path);
	*ret = arena_strdup(b->arena, clean);
	return 0;
}

/* "sha256:…" or 12 to 64 hex digits; a directory of such a name has to be written ./…. */
static const char *hex_of(const char *layer)
{
	bool is_named = strncmp(layer, ALGORITHM, strlen(ALGORITHM)) == 0;
	const char *hex = is_named ? layer + strlen(ALGORITHM) : layer;
	size_t n = strspn(hex, "0123456789abcdef");

	return is_named || (!hex[n] && n >= SHORT_HEX && n <= FULL_HEX) ? hex : NULL;
}

static int no_layer(const struct build *b, const char *layer, struct error *err)
{
	int r = error_rule(err, ENOENT, "the layer store %s has no layer %s", b->storage.store.path, layer);

	error_hint(err, "`bulkhead layer list --layers` shows those it has");
	return r;
}

static int find_short(struct build *b, const char *layer, const char *hex, const char **ret, struct error *err)
{
	struct ovl_layer *v;
	size_t n, len = strlen(hex);
	int r = ovl_layers(&b->storage.store, b->arena, &v, &n, err);

	*ret = NULL;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (strncmp(v[i].hex, hex, len) != 0)
			continue;
		if (*ret)
			return error_rule(err, EINVAL, "layer %s is not clear: sha256:%s and sha256:%s both begin so", layer,
					  *ret, v[i].hex);
		*ret = v[i].hex;
	}
	return r < 0 ? r : *ret ? 0 : no_layer(b, layer, err);
}

static int find_in_store(struct build *b, const char *layer, const char *hex, struct ovl_lower *ret, struct error *err)
{
	size_t n = strlen(hex);

	if (n < SHORT_HEX || n > FULL_HEX || hex[strspn(hex, "0123456789abcdef")])
		return error_rule(err, EINVAL, "layer %s: %d to %d hex digits are wanted", layer, SHORT_HEX, FULL_HEX);
	if (n < FULL_HEX)
		return find_short(b, layer, hex, &ret->hex, err);

	auto_close int fd = ovl_layer_open(&b->storage.store, hex, NULL);

	ret->hex = hex;
	return fd < 0 ? no_layer(b, layer, err) : 0;
}

static int find_layer(struct build *b, const char *layer, struct ovl_lower *ret, struct error *err)
{
	const char *hex = hex_of(layer);
	struct stat st;

	if (hex)
		return find_in_store(b, layer, hex, ret, err);

	int r = absolute(b, layer, b->storage.wish.layers_are_noted, &ret->dir, err);

	if (r < 0)
		return r;
	if (stat(ret->dir, &st) < 0) /* path-ok: a directory of the host, which the caller names */
		return error_set(err, errno, "find layer %s", ret->dir);
	return S_ISDIR(st.st_mode) ? 0 : error_rule(err, ENOTDIR, "layer %s is no directory", ret->dir);
}

static int find_layers(struct build *b, struct storage_tree *tree, struct error *err)
{
	const struct storage_wish *wish = &b->storage.wish;
	size_t n = wish->n_layers;

	tree->lowers = ARENA_NEW_N(b->arena, struct ovl_lower, n);
	tree->n_lowers = n;
	for (size_t i = 0; i < n; i++) {
		/* Typed with the topmost first, kept with the lowest first. */
		int r = find_layer(b, wish->layers[i], &tree->lowers[n - 1 - i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* A source is a name, too, but only of what was imported from it. */
static bool is_source(const char *image)
{
	static const char *const kinds[] = { "oci:", "oci-archive:", "docker-archive:" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(image, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

static void hint_image(const char *image, struct error *err)
{
	if (is_source(image))
		error_hint(err, "bring it in first: bulkhead layer import %.200s", image);
	else
		error_hint(err, "`bulkhead layer list` shows the images there are");
}

static int find_image(struct build *b, struct storage_tree *tree, struct error *err)
{
	struct ovl_image image;
	bool is_found = tree == b->storage.trees && b->opt->storage.found;
	int r = 0;

	if (is_found)
		image = *b->opt->storage.found;
	else
		r = ovl_image_record(&b->storage.store, tree->image, b->arena, &image, err);
	if (r < 0) {
		if (r == -ENOENT)
			hint_image(tree->image, err);
		return error_wrap(err, r, "cannot use image \"%s\"", tree->image);
	}
	if (!image.n_layers)
		return error_rule(err, EINVAL, "image \"%s\" has no layers", tree->image);
	tree->lowers = ARENA_NEW_N(b->arena, struct ovl_lower, image.n_layers);
	tree->n_lowers = image.n_layers;
	for (size_t i = 0; i < image.n_layers; i++)
		tree->lowers[i] = (struct ovl_lower){ .hex = image.layers[i].hex, .layer = &image.layers[i] };
	return 0;
}

static int find_trees(struct build *b, struct error *err)
{
	struct storage *s = &b->storage;
	const struct storage_wish *wish = &s->wish;
	/* Directories need no import before: the first sandbox makes the store. */
	enum ovl_open how = wish->image || wish->n_sides ? OVL_EXISTING : OVL_MAKE;
	int r = ovl_store_open(b->state.sandbox->store, how, &s->store, err);

	if (r == -ENOENT && wish->image)
		hint_image(wish->image, err);
	for (size_t i = 0; r == 0 && i < s->n_trees; i++) {
		struct storage_tree *tree = &s->trees[i];

		if (i > 0 || wish->image)
			r = find_image(b, tree, err);
		else if (s->has_root)
			r = find_layers(b, tree, err);
	}
	return r;
}

/* ---- the plan ---- */

static void plan_trees(struct build *b)
{
	struct storage *s = &b->storage;
	const struct storage_wish *wish = &s->wish;
	struct rt_sandbox *note = ARENA_NEW(b->arena, struct rt_sandbox);
	char *slots;

	s->n_trees = 1 + wish->n_sides;
	s->trees = ARENA_NEW_N(b->arena, struct storage_tree, s->n_trees);
	slots = arena_alloc(b->arena, s->n_trees + 1);
	s->trees[0] = (struct storage_tree){
		.name = b->opt->id, .image = wish->image, .is_writable = s->has_root, .mount_fd = -1,
	};
	slots[0] = s->has_root ? 'w' : '-';
	for (size_t i = 1; i < s->n_trees; i++) {
		const struct storage_side *side = &wish->sides[i - 1];

		s->trees[i] = (struct storage_tree){
			.name = arena_printf(b->arena, "%s.%zu", b->opt->id, i),
			.image = side->image,
			.is_writable = side->is_writable,
			.mount_fd = -1,
		};
		slots[i] = side->is_writable ? 'w' : 'r';
	}
	*note = (struct rt_sandbox){
		.store = b->ctx->store ?: OVL_STORE_DEFAULT,
		.slots = slots,
		.name = s->has_root ? b->opt->id : NULL,
		.image = wish->image,
		.keep = wish->keep,
	};
	b->state.sandbox = note;
}

static int plan_volume(struct build *b, struct spec_mount *m, struct error *err)
{
	struct stat st;
	const char *given = m->source;
	int r = absolute(b, given, false, &m->source, err);

	if (r < 0 || stat(m->source, &st) == 0) /* path-ok: a file of the host, which the caller names */
		return r;
	r = error_set(err, errno, "find %s", m->source);
	if (r == -ENOENT)
		error_hint(err, "what a volume is made of is not made for you: mkdir -p %.200s", given);
	return error_wrap(err, r, "cannot use --volume %s:%s", given, m->destination);
}

/* Images first: a volume may lie below one. */
static int plan_mounts(struct build *b, struct error *err)
{
	const struct storage_wish *wish = &b->storage.wish;
	size_t n = wish->n_sides + wish->n_volumes;
	int r = 0;

	if (!n)
		return 0;
	b->extra_mounts = ARENA_NEW_N(b->arena, struct ns_extra_mount, n + 1); /* and the notify socket's */
	for (size_t i = 0; i < wish->n_sides; i++)
		b->extra_mounts[b->n_extra_mounts++] = (struct ns_extra_mount){
			.source_fd = -1, .is_detached = true, .destination = wish->sides[i].path,
		};
	for (size_t i = 0; r == 0 && i < wish->n_volumes; i++) {
		struct spec_mount *m = &wish->volumes[i];

		r = plan_volume(b, m, err);
		b->extra_mounts[b->n_extra_mounts++] =
			(struct ns_extra_mount){ .source_fd = -1, .destination = m->destination, .bind = m };
	}
	return r;
}

int storage_plan(struct build *b, struct error *err)
{
	struct storage *s = &b->storage;
	int r = storage_wish(&b->opt->storage, b->spec, b->arena, &s->wish, err);

	if (r < 0)
		return r;
	s->has_root = s->wish.image || s->wish.n_layers;
	if (s->has_root || s->wish.n_sides) {
		plan_trees(b);
		r = find_trees(b, err);
	}
	return r < 0 ? r : plan_mounts(b, err);
}

/* ---- what it becomes ---- */

int storage_note(struct build *b, struct error *err)
{
	const struct rt_sandbox *note = b->state.sandbox;

	return note ? state_note_sandbox(b->state_dir, note->slots, note->store, err) : 0;
}

/* There the kernel itself keeps files in their project. One that is joined may be the host's. */
static bool has_own_userns(const struct spec *spec)
{
	const struct spec_namespace *ns = &spec->linux_.ns[SPEC_NS_USER];

	return ns->listed && !ns->path;
}

static int make_sandbox(struct build *b, struct storage_tree *tree, const char *holder, int userns_fd,
			struct error *err)
{
	const struct storage *s = &b->storage;
	struct ovl_sandbox_options o = {
		.name = tree->name,
		.holder = holder,
		.image = tree->image,
		.lowers = tree->lowers,
		.n_lowers = tree->n_lowers,
		.keep = s->wish.keep,
		.memory = s->wish.memory,
		.max_bytes = s->wish.max_bytes,
		.max_inodes = s->wish.max_inodes,
	};
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;
	int r = ovl_sandbox_make(&s->store, &o, b->arena, &sb, err);

	if (r < 0)
		return r;
	tree->is_made = true;
	if (sb.kind == OVL_SANDBOX_QUOTA)
		b->state.sandbox->keeps_projects = !has_own_userns(b->spec);
	if (tree == s->trees)
		b->state.sandbox->kind = storage_kind_name(sb.kind);
	tree->mount_fd = r = ovl_sandbox_mount(&s->store, &sb, userns_fd, err);
	ovl_sandbox_close(&sb);
	return r < 0 ? error_wrap(err, r, "cannot mount sandbox \"%s\"", tree->name) : 0;
}

/* The layers of an image that is only read: one hold, as no sandbox keeps them in the store. */
static int mount_read_only(struct build *b, struct storage_tree *tree, const char *holder, int userns_fd,
			   struct error *err)
{
	const struct ovl_store *store = &b->storage.store;
	struct ovl_layer *layers = ARENA_NEW_N(b->arena, struct ovl_layer, tree->n_lowers);

	for (size_t i = 0; i < tree->n_lowers; i++)
		snprintf(layers[i].hex, sizeof(layers[i].hex), "%s", tree->lowers[i].hex);

	int r = ovl_hold_take(store, tree->name, holder, layers, tree->n_lowers, err);

	if (r == 0) {
		tree->is_made = true;
		tree->mount_fd = r = ovl_lowers_mount(store, tree->lowers, tree->n_lowers, userns_fd, err);
	}
	return r < 0 ? error_wrap(err, r, "cannot mount image \"%s\"", tree->image) : 0;
}

int storage_make(struct build *b, struct error *err)
{
	struct storage *s = &b->storage;
	const char *holder;
	int userns_fd = -1;

	if (!s->n_trees)
		return 0;
	holder = arena_printf(b->arena, "%s/%s", b->ctx->root, b->opt->id);

	int r = ns_idmap_fd(b->ns, &userns_fd, err);

	for (size_t i = 0; r == 0 && i < s->n_trees; i++) {
		struct storage_tree *tree = &s->trees[i];

		if (tree->is_writable)
			r = make_sandbox(b, tree, holder, userns_fd, err);
		else if (i > 0)
			r = mount_read_only(b, tree, holder, userns_fd, err);
		if (r == 0 && i > 0)
			b->extra_mounts[i - 1].source_fd = tree->mount_fd;
	}
	if (r == 0 && s->has_root)
		ns_set_root(b->ns, s->trees[0].mount_fd);
	if (r == 0 && b->state.sandbox->keeps_projects && !b->vm) /* a guest cannot ask for it */
		r = proc_seccomp_keep_projects(&b->proc.seccomp, b->arena, err);
	return r;
}

/* The first component of an absolute path, asked for below root. */
static bool look_up(int root_fd, const char *path)
{
	char name[NAME_MAX + 1];
	size_t n = strcspn(path + 1, "/");

	if (path[0] != '/' || n == 0 || n >= sizeof(name))
		return false;
	memcpy(name, path + 1, n);
	name[n] = '\0';
	return faccessat(root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * A name in the root of an overlay is looked for in each of its layers: with 100 that takes as long as making a
 * namespace. The child asks for these one after the other, the kernel remembers them, and we have nothing to do.
 */
void storage_warm(const struct build *b)
{
	const struct storage *s = &b->storage;

	if (!s->has_root || s->trees[0].n_lowers < MANY_LAYERS)
		return;
	for (size_t i = 0; i < b->spec->n_mounts; i++)
		if (strchr(b->spec->mounts[i].destination + 1, '/') == NULL)
			look_up(s->trees[0].mount_fd, b->spec->mounts[i].destination);
	look_up(s->trees[0].mount_fd, "/etc"); /* passwd, for HOME */
	look_up(s->trees[0].mount_fd, b->spec->process.args.v[0]);
}

void storage_give(struct build *b)
{
	struct storage *s = &b->storage;

	for (size_t i = 0; i < s->n_trees; i++)
		auto_closep(&s->trees[i].mount_fd);
}
