/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See listing.h. The tree is in the store, where nobody writes but us; still no link is followed, since
 * verify is asked exactly when that is in doubt.
 */
#include "overlay/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/store.h"
#include "spec/base/auto.h"

#define XATTR_NAMES_MAX 65536 /* the kernel's own bound, XATTR_LIST_MAX */

struct walk {
	struct listing *l;
	struct buf path;
	char names[XATTR_NAMES_MAX];
	unsigned char value[XATTR_NAMES_MAX];
	unsigned char block[1u << 17];
};

static void add_escaped(struct buf *b, const char *s)
{
	size_t plain = strcspn(s, "\\");

	for (size_t i = 0; i < plain; i++)
		if (s[i] <= ' ' || s[i] > '~')
			plain = i;
	buf_add(b, s, plain);
	for (s += plain; *s; s++) {
		if (*s > ' ' && *s <= '~' && *s != '\\')
			buf_putc(b, *s);
		else
			buf_printf(b, "\\%03o", (unsigned char)*s);
	}
}

static int read_digest(struct walk *w, int dir_fd, const char *name, unsigned char ret[static 32],
		       struct error *err)
{
	struct sha256 sha;
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return error_set(err, errno, "open %s", w->path.data);
	sha256_begin(w->l->libs, &sha);
	for (;;) {
		ssize_t n = read(fd, w->block, sizeof(w->block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read %s", w->path.data);
		if (n == 0)
			break;
		sha256_add(w->l->libs, &sha, w->block, (size_t)n);
		if (w->l->tick)
			w->l->tick(w->l->data);
	}
	sha256_end(w->l->libs, &sha, ret);
	return 0;
}

static int add_file(struct walk *w, int dir_fd, const char *name, const struct stat *st,
		    struct error *err)
{
	const struct inode *known = inodes_find(w->l->inodes, st->st_ino);
	unsigned char digest[32];
	char hex[OVL_HEX_BYTES];
	int r = 0;

	if (known && known->has_digest)
		memcpy(digest, known->digest, sizeof(digest));
	else
		r = read_digest(w, dir_fd, name, digest, err);
	if (r < 0)
		return r;
	hex_of(digest, hex);
	w->l->bytes += (uint64_t)st->st_size;
	buf_printf(&w->l->text, " %llu %s", (unsigned long long)st->st_size, hex);
	return 0;
}

static int add_target(struct walk *w, int dir_fd, const char *name, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return error_set(err, errno, "read the link %s", w->path.data);
	target[n] = '\0';
	buf_putc(&w->l->text, ' ');
	add_escaped(&w->l->text, target);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_xattr(struct walk *w, const char *path, const char *name, struct error *err)
{
	ssize_t n = lgetxattr(path, name, w->value, sizeof(w->value)); /* path-ok: below a descriptor */

	if (n < 0)
		return error_set(err, errno, "read the attribute %s of %s", name, w->path.data);
	buf_putc(&w->l->text, ' ');
	add_escaped(&w->l->text, name);
	buf_putc(&w->l->text, '=');
	for (ssize_t i = 0; i < n; i++)
		buf_printf(&w->l->text, "%02x", w->value[i]);
	return 0;
}

/* Security modules label what they see when they like; such a label is the host's, not the layer's. */
static bool is_label(const char *name)
{
	return !strcmp(name, "security.selinux") || !strcmp(name, "security.SMACK64") ||
	       !strcmp(name, "security.ima") || !strcmp(name, "security.evm");
}

static int add_xattrs(struct walk *w, int dir_fd, const char *name, struct error *err)
{
	char path[64 + NAME_MAX];
	auto_free char **sorted = NULL;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);

	ssize_t used = llistxattr(path, w->names, sizeof(w->names)); /* path-ok: below a descriptor */

	if (used < 0)
		return errno == ENOTSUP ? 0 : error_set(err, errno, "list attributes of %s", w->path.data);
	if (used == 0)
		return 0;
	sorted = calloc((size_t)used, sizeof(*sorted));
	if (!sorted)
		return error_set(err, ENOMEM, "list attributes of %s", w->path.data);
	for (char *p = w->names; p < w->names + used; p += strlen(p) + 1)
		sorted[n++] = p;
	qsort(sorted, n, sizeof(*sorted), by_text);

	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!is_label(sorted[i]))
			r = add_xattr(w, path, sorted[i], err);
	return r;
}

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

/* A further name of a listed file: says which. */
static bool add_hardlink(struct walk *w, const struct stat *st, size_t path_at)
{
	struct buf *text = &w->l->text;
	struct inode *inode = inodes_get(w->l->inodes, st->st_ino);

	if (!inode->first) {
		inode->first = path_at + 1;
		return false;
	}

	const char *first = text->data + inode->first - 1;
	char copy[4 * PATH_MAX + 1];
	size_t n = strcspn(first, " ");

	if (n >= sizeof(copy))
		n = sizeof(copy) - 1;
	memcpy(copy, first, n); /* text may move while it grows */
	copy[n] = '\0';
	buf_puts(text, " h ");
	buf_puts(text, copy);
	return true;
}

/* The line of name in dir_fd, whose path is in w->path. */
static int add_line(struct walk *w, int dir_fd, const char *name, const struct stat *st,
		    struct error *err)
{
	struct buf *text = &w->l->text;
	size_t at = text->len;
	int r = 0;

