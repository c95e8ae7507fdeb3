/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See source.h.
 */
#include "overlay/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/place.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/json.h"
#include "spec/base/path.h"

#define MAX_MEMBERS 100000
#define MAX_LINKS 8

static const char *const prefixes[] = {
	[SOURCE_OCI] = "oci:",
	[SOURCE_OCI_ARCHIVE] = "oci-archive:",
	[SOURCE_DOCKER_ARCHIVE] = "docker-archive:",
};

static int absolute(const char *path, struct arena *a, const char **ret, struct error *err)
{
	char cwd[PATH_MAX], clean[PATH_MAX];
	const char *whole = path;

	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return error_set(err, errno, "find the current directory");
		whole = arena_printf(a, "%s/%s", cwd, path);
	}
	if (path_clean(whole, clean, sizeof(clean)) < 0)
		return error_rule(err, ENAMETOOLONG, "the path %.200s… is too long", path);
	*ret = arena_strdup(a, clean);
	return 0;
}

int source_parse(const char *text, struct arena *a, struct source_ref *ret, struct error *err)
{
	for (size_t kind = 0; kind < ARRAY_SIZE(prefixes); kind++) {
		size_t n = strlen(prefixes[kind]);

		if (strncmp(text, prefixes[kind], n) != 0)
			continue;

		/* containers-transports(5): the first colon ends the path. */
		const char *path = text + n, *colon = strchr(path, ':');
		struct source_ref ref = {
			.kind = (enum source_kind)kind,
			.path = colon ? arena_strndup(a, path, (size_t)(colon - path)) : path,
			.tag = colon && colon[1] ? arena_strdup(a, colon + 1) : NULL,
		};

		if (!*ref.path)
			return error_rule(err, EINVAL, "the image source %s names no path", text);

		int r = absolute(ref.path, a, &ref.path, err);

		if (r == 0)
			*ret = ref;
		return r;
	}

	int r = error_rule(err, EINVAL, "\"%s\" is no image source", text);

	error_hint(err, "sources are oci:DIR[:TAG], oci-archive:FILE[:TAG] and docker-archive:FILE[:REF]");
	return r;
}

const char *source_canonical(const char *text, struct arena *a)
{
	struct source_ref ref;

	if (source_parse(text, a, &ref, NULL) < 0)
		return NULL;
	return arena_printf(a, "%s%s%s%s", prefixes[ref.kind], ref.path, ref.tag ? ":" : "",
			    ref.tag ? ref.tag : "");
}

/* ---- archives ---- */

struct index {
	const struct la_lib *la;
	struct archive *archive;
	const char *bytes;
	size_t n;
	struct arena *arena;
	struct source *s;
	size_t cap;
};

/* A link's target, relative to the directory of the link (is_symlink) or to the archive's root. */
static int link_target(struct index *x, const char *name, const char *target, bool is_symlink,
		       const char **ret, struct error *err)
{
	char clean[PATH_MAX];
	const char *slash = is_symlink ? strrchr(name, '/') : NULL;
	const char *joined = slash ? arena_printf(x->arena, "/%.*s/%s", (int)(slash - name), name, target) :
				     arena_printf(x->arena, "/%s", target);

	if (target[0] == '/' || path_clean(joined, clean, sizeof(clean)) < 0)
		return error_rule(err, EPERM, "member \"%.200s\" of the archive is a link out of it", name);
	*ret = arena_strdup(x->arena, clean + 1);
	return 0;
}

/* Where the member's bytes are in the file: libarchive hands out pointers into what it was given. */
static int find_data(struct index *x, struct source_member *m, struct error *err)
{
	const void *block;
	size_t n;
	int64_t offset;

	if (m->size == 0)
		return 0;

	int r = x->la->data_block(x->archive, &block, &n, &offset);
	const char *p = block;

	if (r != LA_OK || offset != 0 || n != m->size || p < x->bytes || p + n > x->bytes + x->n)
		return error_rule(err, EBADMSG, "member \"%.200s\" of the archive is cut off or sparse", m->name);
	m->offset = (uint64_t)(p - x->bytes);
	return 0;
}

