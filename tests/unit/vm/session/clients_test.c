/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/sysmacros.h>

#include "world.h"

static struct world w;

static void setup(void)
{
	world_begin(&w);
	until_started(&w);
}

static void teardown(void)
{
	world_end(&w);
}

TestSuite(vm_clients, .init = setup, .fini = teardown);

/* A frame without waiting for its reply. */
static void post(struct vm_client *c, enum wire_type type, const struct buf *items)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(vm_client_post(c, type, items, 1000, &err), 0, "%s", err.text);
	world_turn(&w);
}

/* WIRE_EXEC with descriptors, as a command sends it. */
static void post_exec(struct vm_client *c, const uint32_t stdio[4], const int *fds, unsigned n)
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
static struct wire_header client_hears(struct vm_client *c, const void **payload)
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

static bool client_is_dropped(const struct vm_client *c)
{
	char bytes[65536];
	ssize_t n;

	world_turn(&w);
	while ((n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static void exec_replied(uint32_t process)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_PROCESS, process);
	wire_add_u32(&b, WIRE_T_GUEST_PID, 42);
	agent_says(&w, WIRE_REPLY, w.h.id, &b);
}

static void heard_exec(uint32_t *process, uint32_t stdio[4])
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
static uint32_t executed(struct vm_client *c, int ret[3], uint32_t stdio[4])
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

Test(vm_clients, a_process_has_a_number_and_ports_until_its_output_is_out)
{
	struct vm_client c = world_client(&w);
	uint32_t stdio[4], status;
	const void *p;
	int ends[3];
	uint32_t process = executed(&c, ends, stdio);
	struct wire_header h;

	cr_assert_neq(process, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_geq(stdio[i], 4, "2 and 3 are the first process's");
	cr_assert_geq(w.ports[stdio[0]].in_fd, 0);
	cr_assert_eq(w.ports[stdio[0]].out_fd, -1);
	cr_assert_geq(w.ports[stdio[2]].out_fd, 0);
	exec_replied(process);
	h = client_hears(&c, &p);
	cr_assert_eq(h.type, WIRE_REPLY);
	cr_assert_eq(h.id, c.last_id, "under the client's own number");

	agent_exits(&w, process, 9);
	agent_closes(&w, stdio[0]);
	agent_closes(&w, stdio[1]);
	cr_assert_eq(client_hears(&c, &p).type, 0);
	agent_closes(&w, stdio[2]);
	h = client_hears(&c, &p);
	cr_assert_eq(h.type, WIRE_EXITED);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_STATUS, &status), 0);
	cr_assert_eq(status, 9);
	for (int i = 0; i < 3; i++)
		cr_assert_not(w.is_attached[stdio[i]]);
	cr_assert_eq(w.n_stops, 0);
	vm_client_end(&c);
}

Test(vm_clients, a_null_device_has_no_port)
{
	struct vm_client c = world_client(&w);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), out[2];
	uint32_t process, stdio[4];

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	post_exec(&c, (uint32_t[]){ 1, 2, 0, 0 }, (int[]){ null, out[1] }, 2);
	heard_exec(&process, stdio);
	cr_assert_eq(stdio[0], 0);
	cr_assert_neq(stdio[1], 0);
	cr_assert_eq(stdio[2], 0);
	vm_client_end(&c);
}

Test(vm_clients, a_terminal_has_one_port_for_both_directions)
{
	struct vm_client c = world_client(&w);
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	cr_assert_eq(grantpt(master) | unlockpt(master), 0);

	int peer = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	uint32_t process, stdio[4];

	post_exec(&c, (uint32_t[]){ 1, 0, 0, 1 }, &peer, 1);
	heard_exec(&process, stdio);
	cr_assert_neq(stdio[0], 0);
	cr_assert_eq(stdio[3], 1);
	cr_assert_eq(w.ports[stdio[0]].in_fd, w.ports[stdio[0]].out_fd);
	cr_assert(fcntl(w.ports[stdio[0]].in_fd, F_GETFL) & O_NONBLOCK);
	vm_client_end(&c);
}

Test(vm_clients, a_process_that_could_not_be_executed_leaves_no_port)
{
	struct vm_client c = world_client(&w);
	uint32_t stdio[4];
	int ends[3];
	struct wire_header h;
	const void *p;

	executed(&c, ends, stdio);
	agent_fails(&w, ENOENT, "execute /nothing");
	h = client_hears(&c, &p);
	cr_assert_eq(wire_reply_error(p, h.size, NULL), -ENOENT);
	for (int i = 0; i < 3; i++)
		cr_assert_not(w.is_attached[stdio[i]]);
	vm_client_end(&c);
}

