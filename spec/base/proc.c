/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: who a pid is, and pidfds. procfs.c has the handle. */
#include "spec/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define START_TIME_FIELD 22 /* proc_pid_stat(5) */

/*
 * The command name, field 2, is the process's own choice and may hold blanks and
 * parentheses, even "1 (x) Z 5 (". Nothing behind it does: take the last one.
 */
static int parse_stat(char *text, struct proc_stat *ret)
{
	char *p = strrchr(text, ')');

	if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
		return -EPROTO;

	char state = p[2];

	p += 4; /* field 4 */
	for (int field = 4; field < START_TIME_FIELD; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EPROTO;
		p++;
	}
	p[strcspn(p, " \n")] = '\0';

	uint64_t start_time;

	if (parse_u64(p, &start_time) < 0)
		return -EPROTO;
	ret->state = state;
	ret->start_time = start_time;
	return 0;
}

int proc_stat(pid_t pid, struct proc_stat *ret)
{
	char path[32], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;

	ssize_t n;

	do {
		n = read(fd, text, sizeof(text) - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return parse_stat(text, ret);
}

#define PIDFS_MAGIC 0x50494446 /* linux/magic.h, Linux 6.9 */

/*
 * Before there was a file system of pidfds all of them were one inode, which is of mode 0600 (fs/anon_inodes.c);
 * one of pidfs is 0700 (fs/pidfs.c). Any other mode is none that is known here, and the file system is asked.
 */
uint64_t proc_pidfd_id(int pidfd)
{
	struct statfs fs;
	struct stat st;

	if (fstat(pidfd, &st) < 0)
		return 0;
	if ((st.st_mode & 07777) != 0700 && (fstatfs(pidfd, &fs) < 0 || fs.f_type != PIDFS_MAGIC))
		return 0;
	return st.st_ino;
}

bool proc_pidfd_is(int pidfd, uint64_t id)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct stat st;

	return fstat(pidfd, &st) == 0 && st.st_ino == id && poll(&p, 1, 0) == 0;
}

int proc_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int proc_pidfd(pid_t pid, uint64_t start_time, struct error *err)
{
	auto_close int fd = proc_pidfd_open(pid);

	if (fd < 0)
		return error_set(err, -fd, "pidfd_open %d", pid);

	/* After the open: the pid cannot be given to another process while we hold this one. */
	struct proc_stat st;
	int r = proc_stat(pid, &st);

	if (r < 0)
		return error_set(err, -r, "read /proc/%d/stat", pid);
	if (st.start_time != start_time)
		return error_set(err, ESRCH, "find process %d started at tick %llu", pid,
				 (unsigned long long)start_time);
	return TAKE_FD(fd);
}

int proc_pidfd_send(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int proc_pidfd_wait(int pidfd, int timeout_ms)
{
	if (timeout_ms < 0)
		return -EINVAL;

	int64_t deadline = now_ms() + timeout_ms;

	for (int64_t left = timeout_ms;; left = deadline - now_ms()) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return p.revents & POLLNVAL ? -EBADF : 0;
		if (n == 0)
			return -ETIMEDOUT;
	}
}

/* What the kernel takes for a set of signals: 64 bits, the first of which is signal 1. */
void proc_block_signals(int but)
{
	proc_block_again(but > 0 ? ~(UINT64_C(1) << (but - 1)) : UINT64_MAX);
}

uint64_t proc_blocked_signals(void)
{
	uint64_t set = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, sizeof(set));
	return set;
}

void proc_block_again(uint64_t signals)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &signals, NULL, sizeof(signals));
}

int proc_signal_fd(void)
{
	uint64_t set = UINT64_MAX;
	long fd = syscall(SYS_signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? -errno : (int)fd;
}
