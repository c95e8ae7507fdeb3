/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See walk.h. Nobody writes to the three trees meanwhile; still no link is followed, since a container made the names.
 */
#include "overlay/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "overlay/store.h"
#include "overlay/xattrs.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"

#define OPAQUE    "trusted.overlay.opaque"
#define REDIRECT  "trusted.overlay.redirect"
#define METACOPY  "trusted.overlay.metacopy"
#define WHITEOUT  "trusted.overlay.whiteout"

/* One directory in the three trees. */
struct level {
	int upper, lower, view; /* lower: -1 when the lowers have no such directory */
	bool is_covered;
	unsigned depth;
};

struct walker {
	const struct walk *w;
	struct buf path;
};

static bool is_raw(const struct walker *k)
{
	return k->w->lower_fd < 0;
}

static int walk_merged(struct walker *k, const struct level *at, struct error *err);
static int walk_whole(struct walker *k, const struct level *at, struct error *err);

/* ---- looking ---- */

static bool is_whiteout(int dir_fd, const char *name, const struct stat *st)
{
	char value[8];

	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
		return true;
	return S_ISREG(st->st_mode) && st->st_size == 0 &&
	       xattr_get(dir_fd, name, WHITEOUT, value, sizeof(value)) >= 0;
}

/* A single lower is no overlay, and so shows its whiteouts: they are what is not there. */
static bool is_there(int dir_fd, const char *name, struct stat *st)
{
	return dir_fd >= 0 && fstatat(dir_fd, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !is_whiteout(dir_fd, name, st);
}

static int open_dir(const struct walker *k, int dir_fd, const char *name, struct error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_set(err, errno, "open the directory /%s", k->path.data) : fd;
}

static bool is_same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_rdev == b->st_rdev && (S_ISDIR(a->st_mode) || a->st_size == b->st_size);
}

/* Metadata alone: what two directories have, or files of which one was made in the other's place. */
static int is_same(int a_fd, int b_fd, const char *name, const struct stat *a, const struct stat *b,
		   struct error *err)
{
	auto_xattrs struct xattrs x = XATTRS_INIT, y = XATTRS_INIT;

	if (!is_same_stat(a, b))
		return 0;

	int r = xattrs_read(&x, a_fd, name, err);

	if (r == 0)
		r = xattrs_read(&y, b_fd, name, err);
	return r < 0 ? r : xattrs_equal(&x, &y);
}

/* ---- telling ---- */

static int tell(const struct walker *k, const struct walk_entry *e, struct error *err)
{
	return k->w->tell(k->w->data, e, err);
}

static int tell_deleted(const struct walker *k, bool is_covered, struct error *err)
{
	const struct walk_entry e = { .kind = WALK_DELETED, .path = k->path.data, .is_covered = is_covered,
				      .dir_fd = -1 };

	return tell(k, &e, err);
}

static size_t push(struct walker *k, const char *name)
{
	size_t n = k->path.len;

	if (n)
		buf_putc(&k->path, '/');
	buf_puts(&k->path, name);
	return n;
}

static void pop(struct walker *k, size_t n)
{
	k->path.len = n;
	k->path.data[n] = '\0';
}

static int check_depth(const struct walker *k, const struct level *at, struct error *err)
{
	if (at->depth <= WALK_MAX_DEPTH)
		return 0;
	return error_rule(err, E2BIG, "/%.200s… is deeper than %d directories", k->path.data, WALK_MAX_DEPTH);
}

/* ---- where the lowers show through ---- */

static bool is_opaque(int dir_fd)
{
	char value[8];

	/* "x" only says that there are whiteouts of the attribute's kind in it. */
	return xattr_get(dir_fd, ".", OPAQUE, value, sizeof(value)) == 1 && value[0] == 'y';
}

/* 1: from another place; a directory that was renamed and came back says where it is. */
static int is_moved(const struct walker *k, int dir_fd, const char *name, struct error *err)
{
	char value[PATH_MAX];
	ssize_t n = xattr_get(dir_fd, ".", REDIRECT, value, sizeof(value) - 1);

	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP ?
			       0 : error_set(err, errno, "read " REDIRECT " of /%s", k->path.data);
	if (is_raw(k))
		return error_rule(err, ENOTSUP,
				  "/%s was renamed in an overlay (" REDIRECT "), and its content is in another directory",
				  k->path.data);
	value[n] = '\0';
	return strcmp(value, name) != 0 && (value[0] != '/' || strcmp(value + 1, k->path.data) != 0);
}

