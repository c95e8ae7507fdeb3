/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signal for every member of a group, and the end of all of them.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "runtime/group_members.h"
#include "spec/base/auto.h"

#define KILL_TIMEOUT_MS 10000

static int signal_member(const struct rt_context *ctx, const struct group_place *at,
			 const struct rt_group_member *m, int signo, struct error *err)
{
	int r;

	if (strcmp(m->status, "stopped") == 0)
		return 0;
	if (m->container) {
		r = rt_kill(ctx, m->id, signo, RT_KILL_INIT, err);
		return r == -ESRCH || r == -ENOENT ? 0 : r; /* it ended, or was deleted, meanwhile */
	}
	if (signo != SIGKILL) {
		log_warn(ctx->log, "signal %d is not sent to /%s: no container of %s lives there", signo, m->cgroup,
			 ctx->root);
		return 0;
	}

	auto_close int fd = cg_open(at->cpg.host, m->cgroup, err);

	return fd == -ENOENT ? 0 : fd < 0 ? fd : cg_kill(fd, err);
}

/* All of them get it, whatever becomes of one; the first failure is reported. */
static int signal_all(const struct rt_context *ctx, struct group_place *at, const char *group, int signo,
		      struct error *err)
{
	static struct arena a = ARENA_INIT;
	struct rt_group_member *v;
	size_t n;
	int result = 0;
	int r = group_members_in(ctx, at, group, true, &a, &v, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct error own = ERROR_INIT;

		r = signal_member(ctx, at, &v[i], signo, &own);
		if (r < 0 && result == 0) {
			error_wrap(&own, r, "cannot signal container \"%s\"", v[i].id);
			if (err)
				*err = own;
			result = r;
		}
	}
	arena_release(&a);
	return result;
}

static int open_place(const struct rt_context *ctx, const char *group, struct cg_host *host,
		      struct group_place *at, struct error *err)
{
	int r = cpg_name_check(group, err);

	if (r == 0 && strcmp(group, "/") == 0)
		r = error_rule(err, EINVAL, "\"/\" is no CPU group: it cannot be signalled as a whole");
	if (r == 0)
		r = cg_host_open(host, err);
	if (r == 0)
		r = group_place(ctx, host, at, err);
	return r;
}

int rt_group_signal(const struct rt_context *ctx, const char *group, int signo, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	int r = open_place(ctx, group, &host, &at, err);

	if (r == 0)
		r = signal_all(ctx, &at, group, signo, err);
	cg_host_close(&host);
	return r;
}

/* Those who did not heed the signal, could not (paused), or came meanwhile. */
static int kill_rest(struct cpg *cpg, const char *group, struct error *err)
{
	int r = cpg_kill(cpg, group, err);

	return r < 0 ? r : cpg_wait(cpg, group, KILL_TIMEOUT_MS, err);
}

int rt_group_stop(const struct rt_context *ctx, const char *group, int signo, int timeout_ms, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	struct error own = ERROR_INIT;
	int r = open_place(ctx, group, &host, &at, err);
	auto_close int fd = r == 0 ? cpg_open(&at.cpg, group, false, err) : r;

	r = fd < 0 ? fd : 0;
	if (r == 0 && signal_all(ctx, &at, group, signo, &own) < 0) {
		/* It is killed with the others when its time is up. */
		char line[1024];

		error_line(&own, line, sizeof(line));
		log_warn(ctx->log, "%s", line);
	}
	if (r == 0) {
		r = cpg_wait(&at.cpg, group, timeout_ms < 0 ? 0 : timeout_ms, NULL);
		if (r == -ETIMEDOUT)
			r = kill_rest(&at.cpg, group, err);
		else if (r < 0) /* what it was */
			r = cpg_wait(&at.cpg, group, 0, err);
	}
	cg_host_close(&host);
	return r < 0 ? error_wrap(err, r, "cannot stop CPU group \"%s\"", group) : 0;
}