static int add_member(struct index *x, struct archive_entry *e, struct error *err)
{
	const char *name = x->la->pathname(e), *hard = x->la->hardlink(e), *soft = x->la->symlink(e);
	char clean[PATH_MAX];
	struct source *s = x->s;
	bool is_file = (x->la->mode(e) & S_IFMT) == S_IFREG;
	int r = name ? place_name(name, "member", 64, clean, err) :
		       error_rule(err, EINVAL, "the archive has a member without a name");

	if (r < 0 || (!is_file && !hard && !soft))
		return r;
	if (s->n_members == MAX_MEMBERS)
		return error_rule(err, E2BIG, "the archive has more than %d members", MAX_MEMBERS);
	if (s->n_members == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 64;
		struct source_member *more = arena_array(x->arena, cap, sizeof(*more));

		if (x->cap)
			memcpy(more, s->members, x->cap * sizeof(*more));
		s->members = more;
		x->cap = cap;
	}

	struct source_member *m = &s->members[s->n_members++];

	*m = (struct source_member){ .name = arena_strdup(x->arena, clean), .number = s->n_members };
	if (hard || soft)
		return link_target(x, m->name, hard ? hard : soft, !hard, &m->target, err);
	m->size = x->la->size(e) > 0 ? (uint64_t)x->la->size(e) : 0;
	return find_data(x, m, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct source_member *)a)->name, ((const struct source_member *)b)->name);
}

static int by_name_and_place(const void *a, const void *b)
{
	const struct source_member *m = a, *k = b;
	int order = by_name(a, b);

	return order ? order : (m->number > k->number) - (m->number < k->number);
}

/* Of members with one name the last counts, as it does for tar: two readers must not see two images in one file. */
static void sort_members(struct source *s)
{
	size_t kept = 0;

	qsort(s->members, s->n_members, sizeof(*s->members), by_name_and_place);
	for (size_t i = 0; i < s->n_members; i++)
		if (i + 1 == s->n_members || by_name(&s->members[i], &s->members[i + 1]) != 0)
			s->members[kept++] = s->members[i];
	s->n_members = kept;
}

static int add_members(struct index *x, struct error *err)
{
	struct archive_entry *e;

	for (;;) {
		int r = x->la->next_header(x->archive, &e);

		if (r == LA_EOF)
			return 0;
		if (r < LA_WARN) {
			const char *why = x->la->error_string(x->archive);

			return error_rule(err, EBADMSG, "%s is no tar archive that can be read: %s", x->s->ref.path,
					  why ? why : "no reason given");
		}
		r = add_member(x, e, err);
		if (r < 0)
			return r;
	}
}

static int index_archive(struct source *s, const struct libs *libs, struct arena *a, struct error *err)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return error_set(err, errno, "stat %s", s->ref.path);
	if (st.st_size == 0)
		return error_rule(err, EBADMSG, "%s is empty", s->ref.path);

	struct index x = { .la = &libs->la, .arena = a, .s = s, .n = (size_t)st.st_size };
	void *bytes = mmap(NULL, x.n, PROT_READ, MAP_PRIVATE, s->fd, 0);

	if (bytes == MAP_FAILED)
		return error_set(err, errno, "map %s", s->ref.path);
	x.bytes = bytes;
	x.archive = libs->la.read_new();
	if (x.archive)
		x.la->support_format_tar(x.archive);

	int r = !x.archive ? error_set(err, ENOMEM, "prepare to read %s", s->ref.path) :
		x.la->open_memory(x.archive, bytes, x.n) != LA_OK ?
			     error_rule(err, EBADMSG, "%s is no tar archive", s->ref.path) :
			     add_members(&x, err);

	if (x.archive)
		x.la->read_free(x.archive);
	munmap(bytes, x.n);
	if (r == 0 && !s->n_members)
		r = error_rule(err, EBADMSG, "the archive %s has no files", s->ref.path);
	if (r == 0)
		sort_members(s);
	return r;
}

static int spool(struct stream *in, int out, struct error *err)
{
	const void *bytes;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = stream_next(in, &bytes)) > 0)
		r = file_write_all(out, "the unpacked archive", bytes, (size_t)n, err);

	struct error why = ERROR_INIT;
	int ended = stream_end(in, r == 0, &why);

	if (r == 0 && ended < 0 && err)
		*err = why;
	return r < 0 ? r : ended;
}

