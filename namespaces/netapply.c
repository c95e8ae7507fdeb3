/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netapply - the guest's interface takes over what the container's has (the other side of netread.c)
 *
 * Addresses make no routes and are not looked for on the network: the routes come as they are, and whom duplicate
 * address detection would find is the interface on the host, which has the same address on purpose.
 */
#include "namespaces/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "namespaces/netread.h"
#include "spec/base/auto.h"

enum { LOOK_MS = 10, SLOWEST_LOOKS = 6000 };

/* As IN6_ADDR_GEN_MODE_NONE of linux/if_link.h, an enumerator. */
enum { NO_LINK_LOCAL = 1 };

struct target {
	struct netlink nl;
	int index;
	const char *name;
};

static bool is_set(const uint8_t address[static 16])
{
	static const uint8_t none[16];

	return memcmp(address, none, sizeof(none)) != 0;
}

static void put_address(struct netlink_request *req, uint16_t type, int family,
			const uint8_t address[static 16])
{
	netlink_put(req, type, address, netconf_address_bytes(family));
}

/* Says what the kernel said of it, too. */
static int refused(struct target *t, int r, struct error *err, const char *what, uint32_t i)
{
	const char *why = t->nl.why;

	return error_set(err, -r, "give network interface %s its %s %u%s%s%s", t->name, what, i,
			 why[0] ? " (" : "", why, why[0] ? ")" : "");
}

/* ---- links ---- */

static int loopback_up(struct netlink *nl)
{
	struct netlink_request req;
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = 1; /* LOOPBACK_IFINDEX, in every namespace */
	info->ifi_change = info->ifi_flags = IFF_UP;
	return netlink_run(nl, &req, NULL, NULL);
}

struct search {
	const uint8_t *mac;
	int index;
	char name[16];
};

static int on_candidate(void *arg, const struct ns_link *link)
{
	struct search *s = arg;

	if (link->type == ARPHRD_ETHER && memcmp(link->head.mac, s->mac, 6) == 0) {
		s->index = link->index;
		memcpy(s->name, link->head.name, sizeof(s->name));
	}
	return 0;
}

/* The driver may still be at it. */
static int find(struct netlink *nl, struct search *s, int timeout_ms, struct error *err)
{
	int looks = timeout_ms / LOOK_MS;

	if (looks > SLOWEST_LOOKS)
		looks = SLOWEST_LOOKS;
	for (int i = 0;; i++) {
		int r = ns_net_links(nl, on_candidate, s);

		if (r < 0 && r != -EINTR)
			return error_set(err, -r, "list the network interfaces of the guest");
		if (s->index != 0)
			return 0;
		if (i >= looks)
			break;
		poll(NULL, 0, LOOK_MS);
	}
	return error_rule(err, ENODEV,
			  "the guest has no network interface with the address "
			  "%02x:%02x:%02x:%02x:%02x:%02x",
			  s->mac[0], s->mac[1], s->mac[2], s->mac[3], s->mac[4], s->mac[5]);
}

/* Name and MTU while it is down. The kernel makes no address of its own when the container's are all it has. */
static int shape(struct target *t, const struct netconf *conf, const char *old_name,
		 struct error *err)
{
	struct netlink_request req;
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));
	uint8_t mode = NO_LINK_LOCAL;

	info->ifi_index = t->index;
	info->ifi_change = IFF_UP;
	if (strcmp(old_name, conf->name) != 0)
		netlink_put_text(&req, IFLA_IFNAME, conf->name);
	if (conf->mtu != 0)
		netlink_put_u32(&req, IFLA_MTU, conf->mtu);

	int r = netlink_run(&t->nl, &req, NULL, NULL);

	if (r < 0)
		return error_set(err, -r,
				 "name network interface %s of the guest %s, with an MTU of %u",
				 old_name, conf->name, conf->mtu);

	if (conf->flags & NETCONF_LINK_LOCAL)
		return 0;
	info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));
	info->ifi_index = t->index;

	size_t spec = netlink_nest(&req, IFLA_AF_SPEC);
	size_t inet6 = netlink_nest(&req, AF_INET6);

	netlink_put(&req, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	netlink_nest_end(&req, inet6);
	netlink_nest_end(&req, spec);
	r = netlink_run(&t->nl, &req, NULL, NULL);
	if (r == -EAFNOSUPPORT || (r < 0 && conf->flags & NETCONF_NO_IPV6))
		return 0; /* a guest without IPv6 makes no such address, either */
	return r < 0 ? error_set(err, -r, "switch automatic addresses of %s off", conf->name) : 0;
}

