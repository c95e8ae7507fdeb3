/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init - the container's first process, from its birth to launch_become()
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "runtime/launch/stages.h"
#include "runtime/launch/stdio.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "vm/agent/agent.h"

static int enter_namespaces(struct container *c, struct error *err)
{
	int r = setsid() < 0 ? error_set(err, errno, "make a session of its own") : 0;

	if (r == 0 && ns_needs_maps(c->ns))
		r = launch_wait_for_go(&c->launch, "the id maps were written", err);
	if (r == 0)
		r = ns_become_root(c->ns, err);
	return r < 0 ? error_wrap(err, r, "cannot enter the container's namespaces") : 0;
}

static int open_console(struct container *c, int *ret_peer, struct error *err)
{
	auto_close int master = -1;
	auto_close int peer = -1;
	int r = ns_console(c->ns, &c->spec->process, &master, &peer, err);

	if (r == 0)
		r = stage_send(c->launch.sync[1], STAGE_CONSOLE, 0, master, err);
	if (r < 0)
		return error_wrap(err, r, "cannot set up the container's terminal");
	*ret_peer = TAKE_FD(peer);
	return 0;
}

/* A working directory that the image lacks, while the root can still be written. */
static void make_cwd(const struct container *c)
{
	const char *cwd = c->spec->process.cwd;
	auto_close int fd = strcmp(cwd, "/") != 0 ? path_mkdirs(ns_root_fd(c->ns), cwd, 0755, NULL) : -1;
}

static int init(struct container *c, int *ret_peer, struct error *err)
{
	int r = enter_namespaces(c, err);

	if (r < 0)
		return r;
	r = ns_build_root(c->ns, err);
	if (r < 0)
		return error_wrap(err, r, "cannot set up the root filesystem");
	make_cwd(c);
	if (c->spec->process.terminal)
		r = open_console(c, ret_peer, err);
	if (r < 0)
		return r;
	r = ns_enter_root(c->ns, err);
	return r < 0 ? error_wrap(err, r, "cannot enter the root filesystem") : 0;
}

void container_child(struct launch *l, void *data)
{
	struct agent *a = data;
	struct container *c = &a->container;
	struct error err = ERROR_INIT;
	int peer = -1;

	if (init(c, &peer, &err) < 0)
		launch_fail(l, &err);

	struct launch_program program = {
		.process = &c->spec->process,
		.plan = &c->proc,
		.extra_env = c->extra_env,
		.root_fd = ns_root_fd(c->ns),
		.procfs_fd = -1,
		.stdio = { c->init->child_fds[0], c->init->child_fds[1], c->init->child_fds[2] },
		.terminal = peer >= 0,
		.facts = &agent_stdio,
		.init = true,
		.starts_later = true,
	};

	if (peer >= 0)
		program.stdio[0] = program.stdio[1] = program.stdio[2] = peer;
	launch_become(l, &program);
}
