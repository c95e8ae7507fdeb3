/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See place.h.
 */
#include "overlay/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/oom.h"

#define WHITEOUT ".wh."
#define OPAQUE WHITEOUT WHITEOUT ".opq"
#define OPAQUE_XATTR "trusted.overlay.opaque"
#define TIMES_MAX (256u << 20)

/* One for each entry, also of a directory that comes again and again: what an archive can make us remember. */
static int note_time(struct place *p, const char *path, struct timespec mtime, struct error *err)
{
	p->times_bytes += sizeof(*p->times) + strlen(path) + 1;
	if (p->times_bytes > TIMES_MAX)
		return error_rule(err, E2BIG, "the names of the layer's directories take more than %u MiB",
				  TIMES_MAX >> 20);
	if (p->n_times == p->cap_times) {
		p->cap_times = p->cap_times ? p->cap_times * 2 : 64;
		p->times = reallocarray(p->times, p->cap_times, sizeof(*p->times));
		if (!p->times)
			oom_die();
	}
	p->times[p->n_times] = (struct place_time){ .path = strdup(path), .mtime = mtime };
	if (!p->times[p->n_times++].path)
		oom_die();
	return 0;
}

void place_begin(struct place *p, int tree_fd, unsigned max_depth)
{
	*p = (struct place){ .tree_fd = tree_fd, .max_depth = max_depth, .parent_fd = -1 };
	note_time(p, "", (struct timespec){ 0 }, NULL); /* until an entry says otherwise */
}

void place_release(struct place *p)
{
	auto_closep(&p->parent_fd);
	p->parent_fd = -1;
	for (size_t i = 0; i < p->n_times; i++)
		free(p->times[i].path);
	free(p->times);
	p->times = NULL;
	p->n_times = p->cap_times = 0;
}

/* ---- names ---- */

int place_name(const char *name, const char *what, unsigned max_depth, char path[static PATH_MAX],
	       struct error *err)
{
	size_t n = 0;
	unsigned depth = 0;

	if (name[0] == '/')
		return error_rule(err, EPERM, "%s \"%.200s\" is an absolute path", what, name);
	for (const char *p = name; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.')
			return error_rule(err, EPERM, "%s \"%.200s\" leads out of the layer", what, name);
		if (len > NAME_MAX || n + len + 2 > PATH_MAX)
			return error_rule(err, EPERM, "%s \"%.200s…\" is too long for a path", what, name);
		if (len > 0 && !(len == 1 && p[0] == '.')) {
			if (++depth > max_depth)
				return error_rule(err, E2BIG, "%s \"%.200s…\" is deeper than %u directories",
						  what, name, max_depth);
			if (n)
				path[n++] = '/';
			memcpy(path + n, p, len);
			n += len;
		}
		p += len;
		p += *p == '/';
	}
	path[n] = '\0';
	return 0;
}

static int open_below(const struct place *p, const char *path)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, /* a link at the end is refused below, by name */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, p->tree_fd, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int make_opaque(int fd, const char *path, struct error *err)
{
	if (fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) == 0)
		return 0;

	int r = error_set(err, errno, "set " OPAQUE_XATTR " on %s", path);

	if (r == -EPERM)
		error_hint(err, "only the host's root can make layers");
	return r;
}

/* ---- directories ---- */

/* Makes name in parent_fd. A whiteout in its place says that what is below is gone: opaque. */
static int make_dir(int parent_fd, const char *name, const char *path, struct error *err)
{
	struct stat st;
	bool was_whiteout = false;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		was_whiteout = is_whiteout(&st);
		if (unlinkat(parent_fd, name, 0) < 0)
			return error_set(err, errno, "replace %s", path);
	}
	/* The umask is the caller's, the mode the layer's; and a parent's set-group-id bit gives away its group. */
	if (mkdirat(parent_fd, name, 0755) < 0 || fchownat(parent_fd, name, 0, 0, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(parent_fd, name, 0755, 0) < 0)
		return error_set(err, errno, "make the directory %s", path);
	if (!was_whiteout)
		return 0;

	auto_close int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_set(err, errno, "open %s", path) : make_opaque(fd, path, err);
}

static int refuse_parent(int code, const char *path, struct error *err)
{
	if (code == ELOOP || code == EXDEV)
		return error_rule(err, EPERM, "an entry lies below %s, which is a symbolic link", path);
	return error_set(err, code, "open the directory %s", path);
}

static int add_parent(struct place *p, int parent_fd, const char *name, const char *path,
		      struct error *err)
{
	struct stat st;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !is_whiteout(&st))
		return error_rule(err, EPERM, "an entry lies below %s, which is no directory", path);

	int r = make_dir(parent_fd, name, path, err);

	return r < 0 ? r : note_time(p, path, (struct timespec){ 0 }, err);
}

