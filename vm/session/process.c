/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process - the container's processes as the host knows them, and the ports of their streams
 *
 * A process has ended for its owner when the guest has said so, has closed the ports of its streams, and all that
 * came through them is written out. A guest that says the first and forgets the second is given CORE_DRAIN_MS; a
 * reader that is slow has all the time it wants.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/session/core.h"

static bool is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* ---- ports ---- */

static void check_end(struct core *c, struct process *p);

static void on_opened(void *arg, unsigned port, bool is_open)
{
	struct core *c = arg;
	struct process *p = c->ports[port].process;

	c->ports[port].is_closed = !is_open;
	if (p)
		check_end(c, p);
	clients_reap(c);
}

/* The console closes the port, too; an agent that opens it late would take that for one still to be opened. */
static void on_ended(void *arg, unsigned port)
{
	auto_buf struct buf b = BUF_INIT;
	struct core *c = arg;

	if (c->state < CORE_MAKING || !c->ports[port].process || channel_is_full(c, 64))
		return;

	size_t at = wire_begin(&b, WIRE_ENDED, 0);

	wire_add_u32(&b, WIRE_T_PORT, port);
	wire_end(&b, at);
	channel_send(c, &b);
}

/*
 * The next after the last one used: a guest that is late in closing one does not meet its next user. A further console is
 * begun when the others are full, since setting one up takes the guest some time.
 */
static unsigned free_port(struct core *c)
{
	unsigned n = c->end_port - CORE_FIRST_PORT, port;

	for (unsigned i = 1; i <= n; i++) {
		port = CORE_FIRST_PORT + (c->last_port - CORE_FIRST_PORT + i) % n;
		if (!c->ports[port].process)
			return port;
	}
	port = c->end_port;
	if (port >= VIRTIO_CONSOLE_PORTS)
		return 0;
	c->end_port += WIRE_PORTS_MORE;
	return port;
}

static int attach(struct core *c, struct process *p, unsigned stream, int in_fd, int out_fd,
		  uint32_t *ret, struct error *err)
{
	unsigned port = free_port(c);
	struct virtio_port config = {
		.in_fd = in_fd, .out_fd = out_fd, .opened = on_opened, .ended = on_ended, .arg = c
	};

	if (port == 0)
		return error_rule(
			err, EAGAIN,
			"all %d streams that a virtual machine has for its processes are in use",
			VIRTIO_CONSOLE_PORTS - CORE_FIRST_PORT);

	int r = c->host.attach(c->host.arg, port, &config, err);

	if (r < 0)
		return r;
	c->ports[port] = (struct port_use){ .process = p, .stream = stream };
	c->last_port = port;
	*ret = port;
	return 0;
}

static void detach(struct core *c, unsigned port)
{
	c->host.detach(c->host.arg, port);
	c->ports[port] = (struct port_use){ .process = NULL };
}

/* ---- processes ---- */

static struct process *free_process(struct core *c)
{
	/* The first is the container's, and made before all others. */
	for (unsigned i = c->state == CORE_BOOTING ? 0 : 1; i < CORE_PROCESSES; i++)
		if (c->processes[i].state == PROCESS_FREE)
			return &c->processes[i];
	return NULL;
}

static int attach_all(struct core *c, struct process *p, const struct streams *s, int *fds,
		      uint32_t *stdio, struct error *err)
{
	for (unsigned i = 0; i < 3; i++) {
		int fd = fds[i], r;

		if (fd < 0)
			continue;
		if (s->is_terminal) {
			/* Ours alone; without it one that is stopped would stop the loop. */
			int flags = fcntl(fd, F_GETFL);

			if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
				return error_set(err, errno, "set the flags of a terminal");
			r = attach(c, p, i, fd, fd, &stdio[i], err);
		} else {
			r = attach(c, p, i, i == 0 ? fd : -1, i == 0 ? -1 : fd, &stdio[i], err);
		}
		if (r < 0)
			return r;
		fds[i] = -1;
	}
	return 0;
}

