/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

static struct world w;

static void setup(void)
{
	world_begin(&w);
}

static void teardown(void)
{
	world_end(&w);
}

TestSuite(vm_core, .init = setup, .fini = teardown);

static bool gate_is_closed(void)
{
	char c;

	return recv(w.gate, &c, 1, MSG_DONTWAIT) == 0;
}

Test(vm_core, a_life_from_hello_to_the_exit_status)
{
	uint32_t stdio[4];
	uint64_t time;
	struct wire_item item;

	agent_hello(&w);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_CREATE);
	cr_assert(wire_find(w.payload, w.h.size, WIRE_T_CONFIG, &item));
	cr_assert(wire_find(w.payload, w.h.size, WIRE_T_ENTROPY, &item));
	cr_assert_eq(item.n, 64);
	cr_assert_eq(wire_get_u64(w.payload, w.h.size, WIRE_T_TIME, &time), 0);
	cr_assert_gt(time, 0);
	cr_assert(wire_find(w.payload, w.h.size, WIRE_T_STDIO, &item) && item.n == sizeof(stdio));
	memcpy(stdio, item.bytes, sizeof(stdio));
	cr_assert_eq(stdio[0], 0, "the null device has no port");
	cr_assert_eq(stdio[1], 2);
	cr_assert_eq(stdio[2], 3);
	cr_assert_eq(stdio[3], 0);
	cr_assert_eq(w.n_created, 0);
	agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	cr_assert_eq(w.n_created, 1);

	cr_assert_not(agent_hears(&w), "nothing starts before the gate opens");
	cr_assert_eq(write(w.gate, "x", 1), 1);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_START);
	cr_assert_not(gate_is_closed());
	agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	cr_assert(gate_is_closed(), "end of file says that the program runs");

	agent_exits(&w, 0, 7);
	cr_assert_eq(w.n_stops, 0, "its output is on its way");
	agent_closes(&w, 2);
	cr_assert_eq(w.n_stops, 0);
	agent_closes(&w, 3);
	cr_assert_eq(w.n_stops, 1);
	cr_assert_eq(w.core.state, CORE_ENDED);
	cr_assert_eq(w.core.status, 7);
}

Test(vm_core, ports_may_close_before_the_exit_is_told)
{
	until_started(&w);
	agent_closes(&w, 3);
	agent_closes(&w, 2);
	cr_assert_eq(w.n_stops, 0);
	agent_exits(&w, 0, 0);
	cr_assert_eq(w.core.state, CORE_ENDED);
}

Test(vm_core, a_refusal_to_make_the_container_is_the_creators)
{
	agent_hello(&w);
	cr_assert(agent_hears(&w));
	agent_fails(&w, EINVAL, "mount \x1b[31mfoo\xc2\x9b on\n/bar\xff");
	cr_assert_eq(w.n_created, 1);
	cr_assert_eq(w.created.code, EINVAL);
	cr_assert_str_eq(w.created.text, "mount  [31mfoo   on /bar?",
			 "control characters are gone");
	cr_assert(w.core.is_refused);
	cr_assert_eq(w.n_stops, 1);
}

Test(vm_core, a_program_that_cannot_be_executed_is_told_at_the_gate)
{
	struct error err = ERROR_INIT;

	until_made(&w);
	cr_assert_eq(write(w.gate, "x", 1), 1);
	cr_assert(agent_hears(&w));
	agent_fails(&w, ENOENT, "execute /nothing");
	cr_assert_eq(error_recv(w.gate, &err), -ENOENT);
	cr_assert_str_eq(err.text, "execute /nothing");
	cr_assert_eq(w.core.status, 127);
	cr_assert_eq(w.n_stops, 1);
}

Test(vm_core, a_gate_that_is_left_ends_it_unstarted)
{
	until_made(&w);
	shutdown(w.gate, SHUT_WR);
	world_turn(&w);
	cr_assert_eq(w.core.status, 255);
	cr_assert_eq(w.n_stops, 1);
	cr_assert_not(agent_hears(&w));
}

static void sends_itself(int number)
{
	kill(getpid(), number);
	world_turn(&w);
}

Test(vm_core, before_the_start_some_signals_end_it_and_others_do_nothing)
{
	until_made(&w);
	sends_itself(SIGUSR1);
	cr_assert_eq(w.n_stops, 0);
	cr_assert_not(agent_hears(&w));
	sends_itself(SIGTERM);
	cr_assert_eq(w.core.status, 128 + SIGTERM);
	cr_assert_eq(w.n_stops, 1);
}

