/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netread - what the container's interface has, as the kernel tells it
 *
 * Routes are copied with those that the kernel made for addresses: a network plugin may have replaced these (ptp of
 * CNI does), so the guest must not make its own (IFA_F_NOPREFIXROUTE, netapply.c). Not copied: what router
 * advertisements brought, since the guest hears them itself; tables beside the main one; rules.
 */
#include "namespaces/netread.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "namespaces/tap.h"
#include "spec/base/auto.h"

enum { ATTEMPTS = 5 }; /* at a dump that changes while it is made */

/* ---- links ---- */

static int32_t devconf(const struct netlink_attr *conf, unsigned i)
{
	int32_t value = 0;

	if ((i + 1) * sizeof(value) <= conf->n)
		memcpy(&value, (const uint8_t *)conf->bytes + i * sizeof(value), sizeof(value));
	return value;
}

/* IFLA_AF_SPEC: { AF_INET6: { IFLA_INET6_CONF: int[], IFLA_INET6_ADDR_GEN_MODE: u8 } } */
static uint32_t ipv6_flags(const struct netlink_attr *spec)
{
	struct netlink_attrs families = netlink_nested(spec);
	struct netlink_attr family, attr;
	uint32_t flags = NETCONF_NO_IPV6; /* a kernel without it says nothing */

	while (netlink_next(&families, &family)) {
		if (family.type != AF_INET6)
			continue;

		struct netlink_attrs attrs = netlink_nested(&family);

		flags = 0;
		while (netlink_next(&attrs, &attr)) {
			if (attr.type == IFLA_INET6_CONF && devconf(&attr, DEVCONF_ACCEPT_RA) == 0)
				flags |= NETCONF_NO_RA;
			if (attr.type == IFLA_INET6_CONF &&
			    devconf(&attr, DEVCONF_DISABLE_IPV6) != 0)
				flags |= NETCONF_NO_IPV6;
			if (attr.type == IFLA_INET6_ADDR_GEN_MODE && attr.n == 1 &&
			    *(const uint8_t *)attr.bytes != IN6_ADDR_GEN_MODE_NONE)
				flags |= NETCONF_LINK_LOCAL;
		}
	}
	return flags;
}

struct link_reader {
	ns_link_fn *fn;
	void *arg;
};

static int on_link(void *arg, const struct nlmsghdr *head)
{
	struct link_reader *reader = arg;
	const struct ifinfomsg *info = netlink_body(head, sizeof(*info));
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*info));
	struct netlink_attr attr;

	if (head->nlmsg_type != RTM_NEWLINK || !info)
		return 0;

	struct ns_link link = { .index = info->ifi_index,
				.type = info->ifi_type,
				.is_up = info->ifi_flags & IFF_UP };

	link.head.flags = NETCONF_NO_IPV6;
	while (netlink_next(&attrs, &attr)) {
		if (attr.type == IFLA_IFNAME)
			snprintf(link.head.name, sizeof(link.head.name), "%.*s", (int)attr.n,
				 (const char *)attr.bytes);
		else if (attr.type == IFLA_ADDRESS && attr.n == sizeof(link.head.mac))
			memcpy(link.head.mac, attr.bytes, attr.n);
		else if (attr.type == IFLA_MTU)
			link.mtu = netlink_u32(&attr);
		else if (attr.type == IFLA_AF_SPEC)
			link.head.flags = ipv6_flags(&attr);
	}
	/* A frame's length has 16 bits. */
	link.head.mtu = link.mtu <= UINT16_MAX ? (uint16_t)link.mtu : UINT16_MAX;
	return reader->fn(reader->arg, &link);
}

