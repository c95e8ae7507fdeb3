/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules - the closure of some modules, as an archive for the guest
 *
 * modules.dep has a line per module: its file, and the files of all modules that it needs, the one to be
 * loaded first at the end. modules.builtin has the files of those that are in the kernel itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/kernel/cache.h"
#include "vm/kernel/kernel.h"
#include "vm/kernel/unpack.h"

enum {
	MAX_MODULES = 64,
	MAX_LIST = 16 << 20,
	MAX_MODULE = 32 << 20,
};

struct module {
	const char *file; /* relative to the directory */
	size_t length;
	const char *group; /* "net/virtio_net": its first group_length bytes, "net/" */
	size_t group_length;
};

struct closure {
	struct module module[MAX_MODULES]; /* in the order of loading */
	unsigned n;
};

/* Is `file` (kernel/fs/fuse/virtiofs.ko.xz, n bytes) the module of this name? */
static bool is_module(const char *file, size_t n, const char *name)
{
	size_t k = strlen(name);

	while (n && memchr(file, '/', n)) {
		const char *slash = memchr(file, '/', n);

		n -= (size_t)(slash + 1 - file);
		file = slash + 1;
	}
	if (n < k + 3 || memcmp(file + k, ".ko", 3))
		return false;
	for (size_t i = 0; i < k; i++)
		if ((file[i] == '-' ? '_' : file[i]) != name[i])
			return false;
	return true;
}

static bool is_same_group(const struct module *a, const struct module *b)
{
	return a->group_length == b->group_length && !memcmp(a->group, b->group, a->group_length);
}

/* Not twice in a group, nor in one when it is without. */
static int add_file(struct closure *c, const struct module *m, struct error *err)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct module *other = &c->module[i];

		if (other->length == m->length && !memcmp(other->file, m->file, m->length) &&
		    (other->group_length == 0 || is_same_group(other, m)))
			return 0;
	}
	if (c->n == MAX_MODULES)
		return error_rule(err, E2BIG, "the guest would need more than %d modules", MAX_MODULES);
	c->module[c->n++] = *m;
	return 0;
}

/* Adds what a line of modules.dep names, for the group of m: from its end to its beginning. */
static int add_line(struct closure *c, struct module *m, const char *line, size_t n, struct error *err)
{
	while (n > 0) {
		size_t begin = n;

		while (begin > 0 && line[begin - 1] != ' ')
			begin--;

		size_t length = n - begin;

		if (length && line[n - 1] == ':')
			length--;
		if (length) {
			m->file = line + begin;
			m->length = length;

			int r = add_file(c, m, err);

			if (r < 0)
				return r;
		}
		n = begin > 0 ? begin - 1 : 0;
	}
	return 0;
}

/* The line of the list whose first file is the module. */
static const char *find_line(const struct buf *list, const char *name, size_t *ret_n)
{
	const char *p = list->data, *end = p + list->len;

	while (p && p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop ? (size_t)(stop - p) : (size_t)(end - p);
		const char *colon = memchr(p, ':', n);

		if (is_module(p, colon ? (size_t)(colon - p) : n, name)) {
			*ret_n = n;
			return p;
		}
		p = stop ? stop + 1 : end;
	}
	return NULL;
}

static int load_list(int dir, const char *name, struct buf *b, struct error *err)
{
	auto_close int fd = file_open_regular(dir, name, err);

	return fd < 0 ? fd : file_read_fd(fd, name, MAX_LIST, b, err);
}

