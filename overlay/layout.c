/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See layout.h.
 */
#include "overlay/layout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/path.h"

#define MARK         "oci-layout"
#define MARK_TEXT    "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX        "index.json"
#define INDEX_NEW    ".index.json.new" /* whoever has the lock makes and renames it */
#define INDEX_TYPE   "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define BLOB_NEW     ".new-" /* where files without names are unknown */
#define LOCK_FILE    ".lock"
#define LOCK_SECONDS 10

/* ---- tags ---- */

/* annotations.md: components of letters and digits with single separators (or "--") between them, and slashes. */
static bool is_tag(const char *tag)
{
	bool was_alnum = false;

	for (const char *p = tag; *p; p++) {
		bool alnum = isalnum((unsigned char)*p) != 0 && (unsigned char)*p < 0x80;

		if (!alnum) {
			if (!was_alnum || !strchr("-._:@+/", *p))
				return false;
			if (p[0] == '-' && p[1] == '-')
				p++;
		}
		was_alnum = alnum;
	}
	return was_alnum;
}

static int read_target(const char *target, struct arena *a, struct layout *l, struct error *err)
{
	struct source_ref ref;
	int r = strncmp(target, "oci:", 4) != 0 ?
			error_rule(err, EINVAL, "\"%s\" is no place for an image: it is written to oci:DIR[:TAG]", target) :
			source_parse(target, a, &ref, err);

	if (r < 0)
		return r;
	l->path = ref.path;
	l->tag = ref.tag ? ref.tag : "latest";
	if (is_tag(l->tag))
		return 0;
	r = error_rule(err, EINVAL, "\"%s\" is no tag", l->tag);
	error_hint(err, "letters and digits, between them one of . _ - : @ + /");
	return r;
}

/* ---- the directory ---- */

/* As root's umask has it: a layout is for others to read. */
static int open_or_make(const char *path, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int parent = root < 0 ? error_set(err, errno, "open /") :
					   path_parent(root, path, true, name, err);

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "make the directory %s", path);

	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open the directory %s", path) : fd;
}

