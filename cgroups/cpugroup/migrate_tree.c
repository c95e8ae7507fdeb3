/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * A second cgroup like the first one. Each directory, from the top down: kind
 * (threaded), attributes, limits, programs, the controllers handed down, the
 * directories in it, and at last what would have been in the way: the bounds on sub-cgroups, the
 * freezer, and who owns it (delegation).
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAMES_MAX 65536 /* of attributes: the kernel's own bound */

static const char **grow(struct arena *a, const char **v, size_t n)
{
	if (n & (n - 1) || (n && n < 32))
		return v;

	const char **more = ARENA_NEW_N(a, const char *, n ? n * 2 : 32);

	if (n)
		memcpy(more, v, n * sizeof(*v));
	return more;
}

int mig_list(int dir_fd, struct arena *a, struct mig_listing *ret, struct error *err)
{
	int own = cg_open_below(dir_fd, ".", O_RDONLY | O_DIRECTORY);
	auto_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct mig_listing l = { .n_files = 0 };

	if (!dir) {
		int r = error_set(err, own < 0 ? -own : errno, "list the cgroup's directory");

		if (own >= 0)
			close(own);
		return r;
	}
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		if (e->d_type == DT_DIR) {
			l.child = grow(a, l.child, l.n_children);
			l.child[l.n_children++] = arena_strdup(a, e->d_name);
		} else {
			l.file = grow(a, l.file, l.n_files);
			l.file[l.n_files++] = arena_strdup(a, e->d_name);
		}
	}
	*ret = l;
	return 0;
}

/* Attributes that users and managers put on the directory; those of ours that belong to one place stay there. */
static int copy_attributes(int from_fd, int to_fd, struct arena *a, struct error *err)
{
	ssize_t n = flistxattr(from_fd, NULL, 0);

	if (n <= 0)
		return 0;
	if (n > NAMES_MAX)
		return error_rule(err, E2BIG, "the cgroup has more attributes than can be copied");

	char *names = ARENA_NEW_N(a, char, (size_t)n + 1);

	n = flistxattr(from_fd, names, (size_t)n);
	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		if (strncmp(name, "user.", 5) != 0 && strncmp(name, "trusted.", 8) != 0)
			continue;
		if (strcmp(name, CPG_XATTR_RESIDUAL) == 0 || strcmp(name, MIG_XATTR_THREADS) == 0 ||
		    strcmp(name, MIG_XATTR_MOVE) == 0)
			continue;

		ssize_t size = fgetxattr(from_fd, name, NULL, 0);
		char *value = ARENA_NEW_N(a, char, size > 0 ? (size_t)size : 1);

		if (size > 0)
			size = fgetxattr(from_fd, name, value, (size_t)size);
		if (size < 0 && errno == ENODATA)
			continue;
		if (size < 0 || fsetxattr(to_fd, name, value, (size_t)size, 0) < 0)
			return error_set(err, errno, "copy the attribute %s", name);
	}
	return 0;
}

static bool same_owner(const struct stat *a, const struct stat *b)
{
	return a->st_uid == b->st_uid && a->st_gid == b->st_gid && (a->st_mode & 07777) == (b->st_mode & 07777);
}

