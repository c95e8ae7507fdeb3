/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host_ps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"

extern char **environ;

enum { PATIENCE_MS = 30000, TABLE_MAX = 64 << 20 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ps reads every process's files and can hang on one whose memory is locked: it gets a deadline. */
static int read_output(int fd, struct buf *ret, struct error *err)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - now_ms();

		if (left <= 0 || ret->len > TABLE_MAX)
			return error_rule(err, ETIMEDOUT, "ps does not end");
		if (poll(&p, 1, (int)left) <= 0)
			continue;

		ssize_t n = read(fd, buf_reserve(ret, 16384), 16384);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "read the output of ps");
		if (n == 0)
			return 0;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
	}
}

static int reap(pid_t pid, int *ret_status)
{
	pid_t r;

	do {
		r = waitpid(pid, ret_status, 0);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int cli_ps_run(char *const *options, struct arena *a, struct buf *ret, struct error *err)
{
	size_t n = 0;

	while (options[n])
		n++;

	char **argv = ARENA_NEW_N(a, char *, n + 3);
	static char name[] = "ps", everything[] = "-ef";

	argv[0] = name;
	argv[1] = everything;
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = options[i];

	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe for ps");

	auto_close int out = ends[0];
	auto_close int in = ends[1];
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDOUT_FILENO);

	int code = posix_spawnp(&pid, name, &actions, NULL, argv, environ);

	posix_spawn_file_actions_destroy(&actions);
	if (code) {
		int r = error_set(err, code, "run ps");

		if (code == ENOENT)
			error_hint(err, "install the package procps");
		return r;
	}
	close(TAKE_FD(in)); /* or the end of its output would never come */

	int r = read_output(out, ret, err);
	int status = 0;

	if (r < 0)
		kill(pid, SIGKILL);

	int waited = reap(pid, &status);

	if (r == 0 && waited < 0)
		return error_set(err, -waited, "wait for ps");
	if (r == 0 && status != 0)
		return error_rule(err, EIO, "ps ends with %s %d",
				  WIFSIGNALED(status) ? "signal" : "status",
				  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return r;
}

/* The n-th blank-separated field of a line: its start, and length (0: there is none). */
static size_t field(const char *line, unsigned n, const char **ret)
{
	for (;; n--) {
		line += strspn(line, " \t");

		size_t len = strcspn(line, " \t\n");

		if (len == 0 || n == 0) {
			*ret = line;
			return len;
		}
		line += len;
	}
}

static int find_pid_column(const char *header)
{
	const char *name;
	size_t len;

	for (int i = 0; (len = field(header, (unsigned)i, &name)) > 0; i++)
		if (len == 3 && !memcmp(name, "PID", 3))
			return i;
	return -1;
}

static bool is_wanted(const char *line, unsigned column, const pid_t *pids, size_t n)
{
	const char *text;
	size_t len = field(line, column, &text);
	pid_t pid = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || pid > 100000000)
			return false;
		pid = pid * 10 + (text[i] - '0');
	}
	for (size_t i = 0; len > 0 && i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

int cli_ps_filter(const char *table, const pid_t *pids, size_t n, struct buf *out,
		  struct error *err)
{
	int column = find_pid_column(table);

	if (column < 0)
		return error_rule(err, EINVAL, "the output of ps has no PID column");
	for (const char *line = table; *line;) {
		size_t len = strcspn(line, "\n");

		if (line == table || is_wanted(line, (unsigned)column, pids, n)) {
			buf_add(out, line, len);
			buf_putc(out, '\n');
		}
		line += len + (line[len] == '\n');
	}
	return 0;
}
