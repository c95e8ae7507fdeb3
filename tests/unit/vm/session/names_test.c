/* SPDX-License-Identifier: Apache-2.0 */
/* A socket pair stands for the one that is connected to a name server. */
#include "world.h"

static struct world w;
static int server;

static const char question[] = "\x12\x34" "header and a question";

static void begin_with_server(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	server = pair[1];
	world_begin_with(&w, pair[0]);
}

static void teardown(void)
{
	world_end(&w);
}

TestSuite(vm_names, .fini = teardown);

static void ask(const void *bytes, size_t n)
{
	auto_buf struct buf items = BUF_INIT;

	wire_add(&items, WIRE_T_DATAGRAM, bytes, n);
	agent_says(&w, WIRE_QUESTION, 0, &items);
}

Test(vm_names, a_question_goes_out_and_its_answer_comes_back)
{
	char bytes[100];
	struct wire_item item;

	begin_with_server();
	until_started(&w);
	ask(question, sizeof(question));
	cr_assert_eq(recv(server, bytes, sizeof(bytes), 0), (ssize_t)sizeof(question));
	cr_assert_arr_eq(bytes, question, sizeof(question));

	cr_assert_eq(send(server, "an answer, long enough", 22, 0), 22);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_ANSWER);
	cr_assert_eq(w.h.id, 0);
	cr_assert(wire_find(w.payload, w.h.size, WIRE_T_DATAGRAM, &item));
	cr_assert_eq(item.n, 22);
	cr_assert_arr_eq(item.bytes, "an answer, long enough", 22);
}

Test(vm_names, answers_that_are_too_short_or_too_long_are_dropped)
{
	static char bytes[WIRE_MAX_DATAGRAM + 1];

	begin_with_server();
	until_started(&w);
	cr_assert_eq(send(server, bytes, 11, 0), 11);
	cr_assert_eq(send(server, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	cr_assert_not(agent_hears(&w));
}

Test(vm_names, a_server_that_takes_nothing_more_loses_questions_and_nothing_else)
{
	begin_with_server();
	until_started(&w);
	for (int i = 0; i < 2000; i++)
		ask(question, sizeof(question));
	cr_assert_not(w.core.has_failed);
	close(server);
	ask(question, sizeof(question));
	cr_assert_not(w.core.has_failed);
}

Test(vm_names, a_guest_without_a_server_may_not_ask)
{
	world_begin(&w);
	until_started(&w);
	ask(question, sizeof(question));
	cr_assert(w.core.has_failed);
	cr_assert_str_eq(w.core.failure.text,
			 "the guest's agent does not keep to the protocol: it asks for names where nobody is to be asked");
}

Test(vm_names, a_question_without_a_header_ends_the_machine)
{
	begin_with_server();
	until_started(&w);
	ask("eleven byte", 11);
	cr_assert(w.core.has_failed);
}
