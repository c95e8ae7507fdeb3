/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sandbox_record.h.
 *
 * The record is the first file of a sandbox and the last: while it is there, the layers it names stay. So a
 * directory without one is empty, but for what a killed command was writing it to.
 */
#include "overlay/sandbox_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/libs.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"
#include "spec/base/json.h"

#define SHA "sha256:"

static const char *const kinds[] = {
	[OVL_SANDBOX_DIRECTORY] = "directory",
	[OVL_SANDBOX_QUOTA] = "quota",
	[OVL_SANDBOX_IMAGE] = "image",
	[OVL_SANDBOX_MEMORY] = "memory",
};

int sandboxes_dir(const struct ovl_store *store, enum ovl_open how, struct error *err)
{
	int fd = openat(store->fd, "sandboxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? error_set(err, errno, "open %s/sandboxes", store->path) : fd;
	if (how == OVL_EXISTING)
		return -ENOENT;
	if (mkdirat(store->fd, "sandboxes", 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "make %s/sandboxes", store->path);
	return store_dir(store, "sandboxes", err);
}

int sandbox_check_name(const char *name, struct error *err)
{
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/') || strlen(name) > NAME_MAX)
		return error_rule(err, EINVAL, "\"%s\" cannot be the name of a sandbox", name);
	return 0;
}

/* Whoever had the lock before may have removed or renamed what it is the lock of. */
static bool is_still(int sandboxes_fd, const char *name, int dir_fd)
{
	struct stat there, ours;

	return fstatat(sandboxes_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(dir_fd, &ours) == 0 &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

int sandbox_lock(int sandboxes_fd, const char *name, unsigned seconds, struct error *err)
{
	char what[NAME_MAX + 32];

	snprintf(what, sizeof(what), "the sandbox %s", name);
	for (;;) {
		auto_close int fd = openat(sandboxes_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 && errno == ENOENT)
			return -ENOENT;
		if (fd < 0)
			return error_set(err, errno, "open %s", what);

		int r = lock_within(fd, LOCK_EX, seconds, what, err);

		if (r < 0)
			return r;
		if (is_still(sandboxes_fd, name, fd))
			return TAKE_FD(fd);
	}
}

static void put_lowers(struct json_w *w, const struct ovl_sandbox *sb)
{
	json_w_open(w, "lowers", '[');
	for (size_t i = 0; i < sb->n_lowers; i++) {
		char digest[sizeof(SHA) + OVL_HEX_BYTES] = SHA;

		if (sb->lowers[i].hex)
			memcpy(digest + strlen(SHA), sb->lowers[i].hex, OVL_HEX_BYTES);
		json_w_str(w, NULL, sb->lowers[i].hex ? digest : sb->lowers[i].dir);
	}
	json_w_close(w, ']');
}

static void put_sandbox(struct buf *text, const struct ovl_sandbox *sb)
{
	struct json_w w = { .out = text };

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "name", sb->name);
	json_w_str(&w, "holder", sb->holder);
	if (sb->image)
		json_w_str(&w, "image", sb->image);
	json_w_str(&w, "created", sb->created);
	json_w_bool(&w, "keep", sb->keep);
	json_w_str(&w, "kind", kinds[sb->kind]);
	json_w_uint(&w, "maxBytes", sb->max_bytes);
	json_w_uint(&w, "maxInodes", sb->max_inodes);
	json_w_uint(&w, "project", sb->project);
	put_lowers(&w, sb);
	json_w_close(&w, '}');
	buf_putc(text, '\n');
}

/* Half of a record cannot be read: what is new needs no second name. */
static int write_new(int dir_fd, const struct buf *text, struct error *err)
{
	auto_close int fd = openat(dir_fd, SANDBOX_RECORD, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EEXIST || errno == ENOENT))
		return -errno;
	if (fd < 0)
		return error_set(err, errno, "make " SANDBOX_RECORD);
	return file_write_all(fd, SANDBOX_RECORD, text->data, text->len, err);
}

static int sync_record(const struct ovl_sandbox *sb, struct error *err)
{
	auto_close int fd = openat(sb->dir_fd, SANDBOX_RECORD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsync(fd) < 0 || fsync(sb->dir_fd) < 0)
		return error_set(err, errno, "write the record of the sandbox %s to the disk", sb->name);
	return 0;
}

int sandbox_write(const struct ovl_sandbox *sb, enum sandbox_age age, struct error *err)
{
	char space[12288]; /* that of 100 layers fits */
	auto_buf struct buf text = BUF_ON(space);

	put_sandbox(&text, sb);

	int r = age == SANDBOX_NEW ? write_new(sb->dir_fd, &text, err) :
			 file_replace_at(sb->dir_fd, SANDBOX_RECORD, 0600, text.data, text.len, err);

	if (r == 0 && sb->keep)
		r = sync_record(sb, err);
	return r;
}

static int get_text(const struct json *v, const char *name, const char **ret, struct error *err)
{
	const struct json *member = json_get(v, name);

	return member ? json_string(member, ret, err) : error_rule(err, EINVAL, "has no member %s", name);
}

static int get_number(const struct json *v, const char *name, uint64_t max, uint64_t *ret, struct error *err)
{
	const struct json *member = json_get(v, name);

	return member ? json_uint(member, max, ret, err) : error_rule(err, EINVAL, "has no member %s", name);
}

static int get_kind(const struct json *v, enum ovl_sandbox_kind *ret, struct error *err)
{
	const char *text;
	int r = get_text(v, "kind", &text, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text, kinds[i])) {
			*ret = (enum ovl_sandbox_kind)i;
			return 0;
		}
	return error_rule(err, EINVAL, "has a kind unknown here, \"%.40s\"", text);
}

static int get_lower(const struct json *v, struct ovl_lower *ret, struct error *err)
{
	/* Records of old have objects. */
	const struct json *old = v->type != JSON_OBJECT ? v : json_get(v, "layer") ?: json_get(v, "directory");
	const char *text;
	int r = json_string(old, &text, err);

	if (r < 0)
		return r;
	if (*text == '/') {
		*ret = (struct ovl_lower){ .dir = text };
		return 0;
	}
	if (strncmp(text, SHA, strlen(SHA)) != 0 || !is_hex_digest(text + strlen(SHA)))
		return error_rule(err, EINVAL, "has a layer that is no digest, \"%.80s\"", text);
	*ret = (struct ovl_lower){ .hex = text + strlen(SHA) }; /* of the arena, as the tree is */
	return 0;
}

static int get_lowers(const struct json *v, struct arena *a, struct ovl_sandbox *ret, struct error *err)
{
	const struct json *lowers = json_get(v, "lowers");
	int r = 0;

	if (!lowers || lowers->type != JSON_ARRAY || !lowers->count)
		return error_rule(err, EINVAL, "has no lowers");
	ret->lowers = arena_array(a, lowers->count, sizeof(*ret->lowers));
	json_each(lower, lowers) {
		r = get_lower(lower, &ret->lowers[ret->n_lowers++], err);
		if (r < 0)
			break;
	}
	return r;
}

static int parse(const struct json *v, const char *name, struct arena *a, struct ovl_sandbox *ret, struct error *err)
{
	uint64_t project = 0;
	int r = get_text(v, "name", &ret->name, err);

	if (r == 0 && strcmp(ret->name, name) != 0)
		r = error_rule(err, EINVAL, "is of another sandbox, \"%.80s\"", ret->name);
	if (r == 0)
		r = get_text(v, "holder", &ret->holder, err);
	if (r == 0)
		r = get_text(v, "created", &ret->created, err);
	if (r == 0 && json_get(v, "image"))
		r = get_text(v, "image", &ret->image, err);
	if (r == 0)
		r = json_bool(json_get(v, "keep"), &ret->keep, err);
	if (r == 0)
		r = get_kind(v, &ret->kind, err);
	if (r == 0)
		r = get_number(v, "maxBytes", UINT64_MAX, &ret->max_bytes, err);
	if (r == 0)
		r = get_number(v, "maxInodes", UINT64_MAX, &ret->max_inodes, err);
	if (r == 0)
		r = get_number(v, "project", UINT32_MAX, &project, err);
	ret->project = (uint32_t)project;
	return r < 0 ? r : get_lowers(v, a, ret, err);
}

static bool is_there(const char *path)
{
	struct stat st;

	/* path-ok: a state directory of ours, and no more than its existence is asked for */
	return stat(path, &st) == 0 || errno != ENOENT;
}

int sandbox_read(int dir_fd, const char *name, struct arena *a, struct ovl_sandbox *ret, struct error *err)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;
	const struct json *v;
	char *text;
	size_t n;
	int r = file_load_at(dir_fd, SANDBOX_RECORD, JSON_MAX_BYTES, a, &text, &n, err);

	if (r < 0)
		return r;
	if (json_parse(text, n, SANDBOX_RECORD, a, &v, NULL) < 0)
		return error_rule(err, EBADMSG, "the record of the sandbox %s is no JSON: it was never made whole", name);
	r = parse(v, name, a, &sb, err);
	if (r < 0)
		return error_wrap(err, r, "cannot read the record of the sandbox %s", name);
	sb.is_used = is_there(sb.holder);
	*ret = sb;
	return 0;
}

bool sandbox_is_garbage(const struct ovl_sandbox *sb)
{
	return !sb->keep && !sb->is_used;
}
