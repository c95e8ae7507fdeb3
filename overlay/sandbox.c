/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox - making one, taking up a kept one, opening one, and the mounts of it
 *
 * How one ends is in sandbox_end.c.
 */
#include "overlay/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "overlay/libs.h"
#include "overlay/parts.h"
#include "overlay/sandbox_end.h"
#include "overlay/sandbox_record.h"
#include "overlay/space.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"
#include "spec/base/utf8.h"

#define LOCK_SECONDS 10
#define MOST_TRIES 100

void ovl_sandbox_close(struct ovl_sandbox *sb)
{
	auto_closep(&sb->work_fd);
	auto_closep(&sb->upper_fd);
	auto_closep(&sb->dir_fd);
	sb->dir_fd = sb->upper_fd = sb->work_fd = -1;
}

/* A record is JSON, which has no other text. */
static int check_path(const char *what, const char *path, struct error *err)
{
	size_t n = strlen(path);

	if (path[0] != '/')
		return error_rule(err, EINVAL, "%s must be an absolute path: %s", what, path);
	for (size_t i = 0, step; i < n; i += step) {
		step = utf8_length(path + i, n - i);
		if (!step)
			return error_rule(err, EINVAL, "%s has a path that is not UTF-8: %s", what, path);
	}
	return 0;
}

static int check_lower(const struct ovl_lower *lower, struct error *err)
{
	if (lower->dir)
		return check_path("a layer's directory", lower->dir, err);
	if (!lower->hex || !is_hex_digest(lower->hex))
		return error_rule(err, EINVAL, "\"%.80s\" is no layer", lower->hex ? lower->hex : "");
	return 0;
}

static int check_options(const struct ovl_sandbox_options *o, struct error *err)
{
	int r = sandbox_check_name(o->name, err);

	if (r == 0)
		r = check_path("the holder of a sandbox", o->holder, err);
	if (r == 0 && !o->n_lowers)
		r = error_rule(err, EINVAL, "the sandbox %s has no layers", o->name);
	if (r == 0 && o->memory && o->keep)
		r = error_rule(err, EINVAL, "the sandbox %s cannot be kept: it is in memory", o->name);
	for (size_t i = 0; r == 0 && i < o->n_lowers; i++)
		r = check_lower(&o->lowers[i], err);
	return r;
}

static struct ovl_sandbox from_options(const struct ovl_sandbox_options *o, struct arena *a)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;
	char stamp[RFC3339_BYTES];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	sb.name = arena_strdup(a, o->name);
	sb.holder = arena_strdup(a, o->holder);
	sb.image = o->image ? arena_strdup(a, o->image) : NULL;
	sb.created = arena_strdup(a, rfc3339_seconds(&now, stamp));
	sb.keep = o->keep;
	sb.is_used = true;
	sb.max_bytes = o->max_bytes;
	sb.max_inodes = o->max_inodes;
	sb.n_lowers = o->n_lowers;
	sb.lowers = arena_array(a, o->n_lowers, sizeof(*sb.lowers));
	for (size_t i = 0; i < o->n_lowers; i++) {
		if (o->lowers[i].hex)
			sb.lowers[i] = (struct ovl_lower){ .hex = arena_strdup(a, o->lowers[i].hex),
							   .layer = o->lowers[i].layer };
		else
			sb.lowers[i].dir = arena_strdup(a, o->lowers[i].dir);
	}
	return sb;
}

static int rewrite(const struct ovl_store *store, const struct ovl_sandbox *sb, struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_SH, err);

	return lock < 0 ? lock : sandbox_write(sb, SANDBOX_OLD, err);
}

/* The directory is ours, made just now. -EAGAIN: somebody took it between two of our steps, or tidied it away. */
static int make_new(const struct ovl_store *store, int sandboxes_fd, const struct ovl_sandbox_options *o,
		    struct arena *a, struct ovl_sandbox *ret, struct error *err)
{
	struct ovl_sandbox sb = from_options(o, a);
	auto_close int dir = openat(sandboxes_fd, sb.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return errno == ENOENT || errno == EWOULDBLOCK ? -EAGAIN : error_set(err, errno, "open the sandbox %s", sb.name);
	sb.dir_fd = dir;

	int r = space_begin(store, &sb, o->memory ? SPACE_IN_MEMORY : SPACE_ON_DISK, err);

	if (r == -EEXIST || r == -ENOENT)
		return -EAGAIN;
	if (r == 0)
		r = space_attach(store, &sb, SANDBOX_NEW, err);
	if (r < 0) {
		sandbox_discard(sandboxes_fd, &sb, NULL);
		auto_closep(&sb.upper_fd);
		auto_closep(&sb.work_fd);
		return r;
	}
	TAKE_FD(dir);
	*ret = sb;
	return 0;
}

static bool is_same_lower(const struct ovl_lower *a, const struct ovl_lower *b)
{
	if (a->hex && b->hex)
		return !strcmp(a->hex, b->hex);
	return !a->hex && !b->hex && !strcmp(a->dir, b->dir);
}

static bool has_lowers(const struct ovl_sandbox *sb, const struct ovl_sandbox_options *o)
{
	if (sb->n_lowers != o->n_lowers)
		return false;
	for (size_t i = 0; i < o->n_lowers; i++)
		if (!is_same_lower(&sb->lowers[i], &o->lowers[i]))
			return false;
	return true;
}

/* May o have the kept sandbox old? What o does not limit stays as it was. */
static int check_kept(const struct ovl_sandbox *old, const struct ovl_sandbox_options *o, struct error *err)
{
	int r = 0;

	if (!o->keep) {
		r = error_rule(err, EEXIST, "there is a kept sandbox of the name %s", o->name);
		error_hint(err, "`--sandbox keep` goes on with it, `bulkhead sandbox remove %s` throws it away", o->name);
	} else if (!has_lowers(old, o)) {
		r = error_rule(err, EINVAL, "the kept sandbox %s is one over other layers%s%s", o->name,
			       old->image ? ", those of " : "", old->image ? old->image : "");
	} else if ((o->max_bytes && o->max_bytes != old->max_bytes) ||
		   (o->max_inodes && o->max_inodes != old->max_inodes)) {
		r = error_rule(err, EINVAL, "the kept sandbox %s has another size", o->name);
	}
	return r;
}

/* The directory was there. -EAGAIN: what was in it is not wanted any more, and gone. */
static int take_up(const struct ovl_store *store, int sandboxes_fd, const struct ovl_sandbox_options *o,
		   struct arena *a, struct ovl_sandbox *ret, struct error *err)
{
	struct ovl_sandbox sb = { .name = o->name };
	auto_close int dir = sandbox_lock(sandboxes_fd, o->name, LOCK_SECONDS, err);