Test(vm_clients, who_goes_away_takes_the_process_along)
{
	struct vm_client c = world_client(&w);
	uint32_t stdio[4], number;
	int ends[3];
	uint32_t process = executed(&c, ends, stdio);

	exec_replied(process);
	vm_client_end(&c);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_SIGNAL);
	cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_PROCESS, &number), 0);
	cr_assert_eq(number, process);
	cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_SIGNAL, &number), 0);
	cr_assert_eq(number, SIGKILL);
	cr_assert_eq(w.ports[stdio[1]].out_fd, -1, "nobody reads what it writes");
	cr_assert(w.is_attached[stdio[1]], "and the guest still has the port");
	agent_exits(&w, process, 137);
	for (int i = 0; i < 3; i++)
		agent_closes(&w, stdio[i]);
	cr_assert_not(w.is_attached[stdio[1]]);
}

Test(vm_clients, who_goes_away_early_has_the_process_killed_when_it_is_there)
{
	struct vm_client c = world_client(&w);
	uint32_t stdio[4], number;
	int ends[3];
	uint32_t process = executed(&c, ends, stdio);

	vm_client_end(&c);
	exec_replied(process);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_SIGNAL);
	cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_SIGNAL, &number), 0);
	cr_assert_eq(number, SIGKILL);
}

Test(vm_clients, a_further_console_is_used_only_when_the_others_are_full)
{
	struct vm_client c = world_client(&w);
	uint32_t stdio[4], most = 0;
	int ends[3];

	for (int i = 0; i < 20; i++) {
		uint32_t process = executed(&c, ends, stdio);

		exec_replied(process);
		agent_exits(&w, process, 0);
		for (int k = 0; k < 3; k++) {
			agent_closes(&w, stdio[k]);
			most = stdio[k] > most ? stdio[k] : most;
		}
	}
	cr_assert_eq(most, WIRE_PORTS_FIRST + WIRE_PORTS_MORE - 1, "those of one are used in turn");
	cr_assert_eq(w.core.end_port, WIRE_PORTS_FIRST + WIRE_PORTS_MORE);
}

Test(vm_clients, streams_are_as_many_as_the_console_has_ports)
{
	struct vm_client c = world_client(&w), d = world_client(&w);
	struct error err = ERROR_INIT;
	const void *p;
	struct wire_header h;
	int ends[3];
	uint32_t stdio[4];

	for (int i = 0; i < 18; i++) /* and two of the first process: 56 ports */
		exec_replied(executed(&c, ends, stdio));
	while (client_hears(&c, &p).type)
		;
	post_exec(&d, (uint32_t[]){ 1, 2, 0, 0 }, ends, 2);
	h = client_hears(&d, &p);
	cr_assert_eq(h.type, WIRE_REPLY);
	cr_assert_eq(wire_reply_error(p, h.size, &err), -EAGAIN);
	cr_assert_str_eq(err.text, "all 57 streams that a virtual machine has for its processes are in use");
	/* One that needs none still finds a place. */
	post_exec(&d, (uint32_t[]){ 0, 0, 0, 0 }, NULL, 0);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_EXEC);
	vm_client_end(&c);
	vm_client_end(&d);
}

Test(vm_clients, streams_that_did_not_come_along_are_refused)
{
	struct vm_client c = world_client(&w);
	const void *p;
	struct wire_header h;

	post_exec(&c, (uint32_t[]){ 1, 0, 0, 0 }, NULL, 0);
	h = client_hears(&c, &p);
	cr_assert_eq(wire_reply_error(p, h.size, NULL), -EINVAL);
	cr_assert_not(agent_hears(&w));

	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	post_exec(&c, (uint32_t[]){ 1, 1, 0, 0 }, &null, 1);
	h = client_hears(&c, &p);
	cr_assert_eq(wire_reply_error(p, h.size, NULL), -EINVAL, "one descriptor is one stream");
	vm_client_end(&c);
}

Test(vm_clients, too_many_descriptors_end_the_connection)
{
	struct vm_client c = world_client(&w);
	char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(8 * sizeof(int)), .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS };
	cr_assert_eq(sendmsg(c.fd, &m, 0), 1);
	cr_assert(client_is_dropped(&c));
	vm_client_end(&c);
}