/* Opens what there is of a directory of the upper. */
static int go_down(const struct walker *k, const struct level *at, const char *name, struct level *ret,
		   struct error *err)
{
	struct stat st;

	ret->upper = open_dir(k, at->upper, name, err);
	if (ret->upper < 0)
		return ret->upper;
	ret->view = is_raw(k) ? ret->upper : open_dir(k, at->view, name, err);
	if (ret->view < 0)
		return ret->view;
	if (!is_there(at->lower, name, &st) || !S_ISDIR(st.st_mode))
		return 0;
	ret->lower = open_dir(k, at->lower, name, err);
	return ret->lower < 0 ? ret->lower : 0;
}

static void close_level(struct level *l)
{
	if (l->view != l->upper)
		auto_closep(&l->view);
	auto_closep(&l->upper);
	auto_closep(&l->lower);
}
#define auto_level __attribute__((cleanup(close_level)))

static int visit_dir(struct walker *k, const struct level *at, const char *name, struct error *err)
{
	struct stat st, lower;
	auto_level struct level l = { .upper = -1, .lower = -1, .view = -1, .is_covered = at->is_covered,
				      .depth = at->depth + 1 };
	struct walk_entry e = { .path = k->path.data, .dir_fd = at->view, .name = name, .st = &st };
	int r = go_down(k, at, name, &l, err);
	int moved = r < 0 ? r : is_moved(k, l.upper, name, err);

	if (moved < 0)
		return moved;
	if (fstat(l.view, &st) < 0 || (l.lower >= 0 && fstat(l.lower, &lower) < 0))
		return error_set(err, errno, "stat /%s", k->path.data);
	e.is_opaque = (is_raw(k) || l.lower >= 0) && (moved || is_opaque(l.upper));
	e.is_covered = is_raw(k);
	l.is_covered |= e.is_opaque;
	if (l.lower >= 0) {
		r = is_same(at->view, at->lower, name, &st, &lower, err);
		if (r < 0)
			return r;
		e.kind = r ? WALK_KEPT : WALK_MODIFIED;
	} else if (!is_raw(k)) {
		e.kind = is_there(at->lower, name, &lower) ? WALK_MODIFIED : WALK_ADDED;
	}
	r = tell(k, &e, err);
	if (r < 0)
		return r;
	return is_raw(k) || (l.lower >= 0 && !e.is_opaque) ? walk_merged(k, &l, err) : walk_whole(k, &l, err);
}

