/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export - the upper alone as an archive, and an archive as an upper
 */
#include "overlay/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/layer_write.h"
#include "overlay/store.h"
#include "overlay/trees.h"
#include "overlay/unpack.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

#define DEFAULT_MAX_BYTES   (64ull << 30)
#define DEFAULT_MAX_ENTRIES (4ull << 20)
#define COPY_BYTES          (64u << 10)

int ovl_sandbox_export(const struct ovl_store *store, const struct ovl_sandbox *sb, int fd, enum ovl_compression c,
		       struct arena *a, struct error *err)
{
	const struct layer_options o = { 0 };
	struct layer_stats stats;
	struct libs libs;
	auto_trees struct trees trees = TREES_INIT;
	auto_pack struct pack pack = { .fd = -1 };
	int r = libs_load(&libs, err);

	if (r == 0)
		r = trees_open(&trees, store, sb, a, err);
	if (r == 0)
		r = pack_begin(&pack, &libs, fd, "the archive", c, 0, err);
	if (r == 0)
		r = layer_archive(&trees.walk, &pack, &o, &stats, err);
	if (r == 0)
		r = pack_end(&pack, err);
	return r < 0 ? error_wrap(err, r, "cannot export the sandbox \"%s\"", sb->name) : 0;
}

/* ---- import ---- */

static int check_empty(const struct ovl_sandbox *sb, struct error *err)
{
	struct dir_list list = { 0 };
	int r;

	if (sb->is_used)
		return error_rule(err, EBUSY, "the container of the sandbox \"%s\" is still there", sb->name);
	r = dir_list_read(&list, sb->upper_fd, err);
	if (r == 0 && list.n) {
		r = error_rule(err, ENOTEMPTY, "the sandbox \"%s\" is not empty", sb->name);
		error_hint(err, "`sandbox reset` empties it");
	}
	dir_list_release(&list);
	return r;
}

/* What is read more than once, and by position: a pipe's bytes go into a file first. */
static int make_seekable(const struct ovl_store *store, int fd, struct blob *ret, struct error *err)
{
	struct stat st;
	char block[COPY_BYTES];
	uint64_t total = 0;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat the archive");
	if (S_ISREG(st.st_mode)) {
		*ret = (struct blob){ .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .size = (uint64_t)st.st_size,
				      .name = "the archive" };
		return ret->fd < 0 ? error_set(err, errno, "duplicate a descriptor") : 0;
	}

	auto_close int work = store_dir(store, "work", err);

	if (work < 0)
		return work;

	auto_close int file = openat(work, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (file < 0)
		return error_set(err, errno, "make a file for the archive");
	for (ssize_t n; (n = read(fd, block, sizeof(block))) != 0;) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read the archive");

		int r = file_write_all(file, "the archive", block, (size_t)n, err);

		if (r < 0)
			return r;
		total += (uint64_t)n;
	}
	*ret = (struct blob){ .fd = TAKE_FD(file), .size = total, .name = "the archive" };
	return 0;
}

static void empty(int dir_fd)
{
	struct dir_list list = { 0 };

	if (dir_list_read(&list, dir_fd, NULL) == 0)
		for (size_t i = 0; i < list.n; i++)
			remove_tree(dir_fd, list.names[i], NULL);
	dir_list_release(&list);
}

static int unpack_into(const struct ovl_sandbox *sb, const struct libs *libs, const struct blob *blob,
		       const struct ovl_limits *l, struct error *err)
{
	struct budget budget = { .bytes = l->max_bytes ? l->max_bytes : DEFAULT_MAX_BYTES,
				 .entries = l->max_entries ? l->max_entries : DEFAULT_MAX_ENTRIES,
				 .max_depth = l->max_depth && l->max_depth < WALK_MAX_DEPTH ? l->max_depth :
											      WALK_MAX_DEPTH };
	auto_inodes struct inodes inodes = { 0 };
	struct stream stream;
	struct stat root;
	struct error why = ERROR_INIT;
	int r = fstat(sb->upper_fd, &root) < 0 ? error_set(err, errno, "stat the upper directory") :
						 stream_begin(&stream, libs, blob, budget.bytes, err);

	if (r < 0)
		return r;

	struct unpack u = { .libs = libs, .stream = &stream, .tree_fd = sb->upper_fd, .budget = &budget,
			    .inodes = &inodes };

	r = unpack_tar(&u, err);

	int ended = stream_end(&stream, r == 0, &why);

	if (why.code && (r == 0 || r == -EIO) && err)
		*err = why; /* the tar ended early because its blob did */
	if (r == 0)
		r = ended;
	if (r < 0)
		empty(sb->upper_fd);
	if (r < 0 || !u.has_root) {
		const struct timespec times[2] = { root.st_atim, root.st_mtim };

		if (fchownat(sb->upper_fd, ".", root.st_uid, root.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(sb->upper_fd, ".", root.st_mode & 07777, 0) < 0 ||
		    utimensat(sb->upper_fd, ".", times, 0) < 0)
			return r < 0 ? r : error_set(err, errno, "set the metadata of the root directory");
	}
	return r;
}

int ovl_sandbox_import(const struct ovl_store *store, const struct ovl_sandbox *sb, int fd,
		       const struct ovl_limits *limits, struct arena *a, struct error *err)
{
	const struct ovl_limits none = { 0 };
	struct blob blob = { .fd = -1 };
	struct libs libs;
	int r = libs_load(&libs, err);

	(void)a;
	if (r == 0)
		r = check_empty(sb, err);
	if (r == 0)
		r = make_seekable(store, fd, &blob, err);

	auto_close int file = blob.fd;

	if (r == 0)
		r = unpack_into(sb, &libs, &blob, limits ? limits : &none, err);
	return r < 0 ? error_wrap(err, r, "cannot import into the sandbox \"%s\"", sb->name) : 0;
}
