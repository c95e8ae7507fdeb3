/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* netread - what an interface has; private to the room */

#include <stdbool.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/netconf.h"
#include "spec/base/netlink.h"

struct ns_link {
	int index; /* 0: none */
	unsigned type; /* ARPHRD_* */
	uint32_t mtu;
	bool is_up;
	struct netconf head; /* name, MAC, MTU and flags */
};

/*
 * The interface that a guest is to have: 1 and *ret; 0 when nothing but loopback is up. -EINVAL names what cannot be: a
 * second one, or one that carries no Ethernet.
 */
int ns_net_pick(struct netlink *nl, struct ns_link *ret, struct error *err);

/* Every link, in the order of the kernel. fn < 0 ends it. */
typedef int ns_link_fn(void *arg, const struct ns_link *link);
int ns_net_links(struct netlink *nl, ns_link_fn *fn, void *arg);

/* Appends the description of the link: its head, addresses, routes and static neighbours. */
int ns_net_read(struct netlink *nl, const struct ns_link *link, struct buf *out, struct error *err);
