/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * tap - the container's network interface, handed to a guest
 *
 * The engine made a network namespace with one interface in it (a veth pair's end, most often). It stays where it is, and
 * keeps its addresses: engines look at them. A tap beside it is the guest's wire. What comes in on either is sent out
 * on the other before the host's stack sees it (tc: clsact, matchall or u32, mirred). The guest's interface has the
 * same name, MAC, MTU, addresses and routes, so to everybody on the network the guest is that interface.
 *
 *	network ── eth0 ──redirect── bulkhead0 (tap) ── VMM ── virtio-net ── eth0 of the guest
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"

#define NS_TAP_NAME "bulkhead0"

struct ns_tap {
	int fd;           /* IFF_TAP|IFF_NO_PI|IFF_VNET_HDR, headers of 12 bytes, O_NONBLOCK, CLOEXEC; the caller's */
	uint8_t mac[6];
	uint16_t mtu;
	bool has_offload; /* it hands out frames that lack a checksum, and TCP segments of up to 64 KiB (TUN_F_*) */
};

/*
 * (child) In the container's network namespace, with CAP_NET_ADMIN there, after the hooks that may bring an
 * interface and before the root is entered: opens the host's /dev/net/tun.
 *
 * 1: *ret is the tap and *config (emptied before) says what the guest is to take over (spec/base/netconf.h).
 * 0: nothing but loopback is up; the guest needs no network device. -EINVAL: the namespace is the host's own, there
 * are several interfaces, or one that carries no Ethernet. -EBUSY: another guest has it. -ENOENT: the kernel lacks
 * tap devices or a module for tc.
 */
int ns_tap_make(struct ns_tap *ret, struct buf *config, struct error *err);

/*
 * For a namespace that outlives the guest: the interface serves the host's stack again. Any process that may
 * setns() there; it comes back. Nothing to undo is no error.
 */
int ns_tap_forget(int netns_fd, struct error *err);

/*
 * The guest's side: loopback up, and the Ethernet interface with the MAC of the config, once it is there (waits for
 * timeout_ms), gets all the rest. Needs /proc at its place for what only sysctl can say.
 */
int ns_net_apply(const void *config, size_t n, int timeout_ms, struct error *err);