Test(vm_clients, requests_of_two_are_told_apart)
{
	struct vm_client a = world_client(&w), b = world_client(&w);
	auto_buf struct buf said = BUF_INIT;
	uint32_t first, value;
	const void *p;
	struct wire_header h;

	post(&a, WIRE_STATS, NULL);
	post(&b, WIRE_STATS, NULL);
	cr_assert_eq(a.last_id, b.last_id);
	cr_assert(agent_hears(&w));
	first = w.h.id;
	cr_assert(agent_hears(&w));
	cr_assert_neq(first, w.h.id);
	wire_add_u32(&said, WIRE_T_STATUS, 2);
	agent_says(&w, WIRE_REPLY, w.h.id, &said); /* the second first */
	buf_reset(&said);
	wire_add_u32(&said, WIRE_T_STATUS, 1);
	agent_says(&w, WIRE_REPLY, first, &said);
	h = client_hears(&a, &p);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_STATUS, &value), 0);
	cr_assert_eq(value, 1);
	h = client_hears(&b, &p);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_STATUS, &value), 0);
	cr_assert_eq(value, 2);
	vm_client_end(&a);
	vm_client_end(&b);
}

Test(vm_clients, a_reply_for_one_who_left_is_dropped)
{
	struct vm_client a = world_client(&w);

	post(&a, WIRE_PS, NULL);
	cr_assert(agent_hears(&w));
	vm_client_end(&a);
	world_turn(&w);
	cr_assert_eq(w.core.n_clients, 0);
	agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	cr_assert_eq(w.n_stops, 0);
}

Test(vm_clients, a_command_may_not_ask_for_everything)
{
	static const enum wire_type types[] = { WIRE_CREATE, WIRE_START, WIRE_HELLO, 99 };
	struct vm_client a = world_client(&w);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const void *p;
		struct wire_header h;

		post(&a, types[i], NULL);
		h = client_hears(&a, &p);
		cr_assert_eq(wire_reply_error(p, h.size, NULL), -EPROTO);
		cr_assert_not(agent_hears(&w));
	}
	vm_client_end(&a);
}

Test(vm_clients, requests_that_wait_are_bounded)
{
	struct vm_client a = world_client(&w);
	unsigned refused = 0;
	const void *p;
	struct wire_header h;

	for (unsigned i = 0; i < CORE_CLIENT_REQUESTS + 5; i++)
		post(&a, WIRE_STATS, NULL);
	while ((h = client_hears(&a, &p)).type)
		refused += wire_reply_error(p, h.size, NULL) == -EAGAIN;
	cr_assert_eq(refused, 5);
	vm_client_end(&a);
}

Test(vm_clients, one_that_does_not_read_is_dropped_and_delays_nobody)
{
	struct vm_client a = world_client(&w);
	auto_buf struct buf big = BUF_INIT;

	buf_reserve(&big, WIRE_MAX_REPLY);
	big.len = WIRE_MAX_REPLY - 64;
	memset(big.data, 0, big.len);
	/* The agent's own socket is written to in portions that fit. */
	for (int i = 0; i < 4 && w.core.n_clients; i++) {
		auto_buf struct buf b = BUF_INIT;
		size_t at;

		post(&a, WIRE_STATS, NULL);
		if (!agent_hears(&w))
			break;
		at = wire_begin(&b, WIRE_REPLY, w.h.id);
		buf_add(&b, big.data, big.len);
		wire_end(&b, at);
		for (size_t done = 0; done < b.len;) {
			ssize_t n = send(w.agent, b.data + done, b.len - done, MSG_DONTWAIT);

			if (n > 0)
				done += (size_t)n;
			world_turn(&w);
		}
	}
	world_turn(&w);
	cr_assert_eq(w.core.n_clients, 0);
	cr_assert_eq(w.n_stops, 0);
	vm_client_end(&a);
}

Test(vm_clients, places_are_bounded_and_found_again)
{
	struct vm_client c[VM_SESSION_CLIENTS];
	struct error err = ERROR_INIT;
	struct vm_client late;
	int fd;

	for (int i = 0; i < VM_SESSION_CLIENTS; i++)
		c[i] = world_client(&w);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&w.address, w.address_size), 0);
	world_turn(&w);
	cr_assert_eq(w.core.n_clients, VM_SESSION_CLIENTS);
	vm_client_end(&c[7]);
	world_turn(&w);
	cr_assert_eq(vm_client_begin(&late, fd, 1000, &err), 0, "%s", err.text);
	for (int i = 0; i < VM_SESSION_CLIENTS; i++)
		vm_client_end(&c[i]);
	vm_client_end(&late);
}

Test(vm_clients, a_thaw_is_told_to_the_machine)
{
	struct vm_client a = world_client(&w);
	const void *p;

	post(&a, WIRE_RESUMED, NULL);
	cr_assert_eq(client_hears(&a, &p).type, WIRE_REPLY);
	cr_assert_eq(w.n_resumed, 1);
	cr_assert_not(agent_hears(&w));
	vm_client_end(&a);
}

