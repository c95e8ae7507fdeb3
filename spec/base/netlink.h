/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * netlink - requests to the kernel's rtnetlink, and its answers (netlink(7), rtnetlink(7))
 *
 * For programs that cannot load libmnl: the static binary and the guest's agent.
 *
 *	struct netlink_request req;
 *	struct ifinfomsg *info = netlink_begin(&req, RTM_NEWLINK, 0, sizeof(*info));
 *	info->ifi_index = index;
 *	netlink_put(&req, IFLA_MTU, &mtu, sizeof(mtu));
 *	r = netlink_run(&nl, &req, NULL, NULL);
 */

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

enum { NETLINK_REQUEST_BYTES = 1024, NETLINK_SECONDS = 10 };

struct netlink {
	int fd;
	uint32_t seq;
	char why[128]; /* what the kernel said about the last refusal (NLMSGERR_ATTR_MSG), or "" */
};

/* A socket of the caller's network namespace, which it keeps wherever the caller goes. */
int netlink_open(struct netlink *nl, struct error *err);
void netlink_close(struct netlink *nl); /* fd -1: nothing */

struct netlink_request {
	_Alignas(NLMSG_ALIGNTO) uint8_t bytes[NETLINK_REQUEST_BYTES];
	size_t n;
	bool is_full; /* something did not fit: netlink_run() says -EMSGSIZE */
};

/* flags: beside NLM_F_REQUEST, and NLM_F_ACK for what is no dump. Returns the zeroed body of `body` bytes. */
void *netlink_begin(struct netlink_request *req, uint16_t type, uint16_t flags, size_t body);
void netlink_put(struct netlink_request *req, uint16_t type, const void *bytes, size_t n);
void netlink_put_u32(struct netlink_request *req, uint16_t type, uint32_t value);
void netlink_put_text(struct netlink_request *req, uint16_t type, const char *text); /* with its NUL */
/* Opens an attribute that holds others, and closes it. */
size_t netlink_nest(struct netlink_request *req, uint16_t type);
void netlink_nest_end(struct netlink_request *req, size_t at);

/* An answer: called for each message that is no error and no end. < 0 ends the reading. */
typedef int netlink_fn(void *arg, const struct nlmsghdr *head);

/*
 * Sends, and reads until the last answer (NETLINK_SECONDS each, -ETIMEDOUT). Quiet: -errno as the kernel gave it,
 * or fn's. -EINTR: a dump saw a change and may lack something; ask again.
 */
int netlink_run(struct netlink *nl, struct netlink_request *req, netlink_fn *fn, void *arg);

struct netlink_attr {
	uint16_t type; /* without NLA_F_* */
	size_t n;
	const void *bytes;
};

struct netlink_attrs {
	const uint8_t *at;
	size_t left;
};

/* The attributes after a message's body of `body` bytes; of an answer shorter than that, none. */
struct netlink_attrs netlink_attrs(const struct nlmsghdr *head, size_t body);
/* Those inside of one. */
struct netlink_attrs netlink_nested(const struct netlink_attr *attr);
bool netlink_next(struct netlink_attrs *attrs, struct netlink_attr *ret);
/* The body; NULL when the message is shorter. */
const void *netlink_body(const struct nlmsghdr *head, size_t body);
/* A number of 4 bytes, or 0. */
uint32_t netlink_u32(const struct netlink_attr *attr);
