/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start - a job: the hooks that belong inside, then the gate
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/launch/hooks.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/agent/agent.h"

/* In the forked hook: all that the container's process will be. */
static int enter_container(void *data, struct error *err)
{
	struct container *c = data;
	int r = ns_exec_child(c->launch.pidfd, c->kinds, err);

	return r == 0 ? proc_apply(&c->proc, -1, NULL, err) : r;
}

static int run_hooks(struct agent *a, struct error *err)
{
	struct container *c = &a->container;
	struct spec_state doc = {
		.id = c->id,
		.status = "created",
		.bundle = c->bundle,
		/* As the hook sees it. */
		.pid = c->kinds & 1u << SPEC_NS_PID ? 1 : c->launch.pid,
		.annotations = c->spec->annotations,
		.n_annotations = c->spec->n_annotations,
	};
	struct hook_run run = {
		.hooks = &c->spec->hooks,
		.kind = SPEC_HOOK_START_CONTAINER,
		.state = &doc,
		.enter = enter_container,
		.data = c,
		.default_env = c->spec->process.env.v,
		.log = &a->log,
	};

	if (!c->spec->hooks.n[SPEC_HOOK_START_CONTAINER])
		return 0;

	int r = ns_exec_parent(c->launch.pidfd, c->kinds, err);

	return r == 0 ? hooks_run(&run, HOOK_STOP_ON_FAILURE, err) : r;
}

int job_start_container(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
			struct error *err)
{
	struct launch *l = &a->container.launch;
	int r = run_hooks(a, err);

	(void)j;
	(void)payload;
	(void)n;
	(void)sock;
	(void)reply;
	if (r == 0)
		return launch_release(l, a->container.spec->process.args.v[0], err);
	proc_pidfd_send(l->pidfd, SIGKILL);
	return r;
}