static int give(int dir_fd, const char *file, const struct stat *have, const struct stat *now, struct error *err)
{
	bool chowned = have->st_uid != now->st_uid || have->st_gid != now->st_gid;

	if (chowned && fchownat(dir_fd, file, have->st_uid, have->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "give %s to user %u", file, have->st_uid);
	if ((have->st_mode & 07777) != (now->st_mode & 07777) && fchmodat(dir_fd, file, have->st_mode & 07777, 0) < 0)
		return error_set(err, errno, "set the mode of %s to %04o", file, have->st_mode & 07777);
	return 0;
}

/* A file nobody has given away: as the kernel makes it for us. */
static bool is_untouched(const struct stat *st, uid_t uid, gid_t gid)
{
	mode_t mode = st->st_mode & 07777;

	return st->st_uid == uid && st->st_gid == gid && (mode == 0644 || mode == 0444 || mode == 0200);
}

static int copy_owner(const struct mig *m, int from_fd, int to_fd, const struct mig_listing *l, struct error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct stat have;
	struct stat now;

	for (size_t i = 0; i < l->n_files; i++) {
		const char *file = l->file[i];

		if (fstatat(from_fd, file, &have, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (m->made && !m->prepared && is_untouched(&have, uid, gid)))
			continue;
		if (fstatat(to_fd, file, &now, AT_SYMLINK_NOFOLLOW) < 0 || same_owner(&have, &now))
			continue;

		int r = give(to_fd, file, &have, &now, err);

		if (r < 0)
			return r;
	}
	if (fstat(from_fd, &have) < 0 || fstat(to_fd, &now) < 0)
		return error_set(err, errno, "ask for the owner of the cgroup");
	/* Last: from here on the owner can make children. */
	return same_owner(&have, &now) ? 0 : give(to_fd, ".", &have, &now, err);
}

static int copy_kind(int from_fd, int to_fd, struct error *err)
{
	char have[64];
	char now[64];

	if (cg_read(from_fd, "cgroup.type", have, sizeof(have)) < 0 || strncmp(have, "threaded", 8) != 0)
		return 0;
	if (cg_read(to_fd, "cgroup.type", now, sizeof(now)) > 0 && strncmp(now, "threaded", 8) == 0)
		return 0;

	int r = cg_write_text(to_fd, "cgroup.type", "threaded");

	return r < 0 ? error_set(err, -r, "write threaded to cgroup.type") : 0;
}

/* cgroup.subtree_control as it was, in one write: "cpu memory" as "+cpu +memory". */
static int copy_controllers(int from_fd, int to_fd, struct error *err)
{
	char have[512];
	char now[512];
	char line[600];
	size_t used = 0;

	if (cg_read(from_fd, "cgroup.subtree_control", have, sizeof(have)) <= 0)
		return 0;
	if (cg_read(to_fd, "cgroup.subtree_control", now, sizeof(now)) < 0 || strcmp(have, now) == 0)
		return 0;
	for (const char *s = have; *s;) {
		size_t n = strcspn(s, " \n");

		if (n)
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s+%.*s", used ? " " : "", (int)n, s);
		s += n + (s[n] != '\0');
	}
	if (!used)
		return 0;

	int r = cg_write_text(to_fd, "cgroup.subtree_control", line);

	if (r < 0)
		return error_set(err, -r, "write \"%s\" to cgroup.subtree_control", line);
	return 0;
}

/* One number or word, as it is; for the few files that are not copied with the limits. */
static int copy_word(int from_fd, int to_fd, const char *file, struct error *err)
{
	char have[64];
	char now[64];

	if (cg_read(from_fd, file, have, sizeof(have)) <= 0 || cg_read(to_fd, file, now, sizeof(now)) <= 0 ||
	    strcmp(have, now) == 0)
		return 0;
	have[strcspn(have, "\n")] = '\0';

	int r = cg_write_text(to_fd, file, have);

	return r < 0 ? error_set(err, -r, "write \"%s\" to %s", have, file) : 0;
}

int mig_copy_child(struct mig *m, int src_fd, int dst_fd, const char *name, unsigned depth, struct error *err)
{
	auto_close int src = cpg_open_child(src_fd, name);

	if (src < 0)
		return error_set(err, -src, "open the sub-cgroup %s", name);
	if (mkdirat(dst_fd, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "create the sub-cgroup %s", name);

	auto_close int dst = cpg_open_child(dst_fd, name);
	int r = dst < 0 ? error_set(err, -dst, "open the sub-cgroup %s", name) :
			  mig_copy_tree(m, src, dst, MIG_SUB, depth + 1, err);

	if (r < 0)
		return error_wrap(err, r, "cannot make the sub-cgroup %s like the old one", name);
	return TAKE_FD(dst);
}

int mig_copy_tree(struct mig *m, int from_fd, int to_fd, enum mig_part part, unsigned depth, struct error *err)
{
	bool is_leaf = part == MIG_LEAF;
	struct mig_listing l;

	if (depth > CPG_MAX_DEPTH)
		return error_rule(err, ELOOP, "sub-cgroups are nested more than %d deep", CPG_MAX_DEPTH);

	int r = mig_list(from_fd, m->arena, &l, err);

	if (r == 0 && !is_leaf)
		r = copy_kind(from_fd, to_fd, err);
	if (r == 0)
		r = copy_attributes(from_fd, to_fd, m->arena, err);
	if (r == 0)
		r = mig_copy_settings(from_fd, to_fd, &l, m->arena, err);
	/* The caller knows better what the leaf's devices are. */
	if (r == 0)
		r = mig_copy_programs(from_fd, to_fd, m->made && !m->prepared ? CG_FRESH : CG_USED,
				      !is_leaf || !m->move->attach, err);
	/* Before controllers are handed down: a child's kind cannot change below some of them. */
	for (size_t i = 0; r == 0 && i < l.n_children; i++) {
		if (mkdirat(to_fd, l.child[i], 0755) < 0 && errno != EEXIST)
			return error_set(err, errno, "create the sub-cgroup %s", l.child[i]);

		auto_close int src = cpg_open_child(from_fd, l.child[i]);
		auto_close int dst = cpg_open_child(to_fd, l.child[i]);

		if (src >= 0 && dst >= 0)
			r = copy_kind(src, dst, err);
	}
	if (r == 0 && l.n_children)
		r = copy_controllers(from_fd, to_fd, err);
	for (size_t i = 0; r == 0 && i < l.n_children; i++) {
		int fd = mig_copy_child(m, from_fd, to_fd, l.child[i], depth, err);

		r = fd < 0 ? fd : 0;
		if (fd >= 0)
			close(fd);
	}
	if (r == 0 && !l.n_children)
		r = copy_controllers(from_fd, to_fd, err);
	if (r == 0)
		r = copy_word(from_fd, to_fd, "cgroup.max.depth", err);
	if (r == 0)
		r = copy_word(from_fd, to_fd, "cgroup.max.descendants", err);
	if (r == 0 && !is_leaf)
		r = copy_word(from_fd, to_fd, "cgroup.freeze", err);
	return r < 0 ? r : copy_owner(m, from_fd, to_fd, &l, err);
}

int mig_clear(int dir_fd, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct mig_listing l;
	char have[512];
	int r = mig_list(dir_fd, a, &l, err);

	for (size_t i = 0; r == 0 && i < l.n_children; i++) {
		auto_close int fd = cpg_open_child(dir_fd, l.child[i]);

		if (fd == -ENOENT)
			continue;
		r = fd < 0 ? error_set(err, -fd, "open the sub-cgroup %s", l.child[i]) : mig_clear(fd, err);
		if (r == 0 && unlinkat(dir_fd, l.child[i], AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = error_set(err, errno, "remove the sub-cgroup %s", l.child[i]);
	}
	if (r < 0 || cg_read(dir_fd, "cgroup.subtree_control", have, sizeof(have)) <= 1)
		return r;
	for (char *save = NULL, *s = strtok_r(have, " \n", &save); s; s = strtok_r(NULL, " \n", &save)) {
		char word[64];

		snprintf(word, sizeof(word), "-%s", s);
		r = cg_write_text(dir_fd, "cgroup.subtree_control", word);
		if (r < 0)
			return error_set(err, -r, "write %s to cgroup.subtree_control", word);
	}
	return 0;
}
