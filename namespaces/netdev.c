/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices of the host that move into the container (cl Network devices)
 *
 * The kernel keeps a moved device's MTU and MAC, but closes it and drops its
 * addresses. So the permanent global ones are read before and added again
 * inside. Renaming is part of the move: the device is never visible in the
 * container under a name that somebody there has already.
 *
 * libmnl is opened here and nowhere else: few containers ask for this.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/dl.h"

#define ANSWER_SECONDS 10
#define REQUEST_SIZE 1024
#define ANSWER_SIZE 32768

struct mnl {
	__typeof__(&mnl_socket_open2) socket_open2;
	__typeof__(&mnl_socket_bind) socket_bind;
	__typeof__(&mnl_socket_close) socket_close;
	__typeof__(&mnl_socket_get_fd) socket_get_fd;
	__typeof__(&mnl_socket_get_portid) socket_get_portid;
	__typeof__(&mnl_socket_sendto) socket_sendto;
	__typeof__(&mnl_socket_recvfrom) socket_recvfrom;
	__typeof__(&mnl_nlmsg_put_header) nlmsg_put_header;
	__typeof__(&mnl_nlmsg_put_extra_header) nlmsg_put_extra_header;
	__typeof__(&mnl_nlmsg_get_payload) nlmsg_get_payload;
	__typeof__(&mnl_attr_put) attr_put;
	__typeof__(&mnl_attr_parse) attr_parse;
	__typeof__(&mnl_attr_get_type) attr_get_type;
	__typeof__(&mnl_attr_get_payload) attr_get_payload;
	__typeof__(&mnl_attr_get_payload_len) attr_get_payload_len;
	__typeof__(&mnl_cb_run) cb_run;
};

#define SYMBOL(field) \
	{ \
		"mnl_" #field, offsetof(struct mnl, field) \
	}
static const struct dl_symbol symbols[] = {
	SYMBOL(socket_open2),
	SYMBOL(socket_bind),
	SYMBOL(socket_close),
	SYMBOL(socket_get_fd),
	SYMBOL(socket_get_portid),
	SYMBOL(socket_sendto),
	SYMBOL(socket_recvfrom),
	SYMBOL(nlmsg_put_header),
	SYMBOL(nlmsg_put_extra_header),
	SYMBOL(nlmsg_get_payload),
	SYMBOL(attr_put),
	SYMBOL(attr_parse),
	SYMBOL(attr_get_type),
	SYMBOL(attr_get_payload),
	SYMBOL(attr_get_payload_len),
	SYMBOL(cb_run),
};

struct link { /* a netlink socket in one network namespace */
	const struct mnl *mnl;
	struct mnl_socket *nl;
	unsigned seq;
};

struct address {
	struct ifaddrmsg msg;
	uint32_t flags;
	unsigned char local[16], peer[16], broadcast[4];
	uint16_t local_len, peer_len, broadcast_len;
};

/* What a request looks for and what its answers hold. */
struct answer {
	const struct mnl *mnl;
	int index; /* in: of the device, for addresses; out: of a link */
	unsigned flags;
	struct buf *addresses; /* struct address */
	struct buf *indices; /* int, of every link */
};

static void link_close(struct link *l)
{
	if (l->nl)
		l->mnl->socket_close(l->nl);
	l->nl = NULL;
}