static int set_up(struct target *t, struct error *err)
{
	struct netlink_request req;
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = t->index;
	info->ifi_change = info->ifi_flags = IFF_UP;

	int r = netlink_run(&t->nl, &req, NULL, NULL);

	return r < 0 ? error_set(err, -r, "set network interface %s of the guest up", t->name) : 0;
}

/* A guest whose kernel has no IPv6 lacks the file. */
static int set_ipv6(const struct target *t, const char *key, const char *value, struct error *err)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", t->name, key);

	/* path-ok: the guest's own procfs, and a name without a slash */
	auto_close int fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "open %s", path);
	if (write(fd, value, strlen(value)) < 0)
		return error_set(err, errno, "write %s to %s", value, path);
	return 0;
}

/* ---- parts ---- */

static int add_address(struct target *t, const struct netconf_address *a)
{
	struct netlink_request req;
	struct ifaddrmsg *msg =
		netlink_begin(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*msg));
	uint32_t flags =
		IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE | (a->family == AF_INET6 ? IFA_F_NODAD : 0);

	msg->ifa_family = a->family;
	msg->ifa_prefixlen = a->prefix;
	msg->ifa_scope = a->scope;
	msg->ifa_index = (unsigned)t->index;
	put_address(&req, IFA_LOCAL, a->family, a->local);
	put_address(&req, IFA_ADDRESS, a->family, is_set(a->peer) ? a->peer : a->local);
	if (a->family == AF_INET && is_set(a->broadcast))
		put_address(&req, IFA_BROADCAST, AF_INET, a->broadcast);
	netlink_put_u32(&req, IFA_FLAGS, flags);
	return netlink_run(&t->nl, &req, NULL, NULL);
}

static void put_gateway(struct netlink_request *req, const struct netconf_route *route)
{
	uint8_t via[sizeof(uint16_t) + 16];
	uint16_t family = route->gateway_family;

	if (route->gateway_family == 0)
		return;
	if (route->gateway_family == route->family) {
		put_address(req, RTA_GATEWAY, route->family, route->gateway);
		return;
	}
	memcpy(via, &family, sizeof(family));
	memcpy(via + sizeof(family), route->gateway, 16);
	netlink_put(req, RTA_VIA, via, sizeof(family) + netconf_address_bytes(family));
}

static void put_metrics(struct netlink_request *req, const struct netconf_route *route)
{
	if (route->mtu == 0 && route->advmss == 0)
		return;

	size_t at = netlink_nest(req, RTA_METRICS);

	if (route->mtu != 0)
		netlink_put_u32(req, RTAX_MTU, route->mtu);
	if (route->advmss != 0)
		netlink_put_u32(req, RTAX_ADVMSS, route->advmss);
	netlink_nest_end(req, at);
}

static int add_route(struct target *t, const struct netconf_route *route)
{
	struct netlink_request req;
	struct rtmsg *msg =
		netlink_begin(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, sizeof(*msg));
	bool is_through = route->type == RTN_UNICAST;

	msg->rtm_family = route->family;
	msg->rtm_dst_len = route->prefix;
	msg->rtm_table = RT_TABLE_MAIN;
	msg->rtm_protocol = route->protocol;
	msg->rtm_scope = route->scope;
	msg->rtm_type = route->type;
	msg->rtm_tos = route->tos;
	msg->rtm_flags = route->flags & RTNH_F_ONLINK;
	if (route->prefix > 0)
		put_address(&req, RTA_DST, route->family, route->destination);
	if (is_through) {
		netlink_put_u32(&req, RTA_OIF, (uint32_t)t->index);
		put_gateway(&req, route);
	}
	if (is_set(route->source))
		put_address(&req, RTA_PREFSRC, route->family, route->source);
	if (route->metric != 0)
		netlink_put_u32(&req, RTA_PRIORITY, route->metric);
	put_metrics(&req, route);
	return netlink_run(&t->nl, &req, NULL, NULL);
}

