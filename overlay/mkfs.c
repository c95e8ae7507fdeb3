/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See mkfs.h. It is started in the directory of the file, with an empty environment, and dies with us.
 */
#include "overlay/mkfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define DEADLINE_MS 60000
#define NOT_FOUND 127

static _Noreturn void child(int dir_fd, int null_fd, int words_fd, char *const argv[])
{
	static const char *const places[] = { "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4" };
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fchdir(dir_fd) < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(words_fd, STDOUT_FILENO) < 0 ||
	    dup2(words_fd, STDERR_FILENO) < 0)
		_exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		execve(places[i], argv, environment);
	_exit(NOT_FOUND);
}

/* Its last line, which says what is wrong. A pipe's worth of words does not block it. */
static void add_words(int fd, struct error *err)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return;
	text[n] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';

	const char *line = strrchr(text, '\n');

	error_hint(err, "mkfs.ext4 says: %.200s", line ? line + 1 : text);
}

static int judge(int status, int words_fd, struct error *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND) {
		int r = error_rule(err, ENOENT, "there is no mkfs.ext4, which a sandbox of limited size needs here");

		error_hint(err, "install the package e2fsprogs, or mount the store's file system with project quota (prjquota)");
		return r;
	}

	int r = error_rule(err, EIO, "mkfs.ext4 ended with %s %d", WIFEXITED(status) ? "status" : "signal",
			   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));

	add_words(words_fd, err);
	return r;
}

static int run(int dir_fd, char *const argv[], struct error *err)
{
	int ends[2], status = 0;
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "open what mkfs.ext4 writes to");

	auto_close int words = ends[0];
	auto_close int theirs = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "start mkfs.ext4");
	if (pid == 0)
		child(dir_fd, null, theirs, argv);

	auto_close int pidfd = proc_pidfd_open(pid);
	int r = pidfd < 0 ? 0 : proc_pidfd_wait(pidfd, DEADLINE_MS);

	close(TAKE_FD(theirs));
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? error_set(err, -r, "wait for mkfs.ext4") : judge(status, words, err);
}

int mkfs_ext4(int dir_fd, const char *name, uint64_t inodes, bool has_journal, struct error *err)
{
	char number[24], file[NAME_MAX + 1];
	char *argv[] = {
		"mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-I", "256",
		/* A sparse file is all zeros, which it finds out by a discard: no table is written, now or later. */
		"-O", has_journal ? "^resize_inode" : "^resize_inode,^has_journal", "-E", "lazy_itable_init=1",
		inodes ? "-N" : "-i", number, file, NULL,
	};

	/* An inode for each 16 KiB, unless their number was asked for: 11 more are ext4's own. */
	snprintf(number, sizeof(number), "%llu", inodes ? (unsigned long long)inodes + 11 : 16384ull);
	snprintf(file, sizeof(file), "%s", name);
	return run(dir_fd, argv, err);
}