static int link_open(struct link *l, struct error *err)
{
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };

	l->nl = l->mnl->socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!l->nl)
		return error_set(err, errno, "socket for rtnetlink");
	if (l->mnl->socket_bind(l->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(l->mnl->socket_get_fd(l->nl), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0) {
		int r = error_set(err, errno, "bind the rtnetlink socket");

		link_close(l);
		return r;
	}
	return 0;
}

struct request {
	_Alignas(NLMSG_ALIGNTO) char bytes[REQUEST_SIZE];
	struct nlmsghdr *head;
};

static void *request_start(const struct link *l, struct request *req, uint16_t type, uint16_t flags,
			   size_t body)
{
	memset(req->bytes, 0, sizeof(req->bytes));
	req->head = l->mnl->nlmsg_put_header(req->bytes);
	req->head->nlmsg_type = type;
	req->head->nlmsg_flags = NLM_F_REQUEST | flags;
	return l->mnl->nlmsg_put_extra_header(req->head, body);
}

/* Sends and reads answers until the last. Returns -errno as the kernel gave it. */
static int request_run(struct link *l, struct request *req, mnl_cb_t on_answer, void *data)
{
	_Alignas(NLMSG_ALIGNTO) char answer[ANSWER_SIZE];
	unsigned port = l->mnl->socket_get_portid(l->nl);
	/* Both bits: one of them alone is NLM_F_REPLACE in a request that sets something. */
	bool is_dump = (req->head->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	req->head->nlmsg_seq = ++l->seq;
	req->head->nlmsg_flags |= is_dump ? 0 : NLM_F_ACK;
	if (l->mnl->socket_sendto(l->nl, req->head, req->head->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = l->mnl->socket_recvfrom(l->nl, answer, sizeof(answer));

		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;

		int r = l->mnl->cb_run(answer, (size_t)n, l->seq, port, on_answer, data);

		if (r <= MNL_CB_STOP)
			return r < 0 ? -errno : 0;
	}
}

static int on_link(const struct nlmsghdr *head, void *data)
{
	struct answer *a = data;
	const struct ifinfomsg *info = a->mnl->nlmsg_get_payload(head);

	if (head->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	a->index = info->ifi_index;
	a->flags = info->ifi_flags;
	if (a->indices)
		buf_add(a->indices, &info->ifi_index, sizeof(info->ifi_index));
	return MNL_CB_OK;
}

static int find_link(struct link *l, const char *name)
{
	struct request req;
	struct answer a = { .mnl = l->mnl };

	request_start(l, &req, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	l->mnl->attr_put(req.head, IFLA_IFNAME, strlen(name) + 1, name);

	int r = request_run(l, &req, on_link, &a);

	return r < 0 ? r : a.index > 0 ? a.index : -ENODEV;
}

static int list_links(struct link *l, struct buf *indices)
{
	struct request req;
	struct answer a = { .mnl = l->mnl, .indices = indices };

	request_start(l, &req, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return request_run(l, &req, on_link, &a);
}

struct address_parser {
	const struct mnl *mnl;
	struct address *address;
};

static int on_address_attr(const struct nlattr *attr, void *data)
{
	struct address_parser *p = data;
	const void *value = p->mnl->attr_get_payload(attr);
	uint16_t len = p->mnl->attr_get_payload_len(attr);
	struct address *a = p->address;

	switch (p->mnl->attr_get_type(attr)) {
	case IFA_LOCAL:
		a->local_len = len <= sizeof(a->local) ? len : 0;
		memcpy(a->local, value, a->local_len);
		break;
	case IFA_ADDRESS:
		a->peer_len = len <= sizeof(a->peer) ? len : 0;
		memcpy(a->peer, value, a->peer_len);
		break;
	case IFA_BROADCAST:
		a->broadcast_len = len <= sizeof(a->broadcast) ? len : 0;
		memcpy(a->broadcast, value, a->broadcast_len);
		break;
	case IFA_FLAGS:
		if (len == sizeof(a->flags))
			memcpy(&a->flags, value, len);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *head, void *data)
{
	struct answer *out = data;
	const struct ifaddrmsg *msg = out->mnl->nlmsg_get_payload(head);
	struct address a = { 0 };
	struct address_parser p = { out->mnl, &a };

	if (head->nlmsg_type != RTM_NEWADDR || (int)msg->ifa_index != out->index ||
	    msg->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	a.msg = *msg;
	a.flags = msg->ifa_flags;
	if (out->mnl->attr_parse(head, sizeof(*msg), on_address_attr, &p) < 0)
		return MNL_CB_ERROR;
	if (a.flags & IFA_F_PERMANENT)
		buf_add(out->addresses, &a, sizeof(a));
	return MNL_CB_OK;
}

static int list_addresses(struct link *l, int index, struct buf *addresses)
{
	struct request req;
	struct answer a = { .mnl = l->mnl, .index = index, .addresses = addresses };

	request_start(l, &req, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return request_run(l, &req, on_address, &a);
}

static int add_address(struct link *l, int index, const struct address *a)
{
	struct request req;
	struct ifaddrmsg *msg =
		request_start(l, &req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*msg));
	/* State that belongs to the device's life on the host is left there. */
	uint32_t flags =
		a->flags & ~(uint32_t)(IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED);

	*msg = a->msg;
	msg->ifa_index = (unsigned)index;
	msg->ifa_flags = (unsigned char)flags;
	if (a->local_len)
		l->mnl->attr_put(req.head, IFA_LOCAL, a->local_len, a->local);
	if (a->peer_len)
		l->mnl->attr_put(req.head, IFA_ADDRESS, a->peer_len, a->peer);
	if (a->broadcast_len)
		l->mnl->attr_put(req.head, IFA_BROADCAST, a->broadcast_len, a->broadcast);
	l->mnl->attr_put(req.head, IFA_FLAGS, sizeof(flags), &flags);

	return request_run(l, &req, NULL, NULL);
}

static int move_link(struct link *l, int index, int netns_fd, const char *name)
{
	struct request req;
	struct ifinfomsg *info = request_start(l, &req, RTM_NEWLINK, 0, sizeof(*info));
	uint32_t fd = (uint32_t)netns_fd;

	info->ifi_index = index;
	l->mnl->attr_put(req.head, IFLA_NET_NS_FD, sizeof(fd), &fd);
	l->mnl->attr_put(req.head, IFLA_IFNAME, strlen(name) + 1, name);
	return request_run(l, &req, NULL, NULL);
}

static int set_up(struct link *l, int index)
{
	struct request req;
	struct ifinfomsg *info = request_start(l, &req, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = index;
	info->ifi_change = IFF_UP;
	info->ifi_flags = IFF_UP;
	return request_run(l, &req, NULL, NULL);
}

/* With "eth%d" the kernel picks the name: the device is the one that was not there before. */
static int find_new(struct link *inside, const struct buf *before)
{
	auto_buf struct buf after = BUF_INIT;
	int r = list_links(inside, &after);

	for (size_t i = 0; r == 0 && i < after.len / sizeof(int); i++) {
		int index;
		bool known = false;

		memcpy(&index, after.data + i * sizeof(int), sizeof(int));
		for (size_t j = 0; j < before->len / sizeof(int); j++)
			known |= memcmp(before->data + j * sizeof(int), &index, sizeof(int)) == 0;
		if (!known)
			return index;
	}
	return r < 0 ? r : -ENODEV;
}

static int settle_inside(struct link *inside, const struct spec_net_device *d,
			 const struct buf *links_before, const struct buf *addresses,
			 struct error *err)
{
	int index =
		strchr(d->name, '%') ? find_new(inside, links_before) : find_link(inside, d->name);

	if (index < 0)
		return error_set(err, -index, "find network device %s in the container", d->name);
	for (size_t i = 0; i < addresses->len / sizeof(struct address); i++) {
		struct address a;

		memcpy(&a, addresses->data + i * sizeof(a), sizeof(a));

		int r = add_address(inside, index, &a);

		if (r < 0 && r != -EEXIST)
			return error_set(err, -r, "give network device %s its address %zu back",
					 d->name, i);
	}

	int r = set_up(inside, index);

	return r < 0 ? error_set(err, -r, "set network device %s up", d->name) : 0;
}

static int move_device(struct link *host, struct link *inside, int netns_fd,
		       const struct spec_net_device *d, struct error *err)
{
	auto_buf struct buf addresses = BUF_INIT;
	auto_buf struct buf links = BUF_INIT;
	int index = find_link(host, d->host_name);

	if (index < 0)
		return error_set(err, -index, "find network device %s on the host", d->host_name);

	int r = list_addresses(host, index, &addresses);

	if (r < 0)
		return error_set(err, -r, "list the addresses of network device %s", d->host_name);
	r = strchr(d->name, '%') ? list_links(inside, &links) : 0;
	if (r < 0)
		return error_set(err, -r, "list the network devices of the container");
	r = move_link(host, index, netns_fd, d->name);
	if (r < 0) {
		error_set(err, -r, "move network device %s into the container as %s", d->host_name,
			  d->name);
		if (r == -EEXIST)
			error_hint(err, "the container's network namespace has a device %s already",
				   d->name);
		return r;
	}
	return settle_inside(inside, d, &links, &addresses, err);
}

/* A socket belongs to the namespace it was made in, whatever its owner does afterwards. */
static int open_inside(struct link *l, int netns_fd, struct error *err)
{
	auto_close int own = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0)
		return error_set(err, errno, "open /proc/self/ns/net");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return error_set(err, errno, "setns to the container's network namespace");

	int r = link_open(l, err);

	if (setns(own, CLONE_NEWNET) < 0)
		r = error_set(err, errno, "setns back to the host's network namespace");
	return r;
}

int ns_move_net_devices(const struct ns_plan *plan, pid_t pid, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	struct mnl mnl;
	char path[40];

	if (linux_->n_net_devices == 0)
		return 0;
	if (plan->ns[SPEC_NS_NETWORK].same)
		return error_rule(err, EINVAL,
				  "network devices need a network namespace that is not the "
				  "host's");

	int r = dl_load("libmnl.so.0", "libmnl0", symbols, ARRAY_SIZE(symbols), &mnl, err);

	if (r < 0)
		return error_wrap(err, r, "cannot move network devices");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);

	/* One that the child joins by path it may not have joined yet. */
	const struct ns_entry *joined = &plan->ns[SPEC_NS_NETWORK];
	/* path-ok: the host's /proc */
	auto_close int netns = joined->path ? fcntl(joined->fd, F_DUPFD_CLOEXEC, 3)
					    : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		return error_set(err, errno, "open %s", joined->path ? joined->path : path);

	struct link host = { .mnl = &mnl }, inside = { .mnl = &mnl };

	r = link_open(&host, err);
	if (r == 0)
		r = open_inside(&inside, netns, err);
	for (size_t i = 0; r == 0 && i < linux_->n_net_devices; i++) {
		r = move_device(&host, &inside, netns, &linux_->net_devices[i], err);
		if (r < 0)
			error_at(err, "/linux/netDevices/%s", linux_->net_devices[i].host_name);
	}
	link_close(&inside);
	link_close(&host);
	return r;
}
