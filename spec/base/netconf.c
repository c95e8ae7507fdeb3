/* SPDX-License-Identifier: Apache-2.0 */
/* netconf - see netconf.h */
#include "spec/base/netconf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

size_t netconf_address_bytes(int family)
{
	return family == AF_INET ? 4 : 16;
}

static bool is_family(uint8_t family)
{
	return family == AF_INET || family == AF_INET6;
}

static bool is_prefix(uint8_t family, uint8_t prefix)
{
	return prefix <= 8 * netconf_address_bytes(family);
}

/* A name that the kernel takes, and that means itself in a path. */
static bool is_name(const char name[static 16])
{
	size_t n = strnlen(name, 16);

	if (n == 0 || n == 16 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] == '/' || name[i] == ':' || name[i] == '%' ||
		    name[i] == 0x7f)
			return false;
	return true;
}

static int check_parts(const struct netconf_view *v, struct error *err)
{
	for (uint32_t i = 0; i < v->head.n_addresses; i++) {
		struct netconf_address a;

		memcpy(&a, v->addresses + i * sizeof(a), sizeof(a));
		if (!is_family(a.family) || !is_prefix(a.family, a.prefix))
			return error_rule(err, EPROTO, "address %u of an interface is broken", i);
	}
	for (uint32_t i = 0; i < v->head.n_routes; i++) {
		struct netconf_route r;

		memcpy(&r, v->routes + i * sizeof(r), sizeof(r));
		if (!is_family(r.family) || !is_prefix(r.family, r.prefix) ||
		    (r.gateway_family != 0 && !is_family(r.gateway_family)))
			return error_rule(err, EPROTO, "route %u of an interface is broken", i);
	}
	for (uint32_t i = 0; i < v->head.n_neighbours; i++) {
		struct netconf_neighbour n;

		memcpy(&n, v->neighbours + i * sizeof(n), sizeof(n));
		if (!is_family(n.family))
			return error_rule(err, EPROTO, "neighbour %u of an interface is broken", i);
	}
	return 0;
}

int netconf_view(const void *bytes, size_t n, struct netconf_view *ret, struct error *err)
{
	struct netconf_view v = { 0 };

	if (n < sizeof(v.head))
		return error_rule(err, EPROTO,
				  "the description of an interface has %zu bytes, not %zu or more",
				  n, sizeof(v.head));
	memcpy(&v.head, bytes, sizeof(v.head));
	if (v.head.n_addresses > NETCONF_MOST || v.head.n_routes > NETCONF_MOST ||
	    v.head.n_neighbours > NETCONF_MOST)
		return error_rule(err, EPROTO,
				  "an interface has more than %d addresses, routes or neighbours",
				  NETCONF_MOST);

	size_t addresses = v.head.n_addresses * sizeof(struct netconf_address);
	size_t routes = v.head.n_routes * sizeof(struct netconf_route);
	size_t neighbours = v.head.n_neighbours * sizeof(struct netconf_neighbour);

	if (n != sizeof(v.head) + addresses + routes + neighbours)
		return error_rule(err, EPROTO,
				  "the description of an interface has %zu bytes, not %zu", n,
				  sizeof(v.head) + addresses + routes + neighbours);
	if (!is_name(v.head.name))
		return error_rule(err, EPROTO, "the name of an interface is none");
	v.addresses = (const uint8_t *)bytes + sizeof(v.head);
	v.routes = v.addresses + addresses;
	v.neighbours = v.routes + routes;

	int r = check_parts(&v, err);

	if (r == 0)
		*ret = v;
	return r;
}
