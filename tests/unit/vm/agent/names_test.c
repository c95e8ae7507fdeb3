/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace of the test's own has a loopback on which names_begin() can be the name server. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/agent/agent.h"

static struct agent a;
static int host;
static struct wire_inbox in = WIRE_INBOX_INIT(1 << 20);
static struct wire_header h;
static const void *payload;

static void begin(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct error err = ERROR_INIT;
	int pair[2];

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("no network namespaces here");

	auto_close int fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	a = (struct agent){ .channel = pair[0], .out = BUF_INIT, .names = { .fd = -1, .at = -1 } };
	host = pair[1];
	cr_assert_eq(names_begin(&a.names, (const uint8_t[]){ 127, 0, 0, 11 }, &err), 0, "%s", err.text);
}

TestSuite(agent_names, .init = begin);

/* Who asks, from a port of its own. */
static int asker(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = inet_addr("127.0.0.11") };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void turn(void)
{
	a.polls.n = 0;
	names_watch(&a);
	poll(a.polls.v, a.polls.n, 100);
	names_turn(&a);
}

static bool host_hears(struct wire_item *ret)
{
	char bytes[65536];
	ssize_t n = recv(host, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0)
		wire_inbox_add(&in, bytes, (size_t)n);
	return wire_inbox_next(&in, &h, &payload) == 1 && h.type == WIRE_QUESTION &&
	       wire_find(payload, h.size, WIRE_T_DATAGRAM, ret);
}

static void answer(const void *bytes, size_t n)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add(&b, WIRE_T_DATAGRAM, bytes, n);
	names_answer(&a, b.data, b.len);
}

Test(agent_names, two_who_ask_with_the_same_number_get_their_own_answers)
{
	int who[2] = { asker(), asker() };
	char asked[2][14], bytes[64];
	struct wire_item item;

	for (int i = 0; i < 2; i++) {
		char question[14] = { 0x12, 0x34, [13] = (char)i };

		cr_assert_eq(send(who[i], question, sizeof(question), 0), 14);
		turn();
		cr_assert(host_hears(&item));
		cr_assert_eq(item.n, 14);
		memcpy(asked[i], item.bytes, 14);
		cr_assert_eq(asked[i][13], i);
	}
	cr_assert_neq(memcmp(asked[0], asked[1], 2), 0, "a number of its own on the way");
	for (int i = 1; i >= 0; i--)
		answer(asked[i], 14);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(recv(who[i], bytes, sizeof(bytes), 0), 14);
		cr_assert_arr_eq(bytes, "\x12\x34", 2);
		cr_assert_eq(bytes[13], i);
	}
	answer(asked[0], 14);
	cr_assert_lt(recv(who[0], bytes, sizeof(bytes), 0), 0, "no answer comes twice");
}

Test(agent_names, what_is_no_question_or_no_answer_is_dropped)
{
	static char bytes[WIRE_MAX_DATAGRAM + 1];
	struct wire_item item;
	int who = asker();

	cr_assert_eq(send(who, bytes, 11, 0), 11);
	cr_assert_eq(send(who, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	turn();
	cr_assert_not(host_hears(&item));
	answer(bytes, 11);
	answer("\xff\xff and it was never asked", 26);
	cr_assert_lt(recv(who, bytes, sizeof(bytes), 0), 0);
}