int ns_net_links(struct netlink *nl, ns_link_fn *fn, void *arg)
{
	struct link_reader reader = { fn, arg };
	struct netlink_request req;

	netlink_begin(&req, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return netlink_run(nl, &req, on_link, &reader);
}

struct picker {
	struct ns_link first, second;
};

static int pick(void *arg, const struct ns_link *link)
{
	struct picker *p = arg;

	/* Tunnels that a kernel makes by itself in every namespace (sit0, tunl0, …) are down. */
	if (link->type == ARPHRD_LOOPBACK || !link->is_up)
		return 0;
	if (p->first.index == 0)
		p->first = *link;
	else if (p->second.index == 0)
		p->second = *link;
	return 0;
}

int ns_net_pick(struct netlink *nl, struct ns_link *ret, struct error *err)
{
	struct picker p;
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < ATTEMPTS; i++) {
		p = (struct picker){ 0 };
		r = ns_net_links(nl, pick, &p);
	}
	if (r < 0)
		return error_set(err, -r, "list the network interfaces of the container");
	if (p.first.index == 0)
		return 0;
	if (strcmp(p.first.head.name, NS_TAP_NAME) == 0 ||
	    strcmp(p.second.head.name, NS_TAP_NAME) == 0)
		return error_rule(
			err, EBUSY,
			"another virtual machine uses this network namespace: it has a device %s",
			NS_TAP_NAME);
	if (p.second.index != 0)
		return error_rule(
			err, EINVAL,
			"the container's network namespace has two interfaces, %s and %s, "
			"and a virtual machine takes over one only",
			p.first.head.name, p.second.head.name);
	if (p.first.type != ARPHRD_ETHER)
		return error_rule(
			err, EINVAL,
			"network interface %s carries no Ethernet (its type is %u), which a "
			"virtual machine needs",
			p.first.head.name, p.first.type);
	*ret = p.first;
	return 1;
}

/* ---- addresses, routes, neighbours ---- */

struct reader {
	int index;
	struct buf *out;
	uint32_t n;
	bool has_link_local;
};

static int add(struct reader *reader, const void *part, size_t n)
{
	if (reader->n == NETCONF_MOST)
		return -E2BIG;
	buf_add(reader->out, part, n);
	reader->n++;
	return 0;
}

static void take_address(const struct netlink_attr *attr, uint8_t to[static 16])
{
	if (attr->n <= 16)
		memcpy(to, attr->bytes, attr->n);
}

static int on_address(void *arg, const struct nlmsghdr *head)
{
	struct reader *reader = arg;
	const struct ifaddrmsg *msg = netlink_body(head, sizeof(*msg));
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*msg));
	struct netlink_attr attr;

	if (head->nlmsg_type != RTM_NEWADDR || !msg || (int)msg->ifa_index != reader->index ||
	    (msg->ifa_family != AF_INET && msg->ifa_family != AF_INET6))
		return 0;

	struct netconf_address a = { .family = msg->ifa_family,
				     .prefix = msg->ifa_prefixlen,
				     .scope = msg->ifa_scope };
	uint32_t flags = msg->ifa_flags;
	bool has_local = false;
	uint8_t local[16] = { 0 };

	while (netlink_next(&attrs, &attr)) {
		if (attr.type == IFA_LOCAL) {
			take_address(&attr, local);
			has_local = true;
		} else if (attr.type == IFA_ADDRESS) {
			take_address(&attr, a.peer);
		} else if (attr.type == IFA_BROADCAST) {
			take_address(&attr, a.broadcast);
		} else if (attr.type == IFA_FLAGS) {
			flags = netlink_u32(&attr);
		}
	}
	/* What has a lifetime came from a router; a duplicate is nobody's. */
	if (!(flags & IFA_F_PERMANENT) || flags & IFA_F_DADFAILED)
		return 0;

	/* Without a peer IFA_ADDRESS is the address itself, which IPv6 does not repeat. */
	memcpy(a.local, has_local ? local : a.peer, sizeof(a.local));
	if (memcmp(a.local, a.peer, sizeof(a.local)) == 0)
		memset(a.peer, 0, sizeof(a.peer));
	reader->has_link_local |= a.family == AF_INET6 && a.scope == RT_SCOPE_LINK;
	return add(reader, &a, sizeof(a));
}

