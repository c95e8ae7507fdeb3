/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "spec/base/netlink.h"

static struct netlink_request req;

TestSuite(netlink);

Test(netlink, a_request_is_laid_out_as_the_kernel_wants_it)
{
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, NLM_F_CREATE, sizeof(*info));
	const struct nlmsghdr *head = (const void *)req.bytes;

	cr_expect_eq(head->nlmsg_type, RTM_NEWLINK);
	cr_expect_eq(head->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
	netlink_put_text(&req, 3, "eth0"); /* 4 + 5, padded to 12 */

	size_t nest = netlink_nest(&req, 26);

	netlink_put_u32(&req, 4, 1500);
	netlink_nest_end(&req, nest);
	cr_expect_eq(req.n, NLMSG_HDRLEN + sizeof(*info) + 12 + 4 + 8);

	static const uint8_t want[] = { 9,  0, 3,  0,	 'e', 't', 'h', '0', 0,	   0, 0, 0,
					12, 0, 26, 0x80, 8,   0,   4,	0,   0xdc, 5, 0, 0 };

	cr_expect_arr_eq(req.bytes + NLMSG_HDRLEN + sizeof(*info), want, sizeof(want));
}

Test(netlink, a_dump_is_not_acknowledged)
{
	netlink_begin(&req, RTM_GETLINK, NLM_F_DUMP, 16);
	cr_expect_eq(((const struct nlmsghdr *)(const void *)req.bytes)->nlmsg_flags,
		     NLM_F_REQUEST | NLM_F_DUMP);
}

Test(netlink, what_does_not_fit_is_refused_as_a_whole)
{
	static const char large[NETLINK_REQUEST_BYTES];
	struct netlink nl = { .fd = -1 };

	netlink_begin(&req, RTM_NEWLINK, 0, 16);
	netlink_put(&req, 1, large, sizeof(large));
	netlink_nest_end(&req, netlink_nest(&req, 2));
	cr_expect(req.is_full);
	cr_expect_eq(netlink_run(&nl, &req, NULL, NULL), -EMSGSIZE);
	netlink_begin(&req, RTM_NEWLINK, 0, 16);
	netlink_put(&req, 1, large, (size_t)-5);
	cr_expect(req.is_full);
}

static unsigned count(const void *bytes, size_t n)
{
	struct netlink_attrs attrs = { bytes, n };
	struct netlink_attr attr;
	unsigned found = 0;

	while (netlink_next(&attrs, &attr)) {
		cr_expect((const uint8_t *)attr.bytes + attr.n <= (const uint8_t *)bytes + n);
		found++;
	}
	return found;
}

Test(netlink, attributes_end_where_their_message_does)
{
	static const uint8_t two[] = { 5, 0, 1, 0, 'x', 0, 0, 0, 4, 0, 2, 0 };
	static const uint8_t unpadded[] = { 5, 0, 1, 0, 'x' };
	static const uint8_t empty[] = { 0, 0, 1, 0, 4, 0, 2, 0 };
	static const uint8_t beyond[] = { 9, 0, 1, 0, 'x', 0, 0, 0 };

	cr_expect_eq(count(two, sizeof(two)), 2);
	cr_expect_eq(count(unpadded, sizeof(unpadded)), 1);
	cr_expect_eq(count(empty, sizeof(empty)), 0);
	cr_expect_eq(count(beyond, sizeof(beyond)), 0);
	cr_expect_eq(count(two, 3), 0);
}

Test(netlink, a_message_that_is_shorter_than_its_body_has_none)
{
	struct nlmsghdr head = { .nlmsg_len = NLMSG_HDRLEN + 4 };

	cr_expect_null(netlink_body(&head, sizeof(struct ifinfomsg)));
	cr_expect_eq(netlink_attrs(&head, sizeof(struct ifinfomsg)).left, 0);
	cr_expect_not_null(netlink_body(&head, 4));
}

static int see(void *arg, const struct nlmsghdr *head)
{
	const struct ifinfomsg *info = netlink_body(head, sizeof(*info));
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*info));
	struct netlink_attr attr;

	while (info->ifi_index == 1 && netlink_next(&attrs, &attr))
		if (attr.type == IFLA_IFNAME)
			*(int *)arg += strcmp(attr.bytes, "lo") == 0;
	return 0;
}

Test(netlink, the_kernel_answers_dumps_and_refusals)
{
	struct error err = ERROR_INIT;
	struct netlink nl;
	int seen = 0;

	cr_assert_eq(netlink_open(&nl, &err), 0);
	netlink_begin(&req, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	cr_expect_eq(netlink_run(&nl, &req, see, &seen), 0);
	cr_expect_eq(seen, 1);

	struct ifinfomsg *info = netlink_begin(&req, RTM_GETLINK, 0, sizeof(*info));

	info->ifi_index = 0x7ffffff0;
	cr_expect_eq(netlink_run(&nl, &req, NULL, NULL), -ENODEV);

	/* And after a refusal the socket serves on. */
	info = netlink_begin(&req, RTM_GETLINK, 0, sizeof(*info));
	info->ifi_index = 1;
	seen = 0;
	cr_expect_eq(netlink_run(&nl, &req, see, &seen), 0);
	cr_expect_eq(seen, 1);
	netlink_close(&nl);
	netlink_close(&nl);
}