Test(vm_core, a_signal_during_the_boot_ends_it_without_a_word_to_the_creator)
{
	sends_itself(SIGINT);
	cr_assert_eq(w.core.status, 128 + SIGINT);
	cr_assert_eq(w.n_created, 0);
}

Test(vm_core, after_the_start_signals_are_the_programs)
{
	static const int numbers[] = { SIGTERM, SIGUSR1, SIGCHLD, SIGWINCH, SIGCONT };
	uint32_t number;

	until_started(&w);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		sends_itself(numbers[i]);
		cr_assert(agent_hears(&w), "signal %d", numbers[i]);
		cr_assert_eq(w.h.type, WIRE_SIGNAL);
		cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_PROCESS, &number), 0);
		cr_assert_eq(number, 0);
		cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_SIGNAL, &number), 0);
		cr_assert_eq((int)number, numbers[i]);
		agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	}
	cr_assert_eq(w.n_stops, 0);
}

Test(vm_core, an_agent_that_answers_no_signal_is_sent_a_bounded_number)
{
	unsigned heard = 0;

	until_started(&w);
	for (int i = 0; i < 1000; i++)
		sends_itself(SIGUSR1);
	while (agent_hears(&w))
		heard++;
	cr_assert_eq(heard, CORE_OWN_REQUESTS);
	cr_assert_eq(w.n_stops, 0);
}

Test(vm_core, a_signal_ends_the_wait_for_a_reader)
{
	until_started(&w);
	agent_exits(&w, 0, 3);
	sends_itself(SIGTERM);
	cr_assert_eq(w.core.state, CORE_ENDED);
	cr_assert_eq(w.core.status, 3);
}

Test(vm_core, what_a_guest_forgets_to_close_is_waited_for_only_so_long)
{
	until_started(&w);
	agent_exits(&w, 0, 3);
	w.is_blocked[3] = true;
	process_drain_late(&w.core);
	cr_assert_eq(w.n_stops, 0, "a slow reader has all the time it wants");
	w.is_blocked[3] = false;
	process_drain_late(&w.core);
	cr_assert_eq(w.core.state, CORE_ENDED);
}

Test(vm_core, a_guest_with_files_writes_them_back_before_its_end)
{
	w.machine.n_shares = 1;
	until_started(&w);
	agent_exits(&w, 0, 3);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_SYNC);
	cr_assert_eq(w.n_ending, 1);
	agent_closes(&w, 2);
	agent_closes(&w, 3);
	cr_assert_eq(w.n_stops, 0);
	agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	cr_assert_eq(w.core.state, CORE_ENDED);
	cr_assert_eq(w.core.status, 3);
}

Test(vm_core, output_may_be_slower_than_files)
{
	w.machine.n_shares = 1;
	until_started(&w);
	agent_exits(&w, 0, 3);
	cr_assert(agent_hears(&w));
	agent_says(&w, WIRE_REPLY, w.h.id, NULL);
	agent_closes(&w, 2);
	cr_assert_eq(w.n_stops, 0);
	agent_closes(&w, 3);
	cr_assert_eq(w.core.status, 3);
	cr_assert_eq(w.n_stops, 1);
}

Test(vm_core, a_guest_that_does_not_write_back_is_given_up)
{
	w.machine.n_shares = 1;
	until_started(&w);
	agent_exits(&w, 0, 3);
	agent_closes(&w, 2);
	agent_closes(&w, 3);
	w.core.exited_ms -= CORE_SYNC_MS + 1;
	core_wait_for(&w.core, 1);
	usleep(20000);
	world_turn(&w);
	cr_assert_eq(w.core.state, CORE_ENDED);
	cr_assert_eq(w.core.status, 3);
}

Test(vm_core, an_end_of_input_is_told_with_its_port)
{
	uint32_t port;

	until_started(&w);
	w.ports[2].ended(w.ports[2].arg, 2);
	cr_assert(agent_hears(&w));
	cr_assert_eq(w.h.type, WIRE_ENDED);
	cr_assert_eq(w.h.id, 0);
	cr_assert_eq(wire_get_u32(w.payload, w.h.size, WIRE_T_PORT, &port), 0);
	cr_assert_eq(port, 2);
}