/* The way through our interface of several, if any; true when there is one. */
static bool take_hop(const struct netlink_attr *multipath, int index, struct netconf_route *route,
		     void (*take)(struct netconf_route *, const struct netlink_attr *))
{
	const uint8_t *at = multipath->bytes;
	size_t left = multipath->n;
	struct rtnexthop hop;

	while (left >= sizeof(hop)) {
		memcpy(&hop, at, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
			return false;
		if (hop.rtnh_ifindex == index) {
			struct netlink_attrs attrs = { at + sizeof(hop),
						       hop.rtnh_len - sizeof(hop) };
			struct netlink_attr attr;

			route->flags = hop.rtnh_flags & RTNH_F_ONLINK;
			while (netlink_next(&attrs, &attr))
				take(route, &attr);
			return true;
		}

		size_t whole = RTNH_ALIGN(hop.rtnh_len);

		if (whole > left)
			return false;
		at += whole;
		left -= whole;
	}
	return false;
}

static void take_gateway(struct netconf_route *route, const struct netlink_attr *attr)
{
	if (attr->type == RTA_GATEWAY) {
		take_address(attr, route->gateway);
		route->gateway_family = route->family;
	} else if (attr->type == RTA_VIA && attr->n > sizeof(uint16_t) &&
		   attr->n <= sizeof(uint16_t) + 16) {
		uint16_t family;

		memcpy(&family, attr->bytes, sizeof(family));
		route->gateway_family = (uint8_t)family;
		memcpy(route->gateway, (const uint8_t *)attr->bytes + sizeof(family),
		       attr->n - sizeof(family));
	}
}

static void take_metrics(struct netconf_route *route, const struct netlink_attr *metrics)
{
	struct netlink_attrs attrs = netlink_nested(metrics);
	struct netlink_attr attr;

	while (netlink_next(&attrs, &attr)) {
		if (attr.type == RTAX_MTU)
			route->mtu = netlink_u32(&attr);
		else if (attr.type == RTAX_ADVMSS)
			route->advmss = netlink_u32(&attr);
	}
}

/* Does a route of this type lead nowhere, and so through no interface? */
static bool is_nowhere(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT ||
	       type == RTN_THROW;
}

/* Cloned ones are caches; a router's are heard again; IPv6 refuses by routes of the kernel's own. */
static bool is_ours(const struct rtmsg *msg)
{
	if ((msg->rtm_family != AF_INET && msg->rtm_family != AF_INET6) ||
	    msg->rtm_flags & RTM_F_CLONED || msg->rtm_protocol == RTPROT_RA ||
	    msg->rtm_protocol == RTPROT_REDIRECT)
		return false;
	return msg->rtm_type == RTN_UNICAST ||
	       (is_nowhere(msg->rtm_type) && msg->rtm_protocol != RTPROT_KERNEL);
}

static int on_route(void *arg, const struct nlmsghdr *head)
{
	struct reader *reader = arg;
	const struct rtmsg *msg = netlink_body(head, sizeof(*msg));
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*msg));
	struct netlink_attr attr;

	if (head->nlmsg_type != RTM_NEWROUTE || !msg || !is_ours(msg))
		return 0;

	struct netconf_route route = { .family = msg->rtm_family,
				       .prefix = msg->rtm_dst_len,
				       .scope = msg->rtm_scope,
				       .type = msg->rtm_type,
				       .protocol = msg->rtm_protocol,
				       .flags = msg->rtm_flags & RTNH_F_ONLINK,
				       .tos = msg->rtm_tos };
	uint32_t table = msg->rtm_table;
	bool is_here = is_nowhere(msg->rtm_type);

	while (netlink_next(&attrs, &attr)) {
		switch (attr.type) {
		case RTA_TABLE:
			table = netlink_u32(&attr);
			break;
		case RTA_OIF:
			is_here |= (int)netlink_u32(&attr) == reader->index;
			break;
		case RTA_DST:
			take_address(&attr, route.destination);
			break;
		case RTA_PREFSRC:
			take_address(&attr, route.source);
			break;
		case RTA_PRIORITY:
			route.metric = netlink_u32(&attr);
			break;
		case RTA_METRICS:
			take_metrics(&route, &attr);
			break;
		case RTA_MULTIPATH:
			is_here |= take_hop(&attr, reader->index, &route, take_gateway);
			break;
		default:
			take_gateway(&route, &attr);
			break;
		}
	}
	return table == RT_TABLE_MAIN && is_here ? add(reader, &route, sizeof(route)) : 0;
}

