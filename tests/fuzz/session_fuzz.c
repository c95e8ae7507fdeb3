/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest says to its VMM: bytes become frames of the agent, ports that it opens and closes, and the deeds of a
 * command and a gate in between, since some frames are only right after these.
 *
 * What it holds the session to: it returns; the machine is told to stop once; the creator hears of it once; no port is given
 * to two; and when it has ended, no descriptor, port or byte of memory is left (a sanitizer counts the last).
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vm/session/core.h"

enum { MOST_FRAME = 200, MOST_STEPS = 200 };

struct world {
	struct core core;
	bool is_attached[VIRTIO_CONSOLE_PORTS];
	struct virtio_port ports[VIRTIO_CONSOLE_PORTS];
	unsigned n_stops, n_created;
	int agent, gate, client, names;
	uint32_t last_id; /* that the agent was asked under */
};

/* A byte. */
static uint8_t next(struct input *in)
{
	return (uint8_t)take(in, 1);
}

/* ---- the machine ---- */

static int attach(void *arg, unsigned port, const struct virtio_port *config, struct error *err)
{
	struct world *w = arg;

	(void)err;
	require(port >= CORE_FIRST_PORT && port < VIRTIO_CONSOLE_PORTS && !w->is_attached[port]);
	w->is_attached[port] = true;
	w->ports[port] = *config;
	return 0;
}

static void detach(void *arg, unsigned port)
{
	struct world *w = arg;
	struct virtio_port *p = &w->ports[port];

	if (!w->is_attached[port])
		return;
	w->is_attached[port] = false;
	if (p->in_fd >= 0)
		close(p->in_fd);
	if (p->out_fd >= 0 && p->out_fd != p->in_fd)
		close(p->out_fd);
}

static bool is_blocked(void *arg, unsigned port)
{
	(void)arg;
	return port & 1;
}