/* Opens the directory path, made when missing. path is cut and put together again on the way. */
static int open_parent(struct place *p, char *path, struct error *err)
{
	int fd = open_below(p, path);

	if (fd != -ENOENT && fd != -ENOTDIR)
		return fd < 0 ? refuse_parent(-fd, path, err) : fd;

	char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (slash)
		*slash = '\0';

	auto_close int above = slash ? open_parent(p, path, err) : open_below(p, "");

	if (slash)
		*slash = '/';
	if (above < 0)
		return slash ? above : refuse_parent(-above, path, err);

	int r = add_parent(p, above, name, path, err);

	if (r < 0)
		return r;
	fd = open_below(p, path);
	return fd < 0 ? refuse_parent(-fd, path, err) : fd;
}

static void forget_parent(struct place *p)
{
	auto_closep(&p->parent_fd);
	p->parent_fd = -1;
}

/*
 * A directory must not have a whiteout's name (image-spec, layer.md): whoever packs the tree again would write a
 * whiteout. That of aufs did, and nobody needs what is in it.
 */
static bool is_below_whiteout(const char *path)
{
	const char *last = strrchr(path, '/');

	for (const char *p = path; last && p < last; p = strchr(p, '/') + 1)
		if (!strncmp(p, WHITEOUT, strlen(WHITEOUT)))
			return true;
	return false;
}

/*
 * Does something of this layer that is no directory hide all that the whiteout could? umoci writes such ones for
 * what was in a directory that became a file or a link, others after a whiteout of the directory itself.
 */
static bool is_moot(const struct place *p, const struct place_at *at)
{
	if (!place_is_whiteout(at))
		return false;

	auto_close int fd = open_below(p, p->parent);

	return fd == -ENOTDIR || fd == -ELOOP;
}

int place_find(struct place *p, const char *name, struct place_at *at, struct error *err)
{
	int r = place_name(name, "entry", p->max_depth, at->path, err);

	if (r == 0 && is_below_whiteout(at->path))
		r = error_rule(err, EPERM, "entry \"%.200s\" lies below the name of a whiteout", name);
	if (r < 0)
		return r;

	char *slash = strrchr(at->path, '/');
	size_t n = slash ? (size_t)(slash - at->path) : 0;

	at->name = slash ? slash + 1 : at->path;
	if (p->parent_fd < 0 || strncmp(p->parent, at->path, n) != 0 || p->parent[n]) {
		forget_parent(p);
		memcpy(p->parent, at->path, n);
		p->parent[n] = '\0';
		if (is_moot(p, at))
			return 1;

		int fd = open_parent(p, p->parent, err);

		if (fd < 0)
			return error_wrap(err, fd, "cannot place \"%.200s\"", name);
		p->parent_fd = fd;

		struct stat st;

		/* The root's own entry may come later and leave it open. */
		p->parent_gives_group = n == 0 || fstat(fd, &st) < 0 || (st.st_mode & S_ISGID);
	}
	at->parent_fd = p->parent_fd;
	at->inherits_group = p->parent_gives_group;
	return 0;
}

