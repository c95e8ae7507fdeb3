/* SPDX-License-Identifier: Apache-2.0 */
/* netlink - see netlink.h. Answers come from the kernel, but every length in them is checked all the same. */
#include "spec/base/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define ANSWER_BYTES 32768 /* what the kernel puts into one message of a dump at most */

int netlink_open(struct netlink *nl, struct error *err)
{
	struct timeval patience = { .tv_sec = NETLINK_SECONDS };
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int one = 1;

	*nl = (struct netlink){ .fd = -1 };

	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return error_set(err, errno, "socket for rtnetlink");
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return error_set(err, errno, "bind the rtnetlink socket");

	/* Words for a refusal; and no copy of the request in it. Both are only a convenience. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	nl->fd = TAKE_FD(fd);
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

/* ---- writing ---- */

static void *take(struct netlink_request *req, size_t n)
{
	size_t aligned = NLMSG_ALIGN(n);

	if (n > sizeof(req->bytes) || aligned > sizeof(req->bytes) - req->n) {
		req->is_full = true;
		return NULL;
	}

	void *at = req->bytes + req->n;

	req->n += aligned;
	return at;
}

void *netlink_begin(struct netlink_request *req, uint16_t type, uint16_t flags, size_t body)
{
	memset(req, 0, sizeof(*req));

	struct nlmsghdr *head = take(req, sizeof(*head));

	head->nlmsg_type = type;
	head->nlmsg_flags = NLM_F_REQUEST | flags;
	/* Both bits: one of them alone is NLM_F_REPLACE in a request that sets something. */
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		head->nlmsg_flags |= NLM_F_ACK;
	return take(req, body);
}

static struct nlattr *put_head(struct netlink_request *req, uint16_t type, size_t n)
{
	struct nlattr *attr = take(req, NLA_HDRLEN + n);

	if (attr) {
		attr->nla_type = type;
		attr->nla_len = (uint16_t)(NLA_HDRLEN + n);
	}
	return attr;
}

void netlink_put(struct netlink_request *req, uint16_t type, const void *bytes, size_t n)
{
	struct nlattr *attr = put_head(req, type, n);

	if (attr && n > 0)
		memcpy((uint8_t *)attr + NLA_HDRLEN, bytes, n);
}

void netlink_put_u32(struct netlink_request *req, uint16_t type, uint32_t value)
{
	netlink_put(req, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink_request *req, uint16_t type, const char *text)
{
	netlink_put(req, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink_request *req, uint16_t type)
{
	size_t at = req->n;

	put_head(req, type | NLA_F_NESTED, 0);
	return at;
}

void netlink_nest_end(struct netlink_request *req, size_t at)
{
	struct nlattr *attr = (void *)(req->bytes + at);

	if (!req->is_full)
		attr->nla_len = (uint16_t)(req->n - at);
}

/* ---- reading ---- */

const void *netlink_body(const struct nlmsghdr *head, size_t body)
{
	return head->nlmsg_len >= NLMSG_LENGTH(body) ? (const uint8_t *)head + NLMSG_HDRLEN : NULL;
}

struct netlink_attrs netlink_attrs(const struct nlmsghdr *head, size_t body)
{
	size_t before = NLMSG_HDRLEN + NLMSG_ALIGN(body);

	if (head->nlmsg_len < before)
		return (struct netlink_attrs){ 0 };
	return (struct netlink_attrs){ (const uint8_t *)head + before, head->nlmsg_len - before };
}

struct netlink_attrs netlink_nested(const struct netlink_attr *attr)
{
	return (struct netlink_attrs){ attr->bytes, attr->n };
}

bool netlink_next(struct netlink_attrs *attrs, struct netlink_attr *ret)
{
	struct nlattr attr;

	if (attrs->left < sizeof(attr))
		return false;
	memcpy(&attr, attrs->at, sizeof(attr));
	if (attr.nla_len < NLA_HDRLEN || attr.nla_len > attrs->left)
		return false;
	ret->type = attr.nla_type & NLA_TYPE_MASK;
	ret->n = attr.nla_len - NLA_HDRLEN;
	ret->bytes = attrs->at + NLA_HDRLEN;

	size_t whole = NLA_ALIGN(attr.nla_len);

	if (whole > attrs->left)
		whole = attrs->left; /* the last one need not be padded */
	attrs->at += whole;
	attrs->left -= whole;
	return true;
}

uint32_t netlink_u32(const struct netlink_attr *attr)
{
	uint32_t value = 0;

	if (attr->n == sizeof(value))
		memcpy(&value, attr->bytes, sizeof(value));
	return value;
}

/* The result that an NLMSG_ERROR carries, 0 for an acknowledgement. */
static int take_result(struct netlink *nl, const struct nlmsghdr *head)
{
	const struct nlmsgerr *result = netlink_body(head, sizeof(*result));
	struct netlink_attr attr;

	if (!result)
		return -EPROTO;
	if (result->error == 0 || !(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return result->error;

	/* With NETLINK_CAP_ACK no more than the request's header is repeated. */
	size_t repeated = head->nlmsg_flags & NLM_F_CAPPED || result->msg.nlmsg_len < NLMSG_HDRLEN
				  ? 0
				  : result->msg.nlmsg_len - NLMSG_HDRLEN;
	struct netlink_attrs attrs = netlink_attrs(head, sizeof(*result) + repeated);

	while (netlink_next(&attrs, &attr))
		if (attr.type == NLMSGERR_ATTR_MSG)
			snprintf(nl->why, sizeof(nl->why), "%.*s", (int)attr.n,
				 (const char *)attr.bytes);
	return result->error;
}

/* One datagram: 1 when it was the last, 0 when there is more, or < 0. */
static int read_answer(struct netlink *nl, const struct nlmsghdr *head, size_t left, netlink_fn *fn,
		       void *arg, bool *interrupted)
{
	for (; left >= sizeof(*head);
	     head = (const void *)((const uint8_t *)head + NLMSG_ALIGN(head->nlmsg_len))) {
		if (head->nlmsg_len < sizeof(*head) || head->nlmsg_len > left)
			return -EPROTO;

		size_t whole = NLMSG_ALIGN(head->nlmsg_len);

		left -= whole < left ? whole : left;
		if (head->nlmsg_seq != nl->seq)
			continue; /* late answers to a request that timed out */
		*interrupted |= head->nlmsg_flags & NLM_F_DUMP_INTR;
		if (head->nlmsg_type == NLMSG_ERROR) {
			int r = take_result(nl, head);

			return r < 0 ? r : 1;
		}
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type >= NLMSG_MIN_TYPE && fn) {
			int r = fn(arg, head);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int netlink_run(struct netlink *nl, struct netlink_request *req, netlink_fn *fn, void *arg)
{
	struct nlmsghdr *head = (void *)req->bytes;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_Alignas(NLMSG_ALIGNTO) uint8_t answer[ANSWER_BYTES];
	bool interrupted = false;
	int r;

	nl->why[0] = '\0';
	if (req->is_full)
		return -EMSGSIZE;
	head->nlmsg_seq = ++nl->seq;
	head->nlmsg_len = (uint32_t)req->n;
	if (sendto(nl->fd, req->bytes, req->n, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	do {
		struct sockaddr_nl from;
		socklen_t from_n = sizeof(from);
		ssize_t n = recvfrom(nl->fd, answer, sizeof(answer), 0, (struct sockaddr *)&from,
				     &from_n);

		if (n < 0 && errno == EINTR) {
			r = 0;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (from_n != sizeof(from) || from.nl_pid != 0) {
			r = 0; /* other processes may send here, too */
			continue;
		}
		r = read_answer(nl, (const void *)answer, (size_t)n, fn, arg, &interrupted);
	} while (r == 0);
	return r < 0 ? r : interrupted ? -EINTR : 0;
}
