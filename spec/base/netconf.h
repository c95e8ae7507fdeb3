/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * netconf - what one network interface has, as bytes that travel
 *
 * A guest's only interface takes over what the container's has on the host: name, MAC, MTU, addresses, routes and static
 * neighbours (namespaces/tap.h reads and applies it; WIRE_T_NET of vm/wire/wire.h carries it).
 *
 * A struct netconf, then n_addresses times struct netconf_address, n_routes times struct netconf_route and
 * n_neighbours times struct netconf_neighbour, with nothing between them. Addresses are in network byte order, the
 * first 4 or all 16 bytes.
 */

#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

enum { NETCONF_MOST = 1024 }; /* of addresses, routes and neighbours each */

enum netconf_flag {
	NETCONF_NO_RA = 1 << 0,   /* router advertisements are not listened to */
	NETCONF_NO_IPV6 = 1 << 1, /* the interface has IPv6 disabled */
	NETCONF_LINK_LOCAL = 1 << 2, /* the kernel is about to make its link-local address, which is not among the addresses yet */
};

struct netconf {
	char name[16];
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t flags; /* enum netconf_flag */
	uint32_t n_addresses, n_routes, n_neighbours;
};

struct netconf_address {
	uint8_t family;        /* AF_INET, AF_INET6 */
	uint8_t prefix;
	uint8_t scope;         /* RT_SCOPE_* */
	uint8_t unused;
	uint8_t local[16];
	uint8_t peer[16];      /* zeros: none */
	uint8_t broadcast[16]; /* IPv4; zeros: none */
};

struct netconf_route {
	uint8_t family, prefix, scope, type; /* RT_SCOPE_*, RTN_* */
	uint8_t protocol;       /* RTPROT_* */
	uint8_t flags;          /* RTNH_F_ONLINK */
	uint8_t tos;
	uint8_t gateway_family; /* that of the gateway, which may be the other one (RFC 5549); 0: none */
	uint32_t metric;        /* 0: the kernel's default */
	uint32_t mtu, advmss;   /* 0: none */
	uint8_t destination[16];
	uint8_t gateway[16];
	uint8_t source[16];     /* preferred; zeros: none */
};

struct netconf_neighbour {
	uint8_t family;
	uint8_t mac[6];
	uint8_t unused;
	uint8_t address[16];
};

/* The parts of such bytes, in place. */
struct netconf_view {
	struct netconf head;
	const uint8_t *addresses, *routes, *neighbours; /* not aligned: copy each out */
};

/*
 * Checks counts and lengths, the name, and of each part what the kernel would not refuse by itself: families and
 * prefixes. -EPROTO.
 */
int netconf_view(const void *bytes, size_t n, struct netconf_view *ret, struct error *err);

/* Bytes of an address: 4 for AF_INET, else 16. */
size_t netconf_address_bytes(int family);