int place_dir(struct place *p, const struct place_at *at, const struct place_meta *m, struct error *err)
{
	struct stat st;
	const char *name = *at->path ? at->name : ".";

	if (!*at->path)
		p->has_root = true;
	if (fstatat(at->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) {
		int r = make_dir(at->parent_fd, name, at->path, err);

		if (r < 0)
			return r;
	}

	int r = note_time(p, at->path, m->mtime, err);
	int fd = r < 0 ? r : openat(at->parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (r < 0)
		return r;
	return fd < 0 ? error_set(err, errno, "open the directory %s", at->path) : fd;
}

/* ---- what is no directory ---- */

/* Takes away what has the entry's name: the last of two entries counts. */
static int clear(struct place *p, const struct place_at *at, struct error *err)
{
	if (!*at->path)
		return error_rule(err, EPERM, "the root of the layer is no directory");
	if (unlinkat(at->parent_fd, at->name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_set(err, errno, "replace %s", at->path);

	int r = remove_tree(at->parent_fd, at->name, err);

	(void)p;
	return r < 0 ? error_wrap(err, r, "cannot replace the directory %s", at->path) : 0;
}

int place_file(struct place *p, const struct place_at *at, struct error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = *at->path ? openat(at->parent_fd, at->name, flags, 0600) : -1;

	if (fd >= 0)
		return fd;
	if (*at->path && errno != EEXIST)
		return error_set(err, errno, "make the file %s", at->path);

	int r = clear(p, at, err);

	if (r < 0)
		return r;
	fd = openat(at->parent_fd, at->name, flags, 0600);
	return fd < 0 ? error_set(err, errno, "make the file %s", at->path) : fd;
}

int place_symlink(struct place *p, const struct place_at *at, const char *target, struct error *err)
{
	int r = clear(p, at, err);

	if (r == 0 && symlinkat(target, at->parent_fd, at->name) < 0)
		r = error_set(err, errno, "make the symbolic link %s", at->path);
	return r;
}

int place_node(struct place *p, const struct place_at *at, mode_t type, dev_t device, struct error *err)
{
	int r = clear(p, at, err);

	if (r == 0 && mknodat(at->parent_fd, at->name, type | 0600, device) < 0)
		r = error_set(err, errno, "make the device node or fifo %s", at->path);
	return r;
}

int place_hardlink(struct place *p, const struct place_at *at, const char *target, struct error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int r = place_name(target, "hard link target", p->max_depth, path, err);

	if (r < 0)
		return r;
	if (!strcmp(path, at->path))
		return error_rule(err, EPERM, "%s is a hard link to itself", at->path);

	char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (slash)
		*slash = '\0';

	auto_close int from = open_below(p, slash ? path : "");

	if (from < 0 || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_rule(err, EPERM, "%s is a hard link to \"%.200s\", which this layer does not have",
				  at->path, target);
	if (S_ISDIR(st.st_mode) || is_whiteout(&st))
		return error_rule(err, EPERM, "%s is a hard link to \"%.200s\", which is no file", at->path,
				  target);
	r = clear(p, at, err);
	if (r == 0 && linkat(from, name, at->parent_fd, at->name, 0) < 0)
		r = error_set(err, errno, "make the hard link %s to %s", at->path, target);
	return r;
}

/* ---- whiteouts ---- */

bool place_is_whiteout(const struct place_at *at)
{
	return !strncmp(at->name, WHITEOUT, strlen(WHITEOUT));
}

static int hide(const struct place_at *at, const char *name, struct error *err)
{
	const struct timespec never[2] = { { 0 }, { 0 } };
	struct stat st;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return error_rule(err, EPERM, "the whiteout %s names no file", at->path);
	if (fstatat(at->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISDIR(st.st_mode))
			return 0; /* what this layer has of that name hides the lower one already */

		auto_close int fd = openat(at->parent_fd, name,
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		return fd < 0 ? error_set(err, errno, "open %s", name) : make_opaque(fd, name, err);
	}
	if (mknodat(at->parent_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		return error_set(err, errno, "make the whiteout of %s", name);
	if (utimensat(at->parent_fd, name, never, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "set the time of the whiteout of %s", name);
	return 0;
}

int place_whiteout(struct place *p, const struct place_at *at, struct error *err)
{
	const char *name = at->name + strlen(WHITEOUT);

	(void)p;
	if (!strcmp(at->name, OPAQUE))
		return make_opaque(at->parent_fd, at->path, err);
	if (!strncmp(name, WHITEOUT, strlen(WHITEOUT)))
		return 0; /* aufs kept its own books under such names */
	return hide(at, name, err);
}

/* ---- metadata ---- */

int place_set_meta(const struct place_at *at, int fd, const struct place_meta *m, struct error *err)
{
	const struct timespec times[2] = { m->mtime, m->mtime };
	const char *name = *at->path ? at->name : ".";
	int r = 0;

	/* Most are root's already. Owner before mode: a change of owner takes the set-user-id bit. */
	if (m->uid || m->gid || at->inherits_group)
		r = fd >= 0 ? fchown(fd, m->uid, m->gid) :
			      fchownat(at->parent_fd, name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return error_set(err, errno, "give %s to %u:%u", at->path, m->uid, m->gid);

	/* A name without a descriptor is a node that we have just made, or a link, which has no mode. */
	if (fd >= 0)
		r = fchmod(fd, m->mode & 07777);
	else if (!S_ISLNK(m->mode))
		r = fchmodat(at->parent_fd, name, m->mode & 07777, 0);
	if (r < 0)
		return error_set(err, errno, "set the mode of %s to %04o", at->path, m->mode & 07777);
	if (S_ISDIR(m->mode))
		return 0;
	r = fd >= 0 ? futimens(fd, times) : utimensat(at->parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
	return r < 0 ? error_set(err, errno, "set the time of %s", at->path) : 0;
}

int place_end(struct place *p, struct error *err)
{
	for (size_t i = 0; i < p->n_times; i++) {
		const struct timespec times[2] = { p->times[i].mtime, p->times[i].mtime };
		auto_close int fd = open_below(p, p->times[i].path);

		if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
			continue; /* a later entry took its place */
		if (fd < 0 || futimens(fd, times) < 0)
			return error_set(err, fd < 0 ? -fd : errno, "set the time of %s", p->times[i].path);
	}
	return 0;
}