static void stop(void *arg)
{
	struct world *w = arg;

	require(++w->n_stops == 1);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void created(void *arg, const struct error *err)
{
	struct world *w = arg;

	(void)err;
	require(++w->n_created == 1);
}

/* ---- the agent ---- */

static void hear(struct world *w)
{
	struct wire_header h;
	uint8_t bytes[65536];
	ssize_t n = recv(w->agent, bytes, sizeof(bytes), MSG_DONTWAIT);

	for (size_t at = 0; n > 0 && at + sizeof(h) <= (size_t)n; at += sizeof(h) + h.size) {
		memcpy(&h, bytes + at, sizeof(h));
		if (h.id)
			w->last_id = h.id;
	}
}

/* A name server whose answers are the questions. */
static void answer(struct world *w)
{
	uint8_t bytes[MOST_FRAME];
	ssize_t n = recv(w->names, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0)
		require(send(w->names, bytes, (size_t)n, MSG_DONTWAIT) == n);
}

/* Items that frames have, with any values. */
static void add_items(struct buf *b, struct input *in)
{
	for (unsigned n = next(in) % 4; n > 0; n--) {
		uint8_t bytes[MOST_FRAME] = { 0 };
		unsigned tag = next(in), size = next(in) % (MOST_FRAME + 1);

		switch (tag % 4) {
		case 0:
			wire_add_u32(b, tag / 4, next(in));
			break;
		case 1:
			wire_add_error(b, &(struct error){ .code = next(in),
							   .used = next(in),
							   .text = "a\x1b[0m\xff" });
			break;
		case 2:
			for (unsigned i = 0; i < size; i++)
				bytes[i] = next(in);
			wire_add(b, tag / 4, bytes, size);
			break;
		case 3:
			wire_add(b, WIRE_T_OOM, &(struct wire_oom){ .kills = size },
				 sizeof(struct wire_oom));
			break;
		}
	}
}

static void say(struct world *w, struct input *in)
{
	static const uint32_t types[] = { WIRE_HELLO, WIRE_REPLY,  WIRE_REPLY, WIRE_EXITED,
					  WIRE_OOM,   WIRE_CREATE, WIRE_QUESTION };
	struct buf b = BUF_INIT;
	unsigned what = next(in);
	uint32_t type = types[what % 7];
	size_t at = wire_begin(&b, type,
			       what & 0x80	    ? next(in)
			       : type == WIRE_REPLY ? w->last_id
						    : 0);

	add_items(&b, in);
	wire_end(&b, at);
	if (what & 0x40)
		b.len -= b.len % 7; /* the rest never comes, or something else */
	if (send(w->agent, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->last_id = 0;
	buf_release(&b);
}

/* The way that honest ones go, in one step. */
static void say_what_is_right(struct world *w, struct input *in)
{
	struct buf b = BUF_INIT;
	bool is_hello = w->core.state == CORE_BOOTING;
	size_t at = wire_begin(&b, is_hello ? WIRE_HELLO : WIRE_REPLY, is_hello ? 0 : w->last_id);

	if (is_hello)
		wire_add_u32(&b, WIRE_T_VERSION, WIRE_VERSION);
	else
		wire_add_u32(&b, WIRE_T_PROCESS, next(in));
	wire_end(&b, at);
	if (send(w->agent, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->last_id = 0;
	buf_release(&b);
}

/* ---- a command ---- */

static void ask(struct world *w, struct input *in)
{
	struct buf b = BUF_INIT;
	unsigned what = next(in);
	char control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	int pipes[2], fds[3], n_fds = (int)(what >> 6);
	size_t at = wire_begin(&b, what % 2 ? WIRE_EXEC : WIRE_START + what % 12, what);

	wire_add(&b, WIRE_T_STDIO, (uint32_t[]){ next(in) % 5, next(in) % 5, next(in) % 5, 0 }, 16);
	add_items(&b, in);
	wire_end(&b, at);

	struct iovec iov = { .iov_base = b.data, .iov_len = b.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0 && pipe2(pipes, O_CLOEXEC) == 0) {
		struct cmsghdr *h;

		fds[0] = pipes[0];
		fds[1] = fds[2] = pipes[1];
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, (size_t)n_fds * sizeof(int));
	}
	if (sendmsg(w->client, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->last_id = 0;
	if (m.msg_control) {
		close(pipes[0]);
		close(pipes[1]);
	}
	buf_release(&b);
}

static int connect_to(int listener)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
		listen(listener, 4) == 0 &&
		getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
		connect(fd, (struct sockaddr *)&address, size) == 0);
	return fd;
}

/* ---- */

static void step(struct world *w, struct input *in)
{
	uint8_t what = next(in);
	unsigned port = CORE_FIRST_PORT + (what >> 3) % (VIRTIO_CONSOLE_PORTS - CORE_FIRST_PORT);

	switch (what % 8) {
	case 0:
	case 1:
		say(w, in);
		break;
	case 2:
	case 3:
		say_what_is_right(w, in);
		break;
	case 4:
		if (w->is_attached[port])
			w->ports[port].opened(w->ports[port].arg, port, what & 0x80);
		break;
	case 5:
		if (w->is_attached[port])
			w->ports[port].ended(w->ports[port].arg, port);
		break;
	case 6:
		ask(w, in);
		break;
	case 7:
		if (what & 0x80 &&
		    send(w->gate, what & 0x40 ? "x" : "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			w->last_id = 0;
		else if (what & 0x20)
			core_on_signal(&w->core, what & 0x10 ? SIGUSR1 : SIGTERM);
		else if (what & 0x10)
			shutdown(w->client, SHUT_RDWR);
		else
			process_drain_late(&w->core);
		break;
	}
}

static void begin(struct world *w, struct vm_session_config *config,
		  const struct vm_config *machine, const struct buf *create,
		  struct virtio_loop *loop)
{
	const struct core_host host = { .attach = attach,
					.detach = detach,
					.is_blocked = is_blocked,
					.stop = stop,
					.resumed = nothing,
					.ending = nothing,
					.arg = w };
	int channel[2], gate[2], names[2], out[2], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err;

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) == 0 &&
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) == 0 &&
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, names) == 0 &&
		pipe2(out, O_CLOEXEC) == 0);
	w->agent = channel[1];
	w->gate = gate[1];
	w->names = names[1];
	w->client = connect_to(listener);
	*config = (struct vm_session_config){ .machine = machine,
					      .create = create,
					      .listen_fd = listener,
					      .stdio = { out[0], out[1], -1 },
					      .gate_fd = gate[0],
					      .status_fd = gate[0],
					      .created = created,
					      .names_fd = names[0],
					      .arg = w };
	core_clear(&w->core, config);
	require(core_begin(&w->core, loop, &host, channel[0], &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct input in = { data, size };
	struct vm_session_config config;
	struct vm_config machine = { .n_shares = size & 1 };
	struct buf create = BUF_INIT;
	struct virtio_loop *loop;

	memset(&w, 0, sizeof(w));
	require(virtio_loop_new(&loop, NULL) == 0);
	begin(&w, &config, &machine, &create, loop);
	for (unsigned i = 0; i < MOST_STEPS && in.left > 0; i++) {
		step(&w, &in);
		virtio_loop_turn(loop, 0);
		hear(&w);
		answer(&w);
		clients_reap(&w.core);
	}
	channel_read_rest(&w.core);
	core_finish(&w.core, w.core.has_failed ? &w.core.failure : NULL);
	core_free(&w.core);
	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		detach(&w, i);
	virtio_loop_free(loop);
	close(w.agent);
	close(w.gate);
	close(w.names);
	close(w.client);
	/* Nothing was left open: descriptors are given lowest first. */
	int probe = dup(0);

	require(probe < 16);
	close(probe);
	return 0;
}
