/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_end - the end of a container's files, and what killed commands left of some
 */
#include "overlay/sandbox_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "overlay/parts.h"
#include "overlay/sandbox_record.h"
#include "overlay/space.h"
#include "overlay/store.h"
#include "spec/base/auto.h"

#define LOCK_SECONDS 10
#define USED OVL_WORK "/" OVL_WORK_USED

/* The record goes last: without one, nobody would know what the rest is. */
static int remove_all(int dir_fd, struct error *err)
{
	struct dir_list list;
	int r = dir_list_read(&list, dir_fd, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < list.n; i++)
		if (strcmp(list.names[i], SANDBOX_RECORD) != 0)
			r = remove_tree(dir_fd, list.names[i], err);
	dir_list_release(&list);
	return r < 0 ? r : remove_tree(dir_fd, SANDBOX_RECORD, err);
}

/*
 * What nearly every sandbox is at its end: an upper with few files or none, and what a volatile overlay leaves in
 * work/, which no container reaches. Whatever else there is, the last of these says so.
 */
static bool remove_usual(int sandboxes_fd, const struct ovl_sandbox *sb)
{
	static const char *const work[] = { USED "/incompat/volatile", USED "/incompat", USED, OVL_WORK };
	int r = 0;

	if (unlinkat(sb->dir_fd, OVL_UPPER, AT_REMOVEDIR) < 0 && remove_tree(sb->dir_fd, OVL_UPPER, NULL) < 0)
		return false;
	unlinkat(sb->dir_fd, USED "/incompat/volatile/dirty", 0);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		r = unlinkat(sb->dir_fd, work[i], AT_REMOVEDIR);
	if (r < 0 && errno != ENOENT)
		return false;
	unlinkat(sb->dir_fd, SANDBOX_RECORD, 0);
	return unlinkat(sandboxes_fd, sb->name, AT_REMOVEDIR) == 0;
}

