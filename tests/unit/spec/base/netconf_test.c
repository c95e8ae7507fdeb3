/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "spec/base/netconf.h"

static struct {
	struct netconf head;
	struct netconf_address address[2];
	struct netconf_route route;
	struct netconf_neighbour neighbour;
} __attribute__((packed)) all;

static struct netconf_view view;

static void setup(void)
{
	memset(&all, 0, sizeof(all));
	memcpy(all.head.name, "eth0", 4);
	all.head.mtu = 1500;
	all.head.n_addresses = 2;
	all.head.n_routes = all.head.n_neighbours = 1;
	all.address[0] = (struct netconf_address){ .family = AF_INET, .prefix = 24 };
	all.address[1] = (struct netconf_address){ .family = AF_INET6, .prefix = 64 };
	all.route = (struct netconf_route){ .family = AF_INET, .gateway_family = AF_INET6 };
	all.neighbour = (struct netconf_neighbour){ .family = AF_INET6 };
}

TestSuite(netconf, .init = setup);

static int look(size_t n)
{
	struct error err = ERROR_INIT;

	return netconf_view(&all, n, &view, &err);
}

Test(netconf, the_parts_are_found)
{
	cr_assert_eq(look(sizeof(all)), 0);
	cr_expect_eq((const void *)view.addresses, (void *)&all.address);
	cr_expect_eq((const void *)view.routes, (void *)&all.route);
	cr_expect_eq((const void *)view.neighbours, (void *)&all.neighbour);
	cr_expect_str_eq(view.head.name, "eth0");
}

Test(netconf, every_shorter_or_longer_string_is_refused)
{
	static uint8_t longer[sizeof(all) + 1];
	struct error err = ERROR_INIT;

	for (size_t n = 0; n < sizeof(all); n++)
		cr_expect_eq(look(n), -EPROTO, "%zu bytes", n);
	memcpy(longer, &all, sizeof(all));
	cr_expect_eq(netconf_view(longer, sizeof(longer), &view, &err), -EPROTO);
}

Test(netconf, counts_that_would_wrap_are_refused)
{
	all.head.n_addresses = UINT32_MAX;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
	all.head.n_addresses = 2;
	all.head.n_routes = UINT32_MAX / sizeof(struct netconf_route) + 1;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
	all.head.n_routes = 1;
	all.head.n_neighbours = NETCONF_MOST + 1;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
}

Test(netconf, names_that_mean_something_in_a_path_are_refused)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "a:b", "eth%d" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(all.head.name, 0, sizeof(all.head.name));
		memcpy(all.head.name, bad[i], strlen(bad[i]));
		cr_expect_eq(look(sizeof(all)), -EPROTO, "%s", bad[i]);
	}
	memset(all.head.name, 'x', sizeof(all.head.name));
	cr_expect_eq(look(sizeof(all)), -EPROTO, "a name without an end");
}

Test(netconf, families_and_prefixes_are_checked)
{
	all.address[0].prefix = 33;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
	all.address[0].prefix = 32;
	cr_expect_eq(look(sizeof(all)), 0);
	all.address[1].family = AF_UNIX;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
	all.address[1].family = AF_INET6;
	all.route.gateway_family = 1;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
	all.route.gateway_family = 0;
	all.neighbour.family = 0;
	cr_expect_eq(look(sizeof(all)), -EPROTO);
}
