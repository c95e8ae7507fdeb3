/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See unpack.h. Walks the archive, checks each entry's numbers, and hands names to place.h, which owns
 * every path.
 */
#include "overlay/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/place.h"
#include "spec/base/auto.h"
#include "spec/base/log.h"

#define MAX_ID 0xfffffffeu /* the kernel reads 2^32-1 as "no change" (CVE-2024-40635 is what that leads to) */

struct job {
	struct unpack *u;
	const struct la_lib *la;
	struct archive *archive;
	struct archive_entry *entry;
	struct place place;
	struct place_at at;
};

static void tick(const struct job *j)
{
	if (j->u->tick)
		j->u->tick(j->u->data);
}

static int archive_error(const struct job *j, struct error *err)
{
	const char *why = j->la->error_string(j->archive);

	return error_rule(err, EIO, "the tar archive cannot be read: %s", why ? why : "no reason given");
}

static ssize_t next_bytes(struct archive *archive, void *data, const void **ret)
{
	struct job *j = data;

	(void)archive;
	tick(j);
	return stream_next(j->u->stream, ret);
}

/* ---- numbers ---- */

static int take_id(const char *path, const char *what, int64_t id, uint32_t *ret, struct error *err)
{
	if (id < 0 || id > MAX_ID)
		return error_rule(err, EINVAL, "entry \"%.200s\" has the impossible %s %lld", path, what,
				  (long long)id);
	*ret = (uint32_t)id;
	return 0;
}

static int read_meta(const struct job *j, const char *name, struct place_meta *m, struct error *err)
{
	int r = take_id(name, "owner", j->la->uid(j->entry), &m->uid, err);

	if (r == 0)
		r = take_id(name, "group", j->la->gid(j->entry), &m->gid, err);
	m->mode = j->la->mode(j->entry);
	m->mtime = (struct timespec){ .tv_sec = j->la->mtime(j->entry),
				      .tv_nsec = j->la->mtime_nsec(j->entry) };
	return r;
}

static int spend(uint64_t *left, uint64_t n, const char *what, struct error *err)
{
	if (n > *left) {
		int r = error_rule(err, E2BIG, "the image has more %s than are allowed", what);

		error_hint(err, "if it is to be trusted, raise the limit: --max-size, --max-entries");
		return r;
	}
	*left -= n;
	return 0;
}

/* ---- extended attributes ---- */

/*
 * What the host or an overlay mount would read as its own: an image must not redirect lookups
 * (trusted.overlay.redirect), and labels belong to the host's policy: of security.* an image has capabilities and
 * signatures of files (ima) to say something about.
 */
static bool is_hosts_own(const char *name)
{
	if (!strncmp(name, "security.", 9))
		return strcmp(name, "security.capability") != 0 && strcmp(name, "security.ima") != 0;
	return !strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13) ||
	       !strncmp(name, "system.nfs4", 11);
}

static int set_xattr(const struct job *j, int fd, const char *name, const void *value, size_t n,
		     struct error *err)
{
	char path[64 + NAME_MAX];
	int r;

	if (is_hosts_own(name)) {
		log_warn(j->u->log, "the attribute %s of %s in the layer is left out: it is the host's", name,
			 j->at.path);
		return 0;
	}
	if (fd >= 0) {
		r = fsetxattr(fd, name, value, n, 0);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", j->at.parent_fd, j->at.name);
		r = lsetxattr(path, name, value, n, 0); /* path-ok: the last component is not followed */
	}
	if (r == 0)
		return 0;

	/* A program without its capabilities is another program; other attributes some filesystems lack. */
	if (errno == ENOTSUP && strcmp(name, "security.capability") != 0) {
		log_warn(j->u->log, "the filesystem has no place for the attribute %s of %s", name,
			 j->at.path);
		return 0;
	}
	return error_set(err, errno, "set the attribute %s on %s", name, j->at.path);
}

static int set_xattrs(const struct job *j, int fd, struct error *err)
{
	const char *name;
	const void *value;
	size_t n;
	int r = 0;

	if (j->la->xattr_reset(j->entry) == 0)
		return 0;
	while (r == 0 && j->la->xattr_next(j->entry, &name, &value, &n) == LA_OK)
		r = set_xattr(j, fd, name, value, n, err);
	return r;
}

static int finish(const struct job *j, int fd, const struct place_meta *m, struct error *err)
{
	int r = place_set_meta(&j->at, fd, m, err);

	return r < 0 ? r : set_xattrs(j, fd, err);
}

/* ---- contents ---- */

