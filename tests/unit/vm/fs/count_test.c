/* SPDX-License-Identifier: Apache-2.0 */
/* How often a guest asks, as this host's kernel does in its place: each request is a round trip through both kernels. */
#include <criterion/criterion.h>
#include <sys/syscall.h>

#include "tests/unit/vm/fs/mounted.h"

enum { DIRS = 10, FILES = 20 };

#define must(what) cr_assert((what), "%s: %s", #what, strerror(errno))

static void begin(struct mounted *m)
{
	static const struct vm_fs_options root = {
		.cache = VM_FS_OWNED, .cache_other = VM_FS_SHARED, .writeback = true, .no_open = true,
	};
	const char *missing = mounted_missing();
	int fd;

	if (missing)
		cr_skip_test("%s", missing);
	cr_assert_eq(mounted_prepare(m, NULL), 0);
	m->threads = 1;
	cr_assert_eq(mounted_start(m, &root), 0, "%s", m->err.text);
	must(chdir(m->mnt) == 0);
	umask(0);
	/* What a kernel asks once and then leaves: OPEN, FLUSH, OPENDIR. */
	must((fd = open("first", O_CREAT | O_RDWR, 0600)) >= 0 && close(fd) == 0);
	must((fd = open("first", O_RDONLY)) >= 0 && close(fd) == 0);
	must((fd = open(".", O_RDONLY | O_DIRECTORY)) >= 0 && close(fd) == 0);
	mounted_asked(m);
}

static void end(struct mounted *m)
{
	must(chdir("/") == 0);
	mounted_stop(m);
}

static void path_of(char path[32], int dir, int file)
{
	snprintf(path, 32, file < 0 ? "d%02d" : "d%02d/f%03d", dir, file);
}

/* What GNU tar does with each file of an archive. */
static void unpack(const char *path)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000000000 } };
	char text[1500] = "";
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

	must(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
	must(futimens(fd, times) == 0 && fchown(fd, 0, 0) == 0 && fchmod(fd, 0644) == 0 && close(fd) == 0);
}

static void unpack_all(void)
{
	char path[32];

	for (int d = 0; d < DIRS; d++) {
		path_of(path, d, -1);
		must(mkdir(path, 0755) == 0);
		for (int f = 0; f < FILES; f++) {
			path_of(path, d, f);
			unpack(path);
		}
	}
}

/* Reads every directory, asks for the attributes of all, and reads the files. Returns how many there were. */
static unsigned walk(bool has_data)
{
	unsigned n = 0;
	char path[32], data[2000];

	for (int d = 0; d < DIRS; d++) {
		struct dirent *e;
		struct stat st;

		path_of(path, d, -1);

		DIR *dir = opendir(path);

		must(dir != NULL);
		while ((e = readdir(dir)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			n++;
			must(fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
			if (!has_data)
				continue;

			int fd = openat(dirfd(dir), e->d_name, O_RDONLY);

			must(fd >= 0 && read(fd, data, sizeof(data)) == 1500 && close(fd) == 0);
		}
		closedir(dir);
	}
	return n;
}

/*
 * LOOKUP, CREATE, GETXATTR (file capabilities, before a write and a change of owner), WRITE, SETATTR of the time of the
 * write and for each of three calls; GETATTR of the directory.
 */
Test(vm_fs_count, an_unpacked_file_is_ten_requests, .timeout = 60)
{
	struct mounted m;

	begin(&m);
	unpack_all();

	unsigned n = mounted_asked(&m);

	cr_expect(n <= (10 * FILES + 4) * DIRS, "%u requests for %d files", n, DIRS * FILES);
	end(&m);
}

Test(vm_fs_count, what_was_read_once_is_not_asked_for_again, .timeout = 60)
{
	struct mounted m;
	unsigned n;

	begin(&m);
	unpack_all();
	walk(false);
	walk(false);
	mounted_asked(&m);
	cr_expect_eq(walk(false), DIRS * FILES);
	n = mounted_asked(&m);
	cr_expect_eq(n, 0, "%u requests for directories and attributes that are known", n);
	walk(true);
	cr_expect(m.asked[FUSE_OPEN] + m.asked[FUSE_OPENDIR] == 0);
	cr_expect(m.asked[FUSE_READ] == 0, "%u reads of what was written here", m.asked[FUSE_READ]);
	end(&m);
}

Test(vm_fs_count, a_tree_that_is_new_costs_few_requests_per_directory, .timeout = 60)
{
	struct mounted m;
	unsigned n;

	begin(&m);
	must(chdir(m.src) == 0);
	unpack_all();
	must(chdir(m.mnt) == 0);
	mounted_asked(&m);
	cr_expect_eq(walk(false), DIRS * FILES);
	n = mounted_asked(&m);
	cr_expect(n <= 4 * DIRS, "%u requests for %d directories of %d files", n, DIRS, FILES);
	end(&m);
}

/* Without handles, the server tells readers of a directory apart by where they stand. */
Test(vm_fs_count, many_read_the_same_directories_in_turns_while_names_go, .timeout = 60)
{
	enum { READERS = 150, NAMES = 300, MOST = 10000 };
	static DIR *dirs[READERS];
	static unsigned seen[READERS];
	char name[32], path[32];
	struct vm_fs_stats stats;
	struct mounted m;

	begin(&m);
	for (int d = 0; d < 2; d++) {
		path_of(path, d, -1);
		must(mkdir(path, 0755) == 0);
		for (int f = 0; f < NAMES; f++) {
			path_of(name, d, f);
			must(close(open(name, O_CREAT | O_WRONLY, 0600)) == 0);
		}
	}
	for (int r = 0; r < READERS; r++) {
		path_of(path, r % 2, -1);
		dirs[r] = opendir(path);
		must(dirs[r] != NULL);
	}
	for (int step = 0, going = READERS; going > 0 && step < MOST; step++) {
		going = 0;
		for (int r = 0; r < READERS; r++) {
			struct dirent *e = dirs[r] ? readdir(dirs[r]) : NULL;

			if (!e)
				continue;
			going++;
			if (e->d_name[0] == '.')
				continue;
			seen[r]++;
			/* One of them removes all; the others of this directory go on from where they are. */
			if (r == 0)
				must(unlinkat(dirfd(dirs[r]), e->d_name, 0) == 0);
		}
	}
	cr_expect_eq(seen[0], NAMES);
	for (int r = 1; r < READERS; r++)
		cr_expect(r % 2 ? seen[r] == NAMES : seen[r] <= NAMES, "reader %d saw %u", r, seen[r]);
	for (int r = 0; r < READERS; r++)
		closedir(dirs[r]);
	path_of(path, 0, -1);
	must(rmdir(path) == 0);
	vm_fs_stats_get(m.fs, &stats);
	cr_expect(stats.dirs <= 128, "%u directories are open", stats.dirs);
	end(&m);
}