int sandbox_discard(int sandboxes_fd, const struct ovl_sandbox *sb, struct error *err)
{
	int r = space_forget(sb, err);

	if (r == 0 && sb->kind == OVL_SANDBOX_DIRECTORY && remove_usual(sandboxes_fd, sb))
		return 0;
	if (r == 0)
		r = remove_all(sb->dir_fd, err);
	if (r == 0 && unlinkat(sandboxes_fd, sb->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = error_set(err, errno, "remove the sandbox %s", sb->name);
	return r < 0 ? error_wrap(err, r, "cannot remove the sandbox %s", sb->name) : 0;
}

/* What a command on one sandbox works with. */
struct visit {
	struct arena *arena;
	int sandboxes_fd;
	struct ovl_sandbox sb;
	bool is_whole; /* it has a record; else only name and dir_fd are set */
};

static void visit_end(struct visit *v)
{
	ovl_sandbox_close(&v->sb);
	auto_closep(&v->sandboxes_fd);
	if (v->arena)
		arena_release(v->arena);
	auto_freep(&v->arena);
}
#define auto_visit __attribute__((cleanup(visit_end)))
#define VISIT_INIT { .sandboxes_fd = -1, .sb = OVL_SANDBOX_INIT }

/* Opens and locks it, and reads its record. -ENOENT, without a message: there is none. */
static int visit_begin(struct visit *v, const struct ovl_store *store, const char *name, struct error *err)
{
	int r = sandbox_check_name(name, err);

	if (r < 0)
		return r;
	v->sandboxes_fd = sandboxes_dir(store, OVL_EXISTING, err);
	if (v->sandboxes_fd < 0)
		return v->sandboxes_fd;
	r = sandbox_lock(v->sandboxes_fd, name, LOCK_SECONDS, err);
	if (r < 0)
		return r;
	v->sb.dir_fd = r;
	v->sb.name = name;
	v->arena = calloc(1, sizeof(*v->arena));
	if (!v->arena)
		return error_set(err, ENOMEM, "read the record of the sandbox %s", name);

	struct ovl_sandbox read = OVL_SANDBOX_INIT;

	r = sandbox_read(v->sb.dir_fd, name, v->arena, &read, err);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	read.dir_fd = v->sb.dir_fd;
	v->sb = read;
	v->is_whole = true;
	return 0;
}

static int none(const struct ovl_store *store, const char *name, struct error *err)
{
	return error_rule(err, ENOENT, "the layer store %s has no sandbox \"%s\"", store->path, name);
}

int ovl_sandbox_end(const struct ovl_store *store, const char *name, struct error *err)
{
	auto_visit struct visit v = VISIT_INIT;
	int r = visit_begin(&v, store, name, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return v.is_whole && v.sb.keep ? space_detach(&v.sb, err) : sandbox_discard(v.sandboxes_fd, &v.sb, err);
}

int ovl_sandbox_remove(const struct ovl_store *store, const char *name, struct error *err)
{
	auto_visit struct visit v = VISIT_INIT;
	int r = visit_begin(&v, store, name, err);

	if (r == -ENOENT)
		return none(store, name, err);
	if (r < 0)
		return r;
	if (v.is_whole && v.sb.is_used)
		return error_rule(err, EBUSY, "the sandbox %s is in use: %s is there", name, v.sb.holder);
	return sandbox_discard(v.sandboxes_fd, &v.sb, err);
}

static int reset(const struct ovl_store *store, struct visit *v, struct error *err)
{
	int r = space_attach(store, &v->sb, SANDBOX_OLD, err);

	if (r == 0)
		r = parts_check_unused(v->sb.upper_fd, v->sb.work_fd, err);
	if (r == 0)
		r = space_reset(store, &v->sb, err);
	if (!v->sb.is_used)
		ovl_sandbox_release(store, &v->sb);
	return r;
}

int ovl_sandbox_reset(const struct ovl_store *store, const char *name, struct error *err)
{
	auto_visit struct visit v = VISIT_INIT;
	int r = visit_begin(&v, store, name, err);

	if (r == -ENOENT || (r == 0 && !v.is_whole))
		return none(store, name, err);
	r = r < 0 ? r : reset(store, &v, err);
	return r < 0 ? error_wrap(err, r, "cannot reset the sandbox %s", name) : 0;
}

void ovl_sandbox_release(const struct ovl_store *store, struct ovl_sandbox *sb)
{
	(void)store;
	auto_closep(&sb->upper_fd);
	auto_closep(&sb->work_fd);
	sb->upper_fd = sb->work_fd = -1;
	if (sb->dir_fd >= 0 && !sb->is_used)
		space_detach(sb, NULL);
	ovl_sandbox_close(sb);
}

/* Reads the records of all. A directory without one is being made, or was by somebody who is no more. */
static int read_all(int sandboxes_fd, struct arena *a, struct ovl_sandbox **ret, size_t *ret_n, struct error *err)
{
	char **names;
	size_t n, whole = 0;
	int r = dir_names(sandboxes_fd, a, &names, &n, err);

	if (r < 0)
		return r;

	struct ovl_sandbox *v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		auto_close int dir = openat(sandboxes_fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		r = dir < 0 ? -ENOENT : sandbox_read(dir, names[i], a, &v[whole], err);
		if (r == 0) {
			/* Whoever makes it need not have made its holder yet. */
			if (sandbox_is_garbage(&v[whole]) && flock(dir, LOCK_SH | LOCK_NB) < 0)
				v[whole].is_used = true;
			whole++;
		} else if (r != -ENOENT && r != -EBADMSG) {
			return r;
		}
	}
	*ret = v;
	*ret_n = whole;
	return 0;
}

int ovl_sandboxes(const struct ovl_store *store, struct arena *a, struct ovl_sandbox **ret, size_t *ret_n,
		  struct error *err)
{
	auto_close int sandboxes = sandboxes_dir(store, OVL_EXISTING, err);

	if (sandboxes >= 0)
		return read_all(sandboxes, a, ret, ret_n, err);
	if (sandboxes != -ENOENT)
		return sandboxes;
	*ret = NULL;
	*ret_n = 0;
	return 0;
}

/* A directory whose lock is taken is somebody's who is working on it. */
static int sweep_one(const struct ovl_store *store, int sandboxes_fd, const char *name, struct arena *a,
		     struct error *err)
{
	struct ovl_sandbox sb = { .name = name };
	auto_close int dir = openat(sandboxes_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return 0;

	int r = sandbox_read(dir, name, a, &sb, err);

	sb.dir_fd = dir;
	if (r == -ENOENT || r == -EBADMSG)
		return sandbox_discard(sandboxes_fd, &sb, err);
	if (r < 0 || sb.is_used)
		return r;
	if (sb.keep)
		return space_detach(&sb, err);
	r = space_forget(&sb, err);
	return r < 0 ? r : store_move_away(store, sandboxes_fd, name, err);
}

int sandboxes_sweep(const struct ovl_store *store, struct arena *a, struct error *err)
{
	char **names;
	size_t n;
	auto_close int sandboxes = sandboxes_dir(store, OVL_EXISTING, err);

	if (sandboxes < 0)
		return sandboxes == -ENOENT ? 0 : sandboxes;

	int r = dir_names(sandboxes, a, &names, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = sweep_one(store, sandboxes, names[i], a, err);
	return r;
}
