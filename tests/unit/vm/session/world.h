/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * world - a session without a machine: its agent is a socket, its ports are a table
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/session/client.h"
#include "vm/session/core.h"

enum { WORLD_ROUNDS = 40 };

struct world {
	struct core core;
	struct vm_session_config config;
	struct vm_config machine;
	struct buf create;
	struct virtio_loop *loop;
	struct virtio_port ports[VIRTIO_CONSOLE_PORTS];
	bool is_attached[VIRTIO_CONSOLE_PORTS], is_blocked[VIRTIO_CONSOLE_PORTS];

	int agent, gate; /* our ends */
	struct wire_inbox from_core;
	struct wire_header h; /* of the last frame from the core */
	const void *payload;

	unsigned n_created, n_stops, n_resumed, n_ending, n_oom;
	struct error created;
	struct sockaddr_un address;
	socklen_t address_size;
};

static int world_attach(void *arg, unsigned port, const struct virtio_port *config,
			struct error *err)
{
	struct world *w = arg;

	(void)err;
	cr_assert(!w->is_attached[port], "port %u twice", port);
	w->is_attached[port] = true;
	w->ports[port] = *config;
	return 0;
}

static void world_detach(void *arg, unsigned port)
{
	struct world *w = arg;

	if (w->ports[port].in_fd >= 0)
		close(w->ports[port].in_fd);
	if (w->ports[port].out_fd >= 0 && w->ports[port].out_fd != w->ports[port].in_fd)
		close(w->ports[port].out_fd);
	w->is_attached[port] = false;
}

static bool world_is_blocked(void *arg, unsigned port)
{
	return ((struct world *)arg)->is_blocked[port];
}

static void world_stop(void *arg)
{
	((struct world *)arg)->n_stops++;
}

static void world_resumed(void *arg)
{
	((struct world *)arg)->n_resumed++;
}

static void world_ending(void *arg)
{
	((struct world *)arg)->n_ending++;
}

static void world_created(void *arg, const struct error *err)
{
	struct world *w = arg;

	w->n_created++;
	if (err)
		w->created = *err;
}

static void world_oom(void *arg, uint64_t kills, uint64_t limit, uint64_t peak)
{
	(void)kills;
	(void)limit;
	(void)peak;
	((struct world *)arg)->n_oom++;
}

/* names_fd: 0 for none. */
static inline void world_begin_with(struct world *w, int names_fd)
{
	const struct core_host host = {
		.attach = world_attach,
		.detach = world_detach,
		.is_blocked = world_is_blocked,
		.stop = world_stop,
		.resumed = world_resumed,
		.ending = world_ending,
		.arg = w,
	};
	struct error err = ERROR_INIT;
	int channel[2], gate[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), out[2];

	memset(w, 0, sizeof(*w));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel),
		     0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	w->agent = channel[1];
	w->gate = gate[1];
	w->from_core = (struct wire_inbox)WIRE_INBOX_INIT(WIRE_MAX_REQUEST);
	wire_add_text(&w->create, WIRE_T_CONFIG, "{}");

	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* An abstract address of the kernel's choice. */
	w->address.sun_family = AF_UNIX;
	w->address_size = sizeof(w->address);
	cr_assert_eq(bind(listener, (struct sockaddr *)&w->address, sizeof(sa_family_t)), 0);
	cr_assert_eq(listen(listener, 100), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&w->address, &w->address_size), 0);
	w->config = (struct vm_session_config){
		.machine = &w->machine,
		.create = &w->create,
		.listen_fd = listener,
		.stdio = { null, out[1], dup(out[1]) },
		.gate_fd = gate[0],
		.status_fd = gate[0],
		.created = world_created,
		.oom = world_oom,
		.arg = w,
		.names_fd = names_fd,
	};
	cr_assert_eq(virtio_loop_new(&w->loop, &err), 0);
	core_clear(&w->core, &w->config);
	cr_assert_eq(core_begin(&w->core, w->loop, &host, channel[0], &err), 0, "%s", err.text);
}

static inline void world_begin(struct world *w)
{
	world_begin_with(w, 0);
}

static inline void world_turn(struct world *w)
{
	for (int i = 0; i < WORLD_ROUNDS; i++)
		virtio_loop_turn(w->loop, 0);
}

static inline void world_end(struct world *w)
{
	core_finish(&w->core, NULL);
	core_free(&w->core);
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		if (w->is_attached[i])
			world_detach(w, i);
	virtio_loop_free(w->loop);
	wire_inbox_release(&w->from_core);
	buf_release(&w->create);
	close(w->agent);
	close(w->gate);
}

/* ---- as the agent ---- */

static inline void agent_says(struct world *w, enum wire_type type, uint32_t id,
			      const struct buf *items)
{
	auto_buf struct buf b = BUF_INIT;
	size_t at = wire_begin(&b, type, id);

	if (items)
		buf_add(&b, items->data, items->len);
	wire_end(&b, at);
	cr_assert_eq(send(w->agent, b.data, b.len, MSG_NOSIGNAL), (ssize_t)b.len);
	world_turn(w);
}

/* The next frame that the agent gets, in h and payload. */
static inline bool agent_hears(struct world *w)
{
	char bytes[65536];
	ssize_t n;

	world_turn(w);
	while ((n = recv(w->agent, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		wire_inbox_add(&w->from_core, bytes, (size_t)n);
		world_turn(w);
	}
	return wire_inbox_next(&w->from_core, &w->h, &w->payload) == 1;
}

static inline void agent_hello(struct world *w)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_VERSION, WIRE_VERSION);
	wire_add_text(&b, WIRE_T_KERNEL, "6.1.0");
	agent_says(w, WIRE_HELLO, 0, &b);
}

static inline void agent_fails(struct world *w, int code, const char *text)
{
	auto_buf struct buf b = BUF_INIT;
	struct error err = ERROR_INIT;

	error_rule(&err, code, "%s", text);
	wire_add_error(&b, &err);
	agent_says(w, WIRE_REPLY, w->h.id, &b);
}

static inline void agent_exits(struct world *w, uint32_t process, uint32_t status)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_PROCESS, process);
	wire_add_u32(&b, WIRE_T_STATUS, status);
	agent_says(w, WIRE_EXITED, 0, &b);
}

static inline void agent_closes(struct world *w, unsigned port)
{
	cr_assert(w->is_attached[port]);
	w->ports[port].opened(w->ports[port].arg, port, false);
}

/* Up to the gate, and through it. */
static inline void until_made(struct world *w)
{
	agent_hello(w);
	cr_assert(agent_hears(w));
	cr_assert_eq(w->h.type, WIRE_CREATE);
	agent_says(w, WIRE_REPLY, w->h.id, NULL);
	cr_assert_eq(w->n_created, 1);
	cr_assert_eq(w->created.code, 0, "%s", w->created.text);
}

static inline void until_started(struct world *w)
{
	until_made(w);
	cr_assert_eq(write(w->gate, "x", 1), 1);
	cr_assert(agent_hears(w));
	cr_assert_eq(w->h.type, WIRE_START);
	agent_says(w, WIRE_REPLY, w->h.id, NULL);
	cr_assert_eq(w->core.state, CORE_RUNNING);
}

/* ---- as a command ---- */

static inline struct vm_client world_client(struct world *w)
{
	struct vm_client c;
	struct error err = ERROR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&w->address, w->address_size), 0);
	world_turn(w);
	cr_assert_eq(vm_client_begin(&c, fd, 1000, &err), 0, "%s", err.text);
	return c;
}