/* ---- the enemy ---- */

static void expect_broken(const char *rule)
{
	world_turn(&w);
	cr_assert(w.core.has_failed, "%s", rule);
	cr_assert_eq(w.n_stops, 1);
	cr_assert(strstr(w.core.failure.text, rule), "%s", w.core.failure.text);
}

Test(vm_core, hello_is_said_once_and_first)
{
	agent_exits(&w, 0, 0);
	expect_broken("was not there");
}

Test(vm_core, hello_is_not_said_twice)
{
	until_made(&w);
	agent_hello(&w);
	expect_broken("hello twice");
}

Test(vm_core, an_agent_of_another_version_is_refused)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_VERSION, WIRE_VERSION + 1);
	agent_says(&w, WIRE_HELLO, 0, &b);
	expect_broken("another version");
}

Test(vm_core, a_reply_is_one_to_a_question)
{
	until_started(&w);
	agent_says(&w, WIRE_REPLY, 77, NULL);
	expect_broken("nobody asked");
}

Test(vm_core, a_question_is_answered_once)
{
	uint32_t id;

	agent_hello(&w);
	cr_assert(agent_hears(&w));
	id = w.h.id;
	agent_says(&w, WIRE_REPLY, id, NULL);
	agent_says(&w, WIRE_REPLY, id, NULL);
	expect_broken("nobody asked");
}

Test(vm_core, a_process_exits_once)
{
	until_started(&w);
	agent_exits(&w, 0, 3);
	agent_exits(&w, 0, 4);
	expect_broken("was not there");
}

Test(vm_core, a_status_is_a_byte)
{
	until_started(&w);
	agent_exits(&w, 0, 256);
	expect_broken("what has exited");
}

Test(vm_core, a_frame_has_a_type_that_an_agent_may_say)
{
	until_started(&w);
	agent_says(&w, WIRE_EXEC, 0, NULL);
	expect_broken("no known type");
}

Test(vm_core, a_frame_is_bounded)
{
	struct wire_header h = { .size = WIRE_MAX_REPLY + 4, .type = WIRE_REPLY };

	cr_assert_eq(send(w.agent, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	expect_broken("too large");
}

Test(vm_core, nothing_is_heard_after_a_broken_rule)
{
	until_made(&w);
	agent_says(&w, WIRE_EXEC, 0, NULL);
	agent_exits(&w, 0, 0);
	channel_read_rest(&w.core);
	cr_assert_eq(w.core.state, CORE_WAITING);
	cr_assert_eq(w.n_stops, 1);
}

Test(vm_core, out_of_memory_is_told_so_often_and_not_oftener)
{
	auto_buf struct buf b = BUF_INIT;
	struct wire_oom oom = { .kills = 1 };

	until_started(&w);
	wire_add(&b, WIRE_T_OOM, &oom, sizeof(oom));
	for (int i = 0; i < 500; i++)
		agent_says(&w, WIRE_OOM, 0, &b);
	cr_assert_geq(w.n_oom, 16);
	cr_assert_leq(w.n_oom, 32);
	cr_assert_eq(w.n_stops, 0);
}

Test(vm_core, a_guest_that_dies_is_told_to_who_waits)
{
	struct error why = ERROR_INIT, err = ERROR_INIT;

	until_made(&w);
	error_rule(&why, EIO, "the guest's kernel panicked");
	core_finish(&w.core, &why);
	cr_assert_eq(w.n_created, 1, "once");
	cr_assert_eq(error_recv(w.gate, &err), -EIO);
	cr_assert_str_eq(err.text, "the guest's kernel panicked");
}

Test(vm_core, a_guest_that_dies_early_is_told_to_the_creator)
{
	struct error why = ERROR_INIT;

	error_rule(&why, EIO, "the guest's kernel panicked");
	core_finish(&w.core, &why);
	cr_assert_eq(w.n_created, 1);
	cr_assert_str_eq(w.created.text, "the guest's kernel panicked");
}

Test(vm_core, a_guest_that_is_not_up_in_time_is_given_up)
{
	core_wait_for(&w.core, 1);
	usleep(20000);
	world_turn(&w);
	cr_assert(w.core.has_failed);
	cr_assert_eq(w.core.failure.code, ETIMEDOUT);
	cr_assert_str_eq(w.core.failure.text, "the guest was not up within 120 s");
}
