/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See layer_write.h.
 */
#include "overlay/layer_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "overlay/tar_write.h"
#include "spec/base/auto.h"
#include "spec/base/log.h"
#include "spec/base/oom.h"

#define WHITEOUT     ".wh."
#define OPAQUE       WHITEOUT WHITEOUT ".opq"
#define BLOCK_BYTES  (128u << 10)
#define FLUSH_BYTES  (64u << 10)

/* An unchanged directory on the way to where we are, in case something changed there. */
struct waiting {
	struct buf path, bytes;
	struct timespec mtime;
};

/* The first name of a file with several. */
struct name {
	dev_t dev; /* of the view: a lower file system may have a number of its own there */
	ino_t ino;
	char *path; /* NULL: the slot is free */
};

struct writer {
	struct pack *pack;
	const struct layer_options *o;
	struct layer_stats stats;
	struct buf out;
	struct waiting *waiting;
	size_t n_waiting, cap_waiting; /* those above n_waiting keep their memory */
	struct name *names;
	size_t n_names, cap_names; /* cap is a power of two, or 0 */
	char *block;
};

/* ---- output ---- */

static int flush(struct writer *w, size_t above, struct error *err)
{
	if (w->out.len <= above)
		return 0;

	int r = pack_add(w->pack, w->out.data, w->out.len, err);

	buf_reset(&w->out);
	return r;
}

static void count(struct writer *w, struct timespec mtime)
{
	struct timespec *newest = &w->stats.newest;

	w->stats.entries++;
	if (w->stats.has_time && (mtime.tv_sec < newest->tv_sec ||
				  (mtime.tv_sec == newest->tv_sec && mtime.tv_nsec <= newest->tv_nsec)))
		return;
	*newest = mtime;
	w->stats.has_time = true;
}

/* ---- directories that wait ---- */

static bool is_below(const char *path, const struct buf *dir)
{
	return dir->len == 0 || (!strncmp(path, dir->data, dir->len) && path[dir->len] == '/');
}

static void forget_others(struct writer *w, const char *path)
{
	while (w->n_waiting && !is_below(path, &w->waiting[w->n_waiting - 1].path))
		w->n_waiting--;
}

static void release_waiting(struct writer *w)
{
	for (size_t i = 0; i < w->n_waiting; i++) {
		buf_add(&w->out, w->waiting[i].bytes.data, w->waiting[i].bytes.len);
		count(w, w->waiting[i].mtime);
	}
	w->n_waiting = 0;
}

static void let_wait(struct writer *w, const char *path, const struct buf *header, struct timespec mtime)
{
	if (w->n_waiting == w->cap_waiting) {
		size_t cap = w->cap_waiting ? w->cap_waiting * 2 : 16;

		w->waiting = reallocarray(w->waiting, cap, sizeof(*w->waiting));
		if (!w->waiting)
			oom_die();
		memset(w->waiting + w->cap_waiting, 0, (cap - w->cap_waiting) * sizeof(*w->waiting));
		w->cap_waiting = cap;
	}

	struct waiting *to = &w->waiting[w->n_waiting++];

	buf_reset(&to->path);
	buf_puts(&to->path, path);
	buf_reset(&to->bytes);
	buf_add(&to->bytes, header->data, header->len);
	to->mtime = mtime;
}

/* ---- hard links ---- */

static struct name *find_name(const struct writer *w, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 48) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 20) & (w->cap_names - 1);

	while (w->names[i].path && (w->names[i].ino != ino || w->names[i].dev != dev))
		i = (i + 1) & (w->cap_names - 1);
	return &w->names[i];
}

static void grow_names(struct writer *w)
{
	struct name *old = w->names;
	size_t n = w->cap_names;

	w->cap_names = n ? n * 2 : 256;
	w->names = calloc(w->cap_names, sizeof(*w->names));
	if (!w->names)
		oom_die();
	for (size_t i = 0; i < n; i++)
		if (old[i].path)
			*find_name(w, old[i].dev, old[i].ino) = old[i];
	free(old);
}

/* The name under which the file is in the archive already, or NULL: from now on it is, as path. */
static const char *first_name(struct writer *w, const char *path, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return NULL;
	if (2 * w->n_names >= w->cap_names)
		grow_names(w);

	struct name *name = find_name(w, st->st_dev, st->st_ino);

	if (name->path)
		return name->path;
	*name = (struct name){ .dev = st->st_dev, .ino = st->st_ino, .path = strdup(path) };
	if (!name->path)
		oom_die();
	w->n_names++;
	return NULL;
}

/* ---- entries ---- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_marker(struct writer *w, const char *dir, size_t n, const char *name, struct error *err)
{
	auto_buf struct buf path = BUF_INIT;

	buf_add(&path, dir, n);
	buf_puts(&path, name);
	tar_marker(&w->out, path.data);
	w->stats.entries++;
	return flush(w, FLUSH_BYTES, err);
}

static int add_opaque(struct writer *w, const char *path, struct error *err)
{
	auto_buf struct buf dir = BUF_INIT;

	buf_printf(&dir, "%s%s", path, *path ? "/" : "");
	return add_marker(w, dir.data, dir.len, OPAQUE, err);
}

static int add_deleted(struct writer *w, const char *path, struct error *err)
{
	const char *base = base_of(path);
	char name[NAME_MAX + 1];
	size_t n = strlen(base);

	/* The prefix is part of the name: a longer one could be written, but nobody could unpack it. */
	if (n + strlen(WHITEOUT) > NAME_MAX)
		return error_rule(err, ENAMETOOLONG,
				  "/%.200s… was deleted, and its name is too long for an image to say so", path);
	memcpy(name, WHITEOUT, strlen(WHITEOUT));
	memcpy(name + strlen(WHITEOUT), base, n + 1);
	release_waiting(w);
	return add_marker(w, path, (size_t)(base - path), name, err);
}