int process_new(struct core *c, const struct streams *s, struct client *owner, struct process **ret,
		uint32_t ret_stdio[4], struct error *err)
{
	int fds[3] = { s->fds[0], s->is_terminal ? -1 : s->fds[1],
		       s->is_terminal ? -1 : s->fds[2] };
	uint32_t stdio[4] = { 0, 0, 0, s->is_terminal };
	struct process *p = free_process(c);
	int r = 0;

	if (!p)
		r = error_rule(err, EAGAIN,
			       "a virtual machine runs at most %d processes for the host at once",
			       CORE_PROCESSES - 1);
	else
		*p = (struct process){ .state = PROCESS_ASKED, .owner = owner };
	if (p && p != &c->processes[0]) {
		do {
			c->last_process++;
		} while (c->last_process == 0 || process_find(c, c->last_process));
		p->number = c->last_process;
	}
	for (unsigned i = 0; i < 3 && !s->is_terminal; i++)
		if (fds[i] >= 0 && is_null_device(fds[i])) {
			close(fds[i]);
			fds[i] = -1;
		}
	if (r == 0)
		r = attach_all(c, p, s, fds, stdio, err);
	for (unsigned i = 0; i < 3; i++)
		auto_closep(&fds[i]);
	if (r < 0) {
		if (p)
			process_free(c, p);
		return r;
	}
	memcpy(ret_stdio, stdio, sizeof(stdio));
	*ret = p;
	return 0;
}

struct process *process_find(struct core *c, uint32_t number)
{
	for (unsigned i = 0; i < CORE_PROCESSES; i++)
		if (c->processes[i].state != PROCESS_FREE && c->processes[i].number == number)
			return &c->processes[i];
	return NULL;
}

void process_free(struct core *c, struct process *p)
{
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		if (c->ports[i].process == p)
			detach(c, i);
	*p = (struct process){ .state = PROCESS_FREE };
}

static void check_end(struct core *c, struct process *p)
{
	if (p->state != PROCESS_EXITED)
		return;
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		if (c->ports[i].process == p && !c->ports[i].is_closed)
			return;
	if (p == &c->processes[0]) {
		core_first_drained(c);
		return;
	}
	if (p->owner)
		client_exited(p->owner, p);
	process_free(c, p);
}

void process_exited(struct core *c, struct process *p, uint32_t status)
{
	p->state = PROCESS_EXITED;
	p->status = status;
	check_end(c, p);
	if (p->state == PROCESS_EXITED && c->state != CORE_ENDED)
		core_wait_for(c, CORE_DRAIN_MS);
}

void process_drain_late(struct core *c)
{
	bool is_waiting = false;

	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
		struct process *p = c->ports[i].process;

		if (!p || p->state != PROCESS_EXITED)
			continue;
		if (c->host.is_blocked(c->host.arg, i)) {
			is_waiting = true;
			continue;
		}
		detach(c, i);
		check_end(c, p);
	}
	if (is_waiting && c->state != CORE_ENDED)
		core_wait_for(c, CORE_DRAIN_MS);
}

/* Its owner is gone, and with it whoever would read: what it writes from now on is dropped, and it is killed. */
void process_disown(struct core *c, struct client *owner)
{
	for (unsigned i = 1; i < CORE_PROCESSES; i++) {
		struct process *p = &c->processes[i];

		if (p->state == PROCESS_FREE || p->owner != owner)
			continue;
		p->owner = NULL;
		p->is_unwanted = true;
		for (unsigned k = 0; k < VIRTIO_CONSOLE_PORTS; k++) {
			struct virtio_port sink = {
				.in_fd = -1, .out_fd = -1, .opened = on_opened, .arg = c
			};

			if (c->ports[k].process != p || c->ports[k].is_closed)
				continue;
			c->host.detach(c->host.arg, k);
			c->host.attach(c->host.arg, k, &sink, NULL);
		}
		if (p->state == PROCESS_LIVE)
			channel_signal(c, p->number, SIGKILL);
	}
}

/* The guest is gone: whoever waits for a process hears how it ended. */
void process_finish_all(struct core *c)
{
	for (unsigned i = 1; i < CORE_PROCESSES; i++) {
		struct process *p = &c->processes[i];

		if (p->state == PROCESS_FREE || p->state == PROCESS_ASKED)
			continue;
		if (p->state == PROCESS_LIVE)
			p->status = 128 + SIGKILL;
		if (p->owner)
			client_exited(p->owner, p);
		process_free(c, p);
	}
}
