/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of several commands at once, and what they may not. */
#include "talk.h"

TestSuite(vm_clients, .init = begin, .fini = finish);

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