	if (dir < 0)
		return dir == -ENOENT ? -EAGAIN : dir;

	int r = sandbox_read(dir, o->name, a, &sb, err);
	bool is_whole = r == 0;

	sb.dir_fd = dir;
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;

	/* A holder of our own name is this container's last life: it cannot be there twice. */
	if (is_whole && sb.is_used && strcmp(sb.holder, o->holder) != 0)
		return error_rule(err, EBUSY, "the sandbox %s is in use: %s is there", o->name, sb.holder);
	if (!is_whole || !sb.keep) {
		r = sandbox_discard(sandboxes_fd, &sb, err);
		return r < 0 ? r : -EAGAIN;
	}
	r = check_kept(&sb, o, err);
	if (r < 0)
		return r;
	sb.holder = arena_strdup(a, o->holder);
	sb.is_used = true;
	r = rewrite(store, &sb, err);
	if (r == 0)
		r = space_attach(store, &sb, SANDBOX_OLD, err);
	if (r < 0) {
		auto_closep(&sb.upper_fd);
		auto_closep(&sb.work_fd);
		return r;
	}
	TAKE_FD(dir);
	*ret = sb;
	return 0;
}

int ovl_sandbox_make(const struct ovl_store *store, const struct ovl_sandbox_options *o, struct arena *a,
		     struct ovl_sandbox *ret, struct error *err)
{
	int r = check_options(o, err);
	auto_close int sandboxes = r < 0 ? r : sandboxes_dir(store, OVL_MAKE, err);

	if (sandboxes < 0)
		return sandboxes;
	for (unsigned tries = 0; tries < MOST_TRIES; tries++) {
		if (mkdirat(sandboxes, o->name, 0700) == 0)
			r = make_new(store, sandboxes, o, a, ret, err);
		else if (errno == EEXIST)
			r = take_up(store, sandboxes, o, a, ret, err);
		else
			return error_set(err, errno, "make %s/sandboxes/%s", store->path, o->name);
		if (r != -EAGAIN)
			return r < 0 ? error_wrap(err, r, "cannot make the sandbox %s", o->name) : 0;
	}
	return error_rule(err, EBUSY, "the sandbox %s is made and removed by other commands all the time", o->name);
}

int ovl_sandbox_open(const struct ovl_store *store, const char *name, struct arena *a, struct ovl_sandbox *ret,
		     struct error *err)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;
	int r = sandbox_check_name(name, err);
	auto_close int sandboxes = r < 0 ? r : sandboxes_dir(store, OVL_EXISTING, err);
	auto_close int dir = sandboxes < 0 ? sandboxes : sandbox_lock(sandboxes, name, LOCK_SECONDS, err);

	r = dir < 0 ? dir : sandbox_read(dir, name, a, &sb, err);
	if (r == -ENOENT || r == -EBADMSG)
		return error_rule(err, ENOENT, "the layer store %s has no sandbox \"%s\"", store->path, name);
	if (r < 0)
		return r;
	sb.dir_fd = dir;
	r = space_attach(store, &sb, SANDBOX_OLD, err);
	if (r < 0) {
		auto_closep(&sb.upper_fd);
		auto_closep(&sb.work_fd);
		return error_wrap(err, r, "cannot open the sandbox %s", name);
	}
	TAKE_FD(dir);
	*ret = sb;
	return 0;
}

int ovl_sandbox_mount(const struct ovl_store *store, const struct ovl_sandbox *sb, int userns_fd, struct error *err)
{
	auto_close int base = userns_fd < 0 ? -1 : space_base(sb);
	const struct ovl_parts p = {
		.store = store,
		.lowers = sb->lowers,
		.n = sb->n_lowers,
		.top_fd = -1,
		.upper_fd = sb->upper_fd,
		.work_fd = sb->work_fd,
		.base_fd = base,
		.userns_fd = userns_fd,
		.is_volatile = !sb->keep,
	};

	if (userns_fd >= 0 && base < 0)
		return error_set(err, errno, "open the directory of the sandbox %s", sb->name);
	return parts_mount(&p, err);
}

int ovl_sandbox_view(const struct ovl_store *store, const struct ovl_sandbox *sb, struct error *err)
{
	const struct ovl_parts p = {
		.store = store,
		.lowers = sb->lowers,
		.n = sb->n_lowers,
		.top_fd = sb->upper_fd,
		.upper_fd = -1,
		.work_fd = -1,
		.base_fd = -1,
		.userns_fd = -1,
	};

	return parts_mount(&p, err);
}