static int add_content(struct writer *w, const struct walk_entry *e, struct error *err)
{
	static const char zeros[TAR_BLOCK];
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	uint64_t left = (uint64_t)e->st->st_size;
	int r = flush(w, 0, err);

	if (r < 0 || left == 0)
		return r;

	auto_close int fd = openat(e->dir_fd, e->name, flags);

	if (fd < 0)
		return error_set(err, errno, "open /%s", e->path);
	while (r == 0 && left > 0) {
		ssize_t n = read(fd, w->block, left < BLOCK_BYTES ? left : BLOCK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read /%s", e->path);
		if (n == 0)
			return error_rule(err, EAGAIN, "/%s became shorter while it was read", e->path);
		r = pack_add(w->pack, w->block, (size_t)n, err);
		left -= (size_t)n;
	}
	return r < 0 ? r : pack_add(w->pack, zeros, tar_padding((uint64_t)e->st->st_size), err);
}

/* A record of an extended header ends its key at the first '='. */
static void drop_unspeakable(const struct writer *w, const char *path, struct xattrs *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		if (strchr(x->v[i].name, '='))
			log_warn(w->o->log, "the attribute %s of /%s is left out: no archive can name it",
				 x->v[i].name, path);
		else
			x->v[n++] = x->v[i];
	}
	x->n = n;
}

static int make_header(struct writer *w, const struct walk_entry *e, struct buf *header, bool *ret_is_link,
		       struct error *err)
{
	auto_xattrs struct xattrs x = XATTRS_INIT;
	char target[PATH_MAX];
	struct tar_entry t = { .path = e->path, .st = e->st, .xattrs = &x };

	t.link = first_name(w, e->path, e->st);
	t.is_hardlink = *ret_is_link = t.link != NULL;
	if (!t.is_hardlink && S_ISLNK(e->st->st_mode)) {
		ssize_t n = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);

		if (n < 0)
			return error_set(err, errno, "read the link /%s", e->path);
		target[n] = '\0';
		t.link = target;
	}

	int r = t.is_hardlink ? 0 : xattrs_read(&x, e->dir_fd, e->name, err);

	if (r < 0)
		return r;
	drop_unspeakable(w, e->path, &x);
	tar_header(header, &t);
	return 0;
}

static int add_entry(struct writer *w, const struct walk_entry *e, struct error *err)
{
	auto_buf struct buf header = BUF_INIT;
	bool is_change = e->kind != WALK_KEPT || e->is_covered || e->is_opaque, is_link;
	int r = make_header(w, e, &header, &is_link, err);

	if (r < 0)
		return r;
	if (!is_change) {
		if (*e->path) /* the root needs no entry for the sake of those below it */
			let_wait(w, e->path, &header, e->st->st_mtim);
		return 0;
	}
	release_waiting(w);
	buf_add(&w->out, header.data, header.len);
	count(w, e->st->st_mtim);
	if (e->is_opaque)
		return add_opaque(w, e->path, err);
	return S_ISREG(e->st->st_mode) && !is_link ? add_content(w, e, err) : flush(w, FLUSH_BYTES, err);
}

/* Whoever unpacks it would take it for a whiteout of another file. */
static bool looks_like_whiteout(const char *path)
{
	return !strncmp(path, WHITEOUT, strlen(WHITEOUT)) || strstr(path, "/" WHITEOUT);
}

static int take(void *data, const struct walk_entry *e, struct error *err)
{
	struct writer *w = data;

	forget_others(w, e->path);
	if (looks_like_whiteout(e->path)) {
		if (e->kind != WALK_DELETED)
			log_warn(w->o->log, "/%s is left out: in an image its name would delete another file", e->path);
		return 0;
	}
	if (strlen(e->path) + sizeof(OPAQUE) + 1 >= PATH_MAX)
		return error_rule(err, ENAMETOOLONG, "/%.200s… is too long for a path", e->path);
	if (e->kind == WALK_DELETED)
		return e->is_covered ? 0 : add_deleted(w, e->path, err);
	if (!*e->path && w->o->omit_root)
		return e->is_opaque ? add_opaque(w, e->path, err) : 0;
	if (S_ISSOCK(e->st->st_mode)) {
		log_warn(w->o->log, "the socket /%s is left out: an archive has no place for one", e->path);
		return 0;
	}
	return add_entry(w, e, err);
}

static void release(struct writer *w)
{
	for (size_t i = 0; i < w->cap_waiting; i++) {
		buf_release(&w->waiting[i].path);
		buf_release(&w->waiting[i].bytes);
	}
	for (size_t i = 0; i < w->cap_names; i++)
		free(w->names[i].path);
	free(w->waiting);
	free(w->names);
	free(w->block);
	buf_release(&w->out);
}

int layer_archive(struct walk *walk, struct pack *pack, const struct layer_options *o, struct layer_stats *ret,
		  struct error *err)
{
	struct writer w = { .pack = pack, .o = o, .block = malloc(BLOCK_BYTES) };

	if (!w.block)
		oom_die();
	walk->tell = take;
	walk->data = &w;
	walk->deleted_first = true;

	int r = walk_upper(walk, err);

	if (r == 0) {
		tar_end(&w.out);
		r = flush(&w, 0, err);
	}
	if (r == 0)
		*ret = w.stats;
	release(&w);
	return r;
}
