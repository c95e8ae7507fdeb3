/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes - what a sandbox's container changed, told one by one
 *
 * The walk is walk.h's; here are the mounts that it looks at, and what of it is news to a person.
 */
#include "overlay/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/record.h"
#include "overlay/store.h"
#include "overlay/trees.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"

/* Many archives have no entry for the root: of such a layer the tree's own directory says nothing. */
static int find_root(const struct ovl_store *store, const struct ovl_lower *lower, struct arena *a,
		     struct stat *ret, struct error *err)
{
	struct ovl_layer layer = { .has_root = true };
	auto_close int fd = -1;

	if (lower->dir) {
		fd = open(lower->dir, O_PATH | O_DIRECTORY | O_CLOEXEC); /* path-ok: the administrator's own */
	} else {
		auto_close int layers = store_dir(store, "layers", err);
		int r = layers < 0 ? layers : layer_read(layers, lower->hex, a, &layer, err);

		if (r < 0 || !layer.has_root)
			return r;
		fd = ovl_layer_open(store, lower->hex, err);
		if (fd < 0)
			return fd;
	}
	if (fd < 0 || fstat(fd, ret) < 0)
		return error_set(err, errno, "stat the root of a layer");
	return 1;
}

int trees_open(struct trees *t, const struct ovl_store *store, const struct ovl_sandbox *sb, struct arena *a,
	       struct error *err)
{
	int r = 0;

	t->walk.upper_fd = sb->upper_fd;
	t->walk.lower_fd = ovl_lowers_mount(store, sb->lowers, sb->n_lowers, -1, err);
	if (t->walk.lower_fd < 0)
		return error_wrap(err, t->walk.lower_fd, "cannot look at what is below the sandbox \"%s\"", sb->name);
	t->walk.view_fd = ovl_sandbox_view(store, sb, err);
	if (t->walk.view_fd < 0)
		return error_wrap(err, t->walk.view_fd, "cannot look at the sandbox \"%s\"", sb->name);
	for (size_t i = sb->n_lowers; r == 0 && i-- > 0;)
		r = find_root(store, &sb->lowers[i], a, &t->root, err);
	if (r > 0)
		t->walk.root = &t->root;
	return r < 0 ? r : 0;
}

void trees_close(struct trees *t)
{
	auto_closep(&t->walk.lower_fd);
	auto_closep(&t->walk.view_fd);
	t->walk.lower_fd = t->walk.view_fd = -1;
}

/* ---- diff ---- */

struct teller {
	int (*tell)(void *data, const struct ovl_diff *d);
	void *data;
	struct buf path;
};

static int take(void *data, const struct walk_entry *e, struct error *err)
{
	static const enum ovl_change_kind kinds[] = { [WALK_ADDED] = OVL_DIFF_ADDED,
						      [WALK_MODIFIED] = OVL_DIFF_MODIFIED,
						      [WALK_DELETED] = OVL_DIFF_DELETED };
	struct teller *t = data;
	struct ovl_diff d = { .kind = kinds[e->kind] };

	if (e->kind == WALK_KEPT || !*e->path)
		return 0;
	buf_reset(&t->path);
	buf_putc(&t->path, '/');
	buf_puts(&t->path, e->path);
	d.path = t->path.data;
	if (e->st) {
		d.mode = e->st->st_mode;
		d.size = S_ISREG(d.mode) ? (uint64_t)e->st->st_size : 0;
	}

	int r = t->tell(t->data, &d);

	return r < 0 ? error_set(err, -r, "tell of the change of %s", d.path) : 0;
}

int ovl_diff(const struct ovl_store *store, const struct ovl_sandbox *sb,
	     int (*tell)(void *data, const struct ovl_diff *d), void *data, struct arena *a, struct error *err)
{
	auto_trees struct trees trees = TREES_INIT;
	struct teller t = { .tell = tell, .data = data, .path = BUF_INIT };
	int r = trees_open(&trees, store, sb, a, err);

	trees.walk.tell = take;
	trees.walk.data = &t;
	if (r == 0)
		r = walk_upper(&trees.walk, err);
	buf_release(&t.path);
	return r;
}
