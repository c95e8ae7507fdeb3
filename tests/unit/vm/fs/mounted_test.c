/* SPDX-License-Identifier: Apache-2.0 */
/* The server under this host's kernel, which sends what the guest's would, in each way it can be set up. */
#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/unit/vm/fs/checks.h"

static const struct config {
	const char *name;
	struct vm_fs_options options;
	unsigned threads;
} configs[] = {
	{ "owned, written back, without opens",
	  { .cache = VM_FS_OWNED, .cache_other = VM_FS_OWNED, .writeback = true, .no_open = true }, 2 },
	{ "owned", { .cache = VM_FS_OWNED, .cache_other = VM_FS_OWNED }, 4 },
	{ "shared", { .cache = VM_FS_SHARED }, 1 },
	{ "uncached, few descriptors", { .cache = VM_FS_UNCACHED, .cache_other = VM_FS_UNCACHED, .max_fds = 24 }, 2 },
};

/* Runs a check in mnt in every configuration; src_fd is the directory that is served. */
static void everywhere(void (*check)(struct mounted *m, int src_fd), size_t from)
{
	const char *missing = mounted_missing();

	if (missing)
		cr_skip_test("%s", missing);
	for (size_t i = from; i < sizeof(configs) / sizeof(*configs); i++) {
		struct mounted m;
		struct vm_fs_stats stats;

		now = configs[i].name;
		cr_assert_eq(mounted_prepare(&m, NULL), 0);
		m.threads = configs[i].threads;
		cr_assert_eq(mounted_start(&m, &configs[i].options), 0, "%s", m.err.text);

		int src_fd = open(m.src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		must(chdir(m.mnt) == 0);
		umask(0);
		check(&m, src_fd);
		umask(022);
		must(chdir("/") == 0);
		close(src_fd);
		vm_fs_stats_get(m.fs, &stats);
		cr_expect_gt(stats.requests, 2, "%s: nothing was asked", now);
		mounted_stop(&m);
	}
}

static bool missing_at(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

static void check_names(struct mounted *m, int src_fd)
{
	struct stat a, b;
	char buf[64] = "";

	(void)m;
	ok(make("a", "one") == 0 && make("b", "two") == 0);
	ok(rename("a", "c") == 0 && missing_at("a") && reads("c", "one"));
	ok(rename("c", "b") == 0 && reads("b", "one") && missing_at("c"));
	ok(make("a", "three") == 0);
	fails(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
	ok(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
	ok(reads("a", "one") && reads("b", "three"));
	fails(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "w", RENAME_WHITEOUT), EINVAL);
	ok(link("a", "hard") == 0 && stat("a", &a) == 0 && stat("hard", &b) == 0);
	ok(a.st_ino == b.st_ino && b.st_nlink == 2);
	ok(unlink("a") == 0 && reads("hard", "one") && stat("hard", &b) == 0 && b.st_nlink == 1);
	ok(symlink("hard", "soft") == 0 && readlink("soft", buf, sizeof(buf)) == 4 && reads("soft", "one"));
	ok(link("soft", "soft2") == 0 && lstat("soft2", &a) == 0 && S_ISLNK(a.st_mode));
	ok(mkdir("d", 0750) == 0 && mkdir("d/e", 0700) == 0 && make("d/e/f", "deep") == 0);
	fails(rmdir("d"), ENOTEMPTY);
	fails(rename("d", "d/e/d"), EINVAL);
	fails(unlink("d"), EISDIR);
	fails(rmdir("hard"), ENOTDIR);
	fails(mkdir("d", 0700), EEXIST);
	ok(rename("d", "moved") == 0 && reads("moved/e/f", "deep"));
	ok(stat("moved", &a) == 0 && a.st_nlink >= 2 && (a.st_mode & 07777) == 0750);
	fails(open("moved/e/f/x", O_RDONLY), ENOTDIR);
	fails(open("nothing", O_RDONLY), ENOENT);
	ok(make("nothing", "now") == 0 && reads("nothing", "now"));
	fails(open("nothing", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	fails(open("soft", O_NOFOLLOW | O_RDONLY), ELOOP);
	ok(mkfifo("fifo", 0600) == 0 && lstat("fifo", &a) == 0 && S_ISFIFO(a.st_mode));
	fails(mknod("dev", S_IFCHR | 0600, 0), EPERM);
	ok(fstatat(src_fd, "moved/e/f", &a, 0) == 0 && a.st_size == 4);
}

static void check_removed_but_open(struct mounted *m, int src_fd)
{
	char buf[16] = "";
	struct stat st;

	(void)m, (void)src_fd;
	for (int i = 0; i < 40; i++) { /* more names than descriptors, where those are few */
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		must(make(name, "x") == 0);
	}

	int fd = open("gone", O_CREAT | O_RDWR, 0600), other = open("over", O_CREAT | O_RDWR, 0600);

	must(fd >= 0 && other >= 0 && write(fd, "hello", 5) == 5 && write(other, "first", 5) == 5);
	ok(unlink("gone") == 0 && rename("f0", "over") == 0);
	for (int i = 1; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		ok(reads(name, "x"));
	}
	ok(pread(fd, buf, 5, 0) == 5 && memcmp(buf, "hello", 5) == 0);
	ok(pread(other, buf, 5, 0) == 5 && memcmp(buf, "first", 5) == 0);
	ok(pwrite(fd, "J", 1, 0) == 1 && pread(fd, buf, 5, 0) == 5 && memcmp(buf, "Jello", 5) == 0);
	ok(fstat(fd, &st) == 0 && st.st_size == 5 && st.st_nlink == 0);
	ok(ftruncate(fd, 2) == 0 && fstat(fd, &st) == 0 && st.st_size == 2);
	ok(make("gone", "again") == 0 && reads("gone", "again") && reads("over", "x"));
	close(fd);
	close(other);
	fd = open(".", O_TMPFILE | O_RDWR, 0640);
	ok(fd >= 0 && write(fd, "tmp", 3) == 3);
	char self[32];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	ok(linkat(AT_FDCWD, self, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && reads("named", "tmp"));
	close(fd);
}

static void check_data(struct mounted *m, int src_fd)
{
	struct stat st;
	char buf[4096];
	int fd = open("data", O_CREAT | O_RDWR, 0644);

	(void)m;
	must(fd >= 0);
	ok(pwrite(fd, "end", 3, 5 << 20) == 3 && fstat(fd, &st) == 0 && st.st_size == (5 << 20) + 3);
	ok(fsync(fd) == 0 && fstat(fd, &st) == 0 && st.st_blocks < 4096);
	ok(lseek(fd, 0, SEEK_DATA) == 5 << 20);
	ok(lseek(fd, 5 << 20, SEEK_HOLE) == (5 << 20) + 3);
	ok(pread(fd, buf, sizeof(buf), 1 << 20) == sizeof(buf) && buf[0] == 0 && buf[4095] == 0);
	ok(truncate("data", 100) == 0 && fstat(fd, &st) == 0 && st.st_size == 100);
	ok(ftruncate(fd, 5000) == 0 && pread(fd, buf, 4096, 4900) == 100);
	ok(fallocate(fd, 0, 0, 1 << 20) == 0 && fstat(fd, &st) == 0 && st.st_size == 1 << 20);
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 19) == 0);
	close(fd);

	/* Appending: two descriptors, each write goes to the end. */
	int a = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644), b = open("log", O_WRONLY | O_APPEND);

	ok(a >= 0 && b >= 0 && write(a, "one ", 4) == 4 && write(b, "two ", 4) == 4 && write(a, "three", 5) == 5);
	close(a);
	close(b);
	ok(reads("log", "one two three"));
	fd = open("log", O_WRONLY | O_TRUNC);
	ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
	close(fd);
	fd = openat(src_fd, "log", O_RDONLY);
	ok(fstat(fd, &st) == 0 && st.st_size == 0);
	close(fd);

	/* Copying within the server, and writing through a mapping. */
	ok(make("from", "0123456789") == 0);
	fd = open("from", O_RDONLY);
	a = open("to", O_CREAT | O_RDWR, 0644);

	loff_t in = 2, out = 1;

	ok(copy_file_range(fd, &in, a, &out, 5, 0) == 5 && pread(a, buf, 10, 0) == 6 && memcmp(buf + 1, "23456", 5) == 0);
	close(fd);
	ok(ftruncate(a, 8192) == 0);

	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);

	must(map != MAP_FAILED);
	strcpy(map + 4096, "mapped");
	ok(msync(map, 8192, MS_SYNC) == 0);
	munmap(map, 8192);
	close(a);
	fd = openat(src_fd, "to", O_RDONLY);
	ok(pread(fd, buf, 6, 4096) == 6 && memcmp(buf, "mapped", 6) == 0);
	close(fd);

	fd = open("direct", O_CREAT | O_RDWR | O_DIRECT, 0644);
	void *page = aligned_alloc(4096, 1 << 21);
	memset(page, 'd', 1 << 21);
	ok(fd >= 0 && pwrite(fd, page, 1 << 21, 4096) == 1 << 21 && pread(fd, page, 1 << 21, 0) == 1 << 21);
	ok(((char *)page)[0] == 0 && ((char *)page)[4096] == 'd');
	free(page);
	close(fd);
}

static void check_attributes(struct mounted *m, int src_fd)
{
	struct timespec times[2] = { { .tv_sec = 1000000007, .tv_nsec = 123456789 }, { .tv_nsec = UTIME_OMIT } };
	struct stat st, before;
	char buf[300];

	(void)m;
	must(make("f", "text") == 0 && mkdir("d", 0755) == 0 && symlink("f", "l") == 0);
	ok(chmod("f", 0604) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0604);
	ok(lchown("l", 5, 6) == 0 && lstat("l", &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
	ok(stat("f", &st) == 0 && st.st_uid == 0);
	ok(stat("f", &before) == 0 && utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &st) == 0);
	ok(st.st_atim.tv_sec == 1000000007 && st.st_atim.tv_nsec == 123456789);
	ok(st.st_mtim.tv_sec == before.st_mtim.tv_sec && st.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
	times[1] = times[0];
	ok(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &st) == 0 && st.st_mtim.tv_sec == 1000000007);
	ok(utimensat(AT_FDCWD, "f", NULL, 0) == 0 && stat("f", &st) == 0 && st.st_mtim.tv_sec > 1000000007);
	ok(chmod("f", 06755) == 0 && chown("f", 1, 1) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0755);

	ok(setxattr("f", "user.one", "1", 1, XATTR_CREATE) == 0 && setxattr("d", "user.two", "22", 2, 0) == 0);
	fails(setxattr("f", "user.one", "1", 1, XATTR_CREATE), EEXIST);
	fails(setxattr("f", "user.none", "1", 1, XATTR_REPLACE), ENODATA);
	ok(getxattr("f", "user.one", buf, sizeof(buf)) == 1 && buf[0] == '1' && getxattr("f", "user.one", NULL, 0) == 1);
	ok(listxattr("f", buf, sizeof(buf)) == 9 && strcmp(buf, "user.one") == 0);
	fails(listxattr("f", buf, 3), ERANGE);
	ok(removexattr("f", "user.one") == 0);
	fails(getxattr("f", "user.one", buf, sizeof(buf)), ENODATA);
	fails(setxattr("f", "trusted.x", "1", 1, 0), EOPNOTSUPP);
	ok(stat("f", &st) == 0 && fstatat(src_fd, "f", &before, 0) == 0 && st.st_ino == before.st_ino);
}

/* A file capability goes with a write, set-id bits with that of a user. */
static void check_privileges(struct mounted *m, int src_fd)
{
	static const unsigned char cap[20] = { 1, 0, 0, 2, 0, 4 };
	char buf[64];
	struct stat st;

	(void)m, (void)src_fd;
	must(make("prog", "x") == 0 && chmod("prog", 0777) == 0 && mkdir("closed", 0755) == 0);
	ok(setxattr("prog", "security.capability", cap, sizeof(cap), 0) == 0);
	ok(getxattr("prog", "security.capability", buf, sizeof(buf)) == 20);

	int fd = open("prog", O_WRONLY);

	ok(write(fd, "y", 1) == 1);
	close(fd);
	fails(getxattr("prog", "security.capability", buf, sizeof(buf)), ENODATA);
	ok(chmod("prog", 06777) == 0 && mkdir("open", 0777) == 0 && chmod("open", 0777) == 0);

	pid_t pid = fork();

	if (pid == 0) {
		int bad = 0;

		if (syscall(SYS_setgroups, 0, NULL) < 0 || setresgid(77, 77, 77) < 0 || setresuid(99, 99, 99) < 0)
			_exit(1);
		fd = open("prog", O_WRONLY);
		bad |= fd < 0 || write(fd, "z", 1) != 1;
		close(fd);
		bad |= stat("prog", &st) < 0 || (st.st_mode & 07777) != 0777 ? 2 : 0;
		bad |= make("open/mine", "m") < 0 || stat("open/mine", &st) < 0 || st.st_uid != 99 || st.st_gid != 77 ? 4 : 0;
		bad |= mkdir("open/dir", 0700) < 0 || make("open/dir/f", "x") < 0 || !reads("open/dir/f", "x") ? 8 : 0;
		bad |= open("closed/new", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EACCES ? 16 : 0;
		_exit(bad);
	}
	int status;

	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0, "%s: bits %#x", now, WEXITSTATUS(status));

	/* A set-group-id directory hands its group on, and a default ACL replaces the umask. */
	ok(mkdir("sgid", 0755) == 0 && chown("sgid", 0, 42) == 0 && chmod("sgid", 02775) == 0);
	umask(022);
	ok(mkdir("sgid/sub", 0777) == 0 && stat("sgid/sub", &st) == 0 && st.st_gid == 42 && (st.st_mode & 07777) == 02755);

	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 7, 0, 255, 255, 255, 255,
					     0x20, 0, 0, 0, 255, 255, 255, 255 };

	ok(mkdir("acl", 0755) == 0 && setxattr("acl", "system.posix_acl_default", acl, sizeof(acl), 0) == 0);
	ok(make("acl/f", "x") == 0 && stat("acl/f", &st) == 0);
	cr_expect_eq(st.st_mode & 07777, 0640, "%s: %o", now, st.st_mode);
	ok(getxattr("acl", "system.posix_acl_default", buf, sizeof(buf)) == sizeof(acl));
	umask(0);
}

static void check_directory(struct mounted *m, int src_fd)
{
	static unsigned char seen[10000];
	unsigned n = 0, passes = 0;
	struct dirent *d;

	(void)m;
	must(mkdir("big", 0755) == 0);
	for (unsigned i = 0; i < sizeof(seen); i++) {
		char name[80];

		snprintf(name, sizeof(name), "big/%0*u", 1 + (int)(i % 60), i);
		int fd = openat(src_fd, name, O_CREAT | O_WRONLY, 0600);
		must(fd >= 0);
		close(fd);
	}
	/* Twice: the second time it may come from the guest's own cache. */
	for (; passes < 2; passes++) {
		DIR *dir = opendir("big");

		must(dir != NULL);
		memset(seen, 0, sizeof(seen));
		for (n = 0; (d = readdir(dir)) != NULL;) {
			if (d->d_name[0] == '.')
				continue;
			unsigned long i = strtoul(d->d_name, NULL, 10);
			must(i < sizeof(seen) && !seen[i]++ && d->d_type == DT_REG);
			n++;
		}
		cr_expect_eq(n, sizeof(seen), "%s: %u entries", now, n);
		long at = telldir(dir);
		rewinddir(dir);
		ok(readdir(dir) != NULL);
		seekdir(dir, at);
		ok(readdir(dir) == NULL);
		closedir(dir);
	}
	/* rm -r: entries go while the directory is read. */
	DIR *dir = opendir("big");

	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			ok(unlinkat(dirfd(dir), d->d_name, 0) == 0);
	closedir(dir);
	ok(rmdir("big") == 0);
}

/* Locks are the guest's own: between its processes they hold. */
static void check_locks(struct mounted *m, int src_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int fd = open("lock", O_CREAT | O_RDWR, 0600), status;

	(void)m, (void)src_fd;
	ok(fcntl(fd, F_SETLK, &lock) == 0 && flock(fd, LOCK_EX) == 0);

	pid_t pid = fork();

	if (pid == 0) {
		int mine = open("lock", O_RDWR);
		bool refused = fcntl(mine, F_SETLK, &lock) < 0 && flock(mine, LOCK_EX | LOCK_NB) < 0;

		lock.l_start = 20;
		_exit(!(refused && fcntl(mine, F_SETLK, &lock) == 0));
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0);
	close(fd);
}

/* Random operations on a file here and on one on a plain tmpfs must have the same outcome (as fsx does). */
static void check_random(struct mounted *m, int src_fd)
{
	enum { MAX = 300000 };
	static char a[MAX], b[MAX];
	char plain[128];
	unsigned seed = 12345;

	(void)src_fd;
	snprintf(plain, sizeof(plain), "%s/plain", m->base);

	int fd[2] = { open("random", O_CREAT | O_RDWR, 0644), open(plain, O_CREAT | O_RDWR, 0644) };

	must(fd[0] >= 0 && fd[1] >= 0);
	for (int step = 0; step < 3000; step++) {
		unsigned op = (unsigned)rand_r(&seed) % 12, at = (unsigned)rand_r(&seed) % (MAX / 2);
		unsigned len = (unsigned)rand_r(&seed) % (op < 3 ? 70000 : 5000) + 1;
		long r[2] = { 0, 0 };
		struct stat st[2];

		memset(a, 'a' + step % 26, len);
		for (int k = 0; k < 2; k++) {
			char *buf = k ? b : a;
			char *map;

			switch (op) {
			case 0: case 1: case 2:
			case 3: case 4:
				r[k] = pwrite(fd[k], a, len, at);
				break;
			case 5:
				r[k] = ftruncate(fd[k], at);
				break;
			case 6:
				r[k] = fallocate(fd[k], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len);
				break;
			case 7:
				r[k] = fallocate(fd[k], 0, at, len);
				break;
			case 8:
				must(ftruncate(fd[k], MAX / 2 + 8192) == 0);
				map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd[k], at & ~4095u);
				must(map != MAP_FAILED);
				memset(map + len % 4096, step, 4096);
				munmap(map, 8192);
				break;
			case 9:
				close(fd[k]);
				fd[k] = open(k ? plain : "random", O_RDWR);
				must(fd[k] >= 0);
				break;
			case 10: {
				loff_t in = at, out = MAX / 2;
				r[k] = copy_file_range(fd[k], &in, fd[k], &out, len % 4096, 0);
				break;
			}
			default:
				memset(buf, 0, MAX);
				r[k] = pread(fd[k], buf, MAX, at % 1000);
			}
		}
		cr_assert_eq(r[0], r[1], "%s: step %d, operation %u at %u, %u bytes: %ld and %ld", now, step, op, at, len, r[0], r[1]);
		if (op == 11 || step % 50 == 0) {
			ssize_t n[2] = { pread(fd[0], a, MAX, 0), pread(fd[1], b, MAX, 0) };

			must(fstat(fd[0], &st[0]) == 0 && fstat(fd[1], &st[1]) == 0);
			cr_assert(n[0] == n[1] && st[0].st_size == st[1].st_size && memcmp(a, b, (size_t)n[0]) == 0,
				  "%s: differs after step %d (operation %u)", now, step, op);
		}
	}
	close(fd[0]);
	close(fd[1]);
}

/* Processes that make, move, read and remove the same few names: each call works or says why, none hangs. */
static void check_concurrency(struct mounted *m, int src_fd)
{
	pid_t pids[4];
	int status;

	(void)m, (void)src_fd;
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] > 0)
			continue;
		unsigned seed = (unsigned)i;

		for (int step = 0; step < 1500; step++) {
			char one[16], two[16], buf[16] = "";
			int fd, saved = 0;

			snprintf(one, sizeof(one), "n%d", rand_r(&seed) % 8);
			snprintf(two, sizeof(two), "n%d", rand_r(&seed) % 8);
			errno = 0;
			switch (rand_r(&seed) % 6) {
			case 0:
				fd = open(one, O_CREAT | O_RDWR, 0600);
				if (fd >= 0 && (pwrite(fd, "data", 4, 0) != 4 || pread(fd, buf, 4, 0) != 4 || memcmp(buf, "data", 4)))
					_exit(2);
				saved = errno;
				close(fd);
				break;
			case 1:
				unlink(one);
				break;
			case 2:
				rename(one, two);
				break;
			case 3:
				if (link(one, two) < 0)
					saved = errno;
				break;
			case 4:
				syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE);
				break;
			default:
				fd = open(one, O_RDONLY);
				saved = errno;
				close(fd);
			}
			errno = saved ? saved : errno;
			if (errno && errno != ENOENT && errno != EEXIST && errno != EBADF && errno != ESTALE)
				_exit(errno);
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		ok(waitpid(pids[i], &status, 0) == pids[i]);
		cr_expect_eq(status, 0, "%s: %s", now, strerror(WEXITSTATUS(status)));
	}
}