static int close_over(const struct buf *dep, const struct buf *builtin, const char *const *names, size_t n,
		      struct closure *c, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *slash = strchr(names[i], '/');
		const char *name = slash ? slash + 1 : names[i];
		struct module m = { .group = names[i], .group_length = (size_t)(name - names[i]) };
		size_t length;
		const char *line = find_line(dep, name, &length);
		int r = 0;

		if (line)
			r = add_line(c, &m, line, length, err);
		else if (!slash && !find_line(builtin, name, &length))
			r = error_rule(err, ENOENT, "the kernel has no %s, neither built in nor as a module",
				       name);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A module as the kernel wants it: uncompressed, with its signature. */
static int add_module(int dir, const char *file, const char *name, struct buf *archive, struct error *err)
{
	auto_close int fd = file_open_regular(dir, file, err);
	auto_buf struct buf packed = BUF_INIT, plain = BUF_INIT;

	if (fd < 0)
		return fd;

	int r = file_read_fd(fd, file, MAX_MODULE, &packed, err);

	if (r < 0)
		return r;
	const uint8_t *data = (const uint8_t *)packed.data;
	enum pack pack = pack_of(data, packed.len);
	size_t done = 0;

	if (pack == PACK_NONE) {
		vm_cpio_add(archive, name, S_IFREG | 0444, packed.data, packed.len);
		return 0;
	}
	for (size_t size = 8 * packed.len; size <= MAX_MODULE; size *= 2) {
		uint8_t *room = (uint8_t *)buf_reserve(&plain, size);

		r = unpack(pack, data, packed.len, room, size, &done, err);
		if (r == 0)
			vm_cpio_add(archive, name, S_IFREG | 0444, room, done);
		if (r != -ENOSPC)
			return r;
	}
	return error_rule(err, EFBIG, "module %s has more than %d bytes", file, MAX_MODULE);
}

static int add_member(int dir, const struct closure *c, unsigned i, struct buf *archive, struct error *err)
{
	const struct module *m = &c->module[i];
	char file[PATH_MAX], name[64];
	unsigned number = 0;

	for (unsigned k = 0; k < i; k++)
		number += is_same_group(&c->module[k], m);
	if (number == 0 && m->group_length) {
		snprintf(name, sizeof(name), "modules/%.*s", (int)m->group_length - 1, m->group);
		vm_cpio_add(archive, name, S_IFDIR | 0755, NULL, 0);
	}
	snprintf(name, sizeof(name), "modules/%.*s%02u.ko", (int)m->group_length, m->group, number);
	if (snprintf(file, sizeof(file), "%.*s", (int)m->length, m->file) >= (int)sizeof(file))
		return error_set(err, ENAMETOOLONG, "open a module");
	return add_module(dir, file, name, archive, err);
}

static int build(int dir, const char *const *names, size_t n, struct buf *archive, struct error *err)
{
	auto_buf struct buf dep = BUF_INIT, builtin = BUF_INIT;
	struct closure c = { .n = 0 };
	int r = load_list(dir, "modules.dep", &dep, err);

	if (r >= 0)
		r = load_list(dir, "modules.builtin", &builtin, err);
	if (r >= 0)
		r = close_over(&dep, &builtin, names, n, &c, err);
	if (r < 0)
		return r;
	vm_cpio_add(archive, "modules", S_IFDIR | 0755, NULL, 0);
	for (unsigned i = 0; r >= 0 && i < c.n; i++)
		r = add_member(dir, &c, i, archive, err);
	return r < 0 ? r : 0;
}

/* Of modules.dep, and of the names: another program version may want others. */
static int key_of(int dir, const char *const *names, size_t n, char ret[static NAME_MAX + 1],
		  struct error *err)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: the names are ours */
	char kind[32];
	struct stat st;

	if (fstatat(dir, "modules.dep", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "open modules.dep");
	for (size_t i = 0; i < n; i++)
		for (const char *p = names[i];; p++) {
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3;
			if (!*p)
				break;
		}
	snprintf(kind, sizeof(kind), "modules-%016llx", (unsigned long long)hash);
	cache_key(&st, kind, ret);
	return 0;
}

static int open_modules(const char *directory, const char *const *names, size_t n, const struct cache *c,
			struct error *err)
{
	auto_close int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_buf struct buf archive = BUF_INIT;
	char key[NAME_MAX + 1], name[80];

	if (dir < 0)
		return error_set(err, errno, "open it");

	int r = key_of(dir, names, n, key, err);

	if (r < 0)
		return r;

	int kept = cache_find(c, key);

	if (kept >= 0)
		return kept;
	r = build(dir, names, n, &archive, err);
	if (r < 0)
		return r;
	vm_cpio_end(&archive);
	if (c->dir_fd >= 0) {
		r = sha256_hex(archive.data, archive.len, name, err);
		if (r < 0)
			return r;
		memcpy(name + 64, ".modules", sizeof(".modules"));
	}

	auto_close int fd = cache_new(c, err);

	if (fd < 0)
		return fd;
	r = file_write_all(fd, "the archive of modules", archive.data, archive.len, err);
	if (r < 0)
		return r;
	cache_keep(c, fd, name, key);
	return TAKE_FD(fd);
}

int vm_kernel_modules(const char *directory, const char *const *names, size_t n, const char *cache_dir,
		      struct error *err)
{
	auto_cache struct cache c = CACHE_NONE;
	int r;

	if (!directory[0]) {
		auto_buf struct buf b = BUF_INIT;
		auto_close int fd = cache_new(&c, err);

		if (fd < 0)
			return fd;
		vm_cpio_end(&b);
		r = file_write_all(fd, "an empty archive", b.data, b.len, err);
		return r < 0 ? r : TAKE_FD(fd);
	}
	r = cache_open(cache_dir, &c, err);
	if (r == 0)
		r = open_modules(directory, names, n, &c, err);
	return r < 0 ? error_wrap(err, r, "cannot take modules from %s", directory) : r;
}
