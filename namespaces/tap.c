/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap - see tap.h
 *
 * The tap lives as long as its descriptor. With it its own filter goes; that of the container's interface stays, and drops
 * what comes in, until the namespace goes or ns_tap_forget() is called. While the guest runs the host's stack has
 * an interface with addresses that never hears anything, so it answers nobody: neither ARP nor neighbour
 * solicitations nor echo requests are answered twice.
 */
#include "namespaces/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "namespaces/netread.h"
#include "namespaces/tap_join.h"
#include "spec/base/auto.h"

enum {
	HEADER_BYTES = 12, /* struct virtio_net_hdr_v1 */
	NO_LINK_LOCAL = 1, /* IN6_ADDR_GEN_MODE_NONE */
};

/*
 * Frames of the first process's namespace belong to the machine. Where /proc/1 may not be looked into, we are in a
 * user namespace, whose network cannot be that one (or lack CAP_SYS_PTRACE, and rely on the caller).
 */
static int refuse_host(struct error *err)
{
	struct stat host, own;

	if (stat("/proc/1/ns/net", &host) < 0 || stat("/proc/self/ns/net", &own) < 0 ||
	    host.st_ino != own.st_ino || host.st_dev != own.st_dev)
		return 0;
	return error_rule(err, EINVAL,
			  "the container shares the host's network, which a virtual machine cannot "
			  "take over");
}

static int open_tap(bool *ret_offload, struct error *err)
{
	struct ifreq req = { .ifr_name = NS_TAP_NAME,
			     .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = HEADER_BYTES;

	/* The device belongs to the network namespace that we are in now, when it is opened. */
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		int r = error_set(err, errno, "open /dev/net/tun");

		if (r == -ENOENT || r == -ENODEV || r == -ENXIO)
			error_hint(err, "the kernel needs the module tun: modprobe tun");
		return r;
	}
	if (ioctl(fd, TUNSETIFF, &req) < 0) {
		int r = error_set(err, errno, "make tap device %s", NS_TAP_NAME);

		if (r == -EBUSY)
			error_hint(err, "another virtual machine uses this network namespace");
		return r;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_set(err, errno, "set the header size of tap device %s", NS_TAP_NAME);

	/* Else the kernel finishes checksums and cuts segments to frames before we see them. */
	*ret_offload = ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) == 0;
	if (!*ret_offload && ioctl(fd, TUNSETOFFLOAD, 0UL) < 0)
		return error_set(err, errno, "set the offloads of tap device %s", NS_TAP_NAME);
	return TAKE_FD(fd);
}

/* IPv6 would greet the guest from an address of the tap's own. */
static int silence(struct netlink *nl, int index)
{
	struct netlink_request req;
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));
	uint8_t mode = NO_LINK_LOCAL;

	info->ifi_index = index;

	size_t spec = netlink_nest(&req, IFLA_AF_SPEC);
	size_t inet6 = netlink_nest(&req, AF_INET6);

	netlink_put(&req, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	netlink_nest_end(&req, inet6);
	netlink_nest_end(&req, spec);
	return netlink_run(nl, &req, NULL, NULL);
}

static int shape(struct netlink *nl, int index, uint32_t mtu)
{
	struct netlink_request req;
	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = index;
	info->ifi_change = IFF_UP | IFF_NOARP;
	info->ifi_flags = IFF_UP | IFF_NOARP;
	netlink_put_u32(&req, IFLA_MTU, mtu);
	return netlink_run(nl, &req, NULL, NULL);
}

/* The guest's frames first: what comes in meanwhile is not for it yet. */
static int join(struct netlink *nl, const struct ns_link *link, struct error *err)
{
	int tap = (int)if_nametoindex(NS_TAP_NAME);

	if (tap == 0)
		return error_set(err, errno, "find tap device %s", NS_TAP_NAME);

	/* A kernel without IPv6 has no such mode and needs none. */
	(void)silence(nl, tap);

	int r = ns_redirect(nl, tap, link->index, NS_TAP_NAME, err);

	if (r < 0)
		return r;
	r = shape(nl, tap, link->mtu);
	if (r < 0)
		return error_set(err, -r, "set tap device %s up with an MTU of %u", NS_TAP_NAME,
				 link->mtu);
	return ns_redirect(nl, link->index, tap, link->head.name, err);
}

static int make(struct netlink *nl, struct ns_tap *ret, struct buf *config, struct error *err)
{
	struct ns_tap tap;
	struct ns_link link;
	int r = ns_net_pick(nl, &link, err);

	if (r <= 0)
		return r;
	r = ns_net_read(nl, &link, config, err);
	if (r < 0)
		return r;

	auto_close int fd = open_tap(&tap.has_offload, err);

	if (fd < 0)
		return fd;
	r = join(nl, &link, err);
	if (r < 0)
		return r;
	memcpy(tap.mac, link.head.mac, sizeof(tap.mac));
	tap.mtu = link.head.mtu;
	tap.fd = TAKE_FD(fd);
	*ret = tap;
	return 1;
}

int ns_tap_make(struct ns_tap *ret, struct buf *config, struct error *err)
{
	struct netlink nl;

	buf_reset(config);

	int r = refuse_host(err);

	if (r == 0)
		r = netlink_open(&nl, err);
	if (r == 0) {
		r = make(&nl, ret, config, err);
		netlink_close(&nl);
	}
	return r < 0 ? error_wrap(err, r,
				  "cannot connect the virtual machine to the container's network")
		     : r;
}

/* ---- afterwards ---- */

static int forget_one(void *arg, const struct ns_link *link)
{
	buf_add(arg, &link->index, sizeof(link->index));
	return 0;
}

static int forget_all(struct netlink *nl, struct error *err)
{
	auto_buf struct buf indices = BUF_INIT;
	int r = ns_net_links(nl, forget_one, &indices);

	if (r < 0 && r != -EINTR)
		return error_set(err, -r, "list the network interfaces of the container");
	for (size_t i = 0; i < indices.len / sizeof(int); i++) {
		int index;

		memcpy(&index, indices.data + i * sizeof(index), sizeof(index));
		(void)ns_redirect_end(nl, index);
	}
	return 0;
}

int ns_tap_forget(int netns_fd, struct error *err)
{
	struct netlink nl = { .fd = -1 };
	auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0)
		return error_set(err, errno, "open /proc/self/ns/net");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return error_set(err, errno, "setns to the container's network namespace");

	int r = netlink_open(&nl, err);

	if (setns(own, CLONE_NEWNET) < 0)
		r = error_set(err, errno, "setns back to the own network namespace");
	if (r == 0)
		r = forget_all(&nl, err);
	netlink_close(&nl);
	return r;
}
