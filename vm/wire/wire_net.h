/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * wire_net - WIRE_T_NET: what the guest's one network interface takes over from the container's
 *
 * A struct wire_net, then n_addresses times struct wire_address, then n_routes times struct wire_route, then
 * n_neighbours times struct wire_neighbour. Addresses are in network byte order, the first 4 or all 16 bytes.
 */

#include <stdint.h>

enum { WIRE_NET_MOST = 256 }; /* of addresses, routes and neighbours each */

struct wire_net {
	char name[16];     /* as the container's interface is called */
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t n_addresses, n_routes, n_neighbours;
};

struct wire_address {
	uint8_t family;    /* AF_INET, AF_INET6 */
	uint8_t prefix;
	uint8_t scope;     /* RT_SCOPE_* */
	uint8_t flags;     /* IFA_F_*, without those that the kernel sets */
	uint8_t local[16];
	uint8_t peer[16];  /* zeros: none */
	uint8_t broadcast[16]; /* zeros: none */
};

struct wire_route {
	uint8_t family, prefix, scope, type; /* RT_SCOPE_*, RTN_* */
	uint8_t protocol, flags;             /* RTPROT_*, RTNH_F_ONLINK */
	uint16_t unused;
	uint32_t metric;
	uint8_t destination[16];
	uint8_t gateway[16]; /* zeros: none */
	uint8_t source[16];  /* preferred; zeros: none */
};

struct wire_neighbour {
	uint8_t family;
	uint8_t mac[6];
	uint8_t unused;
	uint8_t address[16];
};