	w->l->entries++;
	add_escaped(text, w->path.data);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1 && add_hardlink(w, st, at)) {
		buf_putc(text, '\n');
		return 0;
	}
	buf_printf(text, " %c %04o %u %u %lld.%09ld", type_letter(st->st_mode), st->st_mode & 07777,
		   st->st_uid, st->st_gid, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (S_ISREG(st->st_mode))
		r = add_file(w, dir_fd, name, st, err);
	else if (S_ISLNK(st->st_mode))
		r = add_target(w, dir_fd, name, err);
	else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		buf_printf(text, " %u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (r == 0)
		r = add_xattrs(w, dir_fd, name, err);
	buf_putc(text, '\n');
	if (r == 0 && text->len > LISTING_MAX_BYTES)
		r = error_rule(err, E2BIG, "the list of the layer's entries takes more than %lu MiB",
			       LISTING_MAX_BYTES >> 20);
	if (w->l->tick)
		w->l->tick(w->l->data);
	return r;
}

static int walk_dir(struct walk *w, int dir_fd, unsigned depth, struct error *err);

static int walk_entry(struct walk *w, int dir_fd, const char *name, unsigned depth, struct error *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat %s", w->path.data);

	int r = add_line(w, dir_fd, name, &st, err);

	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;

	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_set(err, errno, "open %s", w->path.data) : walk_dir(w, fd, depth + 1, err);
}

static int walk_dir(struct walk *w, int dir_fd, unsigned depth, struct error *err)
{
	struct dir_list list = { 0 };
	size_t n = w->path.len;
	int r = dir_list_read(&list, dir_fd, err);

	if (r == 0 && depth > LISTING_MAX_DEPTH)
		r = error_rule(err, E2BIG, "%s is too deep", w->path.data);
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		buf_putc(&w->path, '/');
		buf_puts(&w->path, list.names[i]);
		r = walk_entry(w, dir_fd, list.names[i], depth, err);
		w->path.len = n;
		w->path.data[n] = '\0';
	}
	dir_list_release(&list);
	return r;
}

int listing_make(struct listing *l, int tree_fd, struct error *err)
{
	auto_free struct walk *w = malloc(sizeof(*w));
	struct stat st;

	if (!w)
		return error_set(err, ENOMEM, "list a layer");
	w->l = l;
	w->path = (struct buf)BUF_INIT;
	buf_putc(&w->path, '.');

	int r = fstat(tree_fd, &st) < 0 ? error_set(err, errno, "stat the root of a layer") :
					  add_line(w, tree_fd, ".", &st, err);

	if (r == 0)
		r = walk_dir(w, tree_fd, 0, err);
	buf_release(&w->path);
	return r;
}

/* ---- comparing ---- */

static int by_path(const void *a, const void *b)
{
	const char *p = *(char *const *)a, *q = *(char *const *)b;
	size_t n = strcspn(p, " \n"), m = strcspn(q, " \n");
	int order = memcmp(p, q, n < m ? n : m);

	return order ? order : (n > m) - (n < m);
}

static char **lines_of(const struct buf *b, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';

	char **v = calloc(n + 1, sizeof(*v));
	char *p = b->data;

	for (size_t i = 0; v && i < n; i++) {
		v[i] = p;
		p = strchr(p, '\n') + 1;
	}
	if (v)
		qsort(v, n, sizeof(*v), by_path);
	*ret_n = v ? n : 0;
	return v;
}

static bool is_same_line(const char *p, const char *q)
{
	size_t n = strcspn(p, "\n");

	return n == strcspn(q, "\n") && !memcmp(p, q, n);
}

size_t listing_compare(const struct buf *before, const struct buf *after,
		       void (*changed)(void *data, enum ovl_change what, const char *path), void *data)
{
	size_t n, m, i = 0, k = 0, changes = 0;

	if (before->len == after->len && !memcmp(before->data, after->data, before->len))
		return 0;

	auto_free char **old = lines_of(before, &n);
	auto_free char **new = lines_of(after, &m);

	while (i < n || k < m) {
		int order = i == n ? 1 : k == m ? -1 : by_path(&old[i], &new[k]);
		const char *line = order <= 0 ? old[i] : new[k];
		enum ovl_change what = order < 0 ? OVL_MISSING : order > 0 ? OVL_ADDED : OVL_CHANGED;

		if (order != 0 || !is_same_line(old[i], new[k])) {
			auto_free char *path = strndup(line, strcspn(line, " \n"));

			changes++;
			if (changed && path)
				changed(data, what, path);
		}
		i += order <= 0;
		k += order >= 0;
	}
	return changes ? changes : 1; /* the same lines in another order: the listing itself was touched */
}