static bool has(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What a killed command may have left of a new layout is empty, too. */
static int check_empty(const struct layout *l, struct error *err)
{
	struct dir_list list = { 0 };
	int r = dir_list_read(&list, l->fd, err);

	for (size_t i = 0; r == 0 && i < list.n; i++)
		if (strcmp(list.names[i], "." MARK ".tmp") != 0 && strcmp(list.names[i], LOCK_FILE) != 0)
			r = error_rule(err, EINVAL, "%s is no image layout: it has \"%.100s\", and no " MARK, l->path,
				       list.names[i]);
	dir_list_release(&list);
	return r;
}

/* A lock goes with its descriptor. */
static int lock_layout(const struct layout *l, struct error *err)
{
	auto_close int lock = openat(l->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* NFS makes it a lock of bytes, for which a directory cannot be open (nfs(5), flock(2)). */
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0 && errno == EBADF) {
		close(lock);
		lock = openat(l->fd, LOCK_FILE, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0644);
	}

	int r = lock < 0 ? error_set(err, errno, "open %s", l->path) :
			   lock_within(lock, LOCK_EX, LOCK_SECONDS, l->path, err);

	return r < 0 ? r : TAKE_FD(lock);
}

static int furnish(struct layout *l, struct error *err)
{
	int r = 0;

	if (!has(l->fd, MARK)) {
		auto_close int lock = lock_layout(l, err);

		r = lock < 0 ? lock : has(l->fd, MARK) ? 0 : check_empty(l, err);
		if (r == 0)
			r = file_replace_at(l->fd, MARK, 0644, MARK_TEXT, strlen(MARK_TEXT), err);
		if (r < 0)
			return error_wrap(err, r, "cannot make an image layout of %s", l->path);
	}
	if ((mkdirat(l->fd, "blobs", 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(l->fd, "blobs/sha256", 0755) < 0 && errno != EEXIST))
		return error_set(err, errno, "make %s/blobs/sha256", l->path);
	l->blobs_fd = openat(l->fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return l->blobs_fd < 0 ? error_set(err, errno, "open %s/blobs/sha256", l->path) : 0;
}

int layout_open(const char *target, struct arena *a, struct layout *ret, struct error *err)
{
	auto_layout struct layout l = LAYOUT_INIT;
	int r = read_target(target, a, &l, err);

	if (r < 0)
		return r;
	l.fd = open_or_make(l.path, err);
	r = l.fd < 0 ? l.fd : furnish(&l, err);
	if (r < 0)
		return r;
	*ret = l;
	l.fd = l.blobs_fd = -1;
	return 0;
}

void layout_close(struct layout *l)
{
	auto_closep(&l->fd);
	auto_closep(&l->blobs_fd);
	l->fd = l->blobs_fd = -1;
}

/* ---- blobs ---- */

bool layout_has(const struct layout *l, const char *hex, uint64_t size, uint64_t *ret_size)
{
	struct stat st;

	if (fstatat(l->blobs_fd, hex, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
	    (size != UINT64_MAX && (uint64_t)st.st_size != size))
		return false;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return true;
}

/* Whoever makes one has it locked. */
static void sweep_blobs(int dir_fd)
{
	struct dir_list list = { 0 };

	dir_list_read(&list, dir_fd, NULL);
	for (size_t i = 0; i < list.n; i++) {
		auto_close int fd = strncmp(list.names[i], BLOB_NEW, strlen(BLOB_NEW)) != 0 ?
					    -1 :
					    openat(dir_fd, list.names[i], O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dir_fd, list.names[i], 0);
	}
	dir_list_release(&list);
}

static bool is_unknown_here(int code)
{
	return code == EOPNOTSUPP || code == EISDIR || code == EINVAL; /* open(2), O_TMPFILE */
}

int layout_begin_blob(const struct layout *l, struct layout_blob *ret, struct error *err)
{
	*ret = (struct layout_blob){ .dir_fd = l->blobs_fd };
	ret->fd = openat(l->blobs_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (ret->fd < 0 && is_unknown_here(errno)) {
		char name[sizeof(ret->name)];

		sweep_blobs(l->blobs_fd);
		snprintf(name, sizeof(name), BLOB_NEW "%llx", unique_number());
		ret->fd = openat(l->blobs_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (ret->fd >= 0) {
			flock(ret->fd, LOCK_EX | LOCK_NB); /* one that cannot be had keeps nobody from sweeping, at worst */
			memcpy(ret->name, name, sizeof(name));
		}
	}
	return ret->fd < 0 ? error_set(err, errno, "make a file in %s/blobs/sha256", l->path) : 0;
}

void layout_drop_blob(struct layout_blob *blob)
{
	if (blob->fd >= 0 && blob->name[0])
		unlinkat(blob->dir_fd, blob->name, 0);
	auto_closep(&blob->fd);
	blob->fd = -1;
}

/* A new name, -EEXIST when somebody has it. */
static int give_name(int fd, int dir_fd, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW);
}

static int name_blob(const struct layout_blob *blob, const char *hex)
{
	char other[OVL_HEX_BYTES + 32];

	if (blob->name[0])
		return renameat(blob->dir_fd, blob->name, blob->dir_fd, hex);
	if (give_name(blob->fd, blob->dir_fd, hex) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;

	/* One of another size is no blob; or somebody has made the right one just now, and nothing is lost either. */
	snprintf(other, sizeof(other), ".%.64s.%llx", hex, unique_number());
	return give_name(blob->fd, blob->dir_fd, other) < 0 ? -1 : renameat(blob->dir_fd, other, blob->dir_fd, hex);
}

int layout_end_blob(const struct layout *l, const struct layout_blob *blob, const char *hex, struct error *err)
{
	struct stat st;

	if (fsync(blob->fd) < 0 || fstat(blob->fd, &st) < 0)
		return error_set(err, errno, "write the blob %s to the disk", hex);
	if (layout_has(l, hex, (uint64_t)st.st_size, NULL) || name_blob(blob, hex) == 0)
		return 0;
	return error_set(err, errno, "make %s/blobs/sha256/%s", l->path, hex);
}

int layout_put(const struct layout *l, const struct libs *libs, const void *bytes, size_t n,
	       char ret_hex[static OVL_HEX_BYTES], struct error *err)
{
	char hex[OVL_HEX_BYTES];

	sha256_of(libs, bytes, n, hex);
	if (!layout_has(l, hex, n, NULL)) {
		auto_blob struct layout_blob blob = LAYOUT_BLOB_INIT;
		int r = layout_begin_blob(l, &blob, err);

		if (r == 0)
			r = file_write_all(blob.fd, "a blob", bytes, n, err);
		if (r == 0)
			r = layout_end_blob(l, &blob, hex, err);
		if (r < 0)
			return r;
	}
	memcpy(ret_hex, hex, sizeof(hex));
	return 0;
}

/* ---- index.json ---- */

int layout_index(const struct layout *l, struct arena *a, const struct json **ret, const char **ret_text,
		 struct error *err)
{
	char *text = "{}";
	size_t n = 2;
	int r = has(l->fd, INDEX) ? file_load_at(l->fd, INDEX, JSON_MAX_BYTES, a, &text, &n, err) : 0;
	const struct json *v = NULL;

	if (r == 0)
		r = json_parse(text, n, INDEX, a, &v, err);
	if (r == 0 && v->type != JSON_OBJECT)
		r = error_rule(err, EINVAL, INDEX " is no object");
	if (r < 0)
		return error_wrap(err, r, "cannot read the image layout %s", l->path);
	*ret = v;
	*ret_text = text;
	return 0;
}

static const char *tag_of(const struct json *descriptor)
{
	const struct json *v = json_get(json_get(descriptor, "annotations"), LAYOUT_REF_NAME);

	return v && v->type == JSON_STRING ? v->text : NULL;
}

static void add_raw(struct json_w *w, const struct json *v, const char *text)
{
	json_w_raw(w, v->parent && v->parent->type == JSON_OBJECT ? v->name : NULL, text + v->begin,
		   v->end - v->begin);
}

static void add_manifest(struct json_w *w, const char *tag, const char *digest, size_t size)
{
	json_w_open(w, NULL, '{');
	json_w_str(w, "mediaType", MANIFEST_TYPE);
	json_w_str(w, "digest", digest);
	json_w_uint(w, "size", size);
	json_w_open(w, "annotations", '{');
	json_w_str(w, LAYOUT_REF_NAME, tag);
	json_w_close(w, '}');
	json_w_close(w, '}');
}

/* Everything that is not ours to change stays as it is, byte by byte. */
static void make_index(const struct layout *l, const struct json *old, const char *text, const char *digest,
		       size_t size, struct buf *out)
{
	struct json_w w = { .out = out };
	const struct json *manifests = json_get(old, "manifests");
	bool is_done = false;

	json_w_open(&w, NULL, '{');
	if (!json_get(old, "schemaVersion"))
		json_w_int(&w, "schemaVersion", 2);
	if (!old->first)
		json_w_str(&w, "mediaType", INDEX_TYPE);
	json_each(v, old) {
		if (v != manifests)
			add_raw(&w, v, text);
	}
	json_w_open(&w, "manifests", '[');
	json_each(v, manifests) {
		const char *tag = tag_of(v);

		if (!tag || strcmp(tag, l->tag) != 0) {
			add_raw(&w, v, text);
		} else if (!is_done) {
			add_manifest(&w, l->tag, digest, size);
			is_done = true;
		}
	}
	if (!is_done)
		add_manifest(&w, l->tag, digest, size);
	json_w_close(&w, ']');
	json_w_close(&w, '}');
}

static int replace_index(const struct layout *l, const struct buf *text, struct error *err)
{
	bool has_name = false;

	unlinkat(l->fd, INDEX_NEW, 0);

	auto_close int fd = openat(l->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 && is_unknown_here(errno)) {
		fd = openat(l->fd, INDEX_NEW, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
		has_name = true;
	}

	int r = fd < 0 ? error_set(err, errno, "make a file in %s", l->path) :
			 file_write_all(fd, INDEX, text->data, text->len, err);

	if (r < 0)
		return r;
	if (fsync(fd) < 0 || fsync(l->blobs_fd) < 0)
		return error_set(err, errno, "write " INDEX " to the disk");
	if ((!has_name && give_name(fd, l->fd, INDEX_NEW) < 0) || renameat(l->fd, INDEX_NEW, l->fd, INDEX) < 0)
		return error_set(err, errno, "replace %s/" INDEX, l->path);
	return fsync(l->fd) < 0 ? error_set(err, errno, "write %s to the disk", l->path) : 0;
}

int layout_publish(const struct layout *l, const char *hex, size_t size, struct arena *a, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	const struct json *old;
	const char *text;

	auto_close int lock = lock_layout(l, err);
	int r = lock < 0 ? lock : 0;

	if (r == 0)
		r = layout_index(l, a, &old, &text, err);
	if (r < 0)
		return r;
	make_index(l, old, text, arena_printf(a, "sha256:%s", hex), size, &b);
	if (b.len == strlen(text) && !memcmp(b.data, text, b.len))
		return 0;
	return replace_index(l, &b, err);
}
