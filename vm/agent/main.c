/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a guest: sets the guest up, says hello, and turns one loop.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/agent/agent.h"

static void say_hello(struct agent *a)
{
	struct utsname u;
	size_t at = channel_begin(a, WIRE_HELLO, 0);

	uname(&u);
	wire_add_u32(&a->out, WIRE_T_VERSION, WIRE_VERSION);
	wire_add_text(&a->out, WIRE_T_KERNEL, u.release);
	channel_send(a, at);
}

/* SIGCHLD alone: the kernel's other signals to a first process without handlers come to nothing. */
static int watch_children(struct agent *a, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? error_set(err, errno, "open a signalfd") : 0;
}

static void turn(struct agent *a)
{
	struct polls *p = &a->polls;

	p->n = 0;
	p->timeout_ms = -1;
	channel_watch(a);
	a->at_signals = polls_add(p, a->signals, POLLIN);
	container_watch(a);
	job_watch(a);
	process_watch(a);
	names_watch(a);
	while (poll(p->v, p->n, p->timeout_ms) < 0 && errno == EINTR)
		;

	job_turn(a);
	process_turn(a);
	if (polls_events(p, a->at_signals)) {
		struct signalfd_siginfo si[8];

		while (read(a->signals, si, sizeof(si)) > 0)
			;
		process_reap(a);
	}
	container_turn(a);
	names_turn(a);
	/* Last: what it begins has no place among this turn's events. */
	channel_turn(a);
}

int main(void)
{
	static struct agent a = {
		.log = { .fd = -1 }, .console = -1, .modules = -1, .channel = -1, .signals = -1,
		.in = WIRE_INBOX_INIT(WIRE_MAX_REQUEST), .out = BUF_INIT, .names = { .fd = -1, .at = -1 },
		.container = { .cgroup_fd = -1, .memory_events = -1, .at_memory = -1, .launch = LAUNCH_INIT,
			       .host = { .root_fd = -1 }, .shares = { -1, -1 } },
	};
	static struct arena arena = ARENA_INIT; /* apart: what is all zeros takes no room in the program's file */
	struct error err = ERROR_INIT;
	int r;

	a.container.arena = &arena;
	if (getpid() != 1) {
		fputs("this program is the first process of a guest\n", stderr);
		return 2;
	}
	r = system_begin(&a, &err);
	if (r == 0)
		r = watch_children(&a, &err);
	if (r == 0)
		r = channel_open(&a, &err);
	if (r < 0)
		system_end(&err);
	say_hello(&a);
	for (;;)
		turn(&a);
}