/* Replaces s->fd by a plain copy when the archive is compressed. */
static int make_plain(struct source *s, const struct libs *libs, int spool_fd, uint64_t max_bytes,
		      struct error *err)
{
	unsigned char magic[4];
	struct blob blob = { .fd = s->fd };
	struct stream in;
	struct stat st;

	if (fstat(s->fd, &st) < 0 || pread(s->fd, magic, sizeof(magic), 0) < 0)
		return error_set(err, errno, "read %s", s->ref.path);
	if (!stream_is_packed(magic, sizeof(magic)))
		return 0;
	blob.size = (uint64_t)st.st_size;
	snprintf(blob.name, sizeof(blob.name), "%s", s->ref.path);

	auto_close int out = openat(spool_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (out < 0)
		return error_set(err, errno, "make a file to unpack %s into", s->ref.path);

	int r = stream_begin(&in, libs, &blob, max_bytes, err);

	if (r == 0)
		r = spool(&in, out, err);
	if (r < 0)
		return r;
	close(s->fd);
	s->fd = TAKE_FD(out);
	return 0;
}

int source_open(struct source *s, const struct libs *libs, const struct source_ref *ref, int spool_fd,
		uint64_t max_bytes, struct arena *a, struct error *err)
{
	*s = (struct source){ .ref = *ref, .fd = -1 };
	if (ref->kind == SOURCE_OCI) {
		/* path-ok: what the caller asked to read */
		s->fd = open(ref->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return s->fd < 0 ? error_set(err, errno, "open the image layout %s", ref->path) : 0;
	}
	s->fd = file_open_regular(AT_FDCWD, ref->path, err);
	if (s->fd < 0)
		return s->fd;

	int r = make_plain(s, libs, spool_fd, max_bytes, err);

	return r < 0 ? r : index_archive(s, libs, a, err);
}

void source_close(struct source *s)
{
	auto_closep(&s->fd);
	s->fd = -1;
}

/* ---- members ---- */

static int open_file(const struct source *s, const char *name, struct blob *ret, struct error *err)
{
	struct stat st;
	auto_close int fd = file_open_regular(s->fd, name, err);

	if (fd < 0)
		return error_wrap(err, fd, "cannot read the image layout %s", s->ref.path);
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s", name);
	*ret = (struct blob){ .fd = TAKE_FD(fd), .size = (uint64_t)st.st_size };
	return 0;
}

int source_member(const struct source *s, const char *name, struct blob *ret, struct error *err)
{
	int r = 0;

	if (!s->members) {
		r = open_file(s, name, ret, err);
	} else {
		const struct source_member *m = &(struct source_member){ .target = name };

		for (int links = 0; m && m->target; links++) {
			if (links > MAX_LINKS)
				return error_rule(err, ELOOP, "%s: the links of member \"%.200s\" do not end",
						  s->ref.path, name);
			m = bsearch(&(struct source_member){ .name = m->target }, s->members, s->n_members,
				    sizeof(*m), by_name);
		}
		if (!m)
			return error_rule(err, ENOENT, "%s has no member \"%.200s\"", s->ref.path, name);
		*ret = (struct blob){ .fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3), .offset = m->offset,
				      .size = m->size };
		if (ret->fd < 0)
			r = error_set(err, errno, "duplicate a descriptor");
	}
	if (r == 0)
		snprintf(ret->name, sizeof(ret->name), "%s", name);
	return r;
}

int source_read(const struct source *s, const char *name, struct arena *a, char **ret, size_t *ret_n,
		struct error *err)
{
	struct blob blob;
	int r = source_member(s, name, &blob, err);

	if (r < 0)
		return r;

	auto_close int fd = blob.fd;

	if (blob.size > JSON_MAX_BYTES)
		return error_rule(err, E2BIG, "%s is larger than %u bytes", name, JSON_MAX_BYTES);

	char *text = arena_alloc(a, blob.size + 1);

	for (size_t done = 0; done < blob.size;) {
		ssize_t n = pread(fd, text + done, blob.size - done, (off_t)(blob.offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, n < 0 ? errno : EBADMSG, "read %s", name);
		done += (size_t)n;
	}
	*ret = text;
	*ret_n = blob.size;
	return 0;
}
