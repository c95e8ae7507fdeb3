/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* talk - a session whose container runs, and what its commands and its agent say: begin and finish of each test */
#include "world.h"

static struct world w;

__attribute__((unused)) static void begin(void)
{
	world_begin(&w);
	until_started(&w);
}

__attribute__((unused)) static void finish(void)
{
	world_end(&w);
}

/* A frame without waiting for its reply. */
__attribute__((unused)) static void post(struct vm_client *c, enum wire_type type, const struct buf *items)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(vm_client_post(c, type, items, 1000, &err), 0, "%s", err.text);
	world_turn(&w);
}

/* WIRE_EXEC with descriptors, as a command sends it. */
__attribute__((unused)) static void post_exec(struct vm_client *c, const uint32_t stdio[4], const int *fds, unsigned n)
{
	auto_buf struct buf b = BUF_INIT;
	char control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	size_t at = wire_begin(&b, WIRE_EXEC, ++c->last_id);

	wire_add_text(&b, WIRE_T_PROCESS_JSON, "{}");
	wire_add_u32(&b, WIRE_T_PROCESS, 0); /* a lie */
	wire_add(&b, WIRE_T_STDIO, stdio, 4 * sizeof(*stdio));
	wire_end(&b, at);

	struct iovec iov = { .iov_base = b.data, .iov_len = b.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));

		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	cr_assert_eq(sendmsg(c->fd, &m, 0), (ssize_t)b.len);
	world_turn(&w);
}

/* What the client gets next, without waiting long. */
__attribute__((unused)) static struct wire_header client_hears(struct vm_client *c, const void **payload)
{
	struct wire_header h = { .type = 0 };
	char bytes[65536];
	ssize_t n;

	world_turn(&w);
	while ((n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		wire_inbox_add(&c->inbox, bytes, (size_t)n);
		world_turn(&w);
	}
	if (wire_inbox_next(&c->inbox, &h, payload) != 1)
		h.type = 0;
	return h;
}

__attribute__((unused)) static bool client_is_dropped(const struct vm_client *c)
{
	char bytes[65536];
	ssize_t n;

	world_turn(&w);
	while ((n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

__attribute__((unused)) static void exec_replied(uint32_t process)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_PROCESS, process);
	wire_add_u32(&b, WIRE_T_GUEST_PID, 42);
	agent_says(&w, WIRE_REPLY, w.h.id, &b);
}

__attribute__((unused)) static void heard_exec(uint32_t *process, uint32_t stdio[4])
{
	struct wire_reader r;
	struct wire_item item;
	unsigned n_process = 0, n_stdio = 0;

	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_EXEC);
	r = (struct wire_reader){ .at = w.payload, .left = w.h.size };
	while (wire_next(&r, &item) > 0) {
		n_process += item.tag == WIRE_T_PROCESS;
		n_stdio += item.tag == WIRE_T_STDIO;
	}
	cr_assert_eq(n_process, 1, "what the VMM alone may say is said once");
	cr_assert_eq(n_stdio, 1);
	cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_PROCESS, process), 0);
	cr_assert(wire_find(w.payload, w.h.size, WIRE_T_STDIO, &item));
	memcpy(stdio, item.bytes, 4 * sizeof(*stdio));
}

/* A process with three pipes. ret: our ends. */
__attribute__((unused)) static uint32_t executed(struct vm_client *c, int ret[3], uint32_t stdio[4])
{
	static const uint32_t use[4] = { 1, 2, 3, 0 };
	int in[2], out[2], errors[2];
	uint32_t process;

	cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(errors, O_CLOEXEC), 0);
	post_exec(c, use, (int[]){ in[0], out[1], errors[1] }, 3);
	close(in[0]);
	close(out[1]);
	close(errors[1]);
	ret[0] = in[1];
	ret[1] = out[0];
	ret[2] = errors[0];
	heard_exec(&process, stdio);
	return process;
}