/* What others write to a shared volume is seen: at once where nothing is remembered, after a second else. */
static void check_others(struct mounted *m, int src_fd)
{
	int fd = openat(src_fd, "shared", O_CREAT | O_RDWR, 0644);
	struct stat st;
	bool is_slow = strcmp(now, "shared") == 0;

	(void)m;
	ok(write(fd, "before", 6) == 6 && reads("shared", "before"));
	ok(pwrite(fd, "after, and longer", 17, 0) == 17);
	if (is_slow)
		usleep(1200000);
	ok(stat("shared", &st) == 0 && st.st_size == 17 && reads("shared", "after, and longer"));

	int mine = open("shared", O_WRONLY | O_APPEND);

	ok(pwrite(fd, "?", 1, 17) == 1 && write(mine, "end", 3) == 3);
	close(mine);
	ok(fstat(fd, &st) == 0 && st.st_size == 21);
	close(fd);
}

Test(vm_fs_mounted, names_are_made_moved_and_removed, .timeout = 60)
{
	everywhere(check_names, 0);
}

Test(vm_fs_mounted, a_removed_file_lives_as_long_as_it_is_open, .timeout = 60)
{
	everywhere(check_removed_but_open, 0);
}

Test(vm_fs_mounted, data_holes_appends_mappings_and_copies, .timeout = 60)
{
	everywhere(check_data, 0);
}

Test(vm_fs_mounted, attributes_are_set_and_read, .timeout = 60)
{
	everywhere(check_attributes, 0);
}

Test(vm_fs_mounted, users_set_id_bits_capabilities_and_acls_as_on_a_local_file_system, .timeout = 60)
{
	everywhere(check_privileges, 0);
}

Test(vm_fs_mounted, a_directory_of_ten_thousand_is_read_and_emptied, .timeout = 120)
{
	everywhere(check_directory, 0);
}

Test(vm_fs_mounted, locks_hold_between_processes_of_one_guest, .timeout = 60)
{
	everywhere(check_locks, 0);
}

Test(vm_fs_mounted, random_operations_do_what_they_do_on_tmpfs, .timeout = 120)
{
	everywhere(check_random, 0);
}

Test(vm_fs_mounted, many_processes_at_once, .timeout = 120)
{
	everywhere(check_concurrency, 0);
}

Test(vm_fs_mounted, a_shared_volume_shows_what_others_do, .timeout = 60)
{
	everywhere(check_others, 2);
}