static int visit_file(struct walker *k, const struct level *at, const char *name, struct error *err)
{
	struct stat st, lower;
	struct walk_entry e = { .path = k->path.data, .dir_fd = at->view, .name = name, .st = &st,
				.is_covered = is_raw(k) };
	char value[64];

	if (fstatat(at->view, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat /%s", k->path.data);
	if (!is_raw(k))
		e.kind = is_there(at->lower, name, &lower) ? WALK_MODIFIED : WALK_ADDED;
	else if (S_ISREG(st.st_mode) && xattr_get(at->upper, name, METACOPY, value, sizeof(value)) >= 0)
		return error_rule(err, ENOTSUP,
				  "/%s has only its metadata here (" METACOPY "), and its content is in another directory",
				  k->path.data);
	return tell(k, &e, err);
}

enum pass { PASS_ALL, PASS_DELETED, PASS_REST };

static int visit(struct walker *k, const struct level *at, const char *name, enum pass pass,
		 struct error *err)
{
	struct stat st, lower;

	if (fstatat(at->upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat /%s", k->path.data);
	if (is_whiteout(at->upper, name, &st)) {
		if (pass == PASS_REST || at->is_covered || (!is_raw(k) && !is_there(at->lower, name, &lower)))
			return 0;
		return tell_deleted(k, false, err);
	}
	if (pass == PASS_DELETED)
		return 0;
	return S_ISDIR(st.st_mode) ? visit_dir(k, at, name, err) : visit_file(k, at, name, err);
}

static int visit_all(struct walker *k, const struct level *at, const struct dir_list *list, enum pass pass,
		     struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++) {
		size_t n = push(k, list->names[i]);

		r = visit(k, at, list->names[i], pass, err);
		pop(k, n);
	}
	return r;
}

static int walk_merged(struct walker *k, const struct level *at, struct error *err)
{
	struct dir_list list = { 0 };
	int r = check_depth(k, at, err);

	if (r == 0)
		r = dir_list_read(&list, at->upper, err);
	if (r == 0 && k->w->deleted_first)
		r = visit_all(k, at, &list, PASS_DELETED, err);
	if (r == 0)
		r = visit_all(k, at, &list, k->w->deleted_first ? PASS_REST : PASS_ALL, err);
	dir_list_release(&list);
	return r;
}

/* ---- where they do not ---- */

static int visit_new(struct walker *k, const struct level *at, const char *name, struct error *err)
{
	struct stat st, lower;
	auto_level struct level l = { .upper = -1, .lower = -1, .view = -1, .is_covered = at->is_covered,
				      .depth = at->depth + 1 };
	struct walk_entry e = { .kind = WALK_ADDED, .path = k->path.data, .is_covered = at->is_covered,
				.dir_fd = at->view, .name = name, .st = &st };

	if (fstatat(at->view, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat /%s", k->path.data);
	if (is_there(at->lower, name, &lower)) {
		int r = is_same(at->view, at->lower, name, &st, &lower, err);

		if (r < 0)
			return r;
		e.kind = r ? WALK_KEPT : WALK_MODIFIED;
		if (S_ISDIR(st.st_mode) && S_ISDIR(lower.st_mode)) {
			l.lower = open_dir(k, at->lower, name, err);
			if (l.lower < 0)
				return l.lower;
		}
	}

	int r = tell(k, &e, err);

	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	l.view = open_dir(k, at->view, name, err);
	return l.view < 0 ? l.view : walk_whole(k, &l, err);
}

static int visit_gone(struct walker *k, const struct level *at, const char *name, struct error *err)
{
	struct stat st;

	return is_there(at->lower, name, &st) ? tell_deleted(k, true, err) : 0;
}

/* Names of the view, and those that only the lowers have. */
static int visit_both(struct walker *k, const struct level *at, const struct dir_list *now,
		      const struct dir_list *before, struct error *err)
{
	int r = 0;

	for (size_t i = 0, j = 0; r == 0 && (i < now->n || j < before->n);) {
		int order = i == now->n ? 1 : j == before->n ? -1 : strcmp(now->names[i], before->names[j]);
		const char *name = order <= 0 ? now->names[i] : before->names[j];
		size_t n = push(k, name);

		r = order <= 0 ? visit_new(k, at, name, err) : visit_gone(k, at, name, err);
		pop(k, n);
		i += order <= 0;
		j += order >= 0;
	}
	return r;
}

static int walk_whole(struct walker *k, const struct level *at, struct error *err)
{
	struct dir_list now = { 0 }, before = { 0 };
	int r = check_depth(k, at, err);

	if (r == 0)
		r = dir_list_read(&now, at->view, err);
	if (r == 0 && at->lower >= 0)
		r = dir_list_read(&before, at->lower, err);
	if (r == 0)
		r = visit_both(k, at, &now, &before, err);
	dir_list_release(&now);
	dir_list_release(&before);
	return r;
}

/* ---- the root ---- */

static int tell_root(const struct walker *k, bool is_opaque_, struct error *err)
{
	const struct walk *w = k->w;
	struct stat st, lower;
	struct walk_entry e = { .path = "", .dir_fd = w->view_fd, .name = ".", .st = &st, .is_covered = is_raw(k) };

	if (fstat(w->view_fd, &st) < 0 || (!is_raw(k) && fstat(w->lower_fd, &lower) < 0))
		return error_set(err, errno, "stat the root directory");

	int same = is_raw(k) ? 1 :
		   w->root   ? is_same_stat(&st, w->root) :
			       is_same(w->view_fd, w->lower_fd, ".", &st, &lower, err);

	if (same < 0)
		return same;
	e.kind = same ? WALK_KEPT : WALK_MODIFIED;
	e.is_opaque = is_opaque_;
	return tell(k, &e, err);
}

int walk_upper(const struct walk *w, struct error *err)
{
	struct walker k = { .w = w, .path = BUF_INIT };
	bool opaque = is_opaque(w->upper_fd);
	const struct level top = { .upper = w->upper_fd, .lower = w->lower_fd, .view = w->view_fd,
				   .is_covered = opaque };

	buf_puts(&k.path, "");

	int r = tell_root(&k, opaque, err);

	if (r == 0)
		r = opaque && !is_raw(&k) ? walk_whole(&k, &top, err) : walk_merged(&k, &top, err);
	buf_release(&k.path);
	return r;
}