Test(vm_clients, events_come_to_who_watches)
{
	struct vm_client a = world_client(&w), b = world_client(&w);
	auto_buf struct buf items = BUF_INIT;
	struct wire_oom oom = { .kills = 3 };
	const void *p;

	post(&a, WIRE_WATCH, NULL);
	cr_assert_eq(client_hears(&a, &p).type, WIRE_REPLY);
	wire_add(&items, WIRE_T_OOM, &oom, sizeof(oom));
	agent_says(&w, WIRE_OOM, 0, &items);
	cr_assert_eq(client_hears(&a, &p).type, WIRE_OOM);
	cr_assert_eq(client_hears(&b, &p).type, 0);
	vm_client_end(&a);
	vm_client_end(&b);
}

Test(vm_clients, the_end_of_the_guest_is_told_to_all_who_wait)
{
	struct vm_client a = world_client(&w), b = world_client(&w);
	uint32_t stdio[4], status;
	int ends[3];
	const void *p;
	struct wire_header h;

	exec_replied(executed(&a, ends, stdio));
	cr_assert_eq(client_hears(&a, &p).type, WIRE_REPLY);
	post(&b, WIRE_STATS, NULL);
	core_finish(&w.core, NULL);
	h = client_hears(&a, &p);
	cr_assert_eq(h.type, WIRE_EXITED);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_STATUS, &status), 0);
	cr_assert_eq(status, 137);
	h = client_hears(&b, &p);
	cr_assert_eq(wire_reply_error(p, h.size, NULL), -ECONNRESET);
	vm_client_end(&a);
	vm_client_end(&b);
}

Test(vm_clients, the_agent_may_not_speak_of_another_process_than_was_asked_for)
{
	struct vm_client a = world_client(&w);
	uint32_t stdio[4];
	int ends[3];
	uint32_t process = executed(&a, ends, stdio);

	exec_replied(process + 1);
	cr_assert(w.core.has_failed);
	vm_client_end(&a);
}

Test(vm_clients, a_process_exits_after_it_was_there)
{
	struct vm_client a = world_client(&w);
	uint32_t stdio[4];
	int ends[3];
	uint32_t process = executed(&a, ends, stdio);

	agent_exits(&w, process, 0);
	cr_assert(w.core.has_failed);
	vm_client_end(&a);
}

/* ---- the client's own waits ---- */

static void *turn_for_a_while(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++)
		virtio_loop_turn(w.loop, 10);
	return NULL;
}

Test(vm_clients, a_guest_that_does_not_answer_is_left_after_a_while)
{
	struct vm_client a = world_client(&w);
	struct error err = ERROR_INIT;
	pthread_t t;
	int turns = 10;

	cr_assert_eq(pthread_create(&t, NULL, turn_for_a_while, &turns), 0);
	cr_assert_eq(vm_client_ask(&a, WIRE_STATS, NULL, NULL, 0, 50, NULL, NULL, &err), -ETIMEDOUT);
	cr_assert_str_eq(err.text, "the guest does not answer");
	pthread_join(t, NULL);
	vm_client_end(&a);
}

Test(vm_clients, the_end_of_a_process_is_not_lost_over_a_question)
{
	struct vm_client a = world_client(&w);
	struct error err = ERROR_INIT;
	uint32_t stdio[4], status;
	int ends[3];
	uint32_t process = executed(&a, ends, stdio);
	struct wire_header h;
	const void *p;

	exec_replied(process);
	agent_exits(&w, process, 5);
	for (int i = 0; i < 3; i++)
		agent_closes(&w, stdio[i]);
	cr_assert_eq(vm_client_ask(&a, WIRE_STATS, NULL, NULL, 0, 50, NULL, NULL, &err), -ETIMEDOUT);
	cr_assert_eq(vm_client_event(&a, 50, &h, &p, &err), 1);
	cr_assert_eq(h.type, WIRE_EXITED);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_STATUS, &status), 0);
	cr_assert_eq(status, 5);
	cr_assert_eq(vm_client_event(&a, 10, &h, &p, &err), 0);
	vm_client_end(&a);
}

Test(vm_clients, a_vmm_that_is_gone_is_said_to_be)
{
	struct vm_client c;
	struct error err = ERROR_INIT;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	cr_assert_eq(vm_client_begin(&c, pair[0], 1000, &err), -ECONNRESET);
	vm_client_end(&c);
}

Test(vm_clients, a_vmm_that_is_stopped_is_left_after_a_while)
{
	struct vm_client c;
	struct error err = ERROR_INIT;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(vm_client_begin(&c, pair[0], 30, &err), -ETIMEDOUT);
	vm_client_end(&c);
	close(pair[1]);
}
