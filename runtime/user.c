/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user that an image, or a person, names: by number, or by a name that the image's own /etc/passwd and
 * /etc/group know (image-spec, config.md "User" and conversion.md). Both files are a stranger's: they are
 * found without leaving the root, opened only when they are regular files, and read within a bound.
 *
 * A number is a number and never looked up as a name (CVE-2016-3697), and one that does not fit is an error
 * and never another number (CVE-2024-40635).
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/parse.h"
#include "spec/base/path.h"

enum {
	FILE_MAX_BYTES = 4 << 20,
	NAME_MAX_BYTES = 256,
	GROUPS_MAX = NGROUPS_MAX, /* setgroups(2) */
	FIELDS = 4, /* that we look at: name, password, id, and gid or members */
	MIN_FIELDS = 3, /* a group without the last colon has no members */
};

/* ---- files of names ---- */

/* The file's text; empty when there is none. */
static int load(int root_fd, const char *path, struct buf *text, struct error *err)
{
	char self[64];
	struct stat st;
	auto_close int place = path_try(root_fd, path, O_PATH);

	if (place == -ENOENT || place == -ENOTDIR || place == -ELOOP)
		return 0;
	if (place < 0)
		return error_set(err, -place, "open the image's %s", path);
	if (fstat(place, &st) < 0)
		return error_set(err, errno, "stat the image's %s", path);
	if (!S_ISREG(st.st_mode))
		return error_rule(err, EINVAL, "the image's %s is not a regular file", path);

	/* Only now to be read: a device of the image may do something when it is opened. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);

	auto_close int fd = openat(AT_FDCWD, self, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open the image's %s", path);
	return file_read_fd(fd, path, FILE_MAX_BYTES, text, err);
}

/* One line's fields, in place. */
struct entry {
	const char *field[FIELDS];
};

/* The next line that has an id. False at the end. *pos is 0 at the beginning. */
static bool next_entry(struct buf *text, size_t *pos, struct entry *ret)
{
	while (*pos < text->len) {
		char *line = text->data + *pos;
		char *end = memchr(line, '\n', text->len - *pos);
		size_t n = end ? (size_t)(end - line) : text->len - *pos;
		int i = 0;

		*pos += n + 1;
		if (memchr(line, '\0', n))
			continue;
		line[n] = '\0';
		for (char *rest = line; rest && i < FIELDS;)
			ret->field[i++] = strsep(&rest, ":");
		if (i < MIN_FIELDS)
			continue;
		while (i < FIELDS)
			ret->field[i++] = "";
		return true;
	}
	return false;
}

struct account {
	char name[NAME_MAX_BYTES]; /* "": only the number is known */
	uint32_t uid, gid;
	bool is_found;
};

/* By name, or, when name is NULL, by uid. */
static int find_account(int root_fd, const char *name, uint32_t uid, struct account *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	struct entry e;
	size_t pos = 0;
	int r = load(root_fd, "/etc/passwd", &text, err);

	while (r == 0 && next_entry(&text, &pos, &e)) {
		uint32_t id, gid;

		if (name && strcmp(e.field[0], name) != 0)
			continue;
		if (parse_id(e.field[2], &id) < 0 || parse_id(e.field[3], &gid) < 0 || (!name && id != uid))
			continue;
		*ret = (struct account){ .uid = id, .gid = gid, .is_found = true };
		snprintf(ret->name, sizeof(ret->name), "%s", e.field[0]);
		return 0;
	}
	return r;
}

static bool is_member(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == ','))
			return true;
	return false;
}

static int find_group(int root_fd, const char *name, uint32_t *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	struct entry e;
	size_t pos = 0;
	int r = load(root_fd, "/etc/group", &text, err);

	while (r == 0 && next_entry(&text, &pos, &e))
		if (strcmp(e.field[0], name) == 0 && parse_id(e.field[2], ret) == 0)
			return 0;
	return r < 0 ? r : error_rule(err, EINVAL, "the image has no group \"%s\" in /etc/group", name);
}

/* The groups that list name as a member. */
static int find_memberships(int root_fd, const char *name, struct arena *a, struct spec_user *user, struct error *err)
{
	auto_buf struct buf text = BUF_INIT, gids = BUF_INIT;
	struct entry e;
	size_t pos = 0, n = 0;
	int r = load(root_fd, "/etc/group", &text, err);

	while (r == 0 && next_entry(&text, &pos, &e)) {
		uint32_t gid;

		if (!is_member(e.field[3], name) || parse_id(e.field[2], &gid) < 0)
			continue;
		if (++n > GROUPS_MAX)
			return error_rule(err, E2BIG, "user \"%s\" is in more than %d groups of the image's /etc/group",
					  name, GROUPS_MAX);
		buf_add(&gids, &gid, sizeof(gid));
	}
	if (r < 0 || n == 0)
		return r;
	user->additional_gids = ARENA_NEW_N(a, uint32_t, n);
	memcpy(user->additional_gids, gids.data, n * sizeof(uint32_t));
	user->n_additional_gids = n;
	return 0;
}

/* ---- what was named ---- */

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

static int take_number(const char *s, const char *what, uint32_t *ret, struct error *err)
{
	if (parse_id(s, ret) == 0)
		return 0;
	return error_rule(err, EINVAL, "%s %s is out of range: ids go from 0 to 4294967294", what, s);
}

static int resolve_uid(int root_fd, const char *name, bool needs_gid, struct account *ret, struct error *err)
{
	if (!is_number(name)) {
		int r = find_account(root_fd, name, 0, ret, err);

		if (r < 0 || ret->is_found)
			return r;
		return error_rule(err, EINVAL, "the image has no user \"%s\" in /etc/passwd", name);
	}

	uint32_t uid;
	int r = take_number(name, "user", &uid, err);

	if (r == 0 && needs_gid)
		r = find_account(root_fd, NULL, uid, ret, err);
	ret->uid = uid;
	return r;
}

/* An image's string is about to be part of a sentence. */
static bool has_control_bytes(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

int rt_user_resolve(int root_fd, const char *text, struct arena *a, struct spec_user *ret, struct error *err)
{
	char user[NAME_MAX_BYTES];
	struct account account = { .uid = 0 };
	struct spec_user out = { .uid = 0 };

	if (!text || !*text) {
		*ret = out;
		return 0;
	}

	if (has_control_bytes(text))
		return error_rule(err, EINVAL, "the user's name has a control character in it");

	const char *colon = strchr(text, ':');
	const char *group = colon ? colon + 1 : NULL;
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	if (n == 0 || n >= sizeof(user) || (group && (!*group || strchr(group, ':') || strlen(group) >= sizeof(user))))
		return error_rule(err, EINVAL, "user \"%.80s\" is not USER, UID, USER:GROUP or UID:GID", text);
	snprintf(user, sizeof(user), "%.*s", (int)n, text);

	int r = resolve_uid(root_fd, user, !group, &account, err);

	out.uid = account.uid;
	out.gid = account.gid;
	if (r == 0 && group)
		r = is_number(group) ? take_number(group, "group", &out.gid, err) :
				       find_group(root_fd, group, &out.gid, err);
	/* Groups by membership are those of a name alone (conversion.md, Config.User). */
	else if (r == 0 && !is_number(user))
		r = find_memberships(root_fd, account.name, a, &out, err);
	if (r == 0)
		*ret = out;
	return r;
}

bool rt_user_needs_files(const char *text)
{
	if (!text || !*text)
		return false;

	const char *colon = strchr(text, ':');

	return !colon || text[strspn(text, "0123456789:")] != '\0';
}
