/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold - who uses which layers
 *
 * A file in refs/ whose first line says how to tell that its taker is gone ("lock", and a name with a dot in
 * front: nobody has the file locked; "holder PATH": the path does not exist), and each further one a layer. Being files they need no
 * counter that a crash could leave wrong. A sandbox needs no such file: its record says the same.
 */
#include "overlay/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/sandbox_record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"

#define REF_MAX (1u << 20)
#define BY_LOCK "lock"
#define LOCK_SECONDS 10
#define BY_PATH "holder "

static void add_layers(struct buf *b, const struct ovl_layer *layers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s\n", layers[i].hex);
}

int hold_begin(const struct ovl_store *store, const char *what, const struct ovl_layer *layers, size_t n,
	       struct hold *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	auto_close int refs = store_dir(store, "refs", err);

	if (refs < 0)
		return refs;
	snprintf(ret->name, sizeof(ret->name), ".%.20s-%llx", what, unique_number());

	auto_close int fd = openat(refs, ret->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, errno, "make %s/refs/%s", store->path, ret->name);
	buf_puts(&text, BY_LOCK "\n");
	add_layers(&text, layers, n);

	/* Not at once only: somebody who counts users tries the lock of each hold for a moment. */
	int r = lock_within(fd, LOCK_EX, LOCK_SECONDS, "a hold of our own", err);

	if (r == 0)
		r = file_write_all(fd, ret->name, text.data, text.len, err);
	if (r < 0) {
		unlinkat(refs, ret->name, 0);
		return r;
	}
	ret->fd = TAKE_FD(fd);
	ret->refs_fd = TAKE_FD(refs);
	return 0;
}

void hold_end(struct hold *hold)
{
	if (hold->fd < 0)
		return;
	unlinkat(hold->refs_fd, hold->name, 0);
	auto_closep(&hold->fd);
	auto_closep(&hold->refs_fd);
	hold->fd = hold->refs_fd = -1;
}

static int check_user(const char *user, struct error *err)
{
	if (!*user || *user == '.' || strchr(user, '/') || strlen(user) > NAME_MAX)
		return error_rule(err, EINVAL, "\"%s\" cannot be the name of a user of layers", user);
	return 0;
}

int ovl_hold_take(const struct ovl_store *store, const char *user, const char *holder,
		  const struct ovl_layer *layers, size_t n, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	int r = check_user(user, err);

	if (r < 0)
		return r;
	if (holder[0] != '/' || strchr(holder, '\n'))
		return error_rule(err, EINVAL, "the holder of layers must be an absolute path: %s", holder);

	auto_close int dir = store_dir(store, "layers", err);
	auto_close int refs = dir < 0 ? dir : store_dir(store, "refs", err);
	auto_close int lock = refs < 0 ? refs : store_lock(store, LOCK_EX, err);

	if (lock < 0)
		return lock;
	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (fstatat(dir, layers[i].hex, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return error_set(err, errno, "find the layer sha256:%s", layers[i].hex);
	}
	buf_printf(&text, BY_PATH "%s\n", holder);
	add_layers(&text, layers, n);
	return store_put(store, refs, user, text.data, text.len, err);
}

int ovl_hold_drop(const struct ovl_store *store, const char *user, struct error *err)
{
	int r = check_user(user, err);
	auto_close int refs = r < 0 ? r : store_dir(store, "refs", err);

	if (refs < 0)
		return refs;
	if (unlinkat(refs, user, 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s/refs/%s", store->path, user);
	return 0;
}

/* Counts each user once for a layer, whatever its list says. */
struct tally {
	struct ovl_layer *layers;
	size_t n;
	size_t *last; /* number of the user that was counted last, from 1 */
	size_t user;
};

int layer_by_hex(const void *a, const void *b)
{
	return strcmp(((const struct ovl_layer *)a)->hex, ((const struct ovl_layer *)b)->hex);
}

static void tally_add(struct tally *t, const char *hex)
{
	struct ovl_layer key = { 0 };

	snprintf(key.hex, sizeof(key.hex), "%s", hex);

	const struct ovl_layer *found =
		bsearch(&key, t->layers, t->n, sizeof(*t->layers), layer_by_hex);

	if (!found || t->last[found - t->layers] == t->user)
		return;
	t->last[found - t->layers] = t->user;
	t->layers[found - t->layers].users++;
}

/* A name with a dot is a command's, whatever is in it: it may have been killed before it wrote. */
static bool is_stale(int fd, const char *name, const char *first_line)
{
	struct stat st;

	if (name[0] == '.')
		return flock(fd, LOCK_SH | LOCK_NB) == 0;
	if (!strncmp(first_line, BY_PATH, strlen(BY_PATH)))
		/* path-ok: a state directory of ours, and no more than its existence is asked for */
		return stat(first_line + strlen(BY_PATH), &st) < 0 && errno == ENOENT;
	return false; /* what it is we do not know: layers stay rather than go */
}

static int tally_ref(struct tally *t, int refs, const char *name, bool *ret_stale, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	auto_close int fd = openat(refs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "open refs/%s", name);

	int r = file_read_fd(fd, name, REF_MAX, &text, err);

	if (r < 0)
		return r;

	char *rest = text.data; /* NUL-terminated, empty file or not: file_read_fd() */
	char *line = strsep(&rest, "\n");

	*ret_stale = is_stale(fd, name, line);
	if (*ret_stale)
		return 0;
	t->user++;
	while (rest && (line = strsep(&rest, "\n")))
		tally_add(t, line);
	return 0;
}

static int tally_refs(struct tally *t, const struct ovl_store *store, struct arena *a,
		      size_t *ret_stale, struct error *err)
{
	char **names;
	size_t n;
	auto_close int refs = store_dir(store, "refs", err);
	int r = refs < 0 ? refs : dir_names(refs, a, &names, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		bool stale = false;

		r = tally_ref(t, refs, names[i], &stale, err);
		if (r < 0 || !stale || !ret_stale)
			continue;
		if (unlinkat(refs, names[i], 0) == 0)
			(*ret_stale)++;
	}
	return r;
}

static int tally_images(struct tally *t, const struct ovl_store *store, struct arena *a,
			struct error *err)
{
	char **names;
	size_t n;
	auto_close int images = store_dir(store, "images", err);
	int r = images < 0 ? images : dir_names(images, a, &names, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct ovl_image image;

		r = image_read(images, names[i], a, &image, err);
		t->user++;
		for (size_t k = 0; r == 0 && k < image.n_layers; k++)
			tally_add(t, image.layers[k].hex);
	}
	return r;
}

static int tally_sandboxes(struct tally *t, const struct ovl_store *store, struct arena *a, struct error *err)
{
	struct ovl_sandbox *v;
	size_t n = 0;
	int r = ovl_sandboxes(store, a, &v, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (sandbox_is_garbage(&v[i]))
			continue;
		t->user++;
		for (size_t k = 0; k < v[i].n_lowers; k++)
			if (v[i].lowers[k].hex)
				tally_add(t, v[i].lowers[k].hex);
	}
	return r;
}

int users_count(const struct ovl_store *store, struct ovl_layer *layers, size_t n, struct arena *a,
		size_t *ret_stale, struct error *err)
{
	struct tally t = {
		.layers = layers,
		.n = n,
		.last = arena_array(a, n + 1, sizeof(*t.last)),
	};

	for (size_t i = 0; i < n; i++)
		layers[i].users = 0;

	int r = tally_images(&t, store, a, err);

	if (r == 0)
		r = tally_sandboxes(&t, store, a, err);
	return r < 0 ? r : tally_refs(&t, store, a, ret_stale, err);
}
