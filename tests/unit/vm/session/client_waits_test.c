/* SPDX-License-Identifier: Apache-2.0 */
/* How long a command waits. */
#include <pthread.h>

#include "talk.h"

TestSuite(vm_client_waits, .init = begin, .fini = finish);

static void *turn_for_a_while(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++)
		virtio_loop_turn(w.loop, 10);
	return NULL;
}

Test(vm_client_waits, a_guest_that_does_not_answer_is_left_after_a_while)
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

Test(vm_client_waits, the_end_of_a_process_is_not_lost_over_a_question)
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

Test(vm_client_waits, a_vmm_that_is_gone_is_said_to_be)
{
	struct vm_client c;
	struct error err = ERROR_INIT;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	cr_assert_eq(vm_client_begin(&c, pair[0], 1000, &err), -ECONNRESET);
	vm_client_end(&c);
}

Test(vm_client_waits, a_vmm_that_is_stopped_is_left_after_a_while)
{
	struct vm_client c;
	struct error err = ERROR_INIT;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(vm_client_begin(&c, pair[0], 30, &err), -ETIMEDOUT);
	vm_client_end(&c);
	close(pair[1]);
}