static int add_neighbour(struct target *t, const struct netconf_neighbour *n)
{
	struct netlink_request req;
	struct ndmsg *msg =
		netlink_begin(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*msg));

	msg->ndm_family = n->family;
	msg->ndm_ifindex = t->index;
	msg->ndm_state = NUD_PERMANENT;
	put_address(&req, NDA_DST, n->family, n->address);
	netlink_put(&req, NDA_LLADDR, n->mac, sizeof(n->mac));
	return netlink_run(&t->nl, &req, NULL, NULL);
}

static int add_addresses(struct target *t, const struct netconf_view *v, struct error *err)
{
	for (uint32_t i = 0; i < v->head.n_addresses; i++) {
		struct netconf_address a;

		memcpy(&a, v->addresses + i * sizeof(a), sizeof(a));

		int r = add_address(t, &a);

		if (r < 0)
			return refused(t, r, err,
				       a.family == AF_INET ? "IPv4 address" : "IPv6 address", i);
	}
	return 0;
}

/*
 * A gateway must be reachable when a route through it comes: those without one go first, then the others as often as
 * that brings one more in.
 */
static int add_routes(struct target *t, const struct netconf_view *v, struct error *err)
{
	bool is_done[NETCONF_MOST] = { false };
	uint32_t left = v->head.n_routes, before;

	for (int pass = 0; left > 0; pass++) {
		uint32_t refused_i = 0;
		int refused_r = 0;

		before = left;
		for (uint32_t i = 0; i < v->head.n_routes; i++) {
			struct netconf_route route;

			memcpy(&route, v->routes + i * sizeof(route), sizeof(route));
			if (is_done[i] || (pass == 0 && route.gateway_family != 0))
				continue;

			int r = add_route(t, &route);

			is_done[i] = r == 0 || r == -EEXIST;
			left -= is_done[i];
			if (!is_done[i] && refused_r == 0) {
				refused_r = r;
				refused_i = i;
				if (pass == 0)
					break;
			}
		}
		if (refused_r < 0 && (pass == 0 || left == before))
			return refused(t, refused_r, err, "route", refused_i);
	}
	return 0;
}

static int add_neighbours(struct target *t, const struct netconf_view *v, struct error *err)
{
	for (uint32_t i = 0; i < v->head.n_neighbours; i++) {
		struct netconf_neighbour n;

		memcpy(&n, v->neighbours + i * sizeof(n), sizeof(n));

		int r = add_neighbour(t, &n);

		if (r < 0)
			return refused(t, r, err, "neighbour", i);
	}
	return 0;
}

static int take_over(struct target *t, const struct netconf_view *v, const char *old_name,
		     struct error *err)
{
	int r = shape(t, &v->head, old_name, err);

	if (r == 0 && v->head.flags & NETCONF_NO_IPV6)
		r = set_ipv6(t, "disable_ipv6", "1", err);
	if (r == 0 && v->head.flags & NETCONF_NO_RA)
		r = set_ipv6(t, "accept_ra", "0", err);
	if (r == 0)
		r = set_up(t, err);
	if (r == 0)
		r = add_addresses(t, v, err);
	if (r == 0)
		r = add_routes(t, v, err);
	return r == 0 ? add_neighbours(t, v, err) : r;
}

int ns_net_apply(const void *config, size_t n, int timeout_ms, struct error *err)
{
	struct netconf_view v;
	struct target t;
	int r = netlink_open(&t.nl, err);

	if (r < 0)
		return r;
	r = loopback_up(&t.nl);
	if (r < 0) {
		r = error_set(err, -r, "set the loopback device up");
	} else if (config) {
		r = netconf_view(config, n, &v, err);

		struct search s = { .mac = v.head.mac };

		if (r == 0)
			r = find(&t.nl, &s, timeout_ms, err);
		t.index = s.index;
		t.name = v.head.name;
		if (r == 0)
			r = take_over(&t, &v, s.name, err);
	}
	netlink_close(&t.nl);
	return r;
}