/* A digest sees holes as zeros, whatever a file system makes of them. */
static void add_zeros(const struct libs *l, struct sha256 *sha, uint64_t n)
{
	static const unsigned char zeros[65536];

	for (; n > 0; n -= n < sizeof(zeros) ? n : sizeof(zeros))
		sha256_add(l, sha, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
}

static int write_at(const struct job *j, int fd, const char *bytes, size_t n, int64_t offset,
		    struct error *err)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, bytes, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_set(err, errno, "write %s", j->at.path);
		bytes += done;
		offset += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_content(struct job *j, int fd, uint64_t size, struct sha256 *sha, struct error *err)
{
	const void *block;
	size_t n;
	int64_t offset;
	uint64_t end = 0;
	int r;

	while ((r = j->la->data_block(j->archive, &block, &n, &offset)) == LA_OK) {
		if (n == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < end || (uint64_t)offset + n > size)
			return error_rule(err, EINVAL, "the sparse map of %s is out of order", j->at.path);
		add_zeros(j->u->libs, sha, (uint64_t)offset - end);
		sha256_add(j->u->libs, sha, block, n);
		r = write_at(j, fd, block, n, offset, err);
		if (r < 0)
			return r;
		end = (uint64_t)offset + n;
	}
	if (r != LA_EOF)
		return archive_error(j, err);
	if (end == size)
		return 0;
	add_zeros(j->u->libs, sha, size - end);
	return ftruncate(fd, (off_t)size) < 0 ? error_set(err, errno, "set the size of %s", j->at.path) : 0;
}

static int note_digest(const struct job *j, int fd, struct sha256 *sha, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s", j->at.path);

	struct inode *inode = inodes_get(j->u->inodes, st.st_ino);

	sha256_end(j->u->libs, sha, inode->digest);
	inode->has_digest = true;
	return 0;
}

static int add_file(struct job *j, const struct place_meta *m, struct error *err)
{
	int64_t size = j->la->size(j->entry);
	struct sha256 sha;

	if (size < 0)
		return error_rule(err, EINVAL, "entry \"%.200s\" has a negative size", j->at.path);

	/* The stream is bounded already; this bounds holes, which cost nothing there. */
	int r = spend(&j->u->budget->bytes, (uint64_t)size, "bytes", err);
	auto_close int fd = r < 0 ? r : place_file(&j->place, &j->at, err);

	if (fd < 0)
		return fd;
	sha256_begin(j->u->libs, &sha);
	r = write_content(j, fd, (uint64_t)size, &sha, err);
	if (r == 0)
		r = note_digest(j, fd, &sha, err);
	return r < 0 ? r : finish(j, fd, m, err);
}

static int add_dir(struct job *j, const struct place_meta *m, struct error *err)
{
	auto_close int fd = place_dir(&j->place, &j->at, m, err);

	return fd < 0 ? fd : finish(j, fd, m, err);
}

static int add_symlink(struct job *j, const struct place_meta *m, struct error *err)
{
	const char *target = j->la->symlink(j->entry);

	if (!target || !*target)
		return error_rule(err, EINVAL, "the symbolic link %s has no target", j->at.path);

	int r = place_symlink(&j->place, &j->at, target, err);

	return r < 0 ? r : finish(j, -1, m, err);
}

static int add_node(struct job *j, const struct place_meta *m, struct error *err)
{
	dev_t device = S_ISFIFO(m->mode) ? 0 : makedev(j->la->rdevmajor(j->entry),
						       j->la->rdevminor(j->entry));
	int r = place_node(&j->place, &j->at, m->mode & S_IFMT, device, err);

	return r < 0 ? r : finish(j, -1, m, err);
}

static int add_entry(struct job *j, struct error *err)
{
	const char *name = j->la->pathname(j->entry);
	const char *hardlink = j->la->hardlink(j->entry);
	struct place_meta m;

	if (!name || !*name)
		return error_rule(err, EINVAL, "the archive has an entry without a name");

	int r = spend(&j->u->budget->entries, 1, "entries", err);

	if (r == 0)
		r = read_meta(j, name, &m, err);
	if (r == 0)
		r = place_find(&j->place, name, &j->at, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (place_is_whiteout(&j->at))
		return place_whiteout(&j->place, &j->at, err);
	if (hardlink)
		return place_hardlink(&j->place, &j->at, hardlink, err);
	switch (m.mode & S_IFMT) {
	case S_IFREG:
		return add_file(j, &m, err);
	case S_IFDIR:
		return add_dir(j, &m, err);
	case S_IFLNK:
		return add_symlink(j, &m, err);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return add_node(j, &m, err);
	default:
		return error_rule(err, EINVAL, "entry \"%.200s\" is of an unknown type (%06o)", name, m.mode);
	}
}

/*
 * Warnings are about names that are not in the locale's character set: ours is "C", where libarchive then
 * hands out the very bytes of the archive. (In a UTF-8 locale it would compose characters and so
 * change names.)
 */
static bool is_harmless(const struct job *j)
{
	const char *why = j->la->error_string(j->archive);

	return why && strstr(why, "current locale");
}

static int add_entries(struct job *j, struct error *err)
{
	for (;;) {
		int r = j->la->next_header(j->archive, &j->entry);

		if (r == LA_EOF)
			return 0;
		if (r < LA_WARN || (r == LA_WARN && !is_harmless(j)))
			return archive_error(j, err);
		r = add_entry(j, err);
		if (r < 0)
			return r;
		tick(j);
	}
}

int unpack_tar(struct unpack *u, struct error *err)
{
	struct job j = { .u = u, .la = &u->libs->la, .archive = u->libs->la.read_new() };

	if (!j.archive)
		return error_set(err, ENOMEM, "prepare to read a tar archive");
	place_begin(&j.place, u->tree_fd, u->budget->max_depth);
	j.la->support_format_tar(j.archive);
	j.la->support_format_empty(j.archive);

	int r = j.la->open(j.archive, &j, NULL, next_bytes, NULL) == LA_OK ? add_entries(&j, err) :
									    archive_error(&j, err);

	if (r == 0)
		r = place_end(&j.place, err);
	u->has_root = j.place.has_root;
	place_release(&j.place);
	j.la->read_free(j.archive);
	return r;
}
