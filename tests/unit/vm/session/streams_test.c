/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that commands execute, and the ports of their streams. */
#include "talk.h"

TestSuite(vm_streams, .init = begin, .fini = finish);

Test(vm_streams, a_process_has_a_number_and_ports_until_its_output_is_out)
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

Test(vm_streams, a_null_device_has_no_port)
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

Test(vm_streams, a_terminal_has_one_port_for_both_directions)
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

Test(vm_streams, a_process_that_could_not_be_executed_leaves_no_port)
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

Test(vm_streams, who_goes_away_takes_the_process_along)
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

Test(vm_streams, who_goes_away_early_has_the_process_killed_when_it_is_there)
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

Test(vm_streams, a_further_console_is_used_only_when_the_others_are_full)
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

Test(vm_streams, streams_are_as_many_as_the_console_has_ports)
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

Test(vm_streams, streams_that_did_not_come_along_are_refused)
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

Test(vm_streams, too_many_descriptors_end_the_connection)
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

Test(vm_streams, the_agent_may_not_speak_of_another_process_than_was_asked_for)
{
	struct vm_client a = world_client(&w);
	uint32_t stdio[4];
	int ends[3];
	uint32_t process = executed(&a, ends, stdio);

	exec_replied(process + 1);
	cr_assert(w.core.has_failed);
	vm_client_end(&a);
}

Test(vm_streams, a_process_exits_after_it_was_there)
{
	struct vm_client a = world_client(&w);
	uint32_t stdio[4];
	int ends[3];
	uint32_t process = executed(&a, ends, stdio);

	agent_exits(&w, process, 0);
	cr_assert(w.core.has_failed);
	vm_client_end(&a);
}
