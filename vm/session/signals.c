/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals - what is sent to this process is meant for the container's program: any of the 64. The machine takes its vCPUs
 * out of the guest by one, too, which it tells apart (vm.h, signalled)
 *
 * All are blocked and read from a descriptor. To the first process of a pid namespace the kernel delivers no signal
 * that has its default action; one that is blocked it queues nevertheless (kernel/signal.c, sig_ignored()).
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "spec/base/proc.h"
#include "vm/session/core.h"

static void on_signals(void *arg, uint32_t events)
{
	struct core *c = arg;

	(void)events;
	signals_read(c);
	clients_reap(c);
}

int signals_begin(struct core *c, struct error *err)
{
	proc_block_signals(0);
	c->signal_fd = proc_signal_fd();
	if (c->signal_fd < 0)
		return error_set(err, -c->signal_fd, "read signals from a descriptor");

	int r = virtio_loop_watch(c->loop, c->signal_fd, EPOLLIN, on_signals, c);

	return r < 0 ? error_set(err, -r, "wait for signals") : 0;
}

/* Not what the kernel tells us of children, nor what we get for writing where nobody reads. */
static bool is_ours(const struct signalfd_siginfo *s)
{
	return (s->ssi_signo == SIGCHLD && s->ssi_code > 0) ||
	       (s->ssi_signo == SIGPIPE && s->ssi_pid == (uint32_t)getpid());
}

void signals_read(struct core *c)
{
	struct signalfd_siginfo s[16];
	ssize_t n = read(c->signal_fd, s, sizeof(s));

	for (ssize_t i = 0; n > 0 && i < n / (ssize_t)sizeof(s[0]); i++)
		if (!is_ours(&s[i]))
			core_on_signal(c, (int)s[i].ssi_signo);
}
