/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running one hook: fork, feed the state document, collect output, reap with a
 * deadline. Order and policy are the callers'.
 */
#include "runtime/launch/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/proc.h"

#define OUTPUT_MAX 1024 /* of what a hook prints, kept for the message */

struct running_hook {
	const struct spec_hook *hook;
	pid_t pid;
	int pidfd;
	int input;  /* our end of stdin, -1 once all is written */
	int output; /* our end of stdout and stderr */
	const char *document;
	size_t left;
	char text[OUTPUT_MAX + 1];
	size_t text_len;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* In the forked child. Only the three standard descriptors survive: all others are CLOEXEC. */
static _Noreturn void become_hook(const struct hook_run *run, const struct spec_hook *hook, int in,
				  int out, int report)
{
	static char *const no_env[] = { NULL };
	char *const fallback[] = { (char *)hook->path, NULL };
	struct error err = ERROR_INIT;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
		error_set(&err, errno, "set up the descriptors of the hook");
	} else if (!run->enter || run->enter(run->data, &err) == 0) {
		char *const *env = hook->env.n ? hook->env.v : run->default_env;

		execve(hook->path, hook->args.n ? hook->args.v : fallback, env ? env : no_env);
		error_set(&err, errno, "execute %s", hook->path);
	}
	error_send(report, &err);
	_exit(126);
}

static int spawn(const struct hook_run *run, const struct spec_hook *hook, struct running_hook *h,
		 struct error *err)
{
	int in[2], out[2], report[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe");
	auto_close int in_r = in[0], in_w = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe");
	auto_close int out_r = out[0], out_w = out[1];
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_set(err, errno, "make a pipe");
	auto_close int report_r = report[0], report_w = report[1];

	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "fork");
	if (pid == 0)
		become_hook(run, hook, in_r, out_w, report_w);

	close(TAKE_FD(report_w));

	int r = error_recv(report_r, err);

	if (r < 0) {
		waitpid(pid, NULL, 0);
		return r;
	}
	h->pid = pid;
	h->pidfd = proc_pidfd_open(pid);
	if (h->pidfd < 0) {
		r = error_set(err, -h->pidfd, "open a pidfd of the hook");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	h->input = TAKE_FD(in_w);
	h->output = TAKE_FD(out_r);
	fcntl(h->input, F_SETFL, O_NONBLOCK);
	fcntl(h->output, F_SETFL, O_NONBLOCK);
	return 0;
}

/* A hook that does not read its stdin is fine: EPIPE only ends the writing. */
static void feed(struct running_hook *h)
{
	ssize_t n = write(h->input, h->document, h->left);

	if (n > 0) {
		h->document += n;
		h->left -= (size_t)n;
	}
	if (h->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(h->input);
		h->input = -1;
	}
}

/* Keeps the first bytes, throws the rest away: a hook may print without end. */
static void collect(struct running_hook *h)
{
	char text[4096];
	ssize_t n = read(h->output, text, sizeof(text));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(h->output);
		h->output = -1;
		return;
	}
	for (ssize_t i = 0; i < n && h->text_len < OUTPUT_MAX; i++)
		h->text[h->text_len++] = text[i] == '\n' ? ' ' : text[i];
}

static bool still_running(struct running_hook *h, int64_t deadline)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = h->pidfd, .events = POLLIN },
			{ .fd = h->input, .events = POLLOUT },
			{ .fd = h->output, .events = POLLIN },
		};
		int64_t left = deadline - now_ms();

		if (left <= 0)
			return true;
		if (poll(p, 3, left > INT_MAX ? INT_MAX : (int)left) < 0 && errno != EINTR)
			return true;
		if (p[1].revents && h->input >= 0)
			feed(h);
		if (p[2].revents && h->output >= 0)
			collect(h);
		if (p[0].revents) {
			/* A grandchild may hold the pipe open: take what is there, do not wait for its end. */
			while (h->output >= 0 && poll(&p[2], 1, 0) > 0)
				collect(h);
			return false;
		}
	}
}

static int judge(const struct running_hook *h, int status, bool timed_out, int timeout_s,
		 struct error *err)
{
	const char *said = h->text_len ? ": " : "";
	int len = (int)h->text_len;

	while (len > 0 && h->text[len - 1] == ' ')
		len--;
	if (timed_out)
		return error_rule(err, ETIMEDOUT, "%s did not end within %d seconds%s%.*s",
				  h->hook->path, timeout_s, said, len, h->text);
	if (WIFSIGNALED(status))
		return error_rule(err, ECHILD, "%s was killed by signal %d%s%.*s", h->hook->path,
				  WTERMSIG(status), said, len, h->text);
	if (WEXITSTATUS(status))
		return error_rule(err, ECHILD, "%s ended with exit status %d%s%.*s", h->hook->path,
				  WEXITSTATUS(status), said, len, h->text);
	return 0;
}

static int run_one(const struct hook_run *run, const struct spec_hook *hook, const struct buf *document,
		   struct error *err)
{
	struct running_hook h = { .hook = hook, .document = document->data, .left = document->len };
	int timeout_s = hook->timeout > 0 ? hook->timeout : HOOK_TIMEOUT_S;
	int r = spawn(run, hook, &h, err);

	if (r < 0)
		return r;

	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	bool timed_out = still_running(&h, now_ms() + timeout_s * 1000LL);
	int status = 0;

	if (timed_out)
		kill(h.pid, SIGKILL);
	while (waitpid(h.pid, &status, 0) < 0 && errno == EINTR)
		;
	signal(SIGPIPE, old);
	if (h.input >= 0)
		close(h.input);
	if (h.output >= 0)
		close(h.output);
	close(h.pidfd);
	return judge(&h, status, timed_out, timeout_s, err);
}

static void trace_hook(const struct trace *trace, const char *kind, size_t i, uint64_t began)
{
	char name[64];

	snprintf(name, sizeof(name), "%s hook %zu", kind, i);
	trace_span(trace, name, began);
}

int hooks_run(const struct hook_run *run, enum hook_policy policy, struct error *err)
{
	size_t n = run->hooks->n[run->kind];

	if (!n)
		return 0;

	auto_buf struct buf document = BUF_INIT;
	struct json_w w = { .out = &document };

	spec_write_state(&w, NULL, run->state);
	for (size_t i = 0; i < n; i++) {
		struct error own = ERROR_INIT;
		const char *kind = spec_hook_name(run->kind);

		log_debug(run->log, "running %s hook %zu: %s", kind, i, run->hooks->v[run->kind][i].path);

		uint64_t began = trace_now(run->trace);
		int r = run_one(run, &run->hooks->v[run->kind][i], &document, &own);

		if (run->trace)
			trace_hook(run->trace, kind, i, began);
		if (r == 0)
			continue;
		error_at(&own, "/hooks/%s/%zu", kind, i);
		r = error_wrap(&own, r, "%s hook %zu did not succeed", kind, i);
		if (policy == HOOK_STOP_ON_FAILURE) {
			if (err)
				*err = own;
			return r;
		}

		char line[1024];

		error_line(&own, line, sizeof(line));
		log_warn(run->log, "%s", line);
	}
	return 0;
}