static int on_neighbour(void *arg, const struct nlmsghdr *head)
{
	struct reader *reader = arg;
	const struct ndmsg *msg = netlink_body(head, sizeof(*msg));
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*msg));
	struct netlink_attr attr;
	bool has_mac = false;

	if (head->nlmsg_type != RTM_NEWNEIGH || !msg || msg->ndm_ifindex != reader->index ||
	    !(msg->ndm_state & NUD_PERMANENT) ||
	    (msg->ndm_family != AF_INET && msg->ndm_family != AF_INET6))
		return 0;

	struct netconf_neighbour n = { .family = msg->ndm_family };

	while (netlink_next(&attrs, &attr)) {
		if (attr.type == NDA_DST) {
			take_address(&attr, n.address);
		} else if (attr.type == NDA_LLADDR && attr.n == sizeof(n.mac)) {
			memcpy(n.mac, attr.bytes, sizeof(n.mac));
			has_mac = true;
		}
	}
	return has_mac ? add(reader, &n, sizeof(n)) : 0;
}

static int list(struct netlink *nl, struct reader *reader, uint16_t type, uint8_t family,
		size_t body, netlink_fn *fn)
{
	size_t before = reader->out->len;
	uint32_t before_n = reader->n;
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < ATTEMPTS; i++) {
		struct netlink_request req;
		uint8_t *first = netlink_begin(&req, type, NLM_F_DUMP, body);

		*first = family; /* of struct ifaddrmsg, rtmsg and ndmsg alike */
		reader->out->len = before;
		reader->n = before_n;
		r = netlink_run(nl, &req, fn, reader);
	}
	return r;
}

static int both(struct netlink *nl, struct reader *reader, uint16_t type, size_t body,
		netlink_fn *fn)
{
	reader->n = 0;

	int r = list(nl, reader, type, AF_INET, body, fn);

	if (r == 0)
		r = list(nl, reader, type, AF_INET6, body, fn);
	/* A kernel without IPv6 has no such table. */
	return r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

int ns_net_read(struct netlink *nl, const struct ns_link *link, struct buf *out, struct error *err)
{
	struct netconf head = link->head;
	struct reader reader = { .index = link->index, .out = out };
	size_t at = out->len;
	int r;

	buf_add(out, &head, sizeof(head));
	r = both(nl, &reader, RTM_GETADDR, sizeof(struct ifaddrmsg), on_address);
	if (r < 0)
		return error_set(err, -r, "list the addresses of network interface %s", head.name);
	head.n_addresses = reader.n;
	r = both(nl, &reader, RTM_GETROUTE, sizeof(struct rtmsg), on_route);
	if (r < 0)
		return error_set(err, -r, "list the routes of network interface %s", head.name);
	head.n_routes = reader.n;
	r = both(nl, &reader, RTM_GETNEIGH, sizeof(struct ndmsg), on_neighbour);
	if (r < 0)
		return error_set(err, -r, "list the neighbours of network interface %s", head.name);
	head.n_neighbours = reader.n;

	/* It comes when there is a carrier, a moment after the interface is up. */
	if (reader.has_link_local || head.flags & NETCONF_NO_IPV6)
		head.flags &= ~(uint32_t)NETCONF_LINK_LOCAL;
	memcpy(out->data + at, &head, sizeof(head));
	return 0;
}
